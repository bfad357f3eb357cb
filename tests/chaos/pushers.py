"""Clients that push, pull, move tags and delete, and go on where a killed server left them."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as CannotConnect

from tests.chaos.ledger import Ledger, Thing
from tests.chaos.stage import Client, Unanswered
from tests.support.images import Blob, oci_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from types_boto3_ecr import ECRClient

    from tests.chaos.ledger import Value
    from tests.chaos.stage import Stage
    from tests.support.images import Image
    from tests.support.server import Answer

COMMON = "common"
MIB = 1024 * 1024
_PART = 5 * MIB
_ATTEMPTS = 6


class StartOver(Exception):
    """What was uploaded so far is gone, as it may be: the image has to be pushed from its start."""


@dataclass(frozen=True)
class Layer:
    """A layer that several images share."""

    content: bytes
    digest: str

    @classmethod
    def of(cls, content: bytes) -> Layer:
        """Make a layer of some bytes."""
        return cls(content, f"sha256:{hashlib.sha256(content).hexdigest()}")


@dataclass(frozen=True)
class Pushed:
    """An image that was pushed, or tried to be."""

    repository: str
    image: Image
    digest: str
    layers: tuple[Layer, ...]


def shared_layers(rng: random.Random, count: int, largest: int) -> list[Layer]:
    """Make layers of one byte to `largest` bytes; small ones are as frequent as large ones."""
    sizes = [1, largest, *(round(largest ** rng.random()) for _ in range(count - 2))]
    return [Layer.of(rng.randbytes(size)) for size in sizes]


class Pusher:
    """One client with a repository of its own and a share in the common one.

    Args:
        number: tells it from the others.
        stage: when the server is up.
        client: its connection to the registry face.
        ecr: its client of the ECR face, which doesn't retry by itself.
        layers: what its images are made of.
        collects: whether garbage is collected all the while, so that unfinished uploads and
            layers without an image may be gone.
    """

    def __init__(
        self,
        number: int,
        stage: Stage,
        client: Client,
        ecr: ECRClient,
        layers: Sequence[Layer],
        *,
        collects: bool,
    ) -> None:
        self.ledger = Ledger()
        self.pushed: dict[str, Pushed] = {}
        self.repository = f"own/{number}"
        self._number = number
        self._stage = stage
        self._client = client
        self._ecr = ecr
        self._layers = layers
        self._collects = collects
        self._rng = random.Random(number)

    def run(self) -> None:
        """Do one thing after the other until the stage ends."""
        doings: list[Callable[[], None]] = [
            *[self._push_new] * 5,
            *[self._move_tag] * 2,
            *[self._delete] * 2,
            *[self._look] * 3,
        ]
        while not self._stage.is_ending:
            self._again_and_again(self._rng.choice(doings))

    def close(self) -> None:
        """Hang up; the next request opens a new connection."""
        self._client.close()

    def _again_and_again(self, doing: Callable[[], None]) -> None:
        """Do it as clients do: when the server is gone, wait for it and try again."""
        state = self._rng.getstate()
        for _ in range(_ATTEMPTS):
            self._rng.setstate(state)
            self._stage.await_server()
            try:
                return doing()
            except (Unanswered, StartOver):
                continue
        return None

    # --- Images -----------------------------------------------------------------------------------

    def _push_new(self) -> None:
        rng = self._rng
        layers = rng.sample(self._layers, rng.randint(1, 4))
        image = oci_image(
            f"{self._number}-{rng.getrandbits(64):x}",
            layers=[Blob(layer.content) for layer in layers],
        )
        config = Layer.of(image.blobs[0].content)
        pushed = Pushed(
            rng.choice([self.repository, COMMON]),
            image,
            str(image.digest),
            (config, *layers),
        )
        self.pushed[pushed.digest] = pushed
        self._push(pushed, self._some_tag())

    def _move_tag(self) -> None:
        if self.pushed:
            self._push(self._rng.choice([*self.pushed.values()]), self._some_tag())

    def _some_tag(self) -> str:
        return f"{self._number}-{self._rng.randint(1, 5)}"

    def _push(self, pushed: Pushed, tag: str) -> None:
        for layer in pushed.layers:
            self._provide(pushed.repository, layer)
        effects = {
            Thing("image", pushed.repository, pushed.digest): _becomes(True),
            Thing("tag", pushed.repository, tag): _becomes(pushed.digest),
        }
        put = self._rng.choice([self._put_manifest, self._put_image])
        with self.ledger.attempt(effects) as attempt:
            if put(pushed, tag):
                return attempt.succeeded()
            attempt.was_refused()
        assert self._collects, "a layer was acknowledged and is missing"
        raise StartOver

    def _put_manifest(self, pushed: Pushed, tag: str) -> bool:
        answer = self._client.send(
            "PUT",
            f"{pushed.repository}/manifests/{tag}",
            {"Content-Type": pushed.image.media_type},
            pushed.image.content,
        )
        return _status(answer, 201, 404) == 201

    def _put_image(self, pushed: Pushed, tag: str) -> bool:
        refusal = self._call(
            lambda: self._ecr.put_image(
                repositoryName=pushed.repository,
                imageManifest=pushed.image.content.decode(),
                imageTag=tag,
            )
        )
        assert refusal in {None, "ImageAlreadyExistsException", "LayersNotFoundException"}, refusal
        return refusal != "LayersNotFoundException"

    def _delete(self) -> None:
        """Delete an image, and with it all its tags."""
        if not self.pushed:
            return
        pushed = self._rng.choice([*self.pushed.values()])
        image = Thing("image", pushed.repository, pushed.digest)
        tags = [
            thing
            for thing in self.ledger
            if thing.kind == "tag" and pushed.digest in self.ledger.possible(thing)
        ]
        effects = {tag: _no_longer(pushed.digest) for tag in tags} | {image: _becomes(False)}
        may_be_gone = False in self.ledger.possible(image)
        delete = self._rng.choice([self._delete_manifest, self._batch_delete])
        with self.ledger.attempt(effects) as attempt:
            assert delete(pushed) or may_be_gone, f"{image} was acknowledged and is missing"
            attempt.succeeded()

    def _delete_manifest(self, pushed: Pushed) -> bool:
        answer = self._client.send("DELETE", f"{pushed.repository}/manifests/{pushed.digest}")
        return _status(answer, 202, 404) == 202

    def _batch_delete(self, pushed: Pushed) -> bool:
        gone: list[object] = []

        def delete() -> None:
            answer = self._ecr.batch_delete_image(
                repositoryName=pushed.repository, imageIds=[{"imageDigest": pushed.digest}]
            )
            gone.extend(answer["imageIds"])

        assert self._call(delete) is None
        return bool(gone)

    def _look(self) -> None:
        """Pull something, whatever it may be by now."""
        things = [*self.ledger]
        if things:
            self.check(self._rng.choice(things))

    def check(self, thing: Thing) -> None:
        """Compare what the registry holds with what was acknowledged."""
        if thing.kind == "layer":
            answer = self._client.send("HEAD", f"{thing.repository}/blobs/{thing.name}")
            return self.ledger.found(thing, _status(answer, 200, 404) == 200)
        answer = self._client.send("GET", f"{thing.repository}/manifests/{thing.name}")
        digest = None
        if _status(answer, 200, 404) == 200:
            digest = answer.headers["docker-content-digest"]
            assert answer.body == self.pushed[digest].image.content
            self._check_layer(thing.repository, self._rng.choice(self.pushed[digest].layers))
        return self.ledger.found(thing, digest if thing.kind == "tag" else digest is not None)

    def check_layers(self, pushed: Pushed) -> None:
        """Pull every layer of an image."""
        for layer in pushed.layers:
            self._check_layer(pushed.repository, layer)

    def _check_layer(self, repository: str, layer: Layer) -> None:
        answer = self._client.send("GET", f"{repository}/blobs/{layer.digest}")
        assert (answer.status, answer.body == layer.content) == (200, True), layer.digest

    # --- Layers -----------------------------------------------------------------------------------

    def _provide(self, repository: str, layer: Layer) -> None:
        """Let the repository hold a layer, in one of the ways there are."""
        if self._is_held(repository, layer):
            return
        ways = [
            self._upload_at_once,
            self._upload_in_a_put,
            self._upload_in_chunks,
            self._upload_in_parts,
            self._mount,
        ]
        way = self._rng.choice(ways)
        # A layer without an image may be collected at any time after its grace.
        thing = Thing("layer", repository, layer.digest)
        with self.ledger.attempt({} if self._collects else {thing: _becomes(True)}) as attempt:
            way(repository, layer)
            attempt.succeeded()

    def _is_held(self, repository: str, layer: Layer) -> bool:
        answer = self._client.send("HEAD", f"{repository}/blobs/{layer.digest}")
        is_held = _status(answer, 200, 404) == 200
        if not self._collects:
            self.ledger.found(Thing("layer", repository, layer.digest), is_held)
        return is_held

    def _upload_at_once(self, repository: str, layer: Layer) -> None:
        path = f"{repository}/blobs/uploads/?digest={layer.digest}"
        assert self._client.send("POST", path, body=layer.content).status == 201

    def _upload_in_a_put(self, repository: str, layer: Layer) -> None:
        self._complete(repository, layer, self._begin(repository), 0)

    def _upload_in_chunks(self, repository: str, layer: Layer) -> None:
        path, size = self._begin(repository), 0
        chunk = max(2, len(layer.content) // self._rng.randint(1, 4))
        while size < len(layer.content):
            end = min(size + chunk, len(layer.content))
            try:
                self._expect_upload(
                    self._client.send(
                        "PATCH",
                        path,
                        {"Content-Range": f"{size}-{end - 1}"},
                        layer.content[size:end],
                    ),
                    202,
                )
                size = end
            except Unanswered:
                size = self._resume(path, size, end)
        self._complete(repository, layer, path, size)

    def _complete(self, repository: str, layer: Layer, path: str, size: int) -> None:
        try:
            answer = self._client.send(
                "PUT", f"{path}?digest={layer.digest}", body=layer.content[size:]
            )
        except Unanswered:
            self._stage.await_server()
            # It was completed, or can be now.
            if not self._is_held(repository, layer):
                size = self._resume(path, size, len(layer.content))
                self._complete(repository, layer, path, size)
            return
        self._expect_upload(answer, 201)

    def _resume(self, path: str, acknowledged: int, sent: int) -> int:
        """Return how much of an upload the server has after it was killed."""
        self._stage.await_server()
        answer = self._client.send("GET", path)
        self._expect_upload(answer, 204)
        size = int(answer.headers["range"].partition("-")[2]) + 1
        if (acknowledged, size) == (0, 1):
            # "0-0" says of nothing what it says of one byte.
            raise StartOver
        assert acknowledged <= size <= sent, "bytes that were acknowledged are gone"
        return size

    def _begin(self, repository: str) -> str:
        answer = self._client.send("POST", f"{repository}/blobs/uploads/")
        assert answer.status == 202, answer.body
        return f"/v2/{repository}/blobs/uploads/{answer.headers['docker-upload-uuid']}"

    def _expect_upload(self, answer: Answer, status: int) -> None:
        if answer.status == 404:
            assert self._collects, "an upload was acknowledged and is missing"
            raise StartOver
        assert answer.status == status, answer.body

    def _upload_in_parts(self, repository: str, layer: Layer) -> None:
        def upload() -> None:
            upload_id = self._ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
            for first in range(0, len(layer.content), _PART):
                self._stage.moment()
                part = layer.content[first : first + _PART]
                self._ecr.upload_layer_part(
                    repositoryName=repository,
                    uploadId=upload_id,
                    partFirstByte=first,
                    partLastByte=first + len(part) - 1,
                    layerPartBlob=part,
                )
            self._stage.moment()
            self._ecr.complete_layer_upload(
                repositoryName=repository, uploadId=upload_id, layerDigests=[layer.digest]
            )

        refusal = self._call(upload)
        if refusal == "UploadNotFoundException" and self._collects:
            raise StartOver
        assert refusal in {None, "LayerAlreadyExistsException"}, refusal

    def _mount(self, repository: str, layer: Layer) -> None:
        source = COMMON if repository != COMMON else self.repository
        answer = self._client.send(
            "POST", f"{repository}/blobs/uploads/?mount={layer.digest}&from={source}"
        )
        if _status(answer, 201, 202) == 202:
            upload_id = answer.headers["docker-upload-uuid"]
            self._complete(repository, layer, f"/v2/{repository}/blobs/uploads/{upload_id}", 0)

    def _call(self, operation: Callable[[], object]) -> str | None:
        """Call the ECR face; return the code of a refusal.

        Raises:
            Unanswered: the connection broke.
            AssertionError: the server failed.
        """
        self._stage.moment()
        try:
            operation()
        except (HTTPClientError, CannotConnect) as error:
            raise Unanswered from error
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                raise AssertionError("the server failed") from error
            return error.response["Error"]["Code"]
        finally:
            self._stage.moment()
        return None


def _status(answer: Answer, *expected: int) -> int:
    assert answer.status in expected, (answer.status, answer.body)
    return answer.status


def _becomes(value: Value) -> Callable[[Value], Value]:
    return lambda _: value


def _no_longer(digest: str) -> Callable[[Value], Value]:
    return lambda value: None if value == digest else value
