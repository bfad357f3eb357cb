"""Uploads of blobs (OCI distribution-spec, "Pushing blobs")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from longshore.names import Digest
from tests.api.oci.cases import Case, Reply, constraint, play, refused_parameter
from tests.api.stage import Stage
from tests.support.identities import key_of_new_user
from tests.support.images import layer, oci_image
from tests.support.server import REGION

if TYPE_CHECKING:
    from tests.api.oci.cases import Names, Setup

CONTENT = b"0123456789"
DIGEST = str(Digest.of(CONTENT))
OTHER = str(Digest.of(b"other"))
SHA512 = str(Digest.of(CONTENT, "sha512"))
EMPTY = str(Digest.of(b""))
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

OCTETS = ("Content-Type", "application/octet-stream")


def begun(received: bytes = b"") -> Setup:
    """Begin an upload, and send so much of it."""

    def setup(stage: Stage) -> Names:
        upload = stage.begin()
        if received:
            answer = stage.send("PATCH", f"blobs/uploads/{upload}", [OCTETS], received)
            assert answer.status == 202, answer
        return {"upload": upload}

    return setup


def progress(received: int) -> dict[str, str]:
    """Return the headers that tell where an upload stands."""
    return {
        "location": "{url}/blobs/uploads/{upload}",
        "range": f"0-{max(received - 1, 0)}",
        "docker-upload-uuid": "{upload}",
    }


def created(digest: str = DIGEST) -> Reply:
    return Reply(
        201, headers={"location": f"{{url}}/blobs/{digest}", "docker-content-digest": digest}
    )


def out_of_place(reason: str, received: int) -> Reply:
    return Reply(
        416,
        "BLOB_UPLOAD_INVALID",
        "Invalid layer part of the upload with id '{upload}' in the repository with name "
        f"'{{name}}': {reason}",
        headers=progress(received),
    )


UNKNOWN = Reply(
    404,
    "BLOB_UPLOAD_UNKNOWN",
    "The upload with id '{upload}' does not exist in the repository with name '{name}' in the "
    "registry with id '000000000000'",
)
NOT_A_DIGEST = Reply(400, "DIGEST_INVALID")
OTHER_BYTES = Reply(
    400,
    "DIGEST_INVALID",
    f"The bytes that were uploaded have the digest '{DIGEST}', not the one given",
)
NO_SHA512 = Reply(400, "DIGEST_INVALID", "Digests by sha512 are not supported by this registry")


def test_an_upload_begins_with_its_absolute_location(stage: Stage) -> None:
    answer = stage.send("POST", "blobs/uploads/")

    upload = answer.headers["docker-upload-uuid"]
    assert UUID.fullmatch(upload)
    assert answer.status == 202
    assert answer.headers == {
        "content-length": "0",
        "docker-distribution-api-version": "registry/2.0",
        "docker-upload-uuid": upload,
        "location": f"{stage.url}/blobs/uploads/{upload}",
        "range": "0-0",
    }


WHOLE = [
    Case(
        "a single POST",
        f"POST blobs/uploads/?digest={DIGEST}",
        created(),
        (OCTETS,),
        CONTENT,
        then=((f"GET blobs/{DIGEST}", 200),),
    ),
    Case(
        "a single POST in pieces",
        f"POST blobs/uploads/?digest={DIGEST}",
        created(),
        (OCTETS,),
        [CONTENT[:5], CONTENT[5:]],
        then=((f"GET blobs/{DIGEST}", 200),),
    ),
    Case(
        "a single POST without the last slash",
        f"POST blobs/uploads?digest={DIGEST}",
        created(),
        (OCTETS,),
        CONTENT,
        then=((f"GET blobs/{DIGEST}", 200),),
    ),
    Case(
        "a POST, then a PUT of everything",
        f"PUT blobs/uploads/{{upload}}?digest={DIGEST}",
        created(),
        (OCTETS,),
        CONTENT,
        begun(),
        then=((f"GET blobs/{DIGEST}", 200), ("GET blobs/uploads/{upload}", 404)),
    ),
    Case(
        "a POST, then a PUT in pieces",
        f"PUT blobs/uploads/{{upload}}?digest={DIGEST}",
        created(),
        (OCTETS,),
        [b"0", b"123", b"456789"],
        begun(),
        then=((f"GET blobs/{DIGEST}", 200),),
    ),
    Case(
        "an encoded digest",
        f"PUT blobs/uploads/{{upload}}?digest={DIGEST.replace(':', '%3A')}",
        created(),
        (),
        CONTENT,
        begun(),
    ),
    Case(
        "a single POST of other bytes",
        f"POST blobs/uploads/?digest={OTHER}",
        OTHER_BYTES,
        (OCTETS,),
        CONTENT,
        then=((f"GET blobs/{OTHER}", 404), (f"GET blobs/{DIGEST}", 404)),
    ),
    Case(
        "a single POST with a malformed digest",
        "POST blobs/uploads/?digest=sha256:..",
        NOT_A_DIGEST,
        (OCTETS,),
        CONTENT,
    ),
    Case(
        "a PUT of other bytes, after which the upload is still there",
        f"PUT blobs/uploads/{{upload}}?digest={OTHER}",
        OTHER_BYTES,
        (),
        CONTENT,
        begun(),
        then=(
            (f"GET blobs/{OTHER}", 404),
            ("GET blobs/uploads/{upload}", 204),
            (f"PUT blobs/uploads/{{upload}}?digest={DIGEST}", 201),
        ),
    ),
    Case(
        "a PUT of nothing under a digest of something",
        f"PUT blobs/uploads/{{upload}}?digest={DIGEST}",
        Reply(
            400,
            "DIGEST_INVALID",
            f"The bytes that were uploaded have the digest '{EMPTY}', not the one given",
        ),
        setup=begun(),
        then=((f"GET blobs/{DIGEST}", 404), ("GET blobs/uploads/{upload}", 204)),
    ),
    Case(
        "a PUT with a malformed digest",
        f"PUT blobs/uploads/{{upload}}?digest={DIGEST.upper()}",
        NOT_A_DIGEST,
        setup=begun(CONTENT),
    ),
    Case(
        "a PUT without a digest",
        "PUT blobs/uploads/{upload}",
        refused_parameter(constraint("digest", "Member must not be null")),
        setup=begun(CONTENT),
        then=(("GET blobs/uploads/{upload}", 204),),
    ),
    Case(
        "an unknown repository",
        "POST /v2/no/such/blobs/uploads/",
        Reply(404, "NAME_UNKNOWN"),
    ),
    Case(
        "a blob that the repository holds",
        f"POST blobs/uploads/?digest={DIGEST}",
        created(),
        (OCTETS,),
        CONTENT,
        lambda stage: {"digest": stage.push_blob(CONTENT)},
        then=((f"GET blobs/{DIGEST}", 200),),
    ),
]


@pytest.mark.parametrize("case", WHOLE, ids=str)
def test_whole_blobs(case: Case, stage: Stage) -> None:
    play(case, stage, case.setup(stage) if case.setup else {})


def chunk(
    description: str,
    content_range: str | None,
    body: bytes,
    reply: Reply,
    received: bytes = b"",
) -> Case:
    headers = () if content_range is None else (("Content-Range", content_range),)
    standing = reply.headers["range"]
    return Case(
        f"{description}, upload then stands at {standing}",
        "PATCH blobs/uploads/{upload}",
        reply,
        (OCTETS, *headers),
        body,
        begun(received),
        then=(("GET blobs/uploads/{upload}", 204),),
    )


def taken(received: int) -> Reply:
    return Reply(202, headers=progress(received))


CHUNKS = [
    chunk("any number of bytes", None, CONTENT, taken(10)),
    chunk("any number of further bytes", None, CONTENT, taken(20), CONTENT),
    chunk("no bytes at all", None, b"", taken(0)),
    chunk("no further bytes", None, b"", taken(10), CONTENT),
    chunk("a first chunk", "0-9", CONTENT, taken(10)),
    chunk("a chunk of one byte", "0-0", b"x", taken(1)),
    chunk("a next chunk", "10-19", CONTENT, taken(20), CONTENT),
    chunk("a chunk in the spelling of RFC 9110", "bytes 0-9/*", CONTENT, taken(10)),
    chunk("a chunk that tells the blob's size", "bytes 10-19/20", CONTENT, taken(20), CONTENT),
    chunk("a chunk with an equals sign", "bytes=0-9", CONTENT, taken(10)),
    chunk("a gap", "11-20", CONTENT,
          out_of_place("It must begin at byte 10, not at 11", 10), CONTENT),
    chunk("an overlap", "9-18", CONTENT,
          out_of_place("It must begin at byte 10, not at 9", 10), CONTENT),
    chunk("the same chunk again", "0-9", CONTENT,
          out_of_place("It must begin at byte 10, not at 0", 10), CONTENT),
    chunk("a first chunk that isn't the first", "10-19", CONTENT,
          out_of_place("It must begin at byte 0, not at 10", 0)),
    chunk("a chunk longer than it says", "0-4", CONTENT,
          out_of_place("Its Content-Range and its Content-Length disagree", 0)),
    chunk("a chunk shorter than it says", "0-99", CONTENT,
          out_of_place("Its Content-Range and its Content-Length disagree", 0)),
    *(
        chunk(f"a range that is none ({text})", text, CONTENT,
              out_of_place("Its Content-Range must be <first byte>-<last byte>", 0))
        for text in ("9-0", "0", "-", "a-b", "0-9-", "-0-9", "bytes", "items 0-9", "0-9/x",
                     f"0-{'9' * 20}", f"{'9' * 20}-{'9' * 21}", "0-9,10-19", "")
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CHUNKS, ids=str)
def test_chunks(case: Case, stage: Stage) -> None:
    assert case.setup
    names = case.setup(stage)
    play(case, stage, names)

    standing = stage.send("GET", f"blobs/uploads/{names['upload']}")
    assert isinstance(case.reply, Reply)
    assert standing.headers["range"] == case.reply.headers["range"]


def test_a_chunk_in_pieces_that_announces_another_length_does_not_count(stage: Stage) -> None:
    names = begun(CONTENT)(stage)
    for body, there in (([b"01234", b"56789", b"x"], 11), ([b"0123"], 4)):
        case = Case(
            "pieces",
            "PATCH blobs/uploads/{upload}",
            out_of_place(f"It has {there} bytes and announced 10", 10),
            (OCTETS, ("Content-Range", "10-19")),
            body,
            then=((f"PUT blobs/uploads/{{upload}}?digest={OTHER}", 400),),
        )
        play(case, stage, names)
    assert stage.send("GET", f"blobs/uploads/{names['upload']}").headers["range"] == "0-9"


CLOSING = [
    Case(
        "the last chunk comes with the PUT",
        f"PUT blobs/uploads/{{upload}}?digest={DIGEST}",
        created(),
        (OCTETS, ("Content-Range", "5-9")),
        CONTENT[5:],
        begun(CONTENT[:5]),
        then=((f"GET blobs/{DIGEST}", 200),),
    ),
    Case(
        "the last chunk came before the PUT",
        f"PUT blobs/uploads/{{upload}}?digest={DIGEST}",
        created(),
        setup=begun(CONTENT),
        then=((f"GET blobs/{DIGEST}", 200),),
    ),
    Case(
        "the last chunk is out of place",
        f"PUT blobs/uploads/{{upload}}?digest={DIGEST}",
        out_of_place("It must begin at byte 5, not at 6", 5),
        (OCTETS, ("Content-Range", "6-10")),
        CONTENT[5:],
        begun(CONTENT[:5]),
        then=(("GET blobs/uploads/{upload}", 204),),
    ),
    Case(
        "an upload is cancelled, and gone",
        "DELETE blobs/uploads/{upload}",
        Reply(204),
        setup=begun(CONTENT),
        then=(
            ("GET blobs/uploads/{upload}", 404),
            ("PATCH blobs/uploads/{upload}", 404),
            ("DELETE blobs/uploads/{upload}", 404),
            (f"PUT blobs/uploads/{{upload}}?digest={DIGEST}", 404),
        ),
    ),
    Case(
        "the status of a new upload",
        "GET blobs/uploads/{upload}",
        Reply(204, headers=progress(0)),
        setup=begun(),
    ),
    Case(
        "the status of an upload",
        "GET blobs/uploads/{upload}",
        Reply(204, headers=progress(10)),
        setup=begun(CONTENT),
    ),
]


@pytest.mark.parametrize("case", CLOSING, ids=str)
def test_the_end_of_an_upload(case: Case, stage: Stage) -> None:
    assert case.setup
    play(case, stage, case.setup(stage))


def test_many_chunks_make_one_blob(stage: Stage) -> None:
    content = bytes(range(256)) * 100
    upload = stage.begin()
    for first in range(0, len(content), 1000):
        piece = content[first : first + 1000]
        answer = stage.send(
            "PATCH",
            f"blobs/uploads/{upload}",
            [OCTETS, ("Content-Range", f"{first}-{first + len(piece) - 1}")],
            piece,
        )
        assert answer.headers["range"] == f"0-{first + len(piece) - 1}"
    digest = str(Digest.of(content))

    assert stage.send("PUT", f"blobs/uploads/{upload}?digest={digest}").status == 201
    assert stage.send("GET", f"blobs/{digest}").body == content


# --- Whose upload it is ---------------------------------------------------------------------------

REQUESTS = ["GET", "PATCH", "PUT", "DELETE"]


@pytest.mark.parametrize("method", REQUESTS)
@pytest.mark.parametrize(
    "upload",
    [
        "00000000-0000-0000-0000-000000000000",
        "..",
        "%2e%2e%2f%2e%2e%2fserver.key",
        "..%5cserver.key",
        "a" * 300,
        "%20",
    ],
)
def test_an_unknown_upload(method: str, upload: str, stage: Stage) -> None:
    answer = stage.send(method, f"blobs/uploads/{upload}?digest={DIGEST}")

    assert (answer.status, answer.json()["errors"][0]["code"]) == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("method", REQUESTS)
def test_the_upload_of_another_repository_is_unknown(method: str, stage: Stage) -> None:
    elsewhere = Stage.build(stage.server)
    names = begun(CONTENT)(elsewhere)
    case = Case(
        "elsewhere",
        f"{method} blobs/uploads/{{upload}}?digest={DIGEST}",
        UNKNOWN,
        body=CONTENT if method in {"PATCH", "PUT"} else b"",
    )
    play(case, stage, names)

    standing = elsewhere.send("GET", f"blobs/uploads/{names['upload']}")
    assert standing.headers["range"] == "0-9"


@pytest.mark.parametrize("method", REQUESTS)
def test_the_upload_of_another_principal_is_unknown(method: str, stage: Stage) -> None:
    somebody = key_of_new_user(stage.server.context)
    theirs = [("Authorization", f"Basic {stage.server.token(REGION, somebody)}")]
    upload = begun(CONTENT)(stage)["upload"]

    path = f"/v2/{stage.name}/blobs/uploads/{upload}?digest={DIGEST}"
    answer = stage.server.send(method, path, theirs)

    assert (answer.status, answer.json()["errors"][0]["code"]) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert stage.send("GET", f"blobs/uploads/{upload}").headers["range"] == "0-9"


# --- What only one of the dialects stores ---------------------------------------------------------

DIFFERENCES = [
    Case(
        "an empty blob is stored by the specification alone",
        f"PUT blobs/uploads/{{upload}}?digest={EMPTY}",
        created(EMPTY),
        setup=begun(),
        then=((f"HEAD blobs/{EMPTY}", (404, 200)), ("GET blobs/uploads/{upload}", 404)),
    ),
    Case(
        "an empty blob in a single POST is stored by the specification alone",
        f"POST blobs/uploads/?digest={EMPTY}",
        created(EMPTY),
        then=((f"HEAD blobs/{EMPTY}", (404, 200)),),
    ),
    Case(
        "sha512 is taken by the specification alone",
        f"PUT blobs/uploads/{{upload}}?digest={SHA512}",
        (NO_SHA512, created(SHA512)),
        setup=begun(CONTENT),
        then=((f"HEAD blobs/{SHA512}", (400, 200)),),
    ),
    Case(
        "sha512 in a single POST is taken by the specification alone",
        f"POST blobs/uploads/?digest={SHA512}",
        (NO_SHA512, created(SHA512)),
        (OCTETS,),
        CONTENT,
        then=((f"HEAD blobs/{SHA512}", (400, 200)),),
    ),
    Case(
        "a wrong sha512 is refused",
        f"PUT blobs/uploads/{{upload}}?digest=sha512:{'0' * 128}",
        (
            NO_SHA512,
            Reply(
                400,
                "DIGEST_INVALID",
                f"The bytes that were uploaded have the digest '{SHA512}', not the one given",
            ),
        ),
        setup=begun(CONTENT),
    ),
    Case(
        "an algorithm that nobody knows",
        f"PUT blobs/uploads/{{upload}}?digest=sha384:{'0' * 96}",
        NOT_A_DIGEST,
        setup=begun(CONTENT),
    ),
]


@pytest.mark.parametrize("case", DIFFERENCES, ids=str)
def test_differences(case: Case, stage: Stage) -> None:
    play(case, stage, case.setup(stage) if case.setup else {})


def test_a_manifest_misses_the_empty_blob_that_ecr_did_not_store(
    stage: Stage, compatibility: str
) -> None:
    needs_it = oci_image("empty layer", layers=[layer("")])
    for blob in needs_it.blobs:
        stage.push_blob(blob.content)

    answer = stage.put(needs_it, "1")

    if compatibility == "ecr":
        assert (answer.status, answer.json()["errors"][0]["code"]) == (404, "BLOB_UPLOAD_UNKNOWN")
    else:
        assert answer.status == 201
