"""The commands that the documentation tells people to type, typed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from longshore import server as assembly
from longshore.clock import DAY
from longshore.housekeeping import create_runner
from longshore.registry import image_archive
from longshore.registry.image_batches import ImageId
from longshore.registry.lifecycle_rules import StorageClass
from longshore.settings import Settings
from tests.compat.support.containers import containers_shell
from tests.compat.support.programs import Shell, find
from tests.compat.support.server import Longshore
from tests.docs import pages
from tests.support import pushing
from tests.support.images import layer, oci_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from longshore.registry.context import Context
    from tests.support.images import Image

REPOSITORY_NAME = "demo/app"
SHOWN_ADDRESS = "localhost:5000"


@pytest.fixture(scope="module")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Longshore]:
    """A server that is found by variables, as the one of the README is by default."""
    server = Longshore(
        tmp_path_factory.mktemp("server"), {"LONGSHORE_REGION": pushing.REGISTRY.region}
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(running_server: Longshore) -> Iterator[Longshore]:
    """The server, with nothing in it."""
    yield running_server
    for repository in running_server.ecr.describe_repositories()["repositories"]:
        running_server.ecr.delete_repository(
            repositoryName=repository["repositoryName"], force=True
        )


def shell_of(server: Longshore, home: Path, **variables: str) -> Shell:
    """Return somebody's second shell."""
    return Shell(
        home,
        {
            **containers_shell(home).variables,
            **server.shell.variables,
            "LONGSHORE_LISTEN": server.address,
            "LONGSHORE_DATA": str(data_of(server)),
            **variables,
        },
    )


def data_of(server: Longshore) -> Path:
    return server.shell.home / "data"


def type_in(shell: Shell, block: str, server: Longshore | None = None) -> str:
    """Run a block in the repository, as it is but for the port."""
    if server is not None:
        block = block.replace(SHOWN_ADDRESS, server.address.replace("127.0.0.1", "localhost"))
    return shell.run("bash", "-euo", "pipefail", "-c", f"cd '{pages.REPOSITORY}'\n{block}")


def readme_block(containing: str) -> str:
    """Return the block of shell commands that has these words in it."""
    [block] = [
        block for block in pages.blocks(pages.read("README.md"), "sh") if containing in block
    ]
    return block


def without(program: str, block: str) -> str:
    """Leave out the lines that need a program."""
    return "".join(line for line in block.splitlines(keepends=True) if program not in line)


@pytest.mark.parametrize(
    ("target", "program"), [("serve", ".venv/bin/longshore serve"), ("test", "-m pytest")]
)
def test_the_two_commands_of_the_readme_do_what_it_says(
    tmp_path: Path, target: str, program: str
) -> None:
    assert f"make {target}\n" in pages.blocks(pages.read("README.md"), "sh")
    # The environment that this test runs in is taken for what it is.
    make = ("make", "--dry-run", "--old-file=.venv/.ready", "-C", str(pages.REPOSITORY), target)
    assert program in Shell(tmp_path).run(*make)


def test_the_commands_of_the_readme_work(server: Longshore, tmp_path: Path) -> None:
    find("aws")
    block = without("docker", readme_block("aws ecr create-repository"))
    printed = type_in(shell_of(server, tmp_path), block, server)
    assert f'"repositoryName": "{REPOSITORY_NAME}"' in printed
    assert '"imageDetails": []' in printed


@pytest.mark.compat
def test_the_commands_of_the_readme_work_with_docker(
    server: Longshore, tmp_path: Path, docker_host: str
) -> None:
    shell = shell_of(server, tmp_path, DOCKER_HOST=docker_host)
    type_in(shell, readme_block("aws ecr create-repository"), server)
    [image] = server.described(REPOSITORY_NAME)
    assert image["imageTags"] == ["1"]


def test_the_commands_of_the_readme_for_skopeo_work(server: Longshore, tmp_path: Path) -> None:
    find("skopeo")
    context = assembly.open_context(Settings(data=data_of(server)))
    pushing.create_repository(context, REPOSITORY_NAME)
    pushing.push(context, oci_image("pushed"), "1", REPOSITORY_NAME)
    context.database.close()
    login = 'eval "$(longshore env)"\n'
    directory = f"cd '{tmp_path}'\n"
    type_in(shell_of(server, tmp_path), login + directory + readme_block("skopeo copy"), server)
    described = server.described(REPOSITORY_NAME)
    assert {tag for image in described for tag in image["imageTags"]} == {"1", "2"}


def test_the_commands_of_the_page_on_commands_work(server: Longshore, tmp_path: Path) -> None:
    for block in pages.blocks(pages.read("docs/commands.md"), "sh"):
        type_in(shell_of(server, tmp_path), block)


@pytest.mark.parametrize("has_archive", [False, True])
def test_a_backup_that_was_made_as_it_is_told_can_be_restored(
    tmp_path: Path, *, has_archive: bool
) -> None:
    text = pages.section(pages.read("docs/operating.md"), "Backup and restore")
    plain, with_archive, restore = pages.blocks(text, "sh")
    image = oci_image("kept", layers=[layer("bottom"), layer("top")])

    places = {"DATA": str(tmp_path / "data"), "BACKUP": str(tmp_path / "backup")}
    archive = tmp_path / "archive" if has_archive else None
    if archive is not None:
        archive.mkdir()
        places["ARCHIVE"] = str(archive)
        restore = restore.replace("     # if there was an archive directory: and", "")
    settings = Settings(data=tmp_path / "data", archive_directory=archive)
    key = assembly.prepare(settings).administrator
    context = assembly.open_context(settings)
    pushing.create_repository(context)
    pushing.push(context, image, "1")
    if has_archive:
        move(context, settings, image, StorageClass.ARCHIVE)
        assert not list(context.blobs.locations())
    # It is still open, as if the server went on running.
    type_in(Shell(tmp_path, places), with_archive if has_archive else plain)
    context.database.close()

    data = tmp_path / "restored"
    type_in(Shell(tmp_path, places | {"DATA": str(data)}), restore)
    restored = Settings(data=data, archive_directory=archive and data / "archive")
    assert assembly.prepare(restored).administrator == key
    context = assembly.open_context(restored)
    if has_archive:
        move(context, restored, image, StorageClass.STANDARD)
    assert pushing.pull(context, "1").content == image.content
    for blob in image.blobs:
        assert pushing.read_layer(context, blob.digest) == blob.content
    context.database.close()


def move(context: Context, settings: Settings, image: Image, target: StorageClass) -> None:
    """Archive an image or restore it, and let its bytes follow two days later."""
    this = ImageId(str(image.digest))
    image_archive.update_storage_class(context, pushing.REGISTRY, pushing.REPOSITORY, this, target)
    later = replace(context, clock=lambda: context.clock() + 2 * DAY)
    create_runner(settings, later).run_due()
