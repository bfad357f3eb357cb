"""The images that the clients carry, made on this machine from Debian's own packages."""

from __future__ import annotations

import fcntl
import json
import shutil
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.compat.support.containers import containers_shell
from tests.compat.support.content import Layout
from tests.compat.support.programs import CACHE, ProgramFailed, Shell, find, lack

if TYPE_CHECKING:
    from collections.abc import Iterator

DEBIAN_SUITE = "bookworm"
DEBIAN_VARIANT = "essential"
# What no program needs, and half of the files.
DEBIAN_EXCLUSIONS = ("/usr/share/doc", "/usr/share/info", "/usr/share/locale", "/usr/share/man")
SBOM_TYPE = "application/spdx+json"


class Images:
    """Images as OCI layouts in a folder, each made when it is first asked for.

    Attributes:
        layered: three small layers on nothing: a static busybox and two files.
        other: like `layered`, with one layer of its own.
        zstd: `layered` with layers packed by zstd.
        index: `layered` for amd64 and for arm64, in one OCI index.
        debian: a Debian root file system, with a layer on top.
        artifact: `layered` with an SBOM that refers to it as its subject.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._shell = containers_shell(directory)

    @cached_property
    def layered(self) -> Layout:
        """Make an image of a static busybox and two files, each in a layer."""
        layout = self._new("layered")
        self._insert(layout, find("busybox"), "/bin/busybox")
        self._insert(layout, self._file("greeting", b"hello\n"), "/etc/greeting")
        # No packer makes it smaller: the layer takes many reads of a socket, or a few chunks.
        noise = Random("noise").randbytes(3 << 20)
        self._insert(layout, self._file("noise", noise), "/srv/noise")
        return self._finish(layout)

    @cached_property
    def other(self) -> Layout:
        """Make an image that shares all but its last layer with `layered`."""
        layout = self._copy(self.layered, "other")
        self._insert(layout, self._file("farewell", b"bye\n"), "/etc/farewell")
        return self._finish(layout)

    @cached_property
    def debian(self) -> Layout:
        """Make an image of a Debian root file system and one file."""
        layout = self._new("debian")
        self._shell.run(
            "umoci", "raw", "add-layer", "--image", str(layout), debian_root_file_system()
        )
        self._insert(layout, self._file("greeting", b"hello\n"), "/etc/greeting")
        return self._finish(layout)

    @cached_property
    def zstd(self) -> Layout:
        """Pack the layers of `layered` by zstd."""
        layout = Layout(self._directory / "zstd")
        self._shell.run(
            "skopeo",
            "copy",
            "--dest-compress-format",
            "zstd",
            f"oci:{self.layered}",
            f"oci:{layout}",
        )
        return layout

    @cached_property
    def index(self) -> Layout:
        """Gather `layered` for two platforms under an index."""
        arm = self._copy(self.layered, "arm")
        self._shell.run("umoci", "config", "--image", str(arm), "--architecture", "arm64")
        layout = Layout(self._directory / "index")
        self._shell.run("buildah", "manifest", "create", "platforms")
        for image in (self.layered, arm):
            self._shell.run("buildah", "manifest", "add", "platforms", f"oci:{image}")
        self._shell.run("buildah", "manifest", "push", "--all", "platforms", f"oci:{layout}")
        return layout

    @cached_property
    def artifact(self) -> Layout:
        """Attach an SBOM to a copy of `layered`, as a referrer without a tag."""
        layout = self._copy(self.layered, "artifact")
        self._file("sbom.json", json.dumps({"spdxVersion": "SPDX-2.3"}).encode())
        self._shell.run(
            "oras", "attach", "--oci-layout", "--artifact-type", SBOM_TYPE,
            str(layout), f"sbom.json:{SBOM_TYPE}",
        )  # fmt: skip
        return layout

    def _new(self, name: str) -> Layout:
        layout = Layout(self._directory / name)
        self._shell.run("umoci", "init", "--layout", layout.directory)
        self._shell.run("umoci", "new", "--image", str(layout))
        return layout

    def _copy(self, source: Layout, name: str) -> Layout:
        return Layout(shutil.copytree(source.directory, self._directory / name), source.tag)

    def _insert(self, layout: Layout, source: str | Path, target: str) -> None:
        self._shell.run("umoci", "insert", "--image", str(layout), source, target)

    def _finish(self, layout: Layout) -> Layout:
        self._shell.run(
            "umoci", "config", "--image", str(layout), "--os", "linux", "--architecture", "amd64",
            "--config.entrypoint", "/bin/busybox",
        )  # fmt: skip
        self._shell.run("umoci", "gc", "--layout", layout.directory)
        return layout

    def _file(self, name: str, content: bytes) -> Path:
        path = self._directory / name
        path.write_bytes(content)
        return path


def debian_root_file_system() -> Path:
    """Return a tar of Debian's smallest root file system, made once and kept in the cache."""
    kept = CACHE / f"debian-{DEBIAN_SUITE}-{DEBIAN_VARIANT}.tar"
    with _alone(kept.with_suffix(".lock")):
        if not kept.exists():
            _make_debian_root_file_system(kept)
    return kept


def _make_debian_root_file_system(kept: Path) -> None:
    unfinished = kept.with_suffix(".unfinished.tar")
    with TemporaryDirectory() as home:
        try:
            Shell(Path(home)).run(
                "mmdebstrap", "--quiet", f"--variant={DEBIAN_VARIANT}",
                *(f"--dpkgopt=path-exclude={path}/*" for path in DEBIAN_EXCLUSIONS),
                DEBIAN_SUITE, unfinished,
            )  # fmt: skip
        except ProgramFailed as failure:
            lack(f"no Debian root file system could be made: {failure}")
    unfinished.rename(kept)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
