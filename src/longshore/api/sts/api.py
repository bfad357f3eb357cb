"""The API of AWS Security Token Service."""

from __future__ import annotations

from longshore.api.aws.api import QueryApi
from longshore.api.aws.query import QueryService
from longshore.api.aws.wording import GENERIC
from longshore.api.sts.operations import OPERATIONS

SERVICE = "sts"


def load() -> QueryApi:
    """Compile the API."""
    return QueryApi(
        name=SERVICE,
        service=QueryService.load(SERVICE, GENERIC, OPERATIONS),
        operations=OPERATIONS,
    )
