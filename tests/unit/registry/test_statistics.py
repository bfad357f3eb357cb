from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update

from longshore.metadata import schema
from longshore.registry.bin_contents import Contents
from longshore.registry.statistics import Holdings, take_stock
from tests.support.images import layer, oci_image
from tests.support.pushing import create_repository, push
from tests.support.recycle_bin import delete, with_bin

if TYPE_CHECKING:
    from longshore.registry.context import Context

SHARED = layer("what all images stand on")


def test_an_empty_store_holds_nothing(context: Context) -> None:
    assert take_stock(context) == Holdings(0, {}, 0, 0, 0, Contents(0, 0, 0))


def test_what_repositories_share_counts_once_and_for_each(context: Context) -> None:
    images = {
        "one": [oci_image("a", layers=[SHARED]), oci_image("b", layers=[SHARED])],
        "two": [oci_image("a", layers=[SHARED])],
        "three": [],
    }
    for name, pushed in images.items():
        create_repository(context, f"test/{name}")
        for image in pushed:
            push(context, image, "1", f"test/{name}")
    with context.database.write() as tx:
        last = schema.images.c.repository_id.in_(
            schema.repositories.select()
            .with_only_columns(schema.repositories.c.id)
            .where(schema.repositories.c.name == "test/two")
        )
        tx.execute(update(schema.images).where(last).values(storage_class="ARCHIVE"))

    stock = take_stock(context)

    held = [{blob.digest: len(blob.content) for image in pushed for blob in image.blobs}
            for pushed in images.values()]  # fmt: skip
    manifests = sum(len(image.content) for pushed in images.values() for image in pushed)
    distinct = {digest: size for of_one in held for digest, size in of_one.items()}
    assert (stock.repositories, stock.images) == (3, {"ARCHIVE": 1, "STANDARD": 2})
    assert stock.logical_bytes == sum(sum(of_one.values()) for of_one in held) + manifests
    assert stock.stored_bytes == sum(distinct.values()) + manifests


def test_what_is_in_the_recycle_bin_is_stored_and_nobodys(context: Context) -> None:
    create_repository(context)
    image = oci_image("a", layers=[SHARED])
    push(context, image)
    before = take_stock(context)
    delete(with_bin(context), image)
    after = take_stock(context)
    assert (after.images, after.logical_bytes) == ({}, 0)
    assert after.stored_bytes == before.stored_bytes == after.binned.size
    assert after.binned.images == 1
