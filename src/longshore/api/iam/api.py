"""The API of AWS Identity and Access Management."""

from __future__ import annotations

from longshore.api.aws.api import QueryApi
from longshore.api.aws.query import QueryService
from longshore.api.aws.wording import GENERIC
from longshore.api.iam.operations import OPERATIONS

SERVICE = "iam"


def load() -> QueryApi:
    """Compile the API."""
    return QueryApi(
        name=SERVICE,
        service=QueryService.load(SERVICE, GENERIC, OPERATIONS),
        operations=OPERATIONS,
        # A service without regions, of which policies hear this one.
        region="us-east-1",
    )
