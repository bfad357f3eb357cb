"""A repository of a test's own, and what the test does in it through the registry face."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from longshore.names import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.images import Image
    from tests.support.server import Answer, RunningServer

_NUMBERS: Iterator[int] = itertools.count(1)


@dataclass(frozen=True)
class Stage:
    """A repository on a server."""

    server: RunningServer
    name: str

    @classmethod
    def build(cls, server: RunningServer, prefix: str = "test") -> Stage:
        """Create a repository that no other test uses."""
        name = f"{prefix}/{next(_NUMBERS)}"
        server.ecr.create_repository(repositoryName=name)
        return cls(server, name)

    @property
    def url(self) -> str:
        """The repository's URL on the registry face."""
        return f"{self.server.url}/v2/{self.name}"

    def send(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | Iterable[bytes] | None = None,
    ) -> Answer:
        """Send a request to a path below the repository."""
        return self.server.oci(method, f"/v2/{self.name}/{path}", headers, body)

    def begin(self) -> str:
        """Begin an upload and return its id."""
        answer = self.send("POST", "blobs/uploads/")
        assert answer.status == 202, answer
        return answer.headers["docker-upload-uuid"]

    def push_blob(self, content: bytes, algorithm: str = "sha256") -> str:
        """Push a blob and return its digest."""
        digest = str(Digest.of(content, algorithm))
        answer = self.send("POST", f"blobs/uploads/?digest={digest}", body=content)
        assert answer.status == 201, answer
        return digest

    def put(self, image: Image, reference: str | None = None) -> Answer:
        """Put a manifest alone, by its digest unless a tag is given."""
        return self.send(
            "PUT",
            f"manifests/{reference or image.digest}",
            [("Content-Type", image.media_type)],
            image.content,
        )

    def push(self, image: Image, *tags: str) -> str:
        """Push an image with all that it refers to, and return its digest."""
        for child in image.children:
            self.push(child)
        for blob in image.blobs:
            if not blob.urls:
                self.push_blob(blob.content)
        for reference in tags or (None,):
            answer = self.put(image, reference)
            assert answer.status == 201, (answer, answer.body)
        return str(image.digest)
