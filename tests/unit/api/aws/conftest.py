from __future__ import annotations

import pytest

from longshore.api.aws.json import JsonService
from longshore.api.aws.wording import ECR


@pytest.fixture(scope="session")
def ecr() -> JsonService:
    return JsonService.load("ecr", ECR)
