"""The servers that are measured, each as its documentation has it for speed."""

from __future__ import annotations

import base64
import json
import shlex
import shutil
from abc import ABC, abstractmethod
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar

from bench.http import ask
from bench.process import Process, free_address
from bench.programs import environment, run
from bench.signing import Credentials, Signer
from longshore.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from bench.http import Answer
    from bench.measuring import Face


class Server(ABC):
    """A server over a home directory of its own, at one address.

    Attributes:
        name: its name in the raw results and for `--servers`.
        title: its name for people.
        faces: the interfaces that it has.
        durability: what of its writes is synced to disk before it answers.
        choices: how it is configured, for people.
        process: its processes.
    """

    name: str
    title: str
    faces: ClassVar[frozenset[Face]]
    durability: ClassVar[str]
    choices: str

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.address = free_address()
        self.process = Process(self.command(), environment(home), home / "log")

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that starts it."""

    @abstractmethod
    def version(self) -> str:
        """Return its version."""

    def start(self) -> float:
        """Start it and return how many seconds went by until its first answer."""
        greeting = f"GET /v2/ HTTP/1.1\r\nHost: {self.address}\r\nConnection: close\r\n\r\n"
        return self.process.start(self.address, greeting.encode())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start it, and stop it in the end."""
        self.start()
        try:
            yield
        finally:
            self.process.stop()

    @property
    def password(self) -> str | None:
        """The password of the user AWS, where one is needed."""
        return None

    @property
    def authorization(self) -> Mapping[str, str]:
        """The header that a request to the registry face has to bear."""
        if self.password is None:
            return {}
        pair = base64.b64encode(f"AWS:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def oci(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send a request to the registry face, outside the measurement."""
        return ask(self.address, method, path, {**self.authorization, **(headers or {})}, body)

    def signer(self) -> Signer:
        """Return what signs requests to the ECR API."""
        return Signer(Credentials("AKIDEXAMPLE", "any", "us-east-1"), self.address)

    def call(self, operation: str, document: Mapping[str, object]) -> Answer:
        """Call the ECR API, outside the measurement."""
        body = json.dumps(document).encode()
        headers = self.signer().headers(operation, body)
        return ask(self.address, "POST", "/", headers, body)

    def create_repository(self, name: str) -> None:  # noqa: B027 - most make it by themselves
        """Make a repository, where it isn't there and the server doesn't make it by itself."""

    def forget(self, digests: Iterable[str]) -> None:  # noqa: B027 - some have no blobs
        """Give back the disk space of blobs that nobody will ask for again."""


class _EcrServer(Server):
    """A server with the ECR API."""

    def create_repository(self, name: str) -> None:
        """Make a repository, where it isn't there."""
        answer = self.call("CreateRepository", {"repositoryName": name})
        if b"RepositoryAlreadyExistsException" not in answer.body:
            answer.expect(200)


class Longshore(_EcrServer):
    """Longshore, with authentication, authorization and durable writes."""

    faces = frozenset({"oci", "ecr"})
    durability = "blobs, directories and metadata"

    def __init__(self, home: Path, processes: int = 1) -> None:
        self.processes = processes
        self.name = "longshore" if processes == 1 else f"longshore-x{processes}"
        self.title = "Longshore" if processes == 1 else f"Longshore ×{processes}"
        self.choices = f"{processes} server process{'es' * (processes > 1)}, SQLite"
        if processes == Settings(workers="auto").processes:
            self.choices = f"as it comes on this machine: {self.choices}"
        self._password: str | None = None
        self._credentials: Credentials | None = None
        super().__init__(home)

    @property
    def _options(self) -> list[str]:
        return ["--listen", self.address, "--data", str(self.home / "data")]

    def command(self) -> list[str]:
        """Return the command that starts it."""
        return ["longshore", "serve", *self._options, "--workers", str(self.processes)]

    def version(self) -> str:
        """Return its version."""
        return version("longshore")

    def signer(self) -> Signer:
        """Return what signs requests as the administrator."""
        if self._credentials is None:
            printed = run(["longshore", "env", *self._options], self.home)
            words = (shlex.split(line) for line in printed.splitlines())
            pairs = dict(word[1].split("=", 1) for word in words if word[0] == "export")
            self._credentials = Credentials(
                pairs["AWS_ACCESS_KEY_ID"], pairs["AWS_SECRET_ACCESS_KEY"], pairs["AWS_REGION"]
            )
        return Signer(self._credentials, self.address)

    @property
    def password(self) -> str:
        """The password of the user AWS, from GetAuthorizationToken."""
        if self._password is None:
            answer = self.call("GetAuthorizationToken", {}).expect(200)
            [data] = json.loads(answer.body)["authorizationData"]
            decoded = base64.b64decode(data["authorizationToken"]).decode()
            self._password = decoded.partition(":")[2]
        return self._password

    def forget(self, digests: Iterable[str]) -> None:
        """Remove the files of blobs."""
        for digest in digests:
            algorithm, _, name = digest.partition(":")
            for file in (self.home / "data" / "blobs").glob(f"*/{algorithm}/{name[:2]}/{name}.*"):
                file.unlink()


_DISTRIBUTION_SETTINGS = """\
version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: {root}
  delete:
    enabled: true
http:
  addr: {address}
  secret: benchmark
health:
  storagedriver:
    enabled: false
"""


class Distribution(Server):
    """CNCF distribution, without authentication."""

    program: ClassVar[str]
    faces = frozenset({"oci"})
    choices = "no authentication, blob descriptors cached in memory, filesystem storage, no logs"

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        settings = _DISTRIBUTION_SETTINGS.format(root=home / "data", address=self.address)
        self._settings_file.write_text(settings)

    @property
    def _settings_file(self) -> Path:
        return self.home / "config.yml"

    @property
    def registry_directory(self) -> Path:
        """Where its files are."""
        return self.home / "data" / "docker" / "registry" / "v2"

    def command(self) -> list[str]:
        """Return the command that starts it."""
        return [self.program, "serve", str(self._settings_file)]

    def version(self) -> str:
        """Return its version."""
        return run([self.program, "--version"], self.home).split()[-1].removesuffix("+unknown")

    def forget(self, digests: Iterable[str]) -> None:
        """Remove the directories of blobs."""
        for digest in digests:
            algorithm, _, name = digest.partition(":")
            shutil.rmtree(self.registry_directory / "blobs" / algorithm / name[:2] / name)


class Distribution2(Distribution):
    """The release that Debian has."""

    name = "distribution-2.8"
    title = "distribution 2.8"
    program = "docker-registry"
    durability = (
        "blobs, manifests and links; no directory, so that a power cut may lose their names"
    )


class Distribution3(Distribution):
    """The newest release, installed as `distribution`."""

    name = "distribution-3"
    title = "distribution 3"
    program = "distribution"
    durability = "blobs, manifests, links and their directories, but not a moved blob's"


class Moto(_EcrServer):
    """moto's server, which takes any signature for good."""

    name = "moto"
    title = "moto server"
    faces = frozenset({"ecr"})
    durability = "nothing: it keeps everything in memory"
    choices = "as it comes"

    def command(self) -> list[str]:
        """Return the command that starts it."""
        host, _, port = self.address.rpartition(":")
        return ["moto_server", "--host", host, "--port", port]

    def version(self) -> str:
        """Return its version."""
        return version("moto")


def every_server(processes: int) -> list[Callable[[Path], Server]]:
    """Return what makes each server in a directory, Longshore first.

    Args:
        processes: how many processes the second Longshore has; there is none if it is 1.
    """
    kinds: list[Callable[[Path], Server]] = [lambda home: Longshore(home / "longshore")]
    if processes > 1:
        kinds.append(lambda home: Longshore(home / "longshore-x", processes))
    peers: list[type[Server]] = [Distribution2, Distribution3, Moto]
    return [*kinds, *(partial(_make, peer) for peer in peers)]


def _make(kind: type[Server], home: Path) -> Server:
    return kind(home / kind.name)
