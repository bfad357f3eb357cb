"""The ECR face, driven by signed requests, and what it must show of the model."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from longshore.clock import SECOND, as_datetime
from tests.property.registry_content import (
    REPOSITORIES,
    SUBJECTS,
    TAGS,
    layer_digests,
)
from tests.property.registry_model import Mutability, Refused, artifact_type, document
from tests.support.server import REGION, TARGET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.identity.access_keys import AccessKey
    from tests.property.registry_model import RegistryModel, Repository
    from tests.property.stations import Station
    from tests.support.images import Image


class EcrFace:
    """Calls operations as the administrator; what the registry refuses is `Refused`."""

    def __init__(self, station: Station, key: AccessKey, compatibility: str) -> None:
        self._station = station
        self._signer = SigV4Auth(Credentials(key.id, key.secret), "ecr", REGION)
        self._layers = layer_digests(compatibility)

    @staticmethod
    def words(code: str) -> str | None:
        """Return how this face says a refusal."""
        return code

    def call(self, operation: str, **members: Any) -> dict[str, Any]:
        body = json.dumps(members).encode()
        answer = self._station.send("POST", "/", self._signed(operation, body), body)
        document: dict[str, Any] = answer.json()
        if answer.status != 200:
            raise Refused(document["__type"])
        return document

    def _signed(self, operation: str, body: bytes) -> dict[str, str]:
        signer = self._signer
        now = as_datetime(self._station.clock()).strftime(SIGV4_TIMESTAMP)
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{TARGET}.{operation}",
            "X-Amz-Date": now,
        }
        request = AWSRequest("POST", f"http://{self._station.address}/", headers, body)
        # `add_auth` would sign with the machine's time.
        request.context["timestamp"] = now
        text = signer.string_to_sign(request, signer.canonical_request(request))
        signed = signer.signed_headers(signer.headers_to_sign(request))
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={signed}, "
            f"Signature={signer.signature(text, request)}"
        )
        return headers

    # --- Doing ------------------------------------------------------------------------------------

    def create_repository(self, name: str, mutability: Mutability) -> None:
        self.call("CreateRepository", repositoryName=name, **_members(mutability))

    def delete_repository(self, name: str, *, force: bool) -> None:
        self.call("DeleteRepository", repositoryName=name, force=force)

    def put_mutability(self, name: str, mutability: Mutability) -> None:
        self.call("PutImageTagMutability", repositoryName=name, **_members(mutability))

    def put_mounting(self, value: str) -> None:
        self.call("PutAccountSetting", name="BLOB_MOUNTING", value=value)

    def begin_upload(self, repository: str) -> str:
        answer = self.call("InitiateLayerUpload", repositoryName=repository)
        return str(answer["uploadId"])

    def append(self, repository: str, upload_id: str, first: int, data: bytes) -> None:
        answer = self.call(
            "UploadLayerPart",
            repositoryName=repository,
            uploadId=upload_id,
            partFirstByte=first,
            partLastByte=first + len(data) - 1,
            layerPartBlob=base64.b64encode(data).decode(),
        )
        assert answer["lastByteReceived"] == first + len(data) - 1

    def complete(self, repository: str, upload_id: str, digest: str) -> None:
        answer = self.call(
            "CompleteLayerUpload",
            repositoryName=repository,
            uploadId=upload_id,
            layerDigests=[digest],
        )
        assert answer["layerDigest"] == digest

    def put_image(self, name: str, image: Image, tag: str | None, digest: str | None) -> None:
        chosen = {"imageTag": tag, "imageDigest": digest}
        self.call(
            "PutImage",
            repositoryName=name,
            imageManifest=image.content.decode(),
            **{member: value for member, value in chosen.items() if value is not None},
        )

    def delete_images(
        self, name: str, ids: list[tuple[str | None, str | None]]
    ) -> tuple[list[tuple[str, str | None]], list[str]]:
        """Return what went, and the failures' codes."""
        answer = self.call("BatchDeleteImage", repositoryName=name, imageIds=_ids(ids))
        gone = [(each["imageDigest"], each.get("imageTag")) for each in answer["imageIds"]]
        return gone, [failure["failureCode"] for failure in answer["failures"]]

    def list_in_pages(
        self, operation: str, member: str, size: int, **members: Any
    ) -> list[dict[str, Any]]:
        """Return a whole listing, a page of `size` at a time."""
        items: list[dict[str, Any]] = []
        answer = self.call(operation, maxResults=size, **members)
        while True:
            assert len(answer[member]) <= size
            items += answer[member]
            if "nextToken" not in answer:
                return items
            answer = self.call(operation, maxResults=size, nextToken=answer["nextToken"], **members)

    # --- Looking ----------------------------------------------------------------------------------

    def look(self, digests: Mapping[str, list[str]]) -> dict[str, Any]:
        """Return all that this face shows of these digests; see `shown`."""
        listed = self.call("DescribeRepositories")["repositories"]
        return {
            "mounting": self.call("GetAccountSetting", name="BLOB_MOUNTING")["value"],
            "repositories": [_without(repository, "repositoryUri") for repository in listed],
            **{name: self._look_into(name, digests[name]) for name in REPOSITORIES},
        }

    def _look_into(self, name: str, digests: list[str]) -> dict[str, Any]:
        try:
            layers = self.call(
                "BatchCheckLayerAvailability", repositoryName=name, layerDigests=list(self._layers)
            )
        except Refused as refusal:
            return {"refused": refusal.code}
        ids = self.call("ListImages", repositoryName=name)["imageIds"]
        got = self.call("BatchGetImage", repositoryName=name, imageIds=_ids(self._asked(digests)))
        return {
            "layers": layers["layers"],
            "ids": [(each["imageDigest"], each.get("imageTag")) for each in ids],
            "images": [
                # When it was pulled last is written down later, and tested by itself.
                _without(image, "registryId", "repositoryName", "lastRecordedPullTime")
                for image in self.call("DescribeImages", repositoryName=name)["imageDetails"]
            ],
            "manifests": [
                (image["imageId"], image["imageManifest"], image["imageManifestMediaType"])
                for image in got["images"]
            ],
            "not got": [(each["imageId"], each["failureCode"]) for each in got["failures"]],
            "referrers": {
                str(subject.digest): self.call(
                    "ListImageReferrers",
                    repositoryName=name,
                    subjectId={"imageDigest": str(subject.digest)},
                )["referrers"]
                for subject in SUBJECTS
            },
            "contents": {
                each["layerDigest"]: self._download(name, each["layerDigest"])
                for each in layers["layers"]
                if each["layerAvailability"] == "AVAILABLE"
            },
        }

    def _asked(self, digests: list[str]) -> list[tuple[str | None, str | None]]:
        """Return the images of `digests`, the tags, and both together."""
        images = [digest for digest in digests if digest not in self._layers]
        return [
            *((digest, None) for digest in images),
            *((None, tag) for tag in TAGS),
            *((digest, tag) for digest in images[:1] for tag in TAGS),
        ]

    def _download(self, name: str, digest: str) -> str | bytes:
        try:
            answer = self.call("GetDownloadUrlForLayer", repositoryName=name, layerDigest=digest)
        except Refused as refusal:
            return refusal.code
        start = f"http://{self._station.address}"
        assert answer["downloadUrl"].startswith(start)
        return self._station.send("GET", answer["downloadUrl"].removeprefix(start), {}).body

    def shown(self, model: RegistryModel) -> dict[str, Any]:
        """Return what `look` must return."""
        return {
            "mounting": model.mounting,
            "repositories": [
                {
                    "repositoryArn": f"arn:aws:ecr:{REGION}:000000000000:repository/{name}",
                    "registryId": "000000000000",
                    "repositoryName": name,
                    "createdAt": repository.created_at / SECOND,
                    **_members(repository.mutability),
                    "imageScanningConfiguration": {"scanOnPush": False},
                    "encryptionConfiguration": {"encryptionType": "AES256"},
                }
                for name, repository in sorted(model.repositories.items())
            ],
            **{name: self._shown_of(model, name) for name in REPOSITORIES},
        }

    def _shown_of(self, model: RegistryModel, name: str) -> dict[str, Any]:
        if name not in model.repositories:
            return {"refused": "RepositoryNotFoundException"}
        held, repository = model.ask_for_layers(name), model.repositories[name]
        manifests, failures = _manifests(repository, self._asked(model.once_there[name]))
        return {
            "layers": [_availability(repository, digest) for digest in self._layers],
            "ids": repository.ids(),
            "images": [_detail(repository, digest) for digest in repository.images],
            "manifests": manifests,
            "not got": failures,
            "referrers": {
                str(subject.digest): [
                    _referrer(digest, repository.images[digest].image)
                    for digest in repository.referrers_of(str(subject.digest))
                ]
                for subject in SUBJECTS
            },
            "contents": {
                digest: content if repository.needs(digest) else "LayerInaccessibleException"
                for digest, content in self._layers.items()
                if digest in held
            },
        }


def _id(digest: str | None, tag: str | None) -> dict[str, str]:
    members = {"imageDigest": digest, "imageTag": tag}
    return {name: value for name, value in members.items() if value is not None}


def _ids(ids: list[tuple[str | None, str | None]]) -> list[dict[str, str]]:
    return [_id(digest, tag) for digest, tag in ids]


def _manifests(
    repository: Repository, asked: list[tuple[str | None, str | None]]
) -> tuple[list[tuple[dict[str, str], str, str]], list[tuple[dict[str, str], str]]]:
    manifests, failures = [], []
    for digest, tag in asked:
        found = digest if tag is None else repository.tags.get(tag)
        if found not in repository.images:
            failures.append((_id(digest, tag), "ImageNotFound"))
        elif digest not in {None, found}:
            failures.append((_id(digest, tag), "ImageTagDoesNotMatchDigest"))
        else:
            image = repository.images[found].image
            manifests.append((_id(found, tag), image.content.decode(), image.media_type))
    return manifests, failures


def _availability(repository: Repository, digest: str) -> dict[str, Any]:
    held = repository.layers.get(digest)
    if held is None:
        return {"layerDigest": digest, "layerAvailability": "UNAVAILABLE"}
    media_type = {} if held.media_type is None else {"mediaType": held.media_type}
    return {
        "layerDigest": digest,
        "layerAvailability": "AVAILABLE",
        "layerSize": held.size,
        **media_type,
    }


def _detail(repository: Repository, digest: str) -> dict[str, Any]:
    held = repository.images[digest]
    members = {
        "imageDigest": digest,
        "imageTags": repository.tags_of(digest) or None,
        "imageSizeInBytes": held.size,
        "imagePushedAt": held.pushed_at / SECOND,
        "imageManifestMediaType": held.image.media_type,
        "artifactMediaType": None if held.image.children else artifact_type(held.image),
        "subjectManifestDigest": document(held.image).get("subject", {}).get("digest"),
        "imageStatus": "ACTIVE",
    }
    return {name: value for name, value in members.items() if value is not None}


def _referrer(digest: str, image: Image) -> dict[str, Any]:
    members = {
        "digest": digest,
        "mediaType": image.media_type,
        "artifactType": artifact_type(image),
        "size": len(image.content),
        "annotations": document(image).get("annotations"),
        "artifactStatus": "ACTIVE",
    }
    return {name: value for name, value in members.items() if value is not None}


def _members(mutability: Mutability) -> dict[str, Any]:
    filters = [{"filterType": "WILDCARD", "filter": each} for each in mutability.exclusions]
    return {
        "imageTagMutability": mutability.mode,
        **({"imageTagMutabilityExclusionFilters": filters} if filters else {}),
    }


def _without(members: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}
