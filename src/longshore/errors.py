"""The one family of errors.

A rule that refuses raises one of these, with ECR's own code, its sentence and its extra members.
It knows no HTTP: each face has one table that turns the family into its protocol's form
(`api/aws/errors.py`, `api/oci/errors.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class RegistryError(Exception):
    """A refusal, in ECR's vocabulary.

    Attributes:
        code: the error's name on the wire, such as `RepositoryNotFoundException`.
        message: the sentence for the user.
        members: further members of the error's shape, by their wire names.
    """

    code: ClassVar[str]

    def __init__(self, message: str, **members: object) -> None:
        super().__init__(message)
        self.message = message
        self.members = members


def _in_repository(name: str, registry_id: str) -> str:
    return f"in the repository with name '{name}' in the registry with id '{registry_id}'"


def _bracketed(digests: Iterable[object]) -> str:
    return "[" + ", ".join(str(digest) for digest in digests) + "]"


# --- The request itself ---------------------------------------------------------------------------


class InvalidParameter(RegistryError):
    """A member of the request breaks a constraint."""

    code = "InvalidParameterException"

    @classmethod
    def at(cls, path: str, reason: str) -> InvalidParameter:
        """Word the refusal of the member at `path` as ECR does."""
        return cls(f"Invalid parameter at '{path}' failed to satisfy constraint: '{reason}'")


class ValidationFailed(RegistryError):
    """A member of the request breaks a constraint, in the words that most services share."""

    code = "ValidationException"


class Serialization(RegistryError):
    """The body can't be read in the service's protocol, or a member has the wrong type."""

    code = "SerializationException"


class UnknownOperation(RegistryError):
    """The request names no operation of the service."""

    code = "UnknownOperationException"


class NotBuiltYet(RegistryError):
    """An operation or a setting of AWS's that Longshore doesn't have yet."""

    code = "UnsupportedOperationException"


class MalformedHttpRequest(RegistryError):
    """The body can't be decoded or was cut short."""

    code = "MalformedHttpRequestException"


class RequestEntityTooLarge(RegistryError):
    """The body is larger than any request of the service may be."""

    code = "RequestEntityTooLargeException"


class RequestTimeout(RegistryError):
    """The client stopped sending in the middle of its request."""

    code = "RequestTimeoutException"


class Throttling(RegistryError):
    """More requests a second than the operator allows."""

    code = "ThrottlingException"

    def __init__(self) -> None:
        super().__init__("Rate exceeded")


class TooManyFailures(Throttling):
    """So many attempts to authenticate failed at one address that it has to wait."""

    def __init__(self) -> None:
        RegistryError.__init__(
            self,
            "Rate exceeded: too many requests with wrong credentials came from this address. "
            "Check the credentials, and try again in a minute.",
        )


class Server(RegistryError):
    """A failure of the server's own."""

    code = "ServerException"


class StorageFull(Server):
    """The disk under the data directory is full; nothing of the request was kept."""

    def __init__(self) -> None:
        super().__init__(
            "The registry's storage is full. Nothing of this request was kept. "
            "Free some space or ask the operator of the registry to, then try again."
        )


# --- Who is asking --------------------------------------------------------------------------------


class AuthenticationError(RegistryError):
    """The request doesn't prove who sends it."""


class MissingAuthenticationToken(AuthenticationError):
    """The request carries no credentials at all."""

    code = "MissingAuthenticationTokenException"

    def __init__(self) -> None:
        super().__init__("Request is missing Authentication Token")


class IncompleteSignature(AuthenticationError):
    """The Authorization header lacks a part or can't be read."""

    code = "IncompleteSignatureException"


class UnrecognizedClient(AuthenticationError):
    """The access key or the session token is unknown."""

    code = "UnrecognizedClientException"

    def __init__(self) -> None:
        super().__init__("The security token included in the request is invalid.")


class InvalidSignature(AuthenticationError):
    """The signature is wrong, out of its time, or scoped to another region or service."""

    code = "InvalidSignatureException"


class ExpiredToken(AuthenticationError):
    """A registry token, or session credentials, whose time is over."""

    code = "ExpiredTokenException"

    def __init__(self) -> None:
        super().__init__("Your authorization token has expired. Reauthenticate and try again.")


class ExpiredIdentityToken(ExpiredToken):
    """The ID token of a foreign identity provider isn't valid any more."""

    def __init__(self, now: int, expires_at: int) -> None:
        RegistryError.__init__(
            self,
            f"Token expired: current date/time {now} must be before "
            f"the expiration date/time {expires_at}",
        )


class InvalidIdentityToken(AuthenticationError):
    """An ID token that its provider doesn't vouch for, or not for this."""

    code = "InvalidIdentityToken"


class ProviderUnreachable(AuthenticationError):
    """The keys of a foreign identity provider can't be had; it may help to try again."""

    code = "IDPCommunicationError"


class AccessDenied(RegistryError):
    """The caller is known and may not do this.

    Args:
        message: the sentence for the user.
        explanation: what was decided on, statement by statement, for the operator alone.
    """

    code = "AccessDeniedException"

    def __init__(self, message: str, explanation: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.explanation = explanation


# --- Repositories ---------------------------------------------------------------------------------


class RepositoryNotFound(RegistryError):
    """No repository has this name in this registry."""

    code = "RepositoryNotFoundException"

    def __init__(self, name: str, registry_id: str) -> None:
        super().__init__(
            f"The repository with name '{name}' does not exist "
            f"in the registry with id '{registry_id}'"
        )


class RepositoryAlreadyExists(RegistryError):
    """A repository of this name exists."""

    code = "RepositoryAlreadyExistsException"

    def __init__(self, name: str, registry_id: str) -> None:
        super().__init__(
            f"The repository with name '{name}' already exists "
            f"in the registry with id '{registry_id}'"
        )


class RepositoryNotEmpty(RegistryError):
    """The repository still holds images and `force` wasn't given."""

    code = "RepositoryNotEmptyException"

    def __init__(self, name: str, registry_id: str) -> None:
        super().__init__(
            f"The repository with name '{name}' in registry with id '{registry_id}' "
            "cannot be deleted because it still contains images"
        )


class RepositoryPolicyNotFound(RegistryError):
    """The repository has no policy."""

    code = "RepositoryPolicyNotFoundException"

    def __init__(self, name: str, registry_id: str) -> None:
        super().__init__(
            f"Repository policy does not exist for the repository with name '{name}' "
            f"in the registry with id '{registry_id}'"
        )


class RegistryPolicyNotFound(RegistryError):
    """The registry has no policy."""

    code = "RegistryPolicyNotFoundException"

    def __init__(self, registry_id: str) -> None:
        super().__init__(f"Registry policy does not exist in the registry with id '{registry_id}'")


class LifecyclePolicyNotFound(RegistryError):
    """The repository has no lifecycle policy."""

    code = "LifecyclePolicyNotFoundException"

    def __init__(self, name: str, registry_id: str) -> None:
        super().__init__(
            f"Lifecycle policy does not exist for the repository with name '{name}' "
            f"in the registry with id '{registry_id}'"
        )


class LifecyclePolicyPreviewNotFound(RegistryError):
    """The repository never had a preview of a lifecycle policy."""

    code = "LifecyclePolicyPreviewNotFoundException"

    def __init__(self, name: str, registry_id: str) -> None:
        super().__init__(
            f"Lifecycle policy preview does not exist for the repository with name '{name}' "
            f"in the registry with id '{registry_id}'"
        )


class LifecyclePolicyPreviewInProgress(RegistryError):
    """The repository's last preview of a lifecycle policy isn't complete yet."""

    code = "LifecyclePolicyPreviewInProgressException"

    def __init__(self) -> None:
        super().__init__(
            "The previous lifecycle policy preview request has not completed. Wait and try again."
        )


class TemplateNotFound(RegistryError):
    """The registry has no repository creation template with this prefix."""

    code = "TemplateNotFoundException"

    def __init__(self, prefix: str, registry_id: str) -> None:
        super().__init__(
            f"The repository creation template with the prefix '{prefix}' does not exist "
            f"in the registry with id '{registry_id}'"
        )


class TemplateAlreadyExists(RegistryError):
    """The registry has a repository creation template with this prefix."""

    code = "TemplateAlreadyExistsException"

    def __init__(self, prefix: str, registry_id: str) -> None:
        super().__init__(
            f"The repository creation template with the prefix '{prefix}' already exists "
            f"in the registry with id '{registry_id}'"
        )


class ExclusionNotFound(RegistryError):
    """The pulls of this principal leave their times, as everybody's do."""

    code = "ExclusionNotFoundException"

    def __init__(self, principal_arn: str, registry_id: str) -> None:
        super().__init__(
            f"The pull time update exclusion for the principal with ARN '{principal_arn}' does "
            f"not exist in the registry with id '{registry_id}'"
        )


class ExclusionAlreadyExists(RegistryError):
    """The pulls of this principal leave no times already."""

    code = "ExclusionAlreadyExistsException"

    def __init__(self, principal_arn: str, registry_id: str) -> None:
        super().__init__(
            f"The pull time update exclusion for the principal with ARN '{principal_arn}' already "
            f"exists in the registry with id '{registry_id}'"
        )


class InvalidTagParameter(RegistryError):
    """The key of a resource tag is empty, too long or reserved, or its value is too long."""

    code = "InvalidTagParameterException"


class TooManyTags(RegistryError):
    """A repository may not have this many resource tags."""

    code = "TooManyTagsException"


class LimitExceeded(RegistryError):
    """A quota of the registry is used up."""

    code = "LimitExceededException"


# --- Layers and uploads ---------------------------------------------------------------------------


class UploadNotFound(RegistryError):
    """No such upload in this repository for this caller."""

    code = "UploadNotFoundException"

    def __init__(self, upload_id: str, name: str, registry_id: str) -> None:
        super().__init__(
            f"The upload with id '{upload_id}' does not exist {_in_repository(name, registry_id)}"
        )


class InvalidLayer(RegistryError):
    """The bytes that were uploaded don't have the digest that was named."""

    code = "InvalidLayerException"


class InvalidLayerPart(RegistryError):
    """A part that doesn't follow on the bytes received so far."""

    code = "InvalidLayerPartException"


class LayerPartTooSmall(RegistryError):
    """A part other than the last is under the smallest size of a part."""

    code = "LayerPartTooSmallException"


class EmptyUpload(RegistryError):
    """An upload is completed before any byte of it came."""

    code = "EmptyUploadException"

    def __init__(self, upload_id: str, name: str, registry_id: str) -> None:
        super().__init__(
            f"The upload with id '{upload_id}' in the repository with name '{name}' in registry "
            f"with id '{registry_id}' cannot be completed because it does not have any parts"
        )


class LayerAlreadyExists(RegistryError):
    """The repository has this layer; the upload was verified and is over."""

    code = "LayerAlreadyExistsException"

    def __init__(self, digest: object, name: str, registry_id: str) -> None:
        super().__init__(
            f"Layer with digest '{digest}' already exists {_in_repository(name, registry_id)}"
        )


class LayersNotFound(RegistryError):
    """Layers that the request names aren't in the repository."""

    code = "LayersNotFoundException"

    @classmethod
    def required(cls, digests: Iterable[object], name: str, registry_id: str) -> LayersNotFound:
        """Refuse a manifest whose layers aren't all there."""
        return cls(
            f"Layers with digests '{_bracketed(digests)}' required for pushing image into "
            f"repository with name '{name}' in the registry with id '{registry_id}' do not exist"
        )

    @classmethod
    def asked(cls, digest: object, name: str, registry_id: str) -> LayersNotFound:
        """Refuse a layer that was asked for."""
        return cls(
            f"Layer with digest '{digest}' does not exist {_in_repository(name, registry_id)}"
        )


class LayerInaccessible(RegistryError):
    """The layer was uploaded, but no image refers to it yet."""

    code = "LayerInaccessibleException"

    def __init__(self, digest: object, name: str, registry_id: str) -> None:
        super().__init__(
            f"Layer with digest '{digest}' {_in_repository(name, registry_id)} "
            "is not referenced by any image"
        )


class LayerArchived(LayerInaccessible):
    """All images that refer to the layer are archived."""

    def __init__(self, digest: object, name: str, registry_id: str) -> None:
        RegistryError.__init__(
            self,
            f"Layer with digest '{digest}' {_in_repository(name, registry_id)} "
            "is used by archived images only. Restore one of them before you pull it: "
            "UpdateImageStorageClass with the target STANDARD.",
        )


# --- Images ---------------------------------------------------------------------------------------


class ImageNotFound(RegistryError):
    """No such image in the repository."""

    code = "ImageNotFoundException"

    def __init__(self, digest: object | None, tag: str | None, name: str, registry_id: str) -> None:
        super().__init__(
            f"The image with imageId {{imageDigest:'{digest or 'null'}', "
            f"imageTag:'{tag or 'null'}'}} does not exist within the repository with name "
            f"'{name}' in the registry with id '{registry_id}'"
        )


class RequestedImageNotFound(ImageNotFound):
    """The same, in the words of the registry face."""

    def __init__(self) -> None:
        RegistryError.__init__(self, "Requested image not found")


class ImageInaccessible(ImageNotFound):
    """The image is in the archive, or on its way back, and can't be pulled.

    Its words are ours: on the wire ECR answers as if it weren't there.
    """

    def __init__(self, *, is_activating: bool) -> None:
        RegistryError.__init__(
            self,
            "Requested image is being restored from the archive. Try again in a few seconds."
            if is_activating
            else "Requested image is archived. Restore it before you pull it: "
            "UpdateImageStorageClass with the target STANDARD.",
        )


class ImageNotInRecycleBin(ImageNotFound):
    """The recycle bin, which ECR hasn't, doesn't have the image, or its time is over."""

    def __init__(self, message: str) -> None:
        RegistryError.__init__(self, message)


class ImageStorageClassUpdateNotSupported(RegistryError):
    """An index that isn't archived refers to the image that is to be archived."""

    code = "ImageStorageClassUpdateNotSupportedException"

    def __init__(self, indexes: Iterable[object]) -> None:
        super().__init__(f"Requested image referenced by manifest list: {_bracketed(indexes)}")


class ImageAlreadyExists(RegistryError):
    """The same manifest is there under the same tag."""

    code = "ImageAlreadyExistsException"

    def __init__(self, digest: object, tag: str | None, name: str, registry_id: str) -> None:
        super().__init__(
            f"Image with digest '{digest}' and tag '{tag or 'null'}' already exists in the "
            f"repository with name '{name}' in registry with id '{registry_id}'"
        )


class ImageTagAlreadyExists(RegistryError):
    """The tag is immutable and stands for another image."""

    code = "ImageTagAlreadyExistsException"

    def __init__(self, tag: str, name: str) -> None:
        super().__init__(
            f"The image tag '{tag}' already exists in the '{name}' repository "
            "and cannot be overwritten because the tag is immutable."
        )


class ImageDigestDoesNotMatch(RegistryError):
    """The digest that was named isn't the manifest's."""

    code = "ImageDigestDoesNotMatchException"

    def __init__(self, given: object, computed: object) -> None:
        super().__init__(
            f"The specified image digest '{given}' does not match the digest that "
            f"Amazon ECR calculated for the image: '{computed}'"
        )


class ReferencedImagesNotFound(RegistryError):
    """Children of an index or a manifest list aren't in the repository."""

    code = "ReferencedImagesNotFoundException"

    def __init__(self, digests: Iterable[object], name: str, registry_id: str) -> None:
        super().__init__(
            f"Images with digests '{_bracketed(digests)}' required for pushing image into "
            f"repository with name '{name}' in the registry with id '{registry_id}' do not exist"
        )
