"""What is read all the time goes past SQLAlchemy, which takes longer to build a statement, and to
find that it has compiled it before, than a database to execute it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from longshore.identity import access_keys, users
from longshore.registry import (
    image_batches,
    image_listings,
    images,
    layers,
    policies_in_force,
    repositories,
)
from longshore.registry.image_batches import ImageId
from longshore.registry.image_listings import TagStatus
from tests.support.images import oci_image
from tests.support.pushing import (
    ACCOUNT,
    REGISTRY,
    REPOSITORY,
    create_repository,
    push,
    put,
    upload,
)
from tests.support.statements import tell_before_each

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.registry.context import Context

IMAGE = oci_image("one")
BY_TAG = [ImageId(tag="latest")]
AFTER_IMAGE, AFTER_NAME = (0, ""), ("a",)
ANY = TagStatus.ANY

READS: dict[str, Callable[[Context], object]] = {
    "manifest by tag": lambda it: images.get_by_tag(it, REGISTRY, REPOSITORY, "latest"),
    "manifest by digest": lambda it: images.get_by_digest(it, REGISTRY, REPOSITORY, IMAGE.digest),
    "layer": lambda it: layers.find(it, REGISTRY, REPOSITORY, IMAGE.blobs[0].digest),
    "tags": lambda it: image_listings.tag_names(it, REGISTRY, REPOSITORY, None, 10),
    "tags, further": lambda it: image_listings.tag_names(it, REGISTRY, REPOSITORY, "a", 10),
    "ids": lambda it: image_listings.list_ids(
        it, REGISTRY, REPOSITORY, status=ANY, after=None, limit=10
    ),
    "ids, further": lambda it: image_listings.list_ids(
        it, REGISTRY, REPOSITORY, status=ANY, after=AFTER_IMAGE, limit=10
    ),
    "images": lambda it: image_listings.list_images(
        it, REGISTRY, REPOSITORY, status=ANY, after=None, limit=10
    ),
    "images, further": lambda it: image_listings.list_images(
        it, REGISTRY, REPOSITORY, status=ANY, after=AFTER_IMAGE, limit=10
    ),
    "images by tag": lambda it: image_listings.describe(it, REGISTRY, REPOSITORY, BY_TAG),
    "manifests by tag": lambda it: image_batches.get(it, REGISTRY, REPOSITORY, BY_TAG, ()),
    "repositories": lambda it: repositories.list_all(it, REGISTRY, None, 10),
    "repositories, further": lambda it: repositories.list_all(it, REGISTRY, AFTER_NAME, 10),
    "repositories by name": lambda it: repositories.describe(it, REGISTRY, [REPOSITORY]),
    "policies of a repository": lambda it: policies_in_force.of_repository(
        it, REGISTRY, REPOSITORY
    ),
    "policies of a registry": lambda it: policies_in_force.of_registry(it, REGISTRY),
}


def told_by_sqlalchemy(context: Context, read: Callable[[], object]) -> list[str]:
    told: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        told.append(statement)

    engine = context.database._engine
    # Connections that are there already tell nobody.
    context.database.close()
    event.listen(engine, "before_cursor_execute", note)
    try:
        assert read() is not None
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return told


@pytest.mark.parametrize("name", READS)
def test_what_is_read_all_the_time_goes_past_sqlalchemy(context: Context, name: str) -> None:
    create_repository(context)
    push(context, IMAGE, "latest")
    assert told_by_sqlalchemy(context, lambda: READS[name](context)) == []


def test_whoever_asks_is_found_past_sqlalchemy(context: Context) -> None:
    users.create(context, ACCOUNT, "alice")
    key, _ = access_keys.create(context, ACCOUNT, "alice")
    assert told_by_sqlalchemy(context, lambda: access_keys.find(context, key.id)) == []


def asked_by_a_push(context: Context) -> list[str]:
    """Push an image whose layers are there; return the statements that it took."""
    create_repository(context)
    for blob in IMAGE.blobs:
        upload(context, blob)
    asked: list[str] = []
    end = tell_before_each(context.database, asked.append)
    try:
        put(context, IMAGE, "latest")
    finally:
        end()
    return asked


def test_a_push_asks_once_for_its_layers(context: Context) -> None:
    assert sum("FROM layers" in each for each in asked_by_a_push(context)) == 1


def test_a_push_counts_no_images_where_there_can_not_be_too_many(context: Context) -> None:
    asked = asked_by_a_push(context)
    assert not [each for each in asked if "count(" in each and "FROM images" in each]
