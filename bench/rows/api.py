"""The ECR API, with requests that are signed."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

from bench.content import Image, small_image
from bench.measuring import Row
from bench.publishing import publish_blob
from bench.wrk import Load

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measuring import Action, Done, Watch
    from bench.scale import Scale
    from bench.servers import Server

Prepare: TypeAlias = "Callable[[Server], Action]"

_CONNECTIONS = 16
_REPOSITORIES = 100
_IMAGES = 100
# More than any server can store; a repetition would be refused, and counted as an error.
_MOST_PER_SECOND = 4_000
_BASE = small_image("api")


def rows(scale: Scale) -> list[Row]:
    """Return the rows of the ECR API."""
    load = Load(_CONNECTIONS, scale.seconds)
    one = {"repositoryName": _name(0), "imageIds": [{"imageTag": _tag(_IMAGES // 2)}]}

    def row(name: str, title: str, prepare: Prepare, *, short: bool = False) -> Row:
        return Row(name, title, "requests/s", "ecr", prepare, short=short, scaling=True)

    return [
        row("api-authorization-token", "GetAuthorizationToken",
            _asking(load, "GetAuthorizationToken", {})),
        row("api-describe-repositories", "DescribeRepositories, one by name",
            _asking(load, "DescribeRepositories", {"repositoryNames": [_name(0)]}), short=True),
        row("api-describe-repositories-100", "DescribeRepositories, a page of 100",
            _asking(load, "DescribeRepositories", {"maxResults": 100})),
        row("api-describe-images", "DescribeImages, one by tag",
            _asking(load, "DescribeImages", one)),
        row("api-describe-images-100", "DescribeImages, all 100 of a repository",
            _asking(load, "DescribeImages", {"repositoryName": _name(0), "maxResults": 100})),
        row("api-batch-get-image", "BatchGetImage, one by tag",
            _asking(load, "BatchGetImage", one), short=True),
        row("api-put-image", "PutImage, each of them new", _putting(load), short=True),
    ]  # fmt: skip


def _name(number: int) -> str:
    return f"bench/api/r{number:03d}"


def _tag(number: int) -> str:
    return f"t{number:03d}"


def _image(number: int) -> Image:
    return replace(_BASE, annotations={"org.example.number": str(number)})


def _publish(server: Server) -> None:
    done = server.home / "published"
    if done.exists():
        return
    for number in range(_REPOSITORIES):
        server.create_repository(_name(number))
    _publish_layers(server, _name(0))
    for number in range(_IMAGES):
        answer = server.call("PutImage", _put_image(_name(0), _image(number), _tag(number)))
        answer.expect(200)
    done.touch()


def _publish_layers(server: Server, repository: str) -> None:
    """Upload what the manifests refer to, where the server looks after that."""
    if "oci" in server.faces:
        for blob in _image(0).blobs:
            publish_blob(server, repository, blob)


def _put_image(repository: str, image: Image, tag: str) -> dict[str, Any]:
    return {
        "repositoryName": repository,
        "imageManifest": image.manifest.decode(),
        "imageTag": tag,
    }


def _asking(load: Load, operation: str, document: dict[str, Any]) -> Prepare:
    def prepare(server: Server) -> Action:
        _publish(server)
        server.call(operation, document).expect(200)

        def run(watch: Watch) -> Done:
            request = server.signer().request(operation, document)
            return load.run(server.address, [request], watch)

        return run

    return prepare


def _putting(load: Load) -> Prepare:
    numbers = count(time.time_ns())

    def prepare(server: Server) -> Action:
        def run(watch: Watch) -> Done:
            repository = f"bench/put/r{next(numbers)}"
            server.create_repository(repository)
            _publish_layers(server, repository)
            signer = server.signer()
            requests = [
                signer.request("PutImage", _put_image(repository, _image(number), _tag(number)))
                for number in range(load.seconds * _MOST_PER_SECOND)
            ]
            return load.run(server.address, requests, watch)

        return run

    return prepare
