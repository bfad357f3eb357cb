"""The registry face, driven as docker and its kin do, and what it must show of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from longshore.clock import HOUR
from longshore.registry.media_types import MANIFEST_TYPES, OCI_INDEX
from tests.property.registry_content import (
    REPOSITORIES,
    SUBJECTS,
    TAGS,
    layer_digests,
)
from tests.property.registry_model import Refused, artifact_type, document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.clock import Millis
    from tests.property.ecr_face import EcrFace
    from tests.property.registry_model import RegistryModel, Repository, Upload
    from tests.property.stations import Station
    from tests.support.images import Image
    from tests.support.server import Answer

_TOKENS_LAST: Millis = 12 * HOUR

# How each refusal is said: the status and the code. None is a success: the client has what it
# wanted.
_WORDS: dict[str, str | None] = {
    "EmptyUploadException": "400 DIGEST_INVALID",
    "ImageAlreadyExistsException": None,
    "ImageDigestDoesNotMatchException": "400 DIGEST_INVALID",
    "ImageNotFound": "404 MANIFEST_UNKNOWN",
    "ImageReferencedByManifestList": "405 UNSUPPORTED",
    "ImageTagAlreadyExistsException": "400 TAG_INVALID",
    "InvalidLayerException": "400 DIGEST_INVALID",
    "InvalidLayerPartException": "416 BLOB_UPLOAD_INVALID",
    "InvalidParameterException": "405 UNSUPPORTED",
    "LayersNotFoundException": "404 BLOB_UPLOAD_UNKNOWN",
    "LimitExceededException": "403 DENIED",
    "ReferencedImagesNotFoundException": "400 MANIFEST_BLOB_UNKNOWN",
    "RepositoryNotFoundException": "404 NAME_UNKNOWN",
    "UploadNotFoundException": "404 BLOB_UPLOAD_UNKNOWN",
    "blob unknown": "404 BLOB_UNKNOWN",
    "unsupported": "405 UNSUPPORTED",
}
_OTHER_WORDS_IN_OCI: dict[str, str | None] = {
    "ImageReferencedByManifestList": "400 UNSUPPORTED",
    "LayersNotFoundException": "404 MANIFEST_BLOB_UNKNOWN",
}


class OciFace:
    """Sends requests below `/v2/` with a token that the ECR face gave out."""

    def __init__(self, station: Station, ecr: EcrFace, compatibility: str) -> None:
        self._station = station
        self._ecr = ecr
        self._words = {**_WORDS, **(_OTHER_WORDS_IN_OCI if compatibility == "oci" else {})}
        self._layers = layer_digests(compatibility)
        self._token = ""
        self._expires_at = 0

    def words(self, code: str) -> str | None:
        """Return how this face says a refusal, or None where it doesn't refuse."""
        return self._words[code]

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; an answer that is an error is `Refused`, in this face's words."""
        target = f"/v2/{path}" + (f"?{urlencode(query)}" if query else "")
        authorization = {"Authorization": f"Basic {self._valid_token()}"}
        answer = self._station.send(method, target, authorization | dict(headers or {}), body)
        if answer.status >= 400:
            raise Refused(f"{answer.status} {answer.json()['errors'][0]['code']}")
        return answer

    def _valid_token(self) -> str:
        now = self._station.clock()
        if now >= self._expires_at:
            (data,) = self._ecr.call("GetAuthorizationToken")["authorizationData"]
            self._token, self._expires_at = data["authorizationToken"], now + _TOKENS_LAST
        return self._token

    # --- Doing ------------------------------------------------------------------------------------

    def begin_upload(self, repository: str) -> str:
        return _upload_id(self.send("POST", f"{repository}/blobs/uploads/"))

    def append(self, repository: str, upload_id: str, first: int, data: bytes) -> None:
        answer = self.send(
            "PATCH",
            f"{repository}/blobs/uploads/{upload_id}",
            {"Content-Range": f"{first}-{first + len(data) - 1}"} if data else {},
            data,
        )
        assert answer.status == 202

    def complete(
        self, repository: str, upload_id: str, digest: str, last_bytes: bytes = b""
    ) -> None:
        answer = self.send(
            "PUT",
            f"{repository}/blobs/uploads/{upload_id}",
            body=last_bytes,
            query={"digest": digest},
        )
        assert answer.status == 201

    def cancel(self, repository: str, upload_id: str) -> None:
        assert self.send("DELETE", f"{repository}/blobs/uploads/{upload_id}").status == 204

    def upload_at_once(self, repository: str, digest: str, content: bytes) -> None:
        answer = self.send(
            "POST", f"{repository}/blobs/uploads/", body=content, query={"digest": digest}
        )
        assert answer.status == 201

    def mount(self, repository: str, source: str, digest: str) -> str | None:
        """Return None where the layer was mounted, or the id of the upload that was begun."""
        query = {"mount": digest, "from": source}
        answer = self.send("POST", f"{repository}/blobs/uploads/", query=query)
        return None if answer.status == 201 else _upload_id(answer)

    def delete_layer(self, repository: str, digest: str) -> None:
        assert self.send("DELETE", f"{repository}/blobs/{digest}").status == 202

    def put_image(self, name: str, image: Image, tag: str | None, digest: str | None) -> None:
        """Push a manifest by its tag, or else by its digest."""
        reference = tag or digest or str(image.digest)
        answer = self.send(
            "PUT",
            f"{name}/manifests/{reference}",
            {"Content-Type": image.media_type},
            image.content,
        )
        subject = document(image).get("subject", {}).get("digest")
        assert answer.status == 201
        assert answer.headers["docker-content-digest"] == (digest or str(image.digest))
        assert answer.headers.get("oci-subject") == subject

    def delete_image(self, name: str, digest: str | None, tag: str | None) -> None:
        assert self.send("DELETE", f"{name}/manifests/{tag or digest}").status == 202

    def list_in_pages(self, path: str, member: str, size: int) -> list[str]:
        """Return a whole listing, a page of `size` at a time."""
        items: list[str] = []
        answer = self.send("GET", path, query={"n": str(size)})
        while True:
            page = answer.json()[member]
            assert len(page) <= size
            items += page
            if "link" not in answer.headers:
                return items
            following = urlsplit(answer.headers["link"].partition(">")[0].removeprefix("<"))
            assert following.path == f"/v2/{path}"
            answer = self.send("GET", path, query=dict(parse_qsl(following.query)))

    # --- Looking ----------------------------------------------------------------------------------

    def look(self, uploads: list[Upload], digests: Mapping[str, list[str]]) -> dict[str, Any]:
        """Return all that this face shows of these uploads and digests; see `shown`."""
        return {
            "catalog": self.send("GET", "_catalog").json()["repositories"],
            "uploads": {upload.id: self._progress_of(upload) for upload in uploads},
            **{name: self._look_into(name, digests[name]) for name in REPOSITORIES},
        }

    def _progress_of(self, upload: Upload) -> str:
        try:
            path = f"{upload.repository}/blobs/uploads/{upload.id}"
            return self.send("GET", path).headers["range"]
        except Refused as refusal:
            return refusal.code

    def _look_into(self, name: str, digests: list[str]) -> dict[str, Any]:
        try:
            tags = self.send("GET", f"{name}/tags/list").json()["tags"]
        except Refused as refusal:
            return {"refused": refusal.code}
        return {
            "tags": tags,
            "manifests": {
                reference: self._manifest(name, reference)
                for reference in [*TAGS, *digests]
                if reference not in self._layers
            },
            "layers": {
                digest: self._layer(name, digest) for digest in digests if digest in self._layers
            },
            "referrers": {
                str(subject.digest): self._referrers(name, str(subject.digest))
                for subject in SUBJECTS
            },
        }

    def _manifest(self, name: str, reference: str) -> tuple[bytes, str, str] | str:
        accept = {"Accept": ", ".join(sorted(MANIFEST_TYPES))}
        try:
            answer = self.send("GET", f"{name}/manifests/{reference}", accept)
        except Refused as refusal:
            return refusal.code
        headers = answer.headers
        return answer.body, headers["content-type"], headers["docker-content-digest"]

    def _layer(self, name: str, digest: str) -> bytes | str:
        try:
            return self.send("GET", f"{name}/blobs/{digest}").body
        except Refused as refusal:
            return refusal.code

    def _referrers(self, name: str, subject: str) -> list[dict[str, Any]]:
        index = self.send("GET", f"{name}/referrers/{subject}").json()
        assert index["mediaType"] == OCI_INDEX
        referrers: list[dict[str, Any]] = index["manifests"]
        return referrers

    def shown(self, model: RegistryModel, uploads: list[Upload]) -> dict[str, Any]:
        """Return what `look` must return."""
        return {
            "catalog": sorted(model.repositories),
            "uploads": {upload.id: _shown_progress(model, upload) for upload in uploads},
            **{name: self._shown_of(model, name) for name in REPOSITORIES},
        }

    def _shown_of(self, model: RegistryModel, name: str) -> dict[str, Any]:
        if name not in model.repositories:
            return {"refused": "404 NAME_UNKNOWN"}
        held, repository = model.ask_for_layers(name), model.repositories[name]
        digests = model.once_there[name]
        return {
            "tags": sorted(repository.tags),
            "manifests": {
                reference: _shown_manifest(repository, repository.tags.get(reference, reference))
                for reference in [*TAGS, *digests]
                if reference not in self._layers
            },
            "layers": {
                digest: self._layers[digest] if digest in held else "404 BLOB_UNKNOWN"
                for digest in digests
                if digest in self._layers
            },
            "referrers": {
                str(subject.digest): [
                    _referrer(digest, repository.images[digest].image)
                    for digest in repository.referrers_of(str(subject.digest))
                ]
                for subject in SUBJECTS
            },
        }


def _upload_id(answer: Answer) -> str:
    assert answer.status == 202
    return answer.headers["docker-upload-uuid"]


def _shown_progress(model: RegistryModel, upload: Upload) -> str:
    try:
        model.find_upload(upload)
    except Refused as refusal:
        return _WORDS[refusal.code] or ""
    return f"0-{max(len(upload.content) - 1, 0)}"


def _shown_manifest(repository: Repository, digest: str) -> tuple[bytes, str, str] | str:
    if digest not in repository.images:
        return "404 MANIFEST_UNKNOWN"
    image = repository.images[digest].image
    return image.content, image.media_type, digest


def _referrer(digest: str, image: Image) -> dict[str, Any]:
    members = {
        "mediaType": image.media_type,
        "digest": digest,
        "size": len(image.content),
        "artifactType": artifact_type(image),
        "annotations": document(image).get("annotations"),
    }
    return {name: value for name, value in members.items() if value is not None}
