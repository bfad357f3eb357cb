from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore.errors import ImageNotFound, InvalidParameter, RepositoryNotFound
from longshore.names import Registry
from longshore.registry import image_batches, image_listings, repositories
from longshore.registry.image_batches import ImageId
from longshore.registry.image_listings import TagStatus
from longshore.registry.slices import Slice
from tests.support.images import docker_image, layer, oci_image, oci_index
from tests.support.pushing import ACCOUNT, REGISTRY, REPOSITORY, create_repository, push, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.registry.context import Context
    from longshore.registry.image_listings import Image as Described
    from longshore.registry.slices import Position
    from tests.support.clock import FakeClock
    from tests.support.images import Image

Item = TypeVar("Item")

ONE, TWO, THREE = oci_image("one"), oci_image("two"), oci_image("three")
NOBODY = "sha256:" + "0" * 64
STATUSES = list(TagStatus)
IMAGES = [oci_image(f"image {number}", layers=[layer("shared")]) for number in range(5)]
# In the order of their code points.
TAGS = ["0", "A", "_", "a", "a-b", "a.b", "aB", "a_b", "ab"]


def ids(
    context: Context,
    status: TagStatus = TagStatus.ANY,
    *,
    after: Position | None = None,
    limit: int = 1000,
    repository: str = REPOSITORY,
) -> Slice[ImageId]:
    return image_listings.list_ids(
        context, REGISTRY, repository, status=status, after=after, limit=limit
    )


def listed(
    context: Context,
    status: TagStatus = TagStatus.ANY,
    *,
    after: Position | None = None,
    limit: int = 1000,
    repository: str = REPOSITORY,
) -> Slice[Described]:
    return image_listings.list_images(
        context, REGISTRY, repository, status=status, after=after, limit=limit
    )


def names(
    context: Context,
    *,
    after: Position | None = None,
    limit: int = 1000,
    repository: str = REPOSITORY,
) -> Slice[str]:
    last = None if after is None else str(after[0])
    return image_listings.tag_names(context, REGISTRY, repository, last, limit)


class Page(Protocol[Item]):
    """A listing, from some place on."""

    def __call__(self, *, after: Position | None, limit: int) -> Slice[Item]: ...


def walk(page: Page[Item], limit: int) -> list[Item]:
    """Read a listing slice by slice."""
    shown: list[Item] = []
    after = None
    while True:
        part = page(after=after, limit=limit)
        assert len(part.items) <= limit
        shown += part.items
        assert part.next is None or part.next != after, "the listing stands still"
        after = part.next
        if after is None:
            return shown


def tagged(image: Image, tag: str | None) -> ImageId:
    return ImageId(str(image.digest), tag)


@pytest.fixture
def three(context: Context) -> Context:
    """A repository with an image of two tags, an untagged one, and one of one tag."""
    create_repository(context)
    push(context, ONE, "b")
    put(context, ONE, "a")
    push(context, TWO)
    push(context, THREE, "c")
    return context


# --- Ids ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            TagStatus.ANY,
            [tagged(ONE, "a"), tagged(ONE, "b"), tagged(TWO, None), tagged(THREE, "c")],
        ),
        (TagStatus.TAGGED, [tagged(ONE, "a"), tagged(ONE, "b"), tagged(THREE, "c")]),
        (TagStatus.UNTAGGED, [tagged(TWO, None)]),
    ],
)
def test_there_is_an_id_for_every_tag_and_for_every_image_without(
    three: Context, status: TagStatus, expected: list[ImageId]
) -> None:
    assert list(ids(three, status).items) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (TagStatus.ANY, [(ONE, ("a", "b")), (TWO, ()), (THREE, ("c",))]),
        (TagStatus.TAGGED, [(ONE, ("a", "b")), (THREE, ("c",))]),
        (TagStatus.UNTAGGED, [(TWO, ())]),
    ],
)
def test_there_is_one_description_for_every_image(
    three: Context, status: TagStatus, expected: list[tuple[Image, tuple[str, ...]]]
) -> None:
    assert [(image.digest, image.tags) for image in listed(three, status).items] == [
        (image.digest, tags) for image, tags in expected
    ]


def test_images_stay_in_the_order_of_their_first_push(three: Context, clock: FakeClock) -> None:
    clock.advance(1000)
    put(three, TWO, "new")
    put(three, ONE, "c")
    assert [image.digest for image in listed(three).items] == [
        ONE.digest,
        TWO.digest,
        THREE.digest,
    ]
    assert {image.pushed_at for image in listed(three).items} == {clock.now - 1000}


def test_an_image_that_was_deleted_and_pushed_again_is_the_newest(three: Context) -> None:
    image_batches.delete(three, REGISTRY, REPOSITORY, [tagged(ONE, None)])
    push(three, ONE)
    assert [image.digest for image in listed(three).items] == [
        TWO.digest,
        THREE.digest,
        ONE.digest,
    ]


@pytest.mark.usefixtures("repository")
def test_an_empty_repository_lists_nothing(context: Context) -> None:
    assert ids(context) == Slice(())
    assert listed(context) == Slice(())
    assert names(context) == Slice(())


def test_a_repository_lists_only_its_own(three: Context) -> None:
    create_repository(three, "other")
    create_repository(three, registry=Registry(ACCOUNT, "us-east-1"))
    push(three, IMAGES[0], "1", "other")
    assert [image.digest for image in listed(three, repository="other").items] == [IMAGES[0].digest]
    assert ids(three, repository="other").items == (tagged(IMAGES[0], "1"),)
    assert names(three, repository="other").items == ("1",)
    assert names(three).items == ("a", "b", "c")


@pytest.mark.parametrize("listing", [ids, listed, names])
def test_a_repository_that_is_not_there_lists_nothing(
    context: Context, listing: Callable[..., object]
) -> None:
    with pytest.raises(RepositoryNotFound):
        listing(context, repository="no/such")


# --- Descriptions ---------------------------------------------------------------------------------


def describe(context: Context, *image_ids: ImageId) -> list[Described]:
    return image_listings.describe(context, REGISTRY, REPOSITORY, image_ids)


def test_images_are_described_by_any_of_their_names_each_once(three: Context) -> None:
    described = describe(
        three,
        ImageId(tag="c"),
        tagged(ONE, "a"),
        ImageId(tag="b"),
        tagged(ONE, None),
        tagged(TWO, None),
    )
    assert described == list(listed(three).items)


UNKNOWN = [
    (ImageId(tag="nobody"), "null", "nobody"),
    (ImageId(NOBODY), NOBODY, "null"),
    (ImageId(NOBODY, "a"), NOBODY, "a"),
    (tagged(TWO, "a"), str(TWO.digest), "a"),
    (ImageId(), "null", "null"),
    (ImageId("sha256:abc"), "sha256:abc", "null"),
    (ImageId(str(ONE.digest).upper()), str(ONE.digest).upper(), "null"),
    (ImageId("md5:0123", "a"), "md5:0123", "a"),
    (ImageId(tag="A"), "null", "A"),
    (ImageId(tag="x" * 300), "null", "x" * 300),
]
IMPOSSIBLE = [
    *(
        (image_id, "imageDigest", "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+")
        for image_id in (ImageId("no digest"), ImageId("", "a"), ImageId(f"{NOBODY}\n"))
    ),
    *(
        (ImageId(tag=tag), "imageTag", "[a-zA-Z0-9_][a-zA-Z0-9._-]*")
        for tag in ("", "%", "a\0", "\ud800", "a/b", "x" * 301)
    ),
]


def test_one_unknown_id_fails_the_whole_description(three: Context) -> None:
    for image_id, digest, tag in UNKNOWN:
        with pytest.raises(ImageNotFound) as refusal:
            describe(three, ImageId(tag="a"), image_id)
        assert refusal.value.message == (
            f"The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist "
            "within the repository with name 'demo/app' in the registry with id '000000000000'"
        )


def test_what_can_be_no_images_id_is_refused(three: Context) -> None:
    for image_id, member, pattern in IMPOSSIBLE:
        with pytest.raises(InvalidParameter) as refusal:
            describe(three, ImageId(tag="a"), image_id)
        assert refusal.value.message == (
            f"Invalid parameter at '{member}' failed to satisfy constraint: "
            f"'must satisfy regular expression '{pattern}''"
        )


def test_a_repository_that_is_not_there_has_no_images_to_describe(context: Context) -> None:
    with pytest.raises(RepositoryNotFound):
        image_listings.describe(context, REGISTRY, "no/such", [ImageId(tag="1")])


def test_lists_and_images_are_described_alike(context: Context) -> None:
    create_repository(context)
    images = [docker_image("one"), oci_index([docker_image("one"), ONE])]
    for image in images:
        push(context, image)
    assert [
        image.media_type for image in describe(context, *[tagged(i, None) for i in images])
    ] == [image.media_type for image in images]


# --- Tags -----------------------------------------------------------------------------------------


def test_tags_are_listed_by_their_code_points(context: Context) -> None:
    create_repository(context)
    push(context, ONE)
    for tag in reversed(TAGS):
        put(context, ONE, tag)
    assert list(names(context).items) == TAGS
    assert list(listed(context).items[0].tags) == TAGS


def test_tags_go_on_behind_any_name(three: Context) -> None:
    for after, expected in [
        (None, ["a", "b", "c"]),
        ("", ["a", "b", "c"]),
        ("a", ["b", "c"]),
        ("aa", ["b", "c"]),
        ("c", []),
        ("Z", ["a", "b", "c"]),
        ("\U0001f600", []),
    ]:
        listing = image_listings.tag_names(three, REGISTRY, REPOSITORY, after, 1000)
        assert list(listing.items) == expected


# --- Slices ---------------------------------------------------------------------------------------


@given(
    contents=st.lists(st.sets(st.sampled_from(TAGS), max_size=4), max_size=len(IMAGES)),
    limit=st.integers(1, 6),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_the_slices_of_a_listing_are_the_listing(
    context: Context, contents: list[set[str]], limit: int
) -> None:
    create_repository(context)
    for image, tags in zip(IMAGES, contents, strict=False):
        push(context, image)
        for tag in tags:
            put(context, image, tag)
    for status in STATUSES:
        assert walk(partial(ids, context, status), limit) == [*ids(context, status).items]
        assert walk(partial(listed, context, status), limit) == [*listed(context, status).items]
    assert walk(partial(names, context), limit) == sorted(set().union(*contents))
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)


@pytest.mark.parametrize("status", STATUSES)
def test_a_filter_splits_a_listing_in_two(three: Context, status: TagStatus) -> None:
    both = {*ids(three, TagStatus.TAGGED).items, *ids(three, TagStatus.UNTAGGED).items}
    assert both == set(ids(three, TagStatus.ANY).items)
    assert set(ids(three, status).items) <= both


def test_what_was_there_all_the_time_is_shown_once_whatever_comes_and_goes(
    three: Context,
) -> None:
    first = ids(three, limit=2)
    image_batches.delete(three, REGISTRY, REPOSITORY, [tagged(ONE, None)])
    push(three, IMAGES[0], "new")
    rest = ids(three, after=first.next)
    assert [*first.items, *rest.items] == [
        tagged(ONE, "a"),
        tagged(ONE, "b"),
        tagged(TWO, None),
        tagged(THREE, "c"),
        tagged(IMAGES[0], "new"),
    ]
