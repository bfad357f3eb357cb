"""How the family of errors is told in the two protocols."""

from __future__ import annotations

import pytest

from longshore.api.aws.errors import json_status, query_answer
from longshore.api.aws.model import ServiceModel
from longshore.api.http import BadRequest
from longshore.errors import (
    AccessDenied,
    ExpiredIdentityToken,
    ExpiredToken,
    ImageNotFound,
    InvalidIdentityToken,
    ProviderUnreachable,
    RegistryError,
    RequestTimeout,
    StorageFull,
    Throttling,
    TooManyFailures,
    UnknownOperation,
    UnrecognizedClient,
    ValidationFailed,
)
from longshore.identity import errors as identity_errors
from longshore.identity.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    ExpiredSession,
    InvalidInput,
    MalformedPolicyDocument,
    NoSuchEntity,
    PackedPolicyTooLarge,
    QuotaExceeded,
    ValidationError,
)

STATUSES = {
    **ServiceModel.load("iam").error_statuses,
    **ServiceModel.load("sts").error_statuses,
}


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        (AccessDenied, "AccessDenied", 403),
        (BadRequest, "MalformedHttpRequest", 400),
        (ExpiredToken, "ExpiredToken", 403),
        (ExpiredSession, "ExpiredToken", 403),
        (ExpiredIdentityToken, "ExpiredTokenException", 400),
        (InvalidIdentityToken, "InvalidIdentityToken", 400),
        (ProviderUnreachable, "IDPCommunicationError", 400),
        (RequestTimeout, "RequestTimeout", 408),
        (StorageFull, "InternalFailure", 500),
        (Throttling, "Throttling", 400),
        (TooManyFailures, "Throttling", 400),
        (UnknownOperation, "InvalidAction", 400),
        (UnrecognizedClient, "InvalidClientTokenId", 403),
        (ValidationFailed, "ValidationError", 400),
        (ValidationError, "ValidationError", 400),
        (NoSuchEntity, "NoSuchEntity", 404),
        (EntityAlreadyExists, "EntityAlreadyExists", 409),
        (DeleteConflict, "DeleteConflict", 409),
        (QuotaExceeded, "LimitExceeded", 409),
        (MalformedPolicyDocument, "MalformedPolicyDocument", 400),
        (PackedPolicyTooLarge, "PackedPolicyTooLarge", 400),
        (InvalidInput, "InvalidInput", 400),
    ],
)
def test_iam_and_sts_have_their_own_codes(
    kind: type[RegistryError], code: str, status: int
) -> None:
    assert query_answer(kind, STATUSES) == (code, status)


def test_every_error_of_identities_is_one_that_the_models_or_all_services_have() -> None:
    kinds = [
        kind
        for kind in vars(identity_errors).values()
        if isinstance(kind, type)
        and issubclass(kind, RegistryError)
        and kind.__module__ == identity_errors.__name__
    ]
    codes = {query_answer(kind, STATUSES)[0] for kind in kinds}
    assert codes - STATUSES.keys() <= {"ExpiredToken", "ValidationError"}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (AccessDenied, 400),
        (ImageNotFound, 400),
        (UnknownOperation, 404),
        (RequestTimeout, 408),
        (StorageFull, 500),
    ],
)
def test_ecr_has_few_statuses(kind: type[RegistryError], status: int) -> None:
    assert json_status(kind) == status
