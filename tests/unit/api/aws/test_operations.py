"""What the tables of the three APIs have in common."""

from __future__ import annotations

from collections import Counter

import pytest

from longshore.api.aws.model import ServiceModel
from longshore.api.ecr.operations import OPERATIONS as ECR
from longshore.api.iam.operations import OPERATIONS as IAM
from longshore.api.sts.operations import OPERATIONS as STS

TABLES = {"ecr": ECR, "iam": IAM, "sts": STS}


@pytest.mark.parametrize("service", TABLES)
def test_every_operation_is_one_of_the_model(service):
    assert TABLES[service].keys() <= ServiceModel.load(service).operations.keys()


@pytest.mark.parametrize("service", TABLES)
def test_every_action_is_one_of_the_service(service):
    assert {op.action.partition(":")[0] for op in TABLES[service].values()} == {service}


def test_no_two_services_have_an_operation_of_the_same_name():
    """Rate limits are set by name."""
    names = Counter(name for table in TABLES.values() for name in table)
    assert max(names.values()) == 1


def test_only_what_changes_nothing_is_kept_in_memory():
    kept = {name for table in TABLES.values() for name, op in table.items() if op.only_reads}
    prefixes = ("BatchGet", "Describe", "Get", "List")
    assert {name for name in kept if not name.startswith(prefixes)} == set()
    assert kept.isdisjoint({"GetAuthorizationToken", "GetSessionToken", "GetDownloadUrlForLayer"})


def test_one_operation_needs_no_signature():
    unsigned = {name for table in TABLES.values() for name, op in table.items() if op.is_unsigned}
    assert unsigned == {"AssumeRoleWithWebIdentity"}
