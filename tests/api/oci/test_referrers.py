"""Referrers of a manifest (OCI distribution-spec, "Listing Referrers")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import insert, select

from longshore.metadata import schema
from longshore.names import Digest
from longshore.registry.media_types import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from tests.api.oci.cases import Case, Reply, play
from tests.api.oci.scene import IMAGE, SBOM_OF_IMAGE, SIGNATURE_OF_IMAGE, Scene
from tests.support.images import SBOM, SIGNATURE, artifact, oci_image, oci_index

if TYPE_CHECKING:
    from tests.api.stage import Stage
    from tests.support.images import Image
    from tests.support.server import Answer


def descriptor(image: Image, artifact_type: str | None, **more: Any) -> dict[str, Any]:
    typed = {} if artifact_type is None else {"artifactType": artifact_type}
    return image.descriptor | typed | more


def check_index(answer: Answer, *descriptors: dict[str, Any]) -> None:
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == OCI_INDEX
    assert answer.json() == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": list(descriptors),
    }


THE_SBOM = descriptor(SBOM_OF_IMAGE, SBOM, annotations={"a": "1"})
THE_SIGNATURE = descriptor(SIGNATURE_OF_IMAGE, SIGNATURE)


def test_referrers_are_listed_as_an_index(scene: Scene) -> None:
    answer = scene.stage.send("GET", f"referrers/{IMAGE.digest}")

    check_index(answer, THE_SBOM, THE_SIGNATURE)
    assert "oci-filters-applied" not in answer.headers
    assert "link" not in answer.headers


@pytest.mark.parametrize(
    ("artifact_type", "expected"),
    [(SBOM, [THE_SBOM]), (SIGNATURE, [THE_SIGNATURE]), ("application/vnd.other", [])],
)
def test_referrers_are_filtered_by_type(
    scene: Scene, artifact_type: str, expected: list[dict[str, Any]]
) -> None:
    encoded = artifact_type.replace("+", "%2B")
    answer = scene.stage.send("GET", f"referrers/{IMAGE.digest}?artifactType={encoded}")

    check_index(answer, *expected)
    assert answer.headers["oci-filters-applied"] == "artifactType"


def test_an_empty_filter_is_none(scene: Scene) -> None:
    answer = scene.stage.send("GET", f"referrers/{IMAGE.digest}?artifactType=")

    check_index(answer, THE_SBOM, THE_SIGNATURE)
    assert "oci-filters-applied" not in answer.headers


def test_what_nobody_pushed_has_no_referrers(scene: Scene) -> None:
    check_index(scene.stage.send("GET", f"referrers/{scene.names['nothing']}"))


def test_a_referrer_is_listed_in_its_own_repository_alone(stage: Stage) -> None:
    check_index(stage.send("GET", f"referrers/{IMAGE.digest}"))


NOT_A_DIGEST = Reply(400, "DIGEST_INVALID")
REFUSED = [
    Case("a malformed digest", "GET referrers/sha256:0", NOT_A_DIGEST),
    Case("a tag", "GET referrers/latest", NOT_A_DIGEST),
    Case("an unknown algorithm", f"GET referrers/md5:{'0' * 32}", NOT_A_DIGEST),
    Case("an unknown repository", "GET /v2/no/such/referrers/{image}", Reply(404, "NAME_UNKNOWN")),
    Case(
        "a cursor that is none",
        "GET referrers/{image}?last=x",
        (Reply(405, "UNSUPPORTED"), Reply(400, "UNSUPPORTED")),
    ),
]


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_refused(case: Case, scene: Scene) -> None:
    play(case, scene.stage, scene.names)


def test_every_kind_of_manifest_may_refer(stage: Stage) -> None:
    subject = oci_image("never pushed")
    plain = oci_image("plain", subject=subject, annotations={"k": "v"})
    index = oci_index([plain], subject=subject)
    typed = oci_index([plain], subject=subject, artifact_type=SBOM)
    for image in (plain, index, typed):
        stage.push(image)

    check_index(
        stage.send("GET", f"referrers/{subject.digest}"),
        # Without a type of its own, an image has that of its config, and an index has none.
        descriptor(plain, OCI_CONFIG, annotations={"k": "v"}),
        descriptor(index, None),
        descriptor(typed, SBOM),
    )


def test_a_deleted_referrer_is_no_longer_listed(stage: Stage) -> None:
    subject = oci_image("subject")
    first, second = artifact("first", subject=subject), artifact("second", subject=subject)
    for image in (first, second):
        stage.push(image)

    stage.send("DELETE", f"manifests/{first.digest}")

    check_index(stage.send("GET", f"referrers/{subject.digest}"), descriptor(second, SBOM))


def test_referrers_beyond_a_thousand_are_on_further_pages(stage: Stage) -> None:
    subject = oci_image("subject of many")
    stage.push(artifact("one of many", subject=subject))
    multiply(stage, subject, 1004)
    path = f"/v2/{stage.name}/referrers/{subject.digest}?artifactType={SBOM.replace('+', '%2B')}"

    first = stage.server.oci("GET", path)
    link = re.fullmatch(r'<([^>]+)>; rel="next"', first.headers["link"])
    assert link
    assert link[1].startswith(f"{stage.url}/referrers/{subject.digest}?")
    assert parse_qs(urlsplit(link[1]).query)["artifactType"] == [SBOM]
    second = stage.server.oci("GET", link[1].removeprefix(stage.server.url))

    listed = [each["digest"] for page in (first, second) for each in page.json()["manifests"]]
    assert len(first.json()["manifests"]) == 1000
    assert len(listed) == len(set(listed)) == 1005
    assert "link" not in second.headers
    for page in (first, second):
        assert page.headers["oci-filters-applied"] == "artifactType"
    # The cursor is good for nothing else.
    other = link[1].replace(SBOM.replace("+", "%2B").replace("/", "%2F"), "x")
    assert other != link[1]
    assert stage.server.oci("GET", other.removeprefix(stage.server.url)).status in {400, 405}


def multiply(stage: Stage, subject: Image, copies: int) -> None:
    """Write many referrers into the database: pushing them would take long."""
    images, manifests = schema.images, schema.manifests
    with stage.server.context.database.write() as tx:
        one = tx.execute(select(images).where(images.c.subject == str(subject.digest)))
        row = dict(one.mappings().one())
        del row["id"]
        rows = [
            row | {"digest": str(Digest.of(f"{stage.name} {number}".encode()))}
            for number in range(copies)
        ]
        ids = tx.execute(insert(images).returning(images.c.id), rows).scalars()
        tx.execute(insert(manifests), [{"image_id": it, "content": b"{}"} for it in ids])


def test_the_type_of_a_manifest_without_one_is_that_of_its_config() -> None:
    """What the cases above rest on."""
    assert SBOM_OF_IMAGE.media_type == OCI_MANIFEST
    assert OCI_CONFIG != SBOM
