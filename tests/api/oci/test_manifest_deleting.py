"""DELETE of manifests and of tags (OCI distribution-spec, "Deleting Manifests")."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.oci.cases import INVALID_TAG, Case, Reply, play, refused_parameter
from tests.support.images import oci_image, oci_index

if TYPE_CHECKING:
    from tests.api.oci.cases import Names, Setup
    from tests.api.stage import Stage
    from tests.support.images import Image

IMAGE, OTHER = oci_image("image"), oci_image("other")
INDEX = oci_index([IMAGE, OTHER])
NOT_FOUND = Reply(404, "MANIFEST_UNKNOWN", "Requested image not found")


def pushed(*tags: str, image: Image = IMAGE) -> Setup:
    def setup(stage: Stage) -> Names:
        stage.push(image, *tags)
        return {}

    return setup


DELETIONS = [
    Case(
        "an image goes by its digest, with all its tags",
        f"DELETE manifests/{IMAGE.digest}",
        Reply(202),
        setup=pushed("1", "2"),
        then=(
            (f"GET manifests/{IMAGE.digest}", 404),
            ("GET manifests/1", 404),
            ("GET manifests/2", 404),
            (f"DELETE manifests/{IMAGE.digest}", 404),
        ),
    ),
    Case(
        "a tag goes alone where there are others",
        "DELETE manifests/1",
        Reply(202),
        setup=pushed("1", "2"),
        then=(("GET manifests/1", 404), ("GET manifests/2", 200), ("DELETE manifests/1", 404)),
    ),
    Case(
        "ECR deletes an image with its last tag, and the specification keeps it",
        "DELETE manifests/1",
        Reply(202),
        setup=pushed("1"),
        then=(("GET manifests/1", 404), (f"GET manifests/{IMAGE.digest}", (404, 200))),
    ),
    Case("an unknown tag", "DELETE manifests/2", NOT_FOUND, setup=pushed("1")),
    Case("an unknown digest", f"DELETE manifests/{OTHER.digest}", NOT_FOUND, setup=pushed("1")),
    Case("a tag that can't be one", "DELETE manifests/.a", INVALID_TAG),
    Case("a digest that is none", "DELETE manifests/sha256:0", Reply(400, "DIGEST_INVALID")),
    Case("an unknown repository", "DELETE /v2/no/such/manifests/1", Reply(404, "NAME_UNKNOWN")),
    Case(
        "what an index refers to stays",
        f"DELETE manifests/{IMAGE.digest}",
        refused_parameter(f"Requested image referenced by manifest list: [{INDEX.digest}]"),
        setup=pushed("1", image=INDEX),
    ),
    Case(
        "an index goes, and then what it refers to",
        f"DELETE manifests/{INDEX.digest}",
        Reply(202),
        setup=pushed("1", image=INDEX),
        then=((f"DELETE manifests/{IMAGE.digest}", 202),),
    ),
]


@pytest.mark.parametrize("case", DELETIONS, ids=str)
def test_deletions(case: Case, stage: Stage) -> None:
    play(case, stage, case.setup(stage) if case.setup else {})


def test_the_last_tag_of_what_an_index_refers_to_stays_in_ecr(
    stage: Stage, compatibility: str
) -> None:
    stage.push(INDEX, "index")
    stage.put(IMAGE, "child")

    status = stage.send("DELETE", "manifests/child").status

    # To the specification only the tag goes, and the image stays in its place.
    assert status == (405 if compatibility == "ecr" else 202)
    assert stage.send("GET", f"manifests/{IMAGE.digest}").status == 200
