"""Whole images, pushed and pulled by real clients."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Literal, Protocol

from bench.content import KIB, fresh_image
from bench.measuring import Done, Row

if TYPE_CHECKING:
    from pathlib import Path

    from bench.clients import Clients
    from bench.content import Image
    from bench.measuring import Action, Watch
    from bench.scale import Scale
    from bench.servers import Server

Way = Literal["push", "push-again", "pull", "pull-again"]

_WAYS: dict[Way, str] = {
    "push": "push, nothing there yet",
    "push-again": "push, all there already",
    "pull": "pull, nothing here yet",
    "pull-again": "pull, all here already",
}


class Client(Protocol):
    """A client; see `bench.clients`."""

    title: str

    def prepare(self, server: Server, repository: str, image: Image) -> Path:
        """Take an image in, from where `push` can take it."""

    def push(self, server: Server, repository: str, source: Path) -> None:
        """Push an image."""

    def pull(self, server: Server, repository: str, target: Path) -> None:
        """Pull an image."""

    def forget(self, server: Server, repository: str, source: Path) -> Path:
        """Lose an image, and return where it may be pulled to."""


def rows(scale: Scale, clients: Clients) -> list[Row]:
    """Return the rows of whole images."""
    each: list[Client] = [clients.skopeo, clients.containerd]
    size = f"{scale.layers} layers of {scale.layer_size // KIB} KiB"
    return [
        Row(
            f"image-{way}-{client.title}",
            f"{client.title}: {title} ({size})",
            "s",
            "oci",
            _Carrying(scale, client, way).prepare,
            short=client is clients.skopeo and way in {"push", "pull"},
        )
        for client in each
        for way, title in _WAYS.items()
    ]


class _Carrying:
    """One way of one client, with an image of its own each time."""

    def __init__(self, scale: Scale, client: Client, way: Way) -> None:
        self._scale = scale
        self._client = client
        self._way = way
        self._numbers = count(1)

    def prepare(self, server: Server) -> Action:
        return lambda watch: self._run(server, watch)

    def _run(self, server: Server, watch: Watch) -> Done:
        client, way = self._client, self._way
        repository = f"bench/images/{client.title}-{way}-{next(self._numbers)}"
        server.create_repository(repository)
        image = fresh_image(self._scale.layers, self._scale.layer_size)
        place = client.prepare(server, repository, image)
        if way == "push":
            with watch:
                client.push(server, repository, place)
        else:
            client.push(server, repository, place)
        if way == "push-again":
            with watch:
                client.push(server, repository, place)
        if way == "pull":
            place = client.forget(server, repository, place)
        if way in {"pull", "pull-again"}:
            with watch:
                client.pull(server, repository, place)
        client.forget(server, repository, place)
        return Done(units=1, seconds=watch.seconds)
