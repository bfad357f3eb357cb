"""What the rules say that they made happen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from longshore.clock import SECOND
from longshore.errors import ImageAlreadyExists, ImageTagAlreadyExists, RepositoryNotEmpty
from longshore.events import log
from longshore.registry import image_batches, images, repositories
from longshore.registry.image_batches import ImageId
from longshore.registry.mutability import Mode, TagMutability
from tests.support.images import layer, oci_image
from tests.support.pushing import REGISTRY, REPOSITORY, create_repository, push, put, upload

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository
    from tests.support.clock import FakeClock

pytestmark = pytest.mark.usefixtures("repository")
IMAGE = oci_image("told of")
OTHER = oci_image("told of later")


def told(context: Context) -> list[dict[str, Any]]:
    """Return what has happened since this was asked last."""
    with context.database.write() as tx:
        while log.place(tx, 1_000_000):
            pass
        entries = log.after(tx, 0, 1_000_000)
        tx.execute(log._TABLE.delete())
    return [json.loads(entry.document) for entry in entries]


def happened(context: Context) -> list[tuple[str, str, str | None]]:
    """Return the actions, with the digests and tags that they were about."""
    return [
        (
            each["detail"]["action-type"],
            each["detail"]["image-digest"],
            each["detail"].get("image-tag"),
        )
        for each in told(context)
    ]


def delete(context: Context, *ids: ImageId) -> None:
    image_batches.delete(context, REGISTRY, REPOSITORY, ids)


def test_a_push_is_told_in_the_words_of_eventbridge(context: Context, clock: FakeClock) -> None:
    clock.now = 1_573_869_274_740
    push(context, IMAGE, "latest")
    [event] = told(context)
    assert event == {
        "version": "0",
        "id": event["id"],
        "detail-type": "ECR Image Action",
        "source": "aws.ecr",
        "account": REGISTRY.account,
        "time": "2019-11-16T01:54:34Z",
        "region": REGISTRY.region,
        "resources": [],
        "detail": {
            "result": "SUCCESS",
            "repository-name": REPOSITORY,
            "image-digest": str(IMAGE.digest),
            "action-type": "PUSH",
            "image-tag": "latest",
        },
    }


def test_a_push_is_told_once_for_each_tag_that_it_moves(context: Context) -> None:
    push(context, IMAGE)
    assert happened(context) == [("PUSH", str(IMAGE.digest), None)]
    put(context, IMAGE, "a")
    assert happened(context) == [("PUSH", str(IMAGE.digest), "a")]
    images.put(
        *(context, REGISTRY, REPOSITORY, IMAGE.content),
        media_type=None,
        tag="a",
        digest=None,
        more_tags=["b", "c"],
    )
    assert happened(context) == [("PUSH", str(IMAGE.digest), tag) for tag in ("b", "c")]
    push(context, OTHER, "a")
    assert happened(context) == [("PUSH", str(OTHER.digest), "a")]


def test_what_is_refused_has_not_happened(context: Context) -> None:
    create_repository(context, "immutable", mutability=TagMutability(Mode.IMMUTABLE))
    for name in (REPOSITORY, "immutable"):
        push(context, IMAGE, "1", name)
    told(context)
    with pytest.raises(ImageAlreadyExists):
        put(context, IMAGE, "1")
    upload(context, layer("of another"), "immutable")
    for blob in OTHER.blobs:
        upload(context, blob, "immutable")
    with pytest.raises(ImageTagAlreadyExists):
        put(context, OTHER, "1", "immutable")
    with pytest.raises(RepositoryNotEmpty):
        repositories.remove(context, REGISTRY, REPOSITORY, force=False)
    delete(context, ImageId(tag="nothing"), ImageId(digest=str(OTHER.digest)))
    assert told(context) == []


def test_a_deletion_is_told_once_for_each_id_that_is_gone(
    context: Context, clock: FakeClock
) -> None:
    push(context, OTHER)
    for tag in ("b", "a", "c"):
        push(context, IMAGE, tag)
    told(context)
    clock.advance(SECOND)
    delete(context, ImageId(tag="b"))
    assert happened(context) == [("DELETE", str(IMAGE.digest), "b")]
    delete(context, ImageId(digest=str(IMAGE.digest)), ImageId(digest=str(OTHER.digest)))
    assert happened(context) == [
        ("DELETE", str(IMAGE.digest), "a"),
        ("DELETE", str(IMAGE.digest), "c"),
        ("DELETE", str(OTHER.digest), None),
    ]


def test_a_tag_that_goes_alone_is_told_as_well(context: Context) -> None:
    push(context, IMAGE, "only")
    told(context)
    image_batches.delete_one(context, REGISTRY, REPOSITORY, ImageId(tag="only"), keep_image=True)
    assert happened(context) == [("DELETE", str(IMAGE.digest), "only")]
    image_batches.delete_one(
        context, REGISTRY, REPOSITORY, ImageId(digest=str(IMAGE.digest)), keep_image=True
    )
    assert happened(context) == [("DELETE", str(IMAGE.digest), None)]


def test_the_images_that_go_with_their_repository_are_told_one_by_one(
    context: Context, repository: Repository
) -> None:
    push(context, IMAGE, "b")
    push(context, IMAGE, "a")
    push(context, OTHER)
    create_repository(context, "other")
    push(context, IMAGE, "elsewhere", "other")
    told(context)
    repositories.remove(context, REGISTRY, repository.name, force=True)
    assert happened(context) == [
        ("DELETE", str(IMAGE.digest), "a"),
        ("DELETE", str(IMAGE.digest), "b"),
        ("DELETE", str(OTHER.digest), None),
    ]
    create_repository(context)
    repositories.remove(context, REGISTRY, REPOSITORY, force=False)
    assert told(context) == []
