from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from alembic import command
from sqlalchemy import text

from longshore import server
from longshore.identity import access_keys
from longshore.metadata import migrate
from longshore.metadata.database import Database
from longshore.registry import image_archive
from longshore.registry.context import Retention
from longshore.registry.image_batches import ImageId
from longshore.registry.lifecycle_rules import StorageClass
from longshore.server import CannotStart
from longshore.settings import Settings
from longshore.work import archive
from longshore.work.runner import Handler, Runner
from tests.support.clock import FakeClock
from tests.support.images import oci_image
from tests.support.pushing import REGISTRY, REPOSITORY, create_repository, push
from tests.support.threads import at_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from longshore.identity.access_keys import AccessKey
    from longshore.identity.principals import Principal

ACCOUNT = "123456789012"


def principal_of(settings: Settings, key: AccessKey) -> Principal:
    context = server.open_context(settings)
    try:
        found = access_keys.find(context, key.id)
    finally:
        context.database.close()
    assert found.secret == key.secret
    return found.principal


def test_the_first_start_makes_the_administrator_and_later_ones_find_it(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, account=ACCOUNT)
    first = server.prepare(settings)
    assert first.is_first
    assert first.administrator is not None
    principal = principal_of(settings, first.administrator)
    assert principal.subject.is_operator
    assert principal.subject.arn == f"arn:aws:iam::{ACCOUNT}:user/administrator"
    second = server.prepare(settings)
    assert (second.administrator, second.is_first) == (first.administrator, False)
    with pytest.raises(CannotStart, match=f"Start with --account {ACCOUNT}"):
        server.prepare(settings.model_copy(update={"account": "999999999999"}))


def test_several_may_start_at_once_for_the_first_time(tmp_path: Path, database_url: str) -> None:
    settings = Settings(data=tmp_path / "data", database_url=database_url)
    starts = at_once([partial(server.prepare, settings)] * 6)
    assert len({start.administrator for start in starts}) == 1
    assert sum(start.is_first for start in starts) == 1


def test_a_data_directory_of_before_there_were_users_goes_on(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, account=ACCOUNT)
    key = server.prepare(settings).administrator
    assert key is not None
    # Back to what an earlier version left: the same key, sealed in the same way.
    database = Database(settings.database)
    with database.read() as tx:
        secret = tx.execute(text("SELECT secret FROM access_keys")).scalar_one()
        identity = tx.execute(text("SELECT * FROM identity")).mappings().one()
    database.close()
    for file in tmp_path.glob("*.sqlite*"):
        file.unlink()
    database = Database(settings.database)
    with database.write() as tx:
        command.upgrade(migrate._config(tx), "0002")
        tx.execute(
            text("INSERT INTO identity (id, server_key_id, created_at) VALUES (:id, :key, 1)"),
            {"id": identity["id"], "key": identity["server_key_id"]},
        )
        tx.execute(
            text(
                "INSERT INTO access_keys (id, secret, principal_arn, active, created_at) "
                "VALUES (:id, :secret, :arn, true, 1)"
            ),
            {
                "id": key.id,
                "secret": secret,
                "arn": f"arn:aws:iam::{ACCOUNT}:user/administrator",
            },
        )
    database.close()

    start = server.prepare(settings)

    assert (start.administrator, start.is_first) == (key, False)
    principal = principal_of(settings, key)
    assert principal.subject.is_operator
    [source] = principal.policies.identity
    assert source.name == "the managed policy arn:aws:iam::aws:policy/AdministratorAccess"


# --- The archive directory ------------------------------------------------------------------------


@pytest.fixture
def archiving(tmp_path: Path) -> Settings:
    """Settings with an archive directory, which is there and empty."""
    (tmp_path / "cold").mkdir()
    return Settings(data=tmp_path / "data", archive_directory=tmp_path / "cold")


@pytest.fixture
def filled(archiving: Settings) -> Iterator[Settings]:
    """The same, with the layers of an image in it."""
    server.prepare(archiving)
    clock = FakeClock()
    context = replace(
        server.open_context(archiving), clock=clock, retention=Retention(unreferenced_layers=0)
    )
    create_repository(context)
    image = oci_image("image")
    push(context, image, "1")
    image_archive.update_storage_class(
        context, REGISTRY, REPOSITORY, ImageId(tag="1"), StorageClass.ARCHIVE
    )
    clock.advance(1)
    Runner(context, {archive.MOVE: Handler(partial(archive.move, context))}).run_due()
    assert not list(context.blobs.locations())
    yield archiving
    context.database.close()


def test_a_start_makes_an_empty_archive_directory_its_own(archiving: Settings) -> None:
    assert archiving.archive_directory is not None
    for _ in range(2):
        server.prepare(archiving)
    assert (archiving.archive_directory / "database.id").read_bytes() == (
        archiving.data / "database.id"
    ).read_bytes()
    other = archiving.model_copy(update={"data": archiving.data.with_name("other")})
    with pytest.raises(CannotStart, match="is another registry's"):
        server.prepare(other)


@pytest.mark.parametrize("is_filled", [False, True])
def test_there_is_no_start_without_the_archive_directory_that_is_set(
    archiving: Settings, is_filled: bool, request: pytest.FixtureRequest
) -> None:
    assert archiving.archive_directory is not None
    if is_filled:
        request.getfixturevalue("filled")
        archiving.archive_directory.rename(archiving.archive_directory.with_name("away"))
        # A mount point without its disk.
        archiving.archive_directory.mkdir()
    else:
        archiving.archive_directory.rmdir()
    with pytest.raises(CannotStart, match=str(archiving.archive_directory)):
        server.prepare(archiving)
    assert not archiving.archive_directory.exists() or not [*archiving.archive_directory.iterdir()]


def test_an_empty_database_is_a_strangers_to_the_layers_in_the_archive(filled: Settings) -> None:
    empty = filled.model_copy(update={"database_url": f"sqlite:///{filled.data}/empty.sqlite"})
    with pytest.raises(CannotStart, match="every blob here would be garbage"):
        server.prepare(empty)
    server.prepare(filled)


def test_there_is_no_start_without_the_setting_while_layers_are_there(filled: Settings) -> None:
    without = filled.model_copy(update={"archive_directory": None})
    with pytest.raises(CannotStart, match="3 layers of archived images lie in an archive"):
        server.prepare(without)
    server.prepare(filled)
