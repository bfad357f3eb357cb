"""What every client can do, and the one law that all of them have to obey."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.compat.support.server import USER

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from types_boto3_ecr.type_defs import ImageDetailTypeDef

    from tests.compat.support.content import Content, Layout
    from tests.compat.support.programs import Shell
    from tests.compat.support.server import Longshore


class Client(ABC):
    """A client with a login, a push and a pull of its own.

    Attributes:
        pushes_verbatim: whether it sends an image's own bytes; else it takes the layers apart and
            packs them anew, or translates the manifest.
        pulls_whole: whether it keeps all that an image consists of, byte by byte; else it checks
            the digests, unpacks the layers, and keeps less.
    """

    pushes_verbatim: ClassVar[bool] = True
    pulls_whole: ClassVar[bool] = True

    def __init__(self, server: Longshore, shell: Shell) -> None:
        self.server = server
        self.shell = shell

    def name(self, repository: str, tag: str) -> str:
        """Return the image's name as the client is given it."""
        return f"{self.server.address}/{repository}:{tag}"

    def empty_directory(self) -> Path:
        """Return a new folder."""
        return Path(mkdtemp(dir=self.shell.home))

    def begin(self) -> str:
        """Log in, and return the name of a new repository."""
        self.login(USER, self.server.password())
        return self.server.create_repository(type(self).__name__.lower())

    @abstractmethod
    def login(self, user: str, password: str) -> None:
        """Log in to the registry."""

    @abstractmethod
    def push(self, image: Layout, repository: str, tag: str) -> None:
        """Push an image that lies in an OCI layout."""

    @abstractmethod
    def pull(self, repository: str, tag: str) -> AbstractSet[str]:
        """Pull an image into an empty place and return the digests of what lies there then."""

    def delete(self, repository: str, tag: str) -> None:
        """Delete an image; by the ECR API where the client itself can't."""
        answer = self.server.ecr.batch_delete_image(
            repositoryName=repository, imageIds=[{"imageTag": tag}]
        )
        assert answer["failures"] == []


def assert_round_trip(client: Client, image: Layout, other: Layout) -> None:
    """Push two images, see them at once, pull one bit for bit, delete the other, and restart."""
    server = client.server
    repository = client.begin()

    client.push(image, repository, "kept")
    kept = server.content(repository, "kept")
    _assert_arrived(client, image.content(), kept)
    _assert_described(server, repository, "kept", kept)
    _assert_pulled(client, repository, kept)
    before = _lasting(server.described(repository))

    client.push(other, repository, "gone")
    _assert_described(server, repository, "gone", server.content(repository, "gone"))
    client.delete(repository, "gone")
    _assert_not_found(server, repository, "gone")

    server.restart()
    _assert_not_found(server, repository, "gone")
    assert _lasting(server.described(repository)) == before
    assert server.content(repository, "kept") == kept
    _assert_pulled(client, repository, kept)


def _assert_arrived(client: Client, pushed: Content, stored: Content) -> None:
    if client.pushes_verbatim:
        assert stored == pushed
    else:
        assert stored.diff_ids == pushed.diff_ids


def _assert_described(server: Longshore, repository: str, tag: str, content: Content) -> None:
    answer = server.ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    [detail] = answer["imageDetails"]
    assert detail["imageDigest"] == content.root
    assert detail["imageTags"] == [tag]


def _assert_not_found(server: Longshore, repository: str, tag: str) -> None:
    with pytest.raises(server.ecr.exceptions.ImageNotFoundException):
        server.ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])


def _assert_pulled(client: Client, repository: str, content: Content) -> None:
    arrived = client.pull(repository, "kept")
    assert content.root in arrived
    assert arrived <= content.sizes.keys()
    if client.pulls_whole:
        assert arrived == content.sizes.keys()


def _lasting(details: list[ImageDetailTypeDef]) -> list[dict[str, Any]]:
    """Leave out what a pull changes."""
    return [
        {name: value for name, value in detail.items() if name != "lastRecordedPullTime"}
        for detail in details
    ]
