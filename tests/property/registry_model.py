"""The registry as it ought to be: dicts, and the rules in their plainest words.

It knows neither HTTP nor SQL nor files, and it is told the time. A refusal is `Refused`, with
ECR's code, or ECR's failure code where an operation answers for each image by itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from longshore.clock import DAY, HOUR, Millis
from tests.property.registry_content import REPOSITORIES, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.clock import FakeClock
    from tests.support.images import Image

GRACE: Final[Millis] = DAY
UPLOAD_LIFETIME: Final[Millis] = 10 * HOUR
# Asking for a layer renews its lease once an eighth of it is over.
RENEWED_AFTER: Final[Millis] = GRACE // 8

SMALLEST_PART: Final = 3
LARGEST_PART: Final = 64
MOST_PARTS: Final = 4
MOST_TAGS: Final = 2
MOST_IMAGES: Final = 6


class Refused(Exception):
    """The registry refuses, and nothing changes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Mutability:
    """Whether tags may be moved."""

    mode: str = "MUTABLE"
    exclusions: tuple[str, ...] = ()

    def protects(self, tag: str) -> bool:
        """Tell whether `tag` must stay where it is."""
        excluded = any(fnmatchcase(tag, pattern) for pattern in self.exclusions)
        return self.mode.startswith("IMMUTABLE") != excluded


@dataclass
class HeldLayer:
    """A layer of a repository."""

    size: int
    leased_at: Millis
    media_type: str | None = None


@dataclass
class HeldImage:
    """An image of a repository, and the layers of its that the repository holds."""

    image: Image
    size: int
    pushed_at: Millis
    layers: frozenset[str]


@dataclass
class Repository:
    """A repository. Images stand in the order in which they came."""

    created_at: Millis
    mutability: Mutability
    layers: dict[str, HeldLayer] = field(default_factory=dict)
    images: dict[str, HeldImage] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def tags_of(self, digest: str) -> list[str]:
        """Return the tags of an image, sorted."""
        return sorted(tag for tag, tagged in self.tags.items() if tagged == digest)

    def ids(self, status: str = "ANY") -> list[tuple[str, str | None]]:
        """Return a digest with a tag for each tag, and one alone for each image without."""
        untagged: list[str | None] = [None]
        return [
            (digest, tag)
            for digest in self.images
            for tag in self.tags_of(digest) or untagged
            if status == "ANY" or (status == "TAGGED") == (tag is not None)
        ]

    def needs(self, layer: str) -> bool:
        """Tell whether an image refers to a layer."""
        return any(layer in held.layers for held in self.images.values())

    def indexes_of(self, digest: str) -> list[str]:
        """Return the indexes that list an image."""
        return [
            index
            for index, held in self.images.items()
            if digest in {str(child.digest) for child in held.image.children}
        ]

    def referrers_of(self, subject: str) -> list[str]:
        """Return the images whose subject that is."""
        return [
            digest
            for digest, held in self.images.items()
            if document(held.image).get("subject", {}).get("digest") == subject
        ]


@dataclass
class Upload:
    """An upload that isn't complete. Its id comes from the registry."""

    repository: str
    touched_at: Millis
    id: str = ""
    content: bytes = b""
    parts: list[int] = field(default_factory=list)


def document(image: Image) -> dict[str, Any]:
    """Read a manifest."""
    members: dict[str, Any] = json.loads(image.content)
    return members


def artifact_type(image: Image) -> str | None:
    """Return what kind of artifact an image is, as referrers are told apart."""
    members = document(image)
    kind: str | None = members.get("artifactType", members.get("config", {}).get("mediaType"))
    return kind


class RegistryModel:
    """One registry.

    Attributes:
        is_oci: whether the dialect is that of the OCI specification.
        mounting: the account setting BLOB_MOUNTING.
        repositories: by name.
        uploads: those that can be gone on with.
        blobs: the digests whose bytes are in the store, each once, with their sizes.
        staged: the uploads, by id, that have bytes in the store; some are nobody's any more.
        once_there: every digest, of a layer or of an image, that a repository of this name ever
            held: what is gone must stay gone.
    """

    def __init__(self, compatibility: str, clock: FakeClock) -> None:
        self.is_oci = compatibility == "oci"
        self._clock = clock
        self.mounting = "DISABLED"
        self.repositories: dict[str, Repository] = {}
        self.uploads: list[Upload] = []
        self.blobs: dict[str, int] = {}
        self.staged: set[str] = set()
        self.once_there: dict[str, list[str]] = {name: [] for name in REPOSITORIES}

    # --- Repositories -----------------------------------------------------------------------------

    def create_repository(self, name: str, mutability: Mutability) -> None:
        if name in self.repositories:
            raise Refused("RepositoryAlreadyExistsException")
        self.repositories[name] = Repository(self._clock(), mutability)

    def delete_repository(self, name: str, *, force: bool) -> None:
        if self.repository(name).images and not force:
            raise Refused("RepositoryNotEmptyException")
        del self.repositories[name]
        self.uploads = [upload for upload in self.uploads if upload.repository != name]

    def put_mutability(self, name: str, mutability: Mutability) -> None:
        self.repository(name).mutability = mutability

    @property
    def holds_images(self) -> bool:
        return any(each.images for each in self.repositories.values())

    @property
    def holds_something(self) -> bool:
        return bool(self.uploads) or any(each.layers for each in self.repositories.values())

    def repository(self, name: str) -> Repository:
        if name not in self.repositories:
            raise Refused("RepositoryNotFoundException")
        return self.repositories[name]

    # --- Layers -----------------------------------------------------------------------------------

    def begin_upload(self, repository: str) -> Upload:
        self.repository(repository)
        upload = Upload(repository, self._clock())
        self.uploads.append(upload)
        return upload

    def append(self, upload: Upload, first: int, data: bytes) -> None:
        self.find_upload(upload)
        if first != len(upload.content):
            raise Refused("InvalidLayerPartException")
        if data:
            upload.content += data
            upload.parts.append(len(data))
            upload.touched_at = self._clock()
            self.staged.add(upload.id)

    def append_part(self, upload: Upload, first: int, data: bytes) -> None:
        self.find_upload(upload)
        if len(data) > LARGEST_PART or first != len(upload.content):
            raise Refused("InvalidLayerPartException")
        if len(upload.parts) >= MOST_PARTS:
            raise Refused("LimitExceededException")
        self.append(upload, first, data)

    def complete(self, upload: Upload, digest: str) -> None:
        self.find_upload(upload)
        self.staged.add(upload.id)
        algorithm = digest.partition(":")[0]
        if digest != digest_of(upload.content, algorithm):
            raise Refused("InvalidLayerException")
        self.cancel(upload)
        if not upload.content and not self.is_oci:
            return  # ECR stores no empty blob
        self.blobs[digest] = len(upload.content)
        self._hold(upload.repository, digest, len(upload.content))

    def complete_in_parts(self, upload: Upload, digest: str) -> None:
        self.find_upload(upload)
        if not upload.parts:
            raise Refused("EmptyUploadException")
        if any(size < SMALLEST_PART for size in upload.parts[:-1]):
            raise Refused("LayerPartTooSmallException")
        is_new = digest not in self.repository(upload.repository).layers
        self.complete(upload, digest)
        if not is_new:
            raise Refused("LayerAlreadyExistsException")

    def cancel(self, upload: Upload) -> None:
        self.find_upload(upload)
        self.uploads.remove(upload)
        self.staged.discard(upload.id)

    def find_upload(self, upload: Upload) -> None:
        self.repository(upload.repository)
        if not any(known is upload for known in self.uploads):
            raise Refused("UploadNotFoundException")

    def complete_with(self, upload: Upload, digest: str, rest: bytes) -> None:
        """Append the rest and complete; what was appended counts, whatever comes of it."""
        self.append(upload, len(upload.content), rest)
        self.complete(upload, digest)

    def upload_at_once(self, name: str, digest: str, content: bytes) -> None:
        upload = self.begin_upload(name)
        try:
            self.complete_with(upload, digest, content)
        except Refused:
            self.cancel(upload)
            raise

    def mount(self, name: str, source: str, digest: str) -> Upload | None:
        """Mount a layer, or begin its upload where it can't be mounted."""
        self.repository(name)
        held = self.repositories.get(source)
        if (
            held is None
            or digest not in held.layers
            or not (self.is_oci or (self.mounting == "ENABLED" and held.needs(digest)))
        ):
            return self.begin_upload(name)
        self._hold(name, digest, held.layers[digest].size)
        return None

    def delete_layer(self, name: str, digest: str) -> None:
        if not self.is_oci:
            raise Refused("unsupported")
        repository = self.repository(name)
        if digest not in repository.layers:
            raise Refused("blob unknown")
        if repository.needs(digest):
            raise Refused("unsupported")
        del repository.layers[digest]

    def ask_for_layers(self, name: str) -> dict[str, HeldLayer]:
        """Ask whether each layer is there, which keeps those that nobody refers to."""
        repository, now = self.repository(name), self._clock()
        for digest, held in repository.layers.items():
            if not repository.needs(digest) and now - held.leased_at >= RENEWED_AFTER:
                held.leased_at = now
        return repository.layers

    def _hold(self, name: str, digest: str, size: int) -> None:
        held = self.repositories[name].layers.setdefault(digest, HeldLayer(size, 0))
        held.leased_at = self._clock()
        self._note(name, digest)

    def _note(self, name: str, digest: str) -> None:
        if digest not in self.once_there[name]:
            self.once_there[name].append(digest)

    # --- Images -----------------------------------------------------------------------------------

    def put_image(self, name: str, image: Image, tag: str | None, digest: str | None) -> None:
        if not (image.children or image.blobs[1:] or self.is_oci):
            raise Refused("InvalidParameterException")
        own = digest_of(image.content, (digest or "sha256").partition(":")[0])
        if digest not in {None, own}:
            raise Refused("ImageDigestDoesNotMatchException")
        repository = self.repository(name)
        if own in repository.images and (tag is None or repository.tags.get(tag) == own):
            raise Refused("ImageAlreadyExistsException")
        if tag in repository.tags and repository.mutability.protects(tag):
            raise Refused("ImageTagAlreadyExistsException")
        if own not in repository.images:
            self._check_new_image(repository, image)
        if tag is not None and len(repository.tags_of(own)) >= MOST_TAGS:
            raise Refused("LimitExceededException")
        if own not in repository.images:
            self._add_image(repository, image, own)
            self._note(name, own)
        if tag is not None:
            repository.tags[tag] = own

    def _check_new_image(self, repository: Repository, image: Image) -> None:
        required = {str(blob.digest) for blob in image.blobs if not blob.urls}
        if not required <= repository.layers.keys():
            raise Refused("LayersNotFoundException")
        children = {str(child.digest) for child in image.children}
        if not children <= repository.images.keys() and not self.is_oci:
            raise Refused("ReferencedImagesNotFoundException")
        if len(repository.images) >= MOST_IMAGES:
            raise Refused("LimitExceededException")

    def _add_image(self, repository: Repository, image: Image, digest: str) -> None:
        held = [blob for blob in image.blobs if str(blob.digest) in repository.layers]
        for blob in held:
            repository.layers[str(blob.digest)].media_type = blob.media_type
        children = [repository.images.get(str(child.digest)) for child in image.children]
        repository.images[digest] = HeldImage(
            image=image,
            size=max((child.size for child in children if child), default=0)
            + sum(len(blob.content) for blob in image.blobs if not blob.urls),
            pushed_at=self._clock(),
            layers=frozenset(str(blob.digest) for blob in held),
        )

    def delete_image(
        self, name: str, digest: str | None, tag: str | None, *, keep_untagged: bool = False
    ) -> list[tuple[str, str | None]]:
        """Delete an image, or a tag and with the last one its image; return what went."""
        repository = self.repository(name)
        found = digest if tag is None else repository.tags.get(tag)
        if found not in repository.images:
            raise Refused("ImageNotFound")
        if digest not in {None, found}:
            raise Refused("ImageTagDoesNotMatchDigest")
        tags = repository.tags_of(found)
        goes = tag is None or (tags == [tag] and not keep_untagged)
        if goes and repository.indexes_of(found):
            raise Refused("ImageReferencedByManifestList")
        gone = tags if tag is None else [tag]
        for each in gone:
            del repository.tags[each]
        if goes:
            for layer in repository.images.pop(found).layers:
                repository.layers[layer].leased_at = self._clock()
        return [(found, each) for each in gone] or [(found, None)]

    def delete_images(
        self, name: str, ids: Iterable[tuple[str | None, str | None]]
    ) -> tuple[list[tuple[str, str | None]], list[str]]:
        """Delete one after the other; return what went, and the codes of the failures."""
        self.repository(name)
        gone: list[tuple[str, str | None]] = []
        failures: list[str] = []
        for digest, tag in ids:
            try:
                gone += self.delete_image(name, digest, tag)
            except Refused as refusal:
                failures.append(refusal.code)
        return gone, failures

    # --- Garbage ----------------------------------------------------------------------------------

    def collect(self) -> list[tuple[str, str, int]]:
        """Take what nobody needs, and return it: the kind, the name and the bytes."""
        taken = [
            ("upload", upload.id, len(upload.content))
            for upload in self.uploads
            if upload.touched_at < self._clock() - UPLOAD_LIFETIME
        ]
        over = {upload_id for _, upload_id, _ in taken}
        self.uploads = [upload for upload in self.uploads if upload.id not in over]
        self.staged -= over
        for repository in self.repositories.values():
            for digest, held in [*repository.layers.items()]:
                if held.leased_at < self._clock() - GRACE and not repository.needs(digest):
                    del repository.layers[digest]
                    taken.append(("layer", digest, 0))
        needed = {digest for each in self.repositories.values() for digest in each.layers}
        taken += [("blob", digest, self.blobs.pop(digest)) for digest in self.blobs.keys() - needed]
        known = {upload.id for upload in self.uploads}
        taken += [("stray", upload_id, 0) for upload_id in self.staged - known]
        self.staged &= known
        return sorted(taken)
