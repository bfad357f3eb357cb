from __future__ import annotations

import inspect

import botocore.session
import pytest

from longshore import errors
from longshore.errors import RegistryError

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ID = "000000000000"

# Those that belong to the protocol, and not to any operation (ECR API Reference, "Common Errors").
PROTOCOL = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MalformedHttpRequestException",
    "MissingAuthenticationTokenException",
    "RequestEntityTooLargeException",
    "RequestTimeoutException",
    "SerializationException",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
}
# Those of AssumeRoleWithWebIdentity (STS API Reference).
WEB_IDENTITY = {"IDPCommunicationError", "InvalidIdentityToken"}
# Longshore's own, until everything is built.
OWN = {"UnsupportedOperationException"}

FAMILY = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, RegistryError) and hasattr(kind, "code")
]


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_that_clients_know(kind: type[RegistryError]) -> None:
    model = botocore.session.get_session().get_service_model("ecr")
    modelled = {shape.name for shape in model.error_shapes}
    assert kind.code in modelled | PROTOCOL | WEB_IDENTITY | OWN


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            errors.InvalidParameter.at("maxResults", "Member must be small"),
            "InvalidParameterException",
            (
                "Invalid parameter at 'maxResults' failed to satisfy constraint: "
                "'Member must be small'"
            ),
        ),
        (
            errors.RepositoryNotFound("demo/app", ID),
            "RepositoryNotFoundException",
            (
                "The repository with name 'demo/app' does not exist in the registry with id "
                "'000000000000'"
            ),
        ),
        (
            errors.RepositoryAlreadyExists("demo/app", ID),
            "RepositoryAlreadyExistsException",
            (
                "The repository with name 'demo/app' already exists in the registry with id "
                "'000000000000'"
            ),
        ),
        (
            errors.RepositoryNotEmpty("demo/app", ID),
            "RepositoryNotEmptyException",
            (
                "The repository with name 'demo/app' in registry with id '000000000000' cannot be "
                "deleted because it still contains images"
            ),
        ),
        (
            errors.LayerAlreadyExists(A, "demo/app", ID),
            "LayerAlreadyExistsException",
            (
                f"Layer with digest '{A}' already exists in the repository with name 'demo/app' in "
                "the registry with id '000000000000'"
            ),
        ),
        (
            errors.LayersNotFound.required([A, B], "demo/app", ID),
            "LayersNotFoundException",
            (
                f"Layers with digests '[{A}, {B}]' required for pushing image into repository "
                "with name 'demo/app' in the registry with id '000000000000' do not exist"
            ),
        ),
        (
            errors.ImageNotFound(None, "1", "demo/app", ID),
            "ImageNotFoundException",
            (
                "The image with imageId {imageDigest:'null', imageTag:'1'} does not exist within "
                "the repository with name 'demo/app' in the registry with id '000000000000'"
            ),
        ),
        (
            errors.ImageNotFound(A, None, "demo/app", ID),
            "ImageNotFoundException",
            (
                f"The image with imageId {{imageDigest:'{A}', imageTag:'null'}} does not exist "
                "within the repository with name 'demo/app' in the registry with id '000000000000'"
            ),
        ),
        (
            errors.RequestedImageNotFound(),
            "ImageNotFoundException",
            "Requested image not found",
        ),
        (
            errors.ImageAlreadyExists(A, "1", "demo/app", ID),
            "ImageAlreadyExistsException",
            (
                f"Image with digest '{A}' and tag '1' already exists in the repository with name "
                "'demo/app' in registry with id '000000000000'"
            ),
        ),
        (
            errors.ImageAlreadyExists(A, None, "demo/app", ID),
            "ImageAlreadyExistsException",
            (
                f"Image with digest '{A}' and tag 'null' already exists in the repository with "
                "name 'demo/app' in registry with id '000000000000'"
            ),
        ),
        (
            errors.ImageTagAlreadyExists("1", "demo/app"),
            "ImageTagAlreadyExistsException",
            (
                "The image tag '1' already exists in the 'demo/app' repository and cannot be "
                "overwritten because the tag is immutable."
            ),
        ),
        (
            errors.ImageDigestDoesNotMatch(A, B),
            "ImageDigestDoesNotMatchException",
            (
                f"The specified image digest '{A}' does not match the digest that Amazon ECR "
                f"calculated for the image: '{B}'"
            ),
        ),
        (
            errors.ReferencedImagesNotFound([A], "demo/app", ID),
            "ReferencedImagesNotFoundException",
            (
                f"Images with digests '[{A}]' required for pushing image into repository with "
                "name 'demo/app' in the registry with id '000000000000' do not exist"
            ),
        ),
        (
            errors.MissingAuthenticationToken(),
            "MissingAuthenticationTokenException",
            "Request is missing Authentication Token",
        ),
        (
            errors.UnrecognizedClient(),
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        (
            errors.ExpiredToken(),
            "ExpiredTokenException",
            "Your authorization token has expired. Reauthenticate and try again.",
        ),
        (errors.Throttling(), "ThrottlingException", "Rate exceeded"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.endswith("Exception") else "",
)
def test_errors_speak_as_ecr_does(error: RegistryError, code: str, message: str) -> None:
    assert (error.code, error.message, str(error)) == (code, message, message)


def test_an_error_carries_the_further_members_of_its_shape() -> None:
    error = errors.InvalidLayerPart("no", uploadId="u", lastValidByteReceived=7)
    assert error.members == {"uploadId": "u", "lastValidByteReceived": 7}


def test_a_full_disk_is_the_servers_failure_and_says_what_was_kept() -> None:
    assert issubclass(errors.StorageFull, errors.Server)
    assert errors.StorageFull().code == "ServerException"
    assert "Nothing of this request was kept" in errors.StorageFull().message
