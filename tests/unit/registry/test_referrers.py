from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.errors import RepositoryNotFound
from longshore.names import Digest
from longshore.registry import image_batches, referrers
from longshore.registry.image_batches import ImageId
from longshore.registry.media_types import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.support.images import SBOM, SIGNATURE, artifact, docker_image, oci_image, oci_index
from tests.support.pushing import REGISTRY, REPOSITORY, create_repository, push, put

if TYPE_CHECKING:
    from collections.abc import Collection

    from longshore.registry.context import Context
    from longshore.registry.referrers import Referrer
    from longshore.registry.slices import Position, Slice
    from tests.support.images import Image

pytestmark = pytest.mark.usefixtures("repository")

SUBJECT = oci_image("subject")
SBOMS = [artifact(f"sbom {number}", subject=SUBJECT) for number in range(3)]
SIGNATURES = [
    artifact(f"signature {number}", subject=SUBJECT, artifact_type=SIGNATURE) for number in range(2)
]


def page(
    context: Context,
    subject: Digest = SUBJECT.digest,
    *,
    types: Collection[str] = (),
    after: Position | None = None,
    limit: int = 1000,
    repository: str = REPOSITORY,
) -> Slice[Referrer]:
    return referrers.list_of(
        context, REGISTRY, repository, subject, artifact_types=types, after=after, limit=limit
    )


def digests(listed: Slice[Referrer]) -> list[Digest]:
    return [referrer.digest for referrer in listed.items]


def push_all(context: Context, *images: Image) -> None:
    for image in images:
        push(context, image)


def test_a_referrer_is_told_as_its_descriptor_tells(context: Context) -> None:
    annotations = {"org.example.key": "value", "é\0": ""}
    image = artifact("one", subject=SUBJECT, annotations=annotations)
    push(context, image)
    [referrer] = page(context).items
    assert referrer.digest == image.digest
    assert referrer.media_type == OCI_MANIFEST
    assert referrer.artifact_type == SBOM
    assert referrer.size == len(image.content)
    assert referrer.annotations == annotations


@pytest.mark.parametrize(
    ("image", "media_type", "artifact_type"),
    [
        (artifact("a", subject=SUBJECT), OCI_MANIFEST, SBOM),
        (
            oci_image("b", subject=SUBJECT),
            OCI_MANIFEST,
            "application/vnd.oci.image.config.v1+json",
        ),
        (oci_index([oci_image("c")], subject=SUBJECT), OCI_INDEX, None),
        (oci_index([oci_image("d")], subject=SUBJECT, artifact_type=SBOM), OCI_INDEX, SBOM),
    ],
    ids=["artifact", "image", "index", "typed index"],
)
def test_whatever_names_a_subject_is_its_referrer(
    context: Context, image: Image, media_type: str, artifact_type: str | None
) -> None:
    push(context, image)
    [referrer] = page(context).items
    assert (referrer.digest, referrer.media_type) == (image.digest, media_type)
    assert referrer.artifact_type == artifact_type
    assert referrer.annotations == {}


def test_a_subject_that_nobody_pushed_has_those_who_named_it(context: Context) -> None:
    assert page(context).items == ()
    push(context, SBOMS[0])
    assert digests(page(context)) == [SBOMS[0].digest]
    push(context, SUBJECT)
    assert digests(page(context)) == [SBOMS[0].digest]


def test_referrers_come_in_the_order_of_their_push(context: Context) -> None:
    push_all(context, SBOMS[1], SIGNATURES[0], SBOMS[0])
    put(context, SBOMS[1], "tagged")
    assert digests(page(context)) == [SBOMS[1].digest, SIGNATURES[0].digest, SBOMS[0].digest]


def test_referrers_are_filtered_by_their_types(context: Context) -> None:
    push_all(context, *SBOMS, *SIGNATURES)
    for types, expected in [
        ([], [*SBOMS, *SIGNATURES]),
        ([SBOM], SBOMS),
        ([SIGNATURE], SIGNATURES),
        ([SBOM, SIGNATURE], [*SBOMS, *SIGNATURES]),
        (["application/x-other"], []),
        (["application/x-other", SIGNATURE], SIGNATURES),
        ([SBOM.upper()], []),
        (["%"], []),
        ([""], []),
        (["é'; --"], []),
    ]:
        assert digests(page(context, types=types)) == [image.digest for image in expected]


def walk(context: Context, types: Collection[str], limit: int) -> list[Digest]:
    """Read the referrers slice by slice."""
    shown: list[Digest] = []
    after = None
    while True:
        listed = page(context, types=types, after=after, limit=limit)
        assert len(listed.items) <= limit
        shown += digests(listed)
        assert listed.next is None or listed.next != after, "the listing stands still"
        after = listed.next
        if after is None:
            return shown


def test_the_slices_of_the_referrers_are_the_referrers(context: Context) -> None:
    for pair in zip(SBOMS, SIGNATURES, strict=False):
        push_all(context, *pair)
    push(context, SBOMS[2])
    for types in ([], [SBOM], [SIGNATURE]):
        for limit in (1, 2, 3, 5, 6):
            assert walk(context, types, limit) == digests(page(context, types=types))


def test_a_slice_is_no_larger_than_what_clients_read(context: Context) -> None:
    # Four megabytes of descriptors, which repeat the annotations, are what clients bound.
    large = [
        artifact(f"large {number}", subject=SUBJECT, annotations={"text": "x" * 1_500_000})
        for number in range(5)
    ]
    push_all(context, *large)
    slices: list[list[Digest]] = []
    after = None
    while True:
        listed = page(context, after=after)
        slices.append(digests(listed))
        after = listed.next
        if after is None:
            break
    assert [len(each) for each in slices] == [2, 2, 1]
    assert [digest for each in slices for digest in each] == [image.digest for image in large]


def test_another_subjects_referrers_are_not_listed(context: Context) -> None:
    other = oci_image("other")
    push_all(context, artifact("one", subject=other), SBOMS[0])
    assert digests(page(context)) == [SBOMS[0].digest]
    assert page(context, Digest.of(SUBJECT.content, "sha512")).items == ()


def test_another_repositorys_referrers_are_not_listed(context: Context) -> None:
    create_repository(context, "other")
    push(context, SBOMS[0], None, "other")
    assert page(context).items == ()
    assert digests(page(context, repository="other")) == [SBOMS[0].digest]


def test_a_deleted_referrer_is_not_listed(context: Context) -> None:
    push_all(context, *SBOMS)
    image_batches.delete(context, REGISTRY, REPOSITORY, [ImageId(str(SBOMS[0].digest))])
    assert digests(page(context)) == [image.digest for image in SBOMS[1:]]


def test_the_referrers_of_a_deleted_subject_are_still_listed(context: Context) -> None:
    push_all(context, SUBJECT, SBOMS[0])
    image_batches.delete(context, REGISTRY, REPOSITORY, [ImageId(str(SUBJECT.digest))])
    assert digests(page(context)) == [SBOMS[0].digest]


def test_docker_images_refer_to_nothing(context: Context) -> None:
    plain = docker_image("one")
    content = plain.content.replace(b'"config"', b'"subject": {"x": 1},\n   "config"', 1)
    image = type(plain)(content, DOCKER_MANIFEST, plain.blobs)
    assert push(context, image).subject is None
    assert page(context).items == ()


def test_a_repository_that_is_not_there_has_no_referrers(context: Context) -> None:
    with pytest.raises(RepositoryNotFound):
        page(context, repository="no/such")


def test_a_slice_ends_where_its_descriptors_would_be_too_large(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_all(context, *SBOMS)
    sizes = [len(image.content) for image in SBOMS]
    for room, shown in [(sum(sizes[:2]), 2), (sum(sizes[:2]) - 1, 1), (sizes[0] - 1, 1), (0, 1)]:
        monkeypatch.setattr(referrers, "_MOST_BYTES", room)
        first = page(context)
        assert digests(first) == [image.digest for image in SBOMS[:shown]]
        assert first.next is not None
        assert walk(context, [], 1000) == [image.digest for image in SBOMS]
