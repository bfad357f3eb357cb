"""Real clients, which carry whole images: skopeo, and containerd through ctr."""

from __future__ import annotations

import shutil
import tarfile
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from bench.content import write_layout
from bench.process import Process
from bench.programs import ProgramFailed, environment, run

if TYPE_CHECKING:
    from typing import Self

    from bench.content import Image
    from bench.servers import Server

TAG = "1"
_CONTAINERD_SETTINGS = """\
version = 2
root = "{home}/root"
state = "{home}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{socket}"
"""


class Clients:
    """The clients of one run, with what they leave behind.

    Args:
        home: an existing directory; its path has to be short, for there will be a socket in it.
    """

    def __init__(self, home: Path) -> None:
        self.skopeo = Skopeo(home)
        self.containerd = Containerd(home)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what was started."""
        self.containerd.stop()


class Skopeo:
    """skopeo, between a registry and an OCI layout."""

    title = "skopeo"

    def __init__(self, home: Path) -> None:
        self._home = home

    def prepare(self, server: Server, repository: str, image: Image) -> Path:  # noqa: ARG002 - any
        """Return an image as `push` takes it."""
        layout = _empty(self._home)
        write_layout(image, layout, TAG)
        return layout

    def push(self, server: Server, repository: str, source: Path) -> None:
        """Push an image."""
        self._copy(
            *_credentials("--dest-creds", server), "--dest-tls-verify=false",
            f"oci:{source}:{TAG}", f"docker://{server.address}/{repository}:{TAG}",
        )  # fmt: skip

    def pull(self, server: Server, repository: str, target: Path) -> None:
        """Pull an image to where `prepare` or an earlier pull may have left it already."""
        self._copy(
            *_credentials("--src-creds", server), "--src-tls-verify=false",
            f"docker://{server.address}/{repository}:{TAG}", f"oci:{target}:{TAG}",
        )  # fmt: skip

    def forget(self, server: Server, repository: str, source: Path) -> Path:  # noqa: ARG002 - any
        """Lose an image, and return where one may be pulled to that isn't there yet."""
        shutil.rmtree(source)
        return _empty(self._home)

    def _copy(self, *arguments: str) -> None:
        run(["skopeo", "--insecure-policy", "copy", "--quiet", *arguments], self._home)


class Containerd:
    """containerd: its content store, without unpacking."""

    title = "containerd"

    def __init__(self, home: Path) -> None:
        self._home = home
        self._socket = home / "containerd.sock"
        self._process: Process | None = None

    def prepare(self, server: Server, repository: str, image: Image) -> Path:
        """Import an image, from where `push` takes it; return a path that means nothing."""
        layout = _empty(self._home)
        write_layout(image, layout, TAG)
        archive = layout / "archive.tar"
        with tarfile.open(archive, "w") as tar:
            for name in ("oci-layout", "index.json", "blobs"):
                tar.add(layout / name, name)
        base = f"{server.address}/{repository}"
        self._ctr("images", "import", "--no-unpack", "--all-platforms", "--base-name", base,
                  str(archive))  # fmt: skip
        shutil.rmtree(layout)
        return self._socket

    def push(self, server: Server, repository: str, source: Path) -> None:  # noqa: ARG002 - its own
        """Push an image."""
        self._ctr("images", "push", "--plain-http", *_credentials("--user", server),
                  f"{server.address}/{repository}:{TAG}")  # fmt: skip

    def pull(self, server: Server, repository: str, target: Path) -> None:  # noqa: ARG002 - its own
        """Pull an image."""
        self._ctr("content", "fetch", "--plain-http", *_credentials("--user", server),
                  f"{server.address}/{repository}:{TAG}")  # fmt: skip

    def forget(self, server: Server, repository: str, source: Path) -> Path:
        """Remove an image with its content."""
        with suppress(ProgramFailed):
            self._ctr("images", "remove", "--sync", f"{server.address}/{repository}:{TAG}")
        return source

    def stop(self) -> None:
        """End containerd."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _ctr(self, *arguments: str) -> None:
        if self._process is None:
            self._start()
        run(["ctr", "--address", str(self._socket), *arguments], self._home)

    def _start(self) -> None:
        settings = self._home / "containerd.toml"
        settings.write_text(
            _CONTAINERD_SETTINGS.format(home=self._home / "containerd", socket=self._socket)
        )
        process = Process(
            ["containerd", "--config", str(settings)],
            environment(self._home),
            self._home / "containerd.log",
        )
        process.start(str(self._socket), b"")
        self._process = process


def _credentials(option: str, server: Server) -> list[str]:
    return [] if server.password is None else [option, f"AWS:{server.password}"]


def _empty(home: Path) -> Path:
    return Path(mkdtemp(dir=home))
