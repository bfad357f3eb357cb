"""What each operation costs as the store grows: one client, one request after the other.

Every request asks for something else, so that no answer comes from memory. A tenth of all tags is
in one repository, each with an image of its own; the others are spread over a hundred times fewer
repositories than there are tags, but a hundred at least, with nine tags to an image.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.content import MANIFEST, manifest_of, small_image
from bench.filling import Planned, fill_longshore, tag_name
from bench.http import BadAnswer, Connection, path_of, raw_request
from bench.servers import Longshore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bench.measuring import Bench
    from bench.scale import Scale

_FEWEST_REPOSITORIES = 100
_TAGS_OF_IMAGE = 9
# Pages of 20, 21 … entries: the smallest store has as many.
_PAGES = range(20, 70)
_DEEP = "bench/growth/deep"
_REQUESTS = 400


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request cost, in seconds.

    Attributes:
        tags: how many tags the store held.
        median: half of the requests took no longer.
        worst: nineteen of twenty took no longer.
        cpu: the server's processor time for one.
    """

    tags: int
    median: float
    worst: float
    cpu: float


@dataclass(frozen=True, slots=True)
class _Size:
    """A store of this many tags."""

    tags: int

    @property
    def deep(self) -> int:
        return self.tags // 10

    @property
    def repositories(self) -> int:
        return max(_FEWEST_REPOSITORIES, self.tags // 100)

    @property
    def tags_each(self) -> int:
        return (self.tags - self.deep) // self.repositories

    def planned(self, before: _Size | None) -> Iterator[Planned]:
        """Yield what has to be added to a store of the size `before`."""
        had = before.deep if before else 0
        yield Planned(_DEEP, self.deep - had, self.deep - had, had)
        for number in range(self.repositories):
            had = before.tags_each if before and number < before.repositories else 0
            more = self.tags_each - had
            if more:
                yield Planned(_name(number), more, -(-more // _TAGS_OF_IMAGE), had)


def measure(bench: Bench, scale: Scale, home: Path) -> dict[str, list[Cost]]:
    """Grow a Longshore, and measure each operation at each of the scale's numbers of tags."""
    server = Longshore(home / "growth")
    costs: dict[str, list[Cost]] = {}
    before: _Size | None = None
    for size in map(_Size, scale.growth):
        if time.monotonic() > bench.deadline:
            break
        began = time.monotonic()
        with server.running():
            fill_longshore(server, size.planned(before))
        before = size
        bench.tell(f"  {size.tags:,} tags, filled in {time.monotonic() - began:.0f} s")
        # Started anew, so that nothing is in its memory.
        with server.running(), Connection(server.address) as connection:
            for number, (name, requests) in enumerate(_operations(server, size).items()):
                # Any change lets the server forget what the last operation left in its memory.
                server.create_repository(f"bench/between/{size.tags}-{number}")
                took, cpu = _measure(server, connection, requests, scale.growth_seconds)
                costs.setdefault(name, []).append(_cost(size.tags, took, cpu))
    return costs


def _measure(
    server: Longshore, connection: Connection, requests: Sequence[bytes], seconds: float
) -> tuple[list[float], float]:
    """Return how long each request took, and the server's processor time for them all."""
    took: list[float] = []
    cpu = server.process.cpu_seconds()
    until = time.perf_counter() + seconds
    for request in requests:
        began = time.perf_counter()
        answer = connection.exchange(request, head_only=request.startswith(b"HEAD"))
        took.append(time.perf_counter() - began)
        if answer.status >= 300:
            raise BadAnswer(f"{answer.status} to {request!r}")
        if time.perf_counter() > until:
            break
    return took, server.process.cpu_seconds() - cpu


def _cost(tags: int, took: Sequence[float], cpu: float) -> Cost:
    slowest_last = sorted(took)
    worst = slowest_last[len(took) * 19 // 20]
    return Cost(tags, median(took), worst, cpu / len(took))


def _operations(server: Longshore, size: _Size) -> dict[str, list[bytes]]:
    """Return the requests of each operation, what changes the store last."""
    asking = _Asking(server, size)
    return {
        "manifest GET by tag": asking.oci("GET", lambda it: f"{it.name}/manifests/{it.tag}"),
        "manifest HEAD by tag": asking.oci("HEAD", lambda it: f"{it.name}/manifests/{it.tag}"),
        "blob HEAD": asking.oci("HEAD", lambda it: f"{it.name}/blobs/{asking.layer}"),
        "tags list, a page": asking.pages(f"/v2/{_DEEP}/tags/list"),
        "catalog, a page": asking.pages("/v2/_catalog"),
        "DescribeRepositories, by name": asking.ecr(
            "DescribeRepositories", lambda it: {"repositoryNames": [it.name]}
        ),
        "DescribeRepositories, a page": asking.ecr(
            "DescribeRepositories", lambda it: {"maxResults": it.page}
        ),
        "DescribeImages, by tag": asking.ecr("DescribeImages", _by_tag),
        "DescribeImages, a page": asking.ecr(
            "DescribeImages", lambda it: {"repositoryName": _DEEP, "maxResults": it.page}
        ),
        "ListImages, a page": asking.ecr(
            "ListImages", lambda it: {"repositoryName": _DEEP, "maxResults": it.page}
        ),
        "BatchGetImage, by tag": asking.ecr("BatchGetImage", _by_tag),
        "PutImage": asking.ecr("PutImage", asking.new_image),
        "manifest PUT": asking.manifest_puts(),
        "CreateRepository": asking.ecr(
            "CreateRepository", lambda it: {"repositoryName": f"bench/new/{size.tags}-{it.number}"}
        ),
    }


@dataclass(frozen=True, slots=True)
class _It:
    """What one request is about, each time something else."""

    number: int
    name: str
    tag: str

    @property
    def page(self) -> int:
        return _PAGES[self.number % len(_PAGES)]


def _by_tag(it: _It) -> dict[str, Any]:
    return {"repositoryName": it.name, "imageIds": [{"imageTag": it.tag}]}


class _Asking:
    """Makes the requests of an operation."""

    def __init__(self, server: Longshore, size: _Size) -> None:
        self._server = server
        self._size = size
        self._signer = server.signer()
        self._seed = small_image("seed")
        self.layer = self._seed.layers[0].digest

    def oci(self, method: str, path: Callable[[_It], str]) -> list[bytes]:
        """Return requests to the registry face."""
        return [self._request(method, f"/v2/{path(it)}") for it in self._subjects()]

    def pages(self, path: str) -> list[bytes]:
        """Return requests for pages from the middle of a listing, each of another length."""
        listed, following = 0, f"{path}?n=1000"
        total = self._size.deep if "tags" in path else self._size.repositories
        while listed + 1000 < total // 2:
            link = self._server.oci("GET", following).expect(200).headers["link"]
            following = path_of(link.partition("<")[2].partition(">")[0])
            listed += 1000
        _, _, last = following.partition("&last=")
        cursor = f"&last={last}" if last else ""
        return [self._request("GET", f"{path}?n={n}{cursor}") for n in _PAGES]

    def ecr(self, operation: str, document: Callable[[_It], dict[str, Any]]) -> list[bytes]:
        """Return requests to the ECR API, no two of them alike."""
        documents = {json.dumps(document(it)): document(it) for it in self._subjects()}
        return [self._signer.request(operation, each) for each in documents.values()]

    def manifest_puts(self) -> list[bytes]:
        """Return requests that push manifests, each new, under new tags."""
        return [
            self._request(
                "PUT",
                f"/v2/{it.name}/manifests/put-{self._size.tags}-{it.number}",
                self._manifest(f"put {it.number}"),
            )
            for it in self._subjects()
        ]

    def new_image(self, it: _It) -> dict[str, Any]:
        """Return the input of PutImage for a new image."""
        return {
            "repositoryName": it.name,
            "imageManifest": self._manifest(f"api {it.number}").decode(),
            "imageTag": f"api-{self._size.tags}-{it.number}",
        }

    def _manifest(self, text: str) -> bytes:
        config, *layers = (
            {"mediaType": MANIFEST, "digest": each.digest, "size": len(each.content)}
            for each in self._seed.blobs
        )
        return manifest_of(config, layers, {"org.example": f"{self._size.tags} {text}"})

    def _request(self, method: str, path: str, body: bytes = b"") -> bytes:
        headers = dict(self._server.authorization)
        if body:
            headers["Content-Type"] = MANIFEST
        return raw_request(method, path, self._server.address, headers, body)

    def _subjects(self) -> Iterator[_It]:
        """Yield as many different ones as there are, in no order."""
        random = Random(self._size.tags)
        places = range(self._size.repositories * self._size.tags_each)
        chosen = random.sample(places, min(_REQUESTS, len(places)))
        for number, place in enumerate(chosen):
            repository, tag = divmod(place, self._size.tags_each)
            yield _It(number, _name(repository), tag_name(tag))


def _name(number: int) -> str:
    return f"bench/growth/r{number:05d}"
