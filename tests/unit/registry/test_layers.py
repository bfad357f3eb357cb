from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from longshore.clock import DAY, HOUR
from longshore.errors import (
    LayerInaccessible,
    LayersNotFound,
    RepositoryNotFound,
    Server,
)
from longshore.names import Digest, Registry
from longshore.registry import account_settings, image_batches, layers, repositories
from longshore.registry.image_batches import ImageId
from longshore.registry.media_types import OCI_CONFIG, OCI_LAYER_GZIP
from longshore.work.collector import Collector
from tests.support.images import layer, oci_image
from tests.support.interruptions import before_statement
from tests.support.pushing import (
    ACCOUNT,
    REGISTRY,
    REPOSITORY,
    create_repository,
    push,
    put,
    read_layer,
    upload,
)
from tests.support.threads import at_once, outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.registry.context import Context
    from longshore.registry.layers import Layer
    from tests.support.clock import FakeClock
    from tests.support.interruptions import InterruptedBlobStore

pytestmark = pytest.mark.usefixtures("repository")

LAYER = layer("the bytes of a layer")
SHA512 = Digest.of(LAYER.content, "sha512")
OTHER_REGION = Registry(ACCOUNT, "us-east-1")


def not_found(digest: Digest, repository: str = REPOSITORY) -> str:
    return (
        f"Layer with digest '{digest}' does not exist in the repository with name '{repository}' "
        "in the registry with id '000000000000'"
    )


def find(context: Context, digest: Digest, repository: str = REPOSITORY) -> Layer:
    return layers.find(context, REGISTRY, repository, digest)


def check(context: Context, *digests: Digest) -> dict[Digest, Layer]:
    return layers.check(context, REGISTRY, REPOSITORY, digests)


def mount(context: Context, source: str, digest: Digest, target: str = REPOSITORY) -> bool:
    return layers.mount(context, REGISTRY, target, source, digest)


def collect(context: Context) -> list[str]:
    return [garbage.name for garbage in Collector(context).run()]


@pytest.fixture
def mounting(context: Context) -> Context:
    """A registry in which blobs may be mounted, with a repository to mount them from."""
    account_settings.put(context, REGISTRY, account_settings.BLOB_MOUNTING, "ENABLED")
    create_repository(context, "source")
    return context


# --- Asking ---------------------------------------------------------------------------------------


def test_only_the_layers_that_the_repository_holds_are_available(context: Context) -> None:
    upload(context, LAYER)
    assert check(context, LAYER.digest, SHA512, layer("other").digest) == {
        LAYER.digest: find(context, LAYER.digest)
    }
    assert check(context) == {}
    with pytest.raises(RepositoryNotFound):
        layers.check(context, REGISTRY, "no/such", [LAYER.digest])


def test_a_layer_is_only_where_it_was_pushed_to(context: Context) -> None:
    create_repository(context, "other")
    create_repository(context, registry=OTHER_REGION)
    upload(context, LAYER)
    assert layers.check(context, REGISTRY, "other", [LAYER.digest]) == {}
    assert layers.check(context, OTHER_REGION, REPOSITORY, [LAYER.digest]) == {}
    for ask in (layers.find, layers.find_referenced, layers.open_layer, layers.remove):
        with pytest.raises(LayersNotFound) as refusal:
            ask(context, REGISTRY, "other", LAYER.digest)
        assert refusal.value.message == not_found(LAYER.digest, "other")


@pytest.mark.parametrize(
    "ask", [layers.find, layers.find_referenced, layers.open_layer, layers.remove]
)
def test_a_repository_that_is_not_there_holds_no_layer(
    context: Context, ask: Callable[..., object]
) -> None:
    with pytest.raises(RepositoryNotFound):
        ask(context, REGISTRY, "no/such", LAYER.digest)


def test_a_layer_is_of_the_type_that_a_manifest_gave_it(context: Context) -> None:
    image = oci_image("one")
    config, first, _ = image.blobs
    upload(context, first)
    assert find(context, first.digest).media_type is None
    push(context, image)
    assert find(context, first.digest).media_type == OCI_LAYER_GZIP
    assert find(context, config.digest).media_type == OCI_CONFIG
    again = oci_image("two", layers=[layer(first.content.decode(), "application/x-other")])
    push(context, again)
    assert find(context, first.digest).media_type == "application/x-other"


def test_a_layer_that_no_image_refers_to_is_inaccessible(context: Context) -> None:
    image = oci_image("one")
    digest = upload(context, image.blobs[1])
    with pytest.raises(LayerInaccessible) as refusal:
        layers.find_referenced(context, REGISTRY, REPOSITORY, digest)
    assert refusal.value.message == (
        f"Layer with digest '{digest}' in the repository with name 'demo/app' in the registry "
        "with id '000000000000' is not referenced by any image"
    )
    push(context, image)
    assert layers.find_referenced(context, REGISTRY, REPOSITORY, digest) == find(context, digest)


def test_an_image_elsewhere_does_not_make_a_layer_accessible_here(context: Context) -> None:
    image = oci_image("one")
    create_repository(context, "other")
    push(context, image, None, "other")
    upload(context, image.blobs[1])
    with pytest.raises(LayerInaccessible):
        layers.find_referenced(context, REGISTRY, REPOSITORY, image.blobs[1].digest)


# --- Reading --------------------------------------------------------------------------------------


def test_the_bytes_of_a_layer_are_those_that_were_pushed(context: Context) -> None:
    upload(context, LAYER)
    found, file = layers.open_layer(context, REGISTRY, REPOSITORY, LAYER.digest)
    with file:
        assert file.read() == LAYER.content
    assert (found.digest, found.size) == (LAYER.digest, len(LAYER.content))


def test_an_open_layer_can_be_read_after_it_was_collected(
    context: Context, clock: FakeClock
) -> None:
    upload(context, LAYER)
    _, file = layers.open_layer(context, REGISTRY, REPOSITORY, LAYER.digest)
    with file:
        clock.advance(2 * DAY)
        collect(context)
        assert list(context.blobs.locations()) == []
        assert file.read() == LAYER.content


def test_a_layer_that_came_anew_while_it_was_looked_for_is_found(
    interrupted: Context, blobs: InterruptedBlobStore, clock: FakeClock
) -> None:
    upload(interrupted, LAYER)

    def replace_it() -> None:
        repositories.remove(interrupted, REGISTRY, REPOSITORY, force=True)
        collect(interrupted)
        create_repository(interrupted)
        upload(interrupted, LAYER)

    blobs.before("open", replace_it)
    assert read_layer(interrupted, LAYER.digest) == LAYER.content
    assert clock.now == interrupted.clock()


def test_a_layer_that_went_while_it_was_looked_for_is_not_found(
    interrupted: Context, blobs: InterruptedBlobStore
) -> None:
    upload(interrupted, LAYER)

    def remove_it() -> None:
        layers.remove(interrupted, REGISTRY, REPOSITORY, LAYER.digest)
        collect(interrupted)

    blobs.before("open", remove_it)
    with pytest.raises(LayersNotFound):
        read_layer(interrupted, LAYER.digest)


def test_lost_bytes_are_the_servers_failure(context: Context) -> None:
    upload(context, LAYER)
    context.blobs.delete(find(context, LAYER.digest).location)
    with pytest.raises(Server) as refusal:
        read_layer(context, LAYER.digest)
    assert refusal.value.message == (
        f"The bytes of layer '{LAYER.digest}' are missing from the registry's storage. "
        "Ask its operator to restore them."
    )


# --- Leases ---------------------------------------------------------------------------------------


def test_a_layer_that_nobody_asks_for_is_collected_after_the_grace_time(
    context: Context, clock: FakeClock
) -> None:
    upload(context, LAYER)
    clock.advance(DAY)
    assert collect(context) == []
    clock.advance(1)
    assert collect(context) == [str(LAYER.digest)] * 2
    with pytest.raises(LayersNotFound):
        find(context, LAYER.digest)


@pytest.mark.parametrize(
    "renew",
    [
        lambda context: find(context, LAYER.digest),
        lambda context: check(context, LAYER.digest),
        lambda context: read_layer(context, LAYER.digest),
        lambda context: upload(context, LAYER),
        lambda context: mount(context, REPOSITORY, LAYER.digest),
    ],
    ids=["find", "check", "read", "upload", "mount"],
)
def test_whoever_is_told_that_a_layer_is_there_finds_it_for_most_of_the_grace_time(
    oci: Context, clock: FakeClock, renew: Callable[[Context], object]
) -> None:
    upload(oci, LAYER)
    for _ in range(5):
        clock.advance(DAY * 7 // 8)
        assert collect(oci) == []
        renew(oci)
    clock.advance(DAY * 7 // 8)
    assert collect(oci) == []
    assert read_layer(oci, LAYER.digest) == LAYER.content


def test_most_questions_write_nothing(context: Context, clock: FakeClock) -> None:
    upload(context, LAYER)

    def leased_at() -> int:
        with context.database.read() as tx:
            return int(tx.exec_driver_sql("SELECT leased_at FROM layers").scalar_one())

    begun = clock.now
    clock.advance(DAY // 8 - 1)
    find(context, LAYER.digest)
    assert leased_at() == begun
    clock.advance(1)
    find(context, LAYER.digest)
    assert leased_at() == clock.now


def test_a_question_for_another_layer_renews_no_lease(context: Context, clock: FakeClock) -> None:
    upload(context, LAYER)
    other = upload(context, layer("other"))
    clock.advance(DAY)
    find(context, other)
    clock.advance(1)
    assert collect(context) == [str(LAYER.digest)] * 2


def test_a_layer_of_an_image_needs_no_lease_and_gets_one_when_it_is_released(
    context: Context, clock: FakeClock
) -> None:
    image = oci_image("one")
    push(context, image, "1")
    clock.advance(100 * DAY)
    assert collect(context) == []
    image_batches.delete(context, REGISTRY, REPOSITORY, [ImageId(tag="1")])
    clock.advance(DAY)
    assert collect(context) == []
    assert put(context, image).digest == image.digest
    image_batches.delete(context, REGISTRY, REPOSITORY, [ImageId(str(image.digest))])
    clock.advance(DAY + 1)
    assert set(collect(context)) == {str(blob.digest) for blob in image.blobs}


def test_a_layer_of_two_images_stays_with_the_second(context: Context, clock: FakeClock) -> None:
    first, second = oci_image("one", layers=[LAYER]), oci_image("two", layers=[LAYER])
    push(context, first, "1")
    push(context, second, "2")
    image_batches.delete(context, REGISTRY, REPOSITORY, [ImageId(tag="1")])
    clock.advance(2 * DAY)
    assert set(collect(context)) == {str(first.blobs[0].digest)}
    assert read_layer(context, LAYER.digest) == LAYER.content


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_layer_that_is_collected_while_its_lease_is_renewed_is_not_there(
    context: Context, clock: FakeClock
) -> None:
    upload(context, LAYER)
    clock.advance(2 * DAY)
    with before_statement(context.database, "UPDATE layers", partial(collect, context)):
        assert check(context, LAYER.digest) == {}
    upload(context, LAYER)
    clock.advance(2 * DAY)
    with (
        before_statement(context.database, "UPDATE layers", partial(collect, context)),
        pytest.raises(LayersNotFound),
    ):
        find(context, LAYER.digest)


# --- Mounting -------------------------------------------------------------------------------------


def test_a_layer_of_an_image_can_be_mounted_where_the_registry_allows_it(
    mounting: Context,
) -> None:
    image = oci_image("one")
    push(mounting, image, "1", "source")
    for blob in image.blobs:
        assert mount(mounting, "source", blob.digest)
        assert read_layer(mounting, blob.digest) == blob.content
    assert put(mounting, image, "1").digest == image.digest
    assert len(list(mounting.blobs.locations())) == 3


def test_nothing_is_mounted_where_the_registry_does_not_say_so(context: Context) -> None:
    create_repository(context, "source")
    image = oci_image("one")
    push(context, image, "1", "source")
    assert not mount(context, "source", image.blobs[0].digest)
    account_settings.put(context, OTHER_REGION, account_settings.BLOB_MOUNTING, "ENABLED")
    assert not mount(context, "source", image.blobs[0].digest)
    assert check(context, image.blobs[0].digest) == {}


def test_a_layer_without_an_image_is_mounted_only_as_oci_has_it(
    mounting: Context, oci: Context
) -> None:
    upload(mounting, LAYER, "source")
    assert not mount(mounting, "source", LAYER.digest)
    account_settings.put(mounting, REGISTRY, account_settings.BLOB_MOUNTING, "DISABLED")
    assert mount(oci, "source", LAYER.digest)
    assert read_layer(oci, LAYER.digest) == LAYER.content


@pytest.mark.parametrize("source", ["no/such", "", "source%", "sourc_", "SOURCE"])
def test_nothing_is_mounted_from_where_nothing_is(mounting: Context, source: str) -> None:
    push(mounting, oci_image("one"), "1", "source")
    assert not mount(mounting, source, oci_image("one").blobs[0].digest)


def test_what_the_source_does_not_hold_is_not_mounted(mounting: Context) -> None:
    push(mounting, oci_image("one"), "1")
    assert not mount(mounting, "source", oci_image("one").blobs[0].digest, "source")
    create_repository(mounting, "third")
    assert not mount(mounting, "source", oci_image("one").blobs[0].digest, "third")
    assert not mount(mounting, REPOSITORY, SHA512, "third")


def test_nothing_is_mounted_into_a_repository_that_is_not_there(mounting: Context) -> None:
    with pytest.raises(RepositoryNotFound):
        mount(mounting, "source", LAYER.digest, "no/such")


def test_nothing_is_mounted_from_another_region(oci: Context) -> None:
    upload(oci, LAYER)
    create_repository(oci, "target", registry=OTHER_REGION)
    assert not layers.mount(oci, OTHER_REGION, "target", REPOSITORY, LAYER.digest)


def test_a_blob_of_another_encryption_is_not_mounted(mounting: Context) -> None:
    image = oci_image("one")
    push(mounting, image, "1", "source")
    with mounting.database.write() as tx:
        tx.exec_driver_sql(
            "UPDATE repositories SET encryption_context = 'other' WHERE name = 'demo/app'"
        )
    assert not mount(mounting, "source", image.blobs[0].digest)


def test_a_mounted_layer_outlives_its_source(oci: Context, clock: FakeClock) -> None:
    create_repository(oci, "source")
    upload(oci, LAYER, "source")
    assert mount(oci, "source", LAYER.digest)
    assert mount(oci, "source", LAYER.digest)
    repositories.remove(oci, REGISTRY, "source", force=True)
    clock.advance(DAY)
    assert collect(oci) == []
    assert read_layer(oci, LAYER.digest) == LAYER.content


def test_a_mount_of_what_is_there_renews_its_lease(oci: Context, clock: FakeClock) -> None:
    create_repository(oci, "source")
    upload(oci, LAYER, "source")
    upload(oci, LAYER)
    clock.advance(HOUR)
    mount(oci, "source", LAYER.digest)
    clock.advance(DAY)
    collect(oci)
    assert read_layer(oci, LAYER.digest) == LAYER.content


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_blob_that_is_collected_while_it_is_mounted_is_not_mounted(oci: Context) -> None:
    create_repository(oci, "source")
    upload(oci, LAYER, "source")

    def take_it() -> None:
        repositories.remove(oci, REGISTRY, "source", force=True)
        collect(oci)

    with before_statement(oci.database, "SELECT blobs.location", take_it):
        assert not mount(oci, "source", LAYER.digest)
    assert check(oci, LAYER.digest) == {}


def test_mounts_in_both_directions_at_once_do_not_block_each_other(oci: Context) -> None:
    create_repository(oci, "other")
    ours, theirs = upload(oci, layer("ours")), upload(oci, layer("theirs"), "other")
    for _ in range(5):
        assert at_once(
            [
                partial(mount, oci, "other", theirs, REPOSITORY),
                partial(mount, oci, REPOSITORY, ours, "other"),
            ]
        ) == [True, True]


# --- Removing -------------------------------------------------------------------------------------


def test_a_layer_without_an_image_can_be_taken_out(context: Context) -> None:
    create_repository(context, "other")
    upload(context, LAYER)
    upload(context, LAYER, "other")
    assert layers.remove(context, REGISTRY, REPOSITORY, LAYER.digest)
    with pytest.raises(LayersNotFound) as refusal:
        layers.remove(context, REGISTRY, REPOSITORY, LAYER.digest)
    assert refusal.value.message == not_found(LAYER.digest)
    assert read_layer(context, LAYER.digest, "other") == LAYER.content


def test_a_layer_of_an_image_stays(context: Context) -> None:
    image = oci_image("one")
    push(context, image)
    for blob in image.blobs:
        assert not layers.remove(context, REGISTRY, REPOSITORY, blob.digest)
        assert read_layer(context, blob.digest) == blob.content


def test_a_layer_is_taken_out_once_however_many_try(context: Context) -> None:
    upload(context, LAYER)
    outcomes = at_once(
        [outcome(partial(layers.remove, context, REGISTRY, REPOSITORY, LAYER.digest))] * 6
    )
    assert sorted(outcomes) == ["LayersNotFound"] * 5 + ["done"]


def test_a_layer_is_either_taken_out_or_pushed_with(context: Context) -> None:
    for number in range(10):
        image = oci_image(f"image {number}")
        for blob in image.blobs:
            upload(context, blob)
        digest = image.blobs[1].digest
        pushed, removed = at_once(
            [
                outcome(partial(put, context, image)),
                outcome(partial(layers.remove, context, REGISTRY, REPOSITORY, digest)),
            ]
        )
        assert removed == "done"
        is_there = digest in check(context, digest)
        assert pushed == ("done" if is_there else "LayersNotFound")


def test_a_short_grace_time_is_the_operators_choice(context: Context, clock: FakeClock) -> None:
    hasty = replace(context, retention=replace(context.retention, unreferenced_layers=0))
    upload(hasty, LAYER)
    assert collect(hasty) == []
    clock.advance(1)
    assert collect(hasty) == [str(LAYER.digest)] * 2
