"""Pushes that don't go as they should: broken, slow, too large, at once, on a full disk."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from longshore.identity import access_keys
from longshore.names import Digest
from longshore.setting_tables import LimitSettings
from longshore.work.collector import Collector
from tests.api.oci.cases import constraint, contents
from tests.api.people import Person, allow
from tests.api.stage import Stage
from tests.support.images import oci_image
from tests.support.server import TARGET
from tests.support.wire import head, wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.server import RunningServer
    from tests.support.wire import Wire

    NewServer = Callable[..., RunningServer]

MIB = 1024 * 1024
CONTENT = bytes(range(256)) * (12 * 1024)  # 3 MiB
DIGEST = str(Digest.of(CONTENT))


@contextmanager
def begun(
    stage: Stage,
    method: str,
    path: str,
    *headers: tuple[str, str],
    authorization: tuple[str, str] | None = None,
) -> Iterator[Wire]:
    """Send the head of a request, and go on when the server asks for its body."""
    given = [
        ("Host", stage.server.address),
        authorization or stage.server.authorization,
        ("Expect", "100-continue"),
        *headers,
    ]
    with wire(stage.server) as connection:
        connection.send(head(method, f"/v2/{stage.name}/{path}", given))
        connection.await_continue()
        yield connection


def received(stage: Stage, upload: str) -> int:
    """Return how many bytes of an upload have come, by its Range header."""
    last = int(stage.send("GET", f"blobs/uploads/{upload}").headers["range"].partition("-")[2])
    return last + 1 if last else 0


def eventually(condition: Callable[[], Any]) -> None:
    """Ask again and again, as a client does that waits for its own broken request to end."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came true"


# --- Broken ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "framing",
    [("Content-Length", str(len(CONTENT))), ("Transfer-Encoding", "chunked")],
    ids=["announced", "chunked"],
)
def test_what_came_before_a_connection_broke_is_kept_and_the_client_goes_on(
    stage: Stage, framing: tuple[str, str]
) -> None:
    upload = stage.begin()
    sent = CONTENT[: 2 * MIB]
    with begun(stage, "PATCH", f"blobs/uploads/{upload}", framing) as connection:
        chunked = framing[0] == "Transfer-Encoding"
        connection.send(b"%x\r\n%b\r\n" % (len(sent), sent) if chunked else sent)
        connection.close()
    eventually(lambda: received(stage, upload))

    there = received(stage, upload)
    assert 0 < there <= len(sent)
    answer = stage.send(
        "PATCH",
        f"blobs/uploads/{upload}",
        [("Content-Range", f"{there}-{len(CONTENT) - 1}")],
        CONTENT[there:],
    )
    assert answer.status == 202, answer.body
    assert stage.send("PUT", f"blobs/uploads/{upload}?digest={DIGEST}").status == 201
    assert stage.send("GET", f"blobs/{DIGEST}").body == CONTENT


def test_a_client_that_breaks_off_at_once_leaves_the_upload_as_it_was(stage: Stage) -> None:
    upload = stage.begin()
    length = ("Content-Length", "100")
    with begun(stage, "PATCH", f"blobs/uploads/{upload}", length) as connection:
        connection.close()

    eventually(lambda: stage.send("PATCH", f"blobs/uploads/{upload}", body=CONTENT).status == 202)
    assert received(stage, upload) == len(CONTENT)


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "manifests/1"), ("POST", f"blobs/uploads/?digest={DIGEST}")],
    ids=["manifest", "blob"],
)
def test_a_body_that_was_cut_short_is_not_stored(stage: Stage, method: str, path: str) -> None:
    image = oci_image("cut short")
    for blob in image.blobs:
        stage.push_blob(blob.content)
    before = contents(stage)

    # What comes is a good manifest; only its announced end is missing.
    length = ("Content-Length", str(len(image.content) + 1))
    with begun(stage, method, path, length) as connection:
        connection.send(image.content)
        connection.close()

    # Another whole request, answered after the broken one began.
    assert stage.send("GET", "tags/list").json()["tags"] == []
    assert contents(stage) == before


# --- Slow -----------------------------------------------------------------------------------------


@pytest.fixture
def impatient(new_server: NewServer) -> Stage:
    """A repository on a server that waits for no one."""
    return Stage.build(new_server(idle_timeout=0.5))


@pytest.mark.parametrize("path", ["manifests/1", "blobs/uploads/{upload}?digest=" + DIGEST])
def test_a_client_that_pauses_too_long_is_told_so(impatient: Stage, path: str) -> None:
    upload = impatient.begin()
    length = ("Content-Length", "100")
    with begun(impatient, "PUT", path.format(upload=upload), length) as connection:
        connection.send(b"a beginning")
        answer = connection.read_answer()
        # RFC 9110, section 15.5.9: nobody is to wait for the rest.
        assert connection.is_closed()

    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert answer.json()["errors"] == [
        {"code": "UNKNOWN", "message": "No byte of the body came for 0.5 seconds"}
    ]
    assert impatient.send("GET", "tags/list").json()["tags"] == []
    digest = Digest.of(b"all of it")
    answer = impatient.send("PUT", f"blobs/uploads/{upload}?digest={digest}", body=b"all of it")
    assert answer.status == 201


def test_the_ecr_face_tells_a_slow_client_the_same(impatient: Stage) -> None:
    server = impatient.server
    signed = server.signed({"X-Amz-Target": f"{TARGET}.DescribeRegistry"}, b"{}")
    with wire(server) as connection:
        connection.send(head("POST", "/", [*signed, ("Content-Length", "2")]) + b"{")
        answer = connection.read_answer()
        assert connection.is_closed()

    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert answer.json() == {
        "__type": "RequestTimeoutException",
        "message": "No byte of the body came for 0.5 seconds",
    }
    assert answer.headers["x-amzn-requestid"]


# --- Too large ------------------------------------------------------------------------------------


@pytest.fixture
def narrow(new_server: NewServer) -> Stage:
    """A repository on a server of small limits."""
    limits = LimitSettings(manifest_size=1000, layer_size=1000)
    return Stage.build(new_server(limits=limits))


@pytest.mark.parametrize("in_pieces", [False, True], ids=["announced", "chunked"])
def test_a_manifest_too_large_is_refused(narrow: Stage, in_pieces: bool) -> None:
    body = b" " * 1001
    answer = narrow.send("PUT", "manifests/1", body=[body] if in_pieces else body)

    assert answer.status == 413
    assert answer.json()["errors"] == [
        {
            "code": "SIZE_INVALID",
            "message": "The body of this request may have at most 1000 bytes",
        }
    ]


def test_an_announced_size_is_refused_before_a_byte_of_it_is_sent(narrow: Stage) -> None:
    headers = [
        ("Host", narrow.server.address),
        narrow.server.authorization,
        ("Expect", "100-continue"),
        ("Content-Length", str(10**15)),
    ]
    with wire(narrow.server) as connection:
        connection.send(head("PUT", f"/v2/{narrow.name}/manifests/1", headers))
        assert connection.read_answer().status == 413


@pytest.mark.parametrize("in_pieces", [False, True], ids=["announced", "chunked"])
def test_a_layer_too_large_is_refused_and_leaves_the_upload_as_it_was(
    narrow: Stage, in_pieces: bool
) -> None:
    upload = narrow.begin()
    narrow.send("PATCH", f"blobs/uploads/{upload}", body=b"a" * 600)

    for body in (b"b" * 401, b"b" * 10_000):
        answer = narrow.send("PATCH", f"blobs/uploads/{upload}", body=[body] if in_pieces else body)
        assert answer.status == 403
        assert answer.json()["errors"] == [
            {"code": "DENIED", "message": "A layer may have at most 1000 bytes"}
        ]
        assert received(narrow, upload) == 600
    content = b"a" * 600 + b"b" * 400
    digest = str(Digest.of(content))
    path = f"blobs/uploads/{upload}?digest={digest}"
    assert narrow.send("PUT", path, body=content[600:]).status == 201
    assert narrow.send("GET", f"blobs/{digest}").body == content


def test_the_manifest_limit_holds_on_the_ecr_face(narrow: Stage) -> None:
    image = oci_image("padded", annotations={"padding": "x" * 1000})
    for blob in image.blobs:
        narrow.push_blob(blob.content)
    before = contents(narrow)

    answer = narrow.server.call(
        "PutImage", {"repositoryName": narrow.name, "imageManifest": image.content.decode()}
    )

    assert (answer.status, answer.json()) == (
        400,
        {
            "__type": "InvalidParameterException",
            "message": constraint("ImageManifest", "Invalid JSON syntax"),
        },
    )
    assert contents(narrow) == before


def test_a_larger_manifest_limit_has_its_effect(new_server: NewServer) -> None:
    roomy = Stage.build(new_server(limits=LimitSettings(manifest_size=6 * MIB)))
    image = oci_image("large", annotations={"padding": "x" * 5 * MIB})

    roomy.push(image, "1")

    assert roomy.send("GET", "manifests/1").body == image.content


# --- At the same time -----------------------------------------------------------------------------


def test_two_writers_of_one_upload_do_not_mix(stage: Stage) -> None:
    upload = stage.begin()
    path = f"blobs/uploads/{upload}"
    with begun(stage, "PATCH", path, ("Content-Length", "10")) as connection:
        for method, query in (("PATCH", ""), ("PUT", f"?digest={DIGEST}")):
            refused = stage.send(method, path + query, body=CONTENT)
            assert refused.status == 416
            assert refused.headers["range"] == "0-0"
            assert refused.headers["location"] == f"{stage.url}/{path}"
            assert refused.json()["errors"][0]["message"].endswith(
                "Another request is writing to this upload"
            )
        connection.send(b"0123456789")
        assert connection.read_answer().status == 202

    digest = Digest.of(b"0123456789")
    assert stage.send("PUT", f"{path}?digest={digest}").status == 201


def test_an_upload_that_is_cancelled_while_it_is_written_is_gone(stage: Stage) -> None:
    upload = stage.begin()
    path = f"blobs/uploads/{upload}"
    with begun(stage, "PATCH", path, ("Content-Length", "10")) as connection:
        assert stage.send("DELETE", path).status == 204
        connection.send(b"0123456789")
        answer = connection.read_answer()

    assert (answer.status, answer.json()["errors"][0]["code"]) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert stage.send("GET", path).status == 404


# --- A full disk ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a disk of 4 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    with ExitStack() as mounted:
        options = ["-t", "tmpfs", "-o", "size=4m", "tmpfs"]
        if subprocess.run(["mount", *options, tmp_path], check=False).returncode != 0:
            pytest.skip("a small disk can't be mounted here")
        mounted.callback(lambda: subprocess.run(["umount", tmp_path], check=True))
        yield tmp_path


def test_a_full_disk_leaves_everything_consistent(small_disk: Path, new_server: NewServer) -> None:
    server = new_server(data=small_disk / "data")
    stage = Stage.build(server)
    image = oci_image("before the disk was full")
    stage.push(image, "1")
    upload = stage.begin()
    assert stage.send("PATCH", f"blobs/uploads/{upload}", body=b"a" * 1000).status == 202
    before = contents(stage)
    noise = os.urandom(5 * MIB)

    for method, path, body in (
        ("PATCH", f"blobs/uploads/{upload}", noise),
        ("PATCH", f"blobs/uploads/{upload}", [noise]),
        ("POST", f"blobs/uploads/?digest={Digest.of(noise)}", noise),
        ("PUT", f"blobs/uploads/{upload}?digest={Digest.of(b'a' * 1000 + noise)}", noise),
    ):
        answer = stage.send(method, path, body=body)
        assert answer.status == 500
        [error] = answer.json()["errors"]
        assert error["message"].startswith("The registry's storage is full. Nothing of this")
        assert received(stage, upload) == 1000
        assert contents(stage) == before
    part: Any = {
        "repositoryName": stage.name,
        "uploadId": upload,
        "partFirstByte": 1000,
        "partLastByte": 1000 + len(noise) - 1,
    }
    with pytest.raises(server.ecr.exceptions.ServerException, match="storage is full"):
        server.ecr.upload_layer_part(**part, layerPartBlob=noise)

    assert contents(stage) == before
    assert stage.send("GET", "manifests/1").body == image.content
    # What fits still does, and what was begun can be ended.
    small = b"a" * 1000 + b"b" * 1000
    path = f"blobs/uploads/{upload}?digest={Digest.of(small)}"
    assert stage.send("PUT", path, body=small[1000:]).status == 201
    assert stage.send("GET", f"blobs/{Digest.of(small)}").body == small
    # The collector takes what nobody will ever finish, and there is room again.
    with server.clock.ahead(2 * 24 * 60 * 60 * 1000):
        list(Collector(server.context).run())
    stage.push_blob(os.urandom(2 * MIB))
    assert stage.send("GET", "manifests/1").body == image.content


# --- Revoked --------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["manifest", "last bytes", "whole"])
def test_a_key_that_is_revoked_while_bytes_come_completes_nothing(stage: Stage, what: str) -> None:
    person = Person.invite(stage.server)
    person.may(allow("ecr:*"))
    image = oci_image(f"revoked {what}")
    stage.push(image)
    answer = person.oci("POST", f"/v2/{stage.name}/blobs/uploads/")
    upload = answer.headers["docker-upload-uuid"]
    method, path, body = {
        "manifest": ("PUT", "manifests/late", image.content),
        "last bytes": ("PUT", f"blobs/uploads/{upload}?digest={DIGEST}", CONTENT),
        "whole": ("POST", f"blobs/uploads/?digest={DIGEST}", CONTENT),
    }[what]
    headers = ("Content-Type", image.media_type), ("Content-Length", str(len(body)))

    with begun(stage, method, path, *headers, authorization=person.authorization) as connection:
        access_keys.remove(stage.server.context, person.account, person.name, person.key.id)
        connection.send(body)
        assert connection.read_answer().status == 401

    assert stage.send("HEAD", "manifests/late").status == 404
    assert stage.send("HEAD", f"blobs/{DIGEST}").status == 404


def test_a_connection_on_which_nothing_is_asked_is_closed(new_server: NewServer) -> None:
    server = new_server(keep_alive=0.5)
    with wire(server) as connection:
        connection.send(head("GET", "/v2/", [("Host", server.address), server.authorization]))
        assert connection.read_answer().status == 200
        assert connection.is_closed()
