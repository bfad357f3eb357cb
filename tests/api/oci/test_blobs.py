"""GET, HEAD and DELETE of blobs (OCI distribution-spec, "Pulling blobs", "Deleting Blobs")."""

from __future__ import annotations

import pytest

from tests.api.oci.cases import Case, Reply, play
from tests.api.oci.scene import LOOSE_BLOB, Scene
from tests.api.stage import Stage
from tests.support.images import oci_image

SIZE = len(LOOSE_BLOB)
ABOUT = {
    "content-type": "application/octet-stream",
    "docker-content-digest": "{loose}",
    "accept-ranges": "bytes",
    "etag": '"{loose}"',
    "cache-control": "max-age=31536000",
}
WHOLE = Reply(200, headers=ABOUT, body=LOOSE_BLOB)
NOT_A_DIGEST = Reply(400, "DIGEST_INVALID")


def unknown(digest: str, repository: str = "{name}") -> Reply:
    return Reply(
        404,
        "BLOB_UNKNOWN",
        f"Layer with digest '{digest}' does not exist in the repository with name "
        f"'{repository}' in the registry with id '000000000000'",
    )


READING = [
    Case("a blob that no manifest refers to yet", "GET blobs/{loose}", WHOLE),
    Case(
        "HEAD tells size and digest",
        "HEAD blobs/{loose}",
        Reply(200, headers={**ABOUT, "content-length": str(SIZE)}),
    ),
    Case(
        "HEAD heeds no range",
        "HEAD blobs/{loose}",
        Reply(200, headers={**ABOUT, "content-length": str(SIZE)}),
        (("Range", "bytes=0-0"),),
    ),
    Case("an encoded colon is a colon", "GET blobs/{loose_encoded}", WHOLE),
    Case("an unknown blob", "GET blobs/{nothing}", unknown("{nothing}")),
    Case("HEAD of an unknown blob has no body", "HEAD blobs/{nothing}", unknown("{nothing}")),
    Case("the digest of a manifest is no blob's", "GET blobs/{image}", unknown("{image}")),
    Case("a short digest", "GET blobs/sha256:abc", NOT_A_DIGEST),
    Case("a tag", "GET blobs/latest", NOT_A_DIGEST),
    Case("HEAD of a malformed digest", "HEAD blobs/latest", NOT_A_DIGEST),
    Case("a digest that leads elsewhere", "GET blobs/sha256:..%2f..%2fserver.key", NOT_A_DIGEST),
    Case("a digest with a NUL", "GET blobs/{loose}%00", Reply(400, "UNSUPPORTED")),
    Case("an unknown repository", "GET /v2/no/such/blobs/{loose}", Reply(404, "NAME_UNKNOWN")),
    Case(
        "sha512 is known to the specification alone",
        "GET blobs/{nothing512}",
        (
            Reply(400, "DIGEST_INVALID", "Digests by sha512 are not supported by this registry"),
            unknown("{nothing512}"),
        ),
    ),
    Case("a path below a blob", "GET blobs/{loose}/more", Reply(404, "NOT_FOUND")),
]


@pytest.mark.parametrize("case", READING, ids=str)
def test_reading(case: Case, scene: Scene) -> None:
    encoded = scene.names["loose"].replace(":", "%3A")
    play(case, scene.stage, {**scene.names, "loose_encoded": encoded})


# What of the blob is sent for a Range header: (first, last) of a part, None for all of it, and
# "unsatisfiable" (RFC 9110, section 14).
RANGES: list[tuple[str, tuple[int, int] | str | None]] = [
    ("bytes=0-0", (0, 0)),
    ("bytes=0-9", (0, 9)),
    ("bytes=5-5", (5, 5)),
    (f"bytes=0-{SIZE - 1}", (0, SIZE - 1)),
    (f"bytes={SIZE - 1}-{SIZE - 1}", (SIZE - 1, SIZE - 1)),
    (f"bytes=10-{SIZE}", (10, SIZE - 1)),
    (f"bytes=10-{10**18}", (10, SIZE - 1)),
    ("bytes=0-", (0, SIZE - 1)),
    ("bytes=1000-", (1000, SIZE - 1)),
    ("bytes=-1", (SIZE - 1, SIZE - 1)),
    ("bytes=-10", (SIZE - 10, SIZE - 1)),
    (f"bytes=-{SIZE}", (0, SIZE - 1)),
    (f"bytes=-{SIZE * 2}", (0, SIZE - 1)),
    (f"bytes={SIZE}-", "unsatisfiable"),
    (f"bytes={SIZE}-{SIZE + 10}", "unsatisfiable"),
    (f"bytes={10**18}-", "unsatisfiable"),
    ("bytes=-0", "unsatisfiable"),
    # A server may pass over a Range that it can't read, and over more than one range.
    ("bytes=9-5", None),
    ("bytes=0-1,4-5", None),
    ("bytes=" + ",".join(f"{n}-{n}" for n in range(2000)), None),
    ("bytes=0-,0-", None),
    ("bytes=", None),
    ("bytes=-", None),
    ("bytes=a-b", None),
    ("bytes=0x1-0x2", None),
    ("bytes=1-2-3", None),
    ("bytes=--1", None),
    ("bytes=-1-", None),
    ("bytes=+1-2", None),
    ("bytes=1.0-2.0", None),
    ("bytes=\u00b2-", None),
    ("bytes=" + "9" * 5000 + "-", None),
    ("items=0-1", None),
    ("0-1", None),
    ("", None),
]


@pytest.mark.parametrize(("asked", "part"), RANGES, ids=lambda value: str(value)[:40])
def test_ranges(asked: str, part: tuple[int, int] | str | None, scene: Scene) -> None:
    if isinstance(part, tuple):
        first, last = part
        ours = {**ABOUT, "content-range": f"bytes {first}-{last}/{SIZE}"}
        reply = Reply(206, headers=ours, body=LOOSE_BLOB[first : last + 1])
    else:
        unsatisfiable = Reply(416, headers={"content-range": f"bytes */{SIZE}"})
        reply = WHOLE if part is None else unsatisfiable
    case = Case("a range", "GET blobs/{loose}", reply, (("Range", asked),))

    play(case, scene.stage, scene.names)


def test_a_blob_is_served_only_where_it_was_pushed_to(stage: Stage, scene: Scene) -> None:
    loose = scene.names["loose"]
    for method in ("GET", "HEAD", "DELETE"):
        refused = DELETED_BY_SPECIFICATION[0] if method == "DELETE" else unknown(loose)
        case = Case(
            "another repository's blob", f"{method} blobs/{loose}", (refused, unknown(loose))
        )
        play(case, stage, {})


def test_a_large_blob_comes_whole_and_in_pieces(stage: Stage) -> None:
    content = bytes(range(256)) * (3 * 4096) + b"the end"
    digest = stage.push_blob(content)

    def fetch(asked: str) -> bytes:
        return stage.send("GET", f"blobs/{digest}", [("Range", asked)]).body

    assert stage.send("GET", f"blobs/{digest}").body == content
    middle = len(content) // 2
    assert fetch(f"bytes=0-{middle}") + fetch(f"bytes={middle + 1}-") == content


KEPT = {"allow": "GET, HEAD"}
DELETED_BY_SPECIFICATION = (
    Reply(
        405,
        "UNSUPPORTED",
        "Layers can't be deleted by themselves; one that no image refers to goes by itself.",
        headers=KEPT,
    ),
    Reply(202),
)


def test_a_blob_is_deleted_where_the_specification_has_it(stage: Stage) -> None:
    names = {"digest": stage.push_blob(b"loose")}
    case = Case(
        "a blob",
        "DELETE blobs/{digest}",
        DELETED_BY_SPECIFICATION,
        then=(("GET blobs/{digest}", (200, 404)), ("DELETE blobs/{digest}", (405, 404))),
    )
    play(case, stage, names)


def test_a_blob_that_an_image_needs_is_never_deleted(stage: Stage) -> None:
    image = oci_image("needs its blobs")
    stage.push(image, "1")
    case = Case(
        "a layer of an image",
        f"DELETE blobs/{image.blobs[1].digest}",
        (
            DELETED_BY_SPECIFICATION[0],
            Reply(
                405,
                "UNSUPPORTED",
                "An image refers to this layer. Delete the image first.",
                headers=KEPT,
            ),
        ),
        then=((f"GET blobs/{image.blobs[1].digest}", 200),),
    )
    play(case, stage, {})


def test_a_deleted_blob_stays_where_else_it_was_pushed_to(stage: Stage, compatibility: str) -> None:
    elsewhere = Stage.build(stage.server)
    digest = stage.push_blob(b"shared")
    elsewhere.push_blob(b"shared")

    stage.send("DELETE", f"blobs/{digest}")

    assert stage.send("GET", f"blobs/{digest}").status == (200 if compatibility == "ecr" else 404)
    assert elsewhere.send("GET", f"blobs/{digest}").body == b"shared"
