"""What is deleted and restored is as if nobody had deleted it.

Any repository, from which anything is deleted in any order and by any way: when all that is in the
bin is brought back, one by one in any order, the database holds what it held, whatever garbage was
collected in the meantime.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore.clock import HOUR
from longshore.errors import ImageAlreadyExists, ImageStorageClassUpdateNotSupported
from longshore.metadata import schema
from longshore.names import Digest
from longshore.registry import bin_restoration, image_archive, image_batches, repositories
from longshore.registry.dialect import ECR, OCI
from longshore.registry.image_batches import ImageId
from longshore.registry.lifecycle_rules import StorageClass
from longshore.work.collector import Collector
from tests.support.clock import FakeClock
from tests.support.images import artifact, layer, oci_image, oci_index
from tests.support.pushing import REGISTRY, REPOSITORY, create_repository, push
from tests.support.recycle_bin import bin_rows, content, entries, with_bin

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from tests.support.images import Image

SHARED = layer("shared by many")
PLAIN = [oci_image(name, layers=[SHARED, layer(name)]) for name in "abc"]
INDEX = oci_index(PLAIN[:2])
OUTER = oci_index([INDEX, PLAIN[2]])
SIGNED = [artifact("of an image", subject=PLAIN[0]), artifact("of an index", subject=INDEX)]
POOL = [*PLAIN, INDEX, OUTER, *SIGNED, artifact("of a signature", subject=SIGNED[0])]
TAGS = ["1", "2", "latest"]

PUSHES = st.lists(
    st.tuples(st.sampled_from(POOL), st.sampled_from([*TAGS, None])), min_size=1, max_size=8
)
DELETIONS = st.lists(
    st.lists(
        st.one_of(
            st.sampled_from([ImageId(str(image.digest)) for image in POOL]),
            st.sampled_from([ImageId(tag=tag) for tag in TAGS]),
        ),
        min_size=1,
        max_size=4,
    ),
    max_size=5,
)


def empty(context: Context) -> None:
    with context.database.write(durable=False) as tx:
        for table in reversed(schema.metadata.sorted_tables):
            tx.execute(table.delete())


def prepare(context: Context, clock: FakeClock, pushes: list[tuple[Image, str | None]]) -> None:
    empty(context)
    create_repository(context)
    for image, tag in pushes:
        with suppress(ImageAlreadyExists):
            push(context, image, tag)
        clock.advance(HOUR)


def restore_all(context: Context, order: st.DataObject) -> None:
    while left := [entry.digest for entry in entries(context)]:
        digest = order.draw(st.sampled_from(left))
        bin_restoration.restore(context, REGISTRY, REPOSITORY, Digest.parse(digest))


def tagged(context: Context) -> set[str]:
    return {row["name"] for row in content(context)["tags"]}


@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.parametrize("is_oci", [False, True], ids=["ecr", "oci"])
@given(pushes=PUSHES, deletions=DELETIONS, archived=st.booleans(), order=st.data())
def test_to_delete_and_to_restore_is_to_do_nothing(
    *,
    context: Context,
    is_oci: bool,
    pushes: list[tuple[Image, str | None]],
    deletions: list[list[ImageId]],
    archived: bool,
    order: st.DataObject,
) -> None:
    clock = FakeClock()
    dialect = OCI if is_oci else ECR
    context = with_bin(replace(context, clock=clock, dialect=dialect))
    prepare(context, clock, pushes)
    if archived:
        target = ImageId(str(pushes[0][0].digest))
        with suppress(ImageStorageClassUpdateNotSupported):
            image_archive.update_storage_class(
                context, REGISTRY, REPOSITORY, target, StorageClass.ARCHIVE
            )
    before, tags = content(context), tagged(context)

    lost: set[str] = set()
    for ids in deletions:
        there = tagged(context)
        image_batches.delete(context, REGISTRY, REPOSITORY, ids)
        # A tag that went alone is nobody's to bring back.
        lost |= there - tagged(context)
        clock.advance(HOUR)
    list(Collector(context).run())
    lost -= {tag for entry in entries(context) for tag in entry.tags}
    restore_all(context, order)

    after = content(context)
    assert tagged(context) == tags - lost
    kept = [row for row in before["tags"] if row["name"] not in lost]
    assert _names(after["tags"]) == _names(kept)
    for table in before.keys() - {"tags"}:
        assert after[table] == before[table], table
    assert bin_rows(context) == 0


@settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(pushes=PUSHES, order=st.data())
def test_a_repository_that_was_deleted_comes_back_under_its_name(
    context: Context, pushes: list[tuple[Image, str | None]], order: st.DataObject
) -> None:
    clock = FakeClock()
    context = with_bin(replace(context, clock=clock))
    prepare(context, clock, pushes)
    before = content(context)
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    list(Collector(context).run())
    create_repository(context)
    restore_all(context, order)
    after = content(context)
    for table in ("images", "manifests", "tags", "image_layers", "image_children", "layers"):
        assert _but_for_the_repository(after[table]) == _but_for_the_repository(before[table])
    assert after["blobs"] == before["blobs"]
    assert bin_rows(context) == 0


def _names(rows: list[dict[str, object]]) -> list[tuple[object, object]]:
    """Return which tags stand for which images; those that went before the last are younger."""
    return [(row["name"], row["image_id"]) for row in rows]


def _but_for_the_repository(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{name: value for name, value in row.items() if name != "repository_id"} for row in rows]
