"""What skopeo, podman and buildah have in common (the manual's containers-storage.conf(5), …)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tests.compat.support.clients import Client
from tests.compat.support.programs import Shell, require_root

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.support.content import Layout
    from tests.compat.support.server import Longshore

_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{home}/storage"
runroot = "{home}/run"
[storage.options.overlay]
skip_mount_home = "true"
"""
# No systemd, no journal, no network of their own.
_ENGINE = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
netns = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
tmp_dir = "{home}/tmp"
"""
_POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'


def containers_shell(home: Path) -> Shell:
    """Return a shell for these programs whose images, credentials and settings lie in `home`."""
    settings = home / ".config" / "containers"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "policy.json").write_text(_POLICY)
    (settings / "registries.conf").write_text("")
    (settings / "storage.conf").write_text(_STORAGE.format(home=home))
    (settings / "containers.conf").write_text(_ENGINE.format(home=home))
    (settings / "auth.json").write_text("{}")
    return Shell(
        home,
        {
            "CONTAINERS_CONF": str(settings / "containers.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(settings / "registries.conf"),
            "CONTAINERS_STORAGE_CONF": str(settings / "storage.conf"),
            "REGISTRY_AUTH_FILE": str(settings / "auth.json"),
        },
    )


class ContainersClient(Client):
    """A client that finds its credentials where the others of the family keep theirs.

    Attributes:
        program: its name.
    """

    program: ClassVar[str]

    def __init__(self, server: Longshore, home: Path) -> None:
        super().__init__(server, containers_shell(home))

    def login(self, user: str, password: str) -> None:
        """Log in to the registry."""
        self.shell.run(
            self.program, "login", "--tls-verify=false", "--username", user, "--password-stdin",
            self.server.address, stdin=password,
        )  # fmt: skip


class StoringClient(ContainersClient):
    """A client that unpacks what it pulls into a storage, and packs anew what it pushes.

    Attributes:
        inspection: the arguments after which an image's name makes it print the digests of the
            manifest and of the configuration.
    """

    inspection: ClassVar[tuple[str, ...]]
    pushes_verbatim = False
    pulls_whole = False

    def __init__(self, server: Longshore, home: Path) -> None:
        require_root(self.program)
        super().__init__(server, home)

    def push(self, image: Layout, repository: str, tag: str) -> None:
        """Take an image in from its layout, and push it."""
        loaded = self.shell.run(self.program, "pull", "--quiet", f"oci:{image}").strip()
        self.shell.run(self.program, "tag", loaded, self.name(repository, tag))
        self.shell.run(self.program, "push", "--tls-verify=false", self.name(repository, tag))

    def pull(self, repository: str, tag: str) -> set[str]:
        """Empty the storage, and pull an image into it."""
        name = self.name(repository, tag)
        self.shell.run(self.program, "rmi", "--all", "--force")
        self.shell.run(self.program, "pull", "--quiet", "--tls-verify=false", name)
        return set(self.shell.run(self.program, *self.inspection, name).split())
