"""Download URLs: links to a layer's bytes that need no credentials, and soon expire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.clock import HOUR, SECOND
from tests.support.images import oci_image

if TYPE_CHECKING:
    from tests.api.secrets import LogScan
    from tests.api.stage import Stage
    from tests.support.server import Answer

IMAGE = oci_image("to download")
LAYER = IMAGE.blobs[1]
DIGEST = str(LAYER.digest)
SIZE = len(LAYER.content)


@pytest.fixture
def path(stage: Stage, secrets: set[str]) -> str:
    """The path of a download URL."""
    stage.push(IMAGE, "1")
    answer = stage.server.ecr.get_download_url_for_layer(
        repositoryName=stage.name, layerDigest=DIGEST
    )
    url = answer["downloadUrl"]
    assert url.startswith(stage.server.url)
    ticket = url.removeprefix(f"{stage.server.url}/layers/")
    assert ticket.replace("-", "").replace("_", "").isalnum()
    secrets.add(ticket)
    return url.removeprefix(stage.server.url)


def get(stage: Stage, path: str, *headers: tuple[str, str], method: str = "GET") -> Answer:
    return stage.server.send(method, path, headers)


def check_told(answer: Answer, status: int, message: str) -> None:
    assert (answer.status, answer.body.decode()) == (status, f"{message}\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


NOT_VALID = "The download URL isn't valid. Ask for a new one."


def test_it_gives_the_bytes(stage: Stage, path: str) -> None:
    answer = get(stage, path)

    assert answer.status == 200
    assert answer.body == LAYER.content
    assert answer.headers == {
        "content-length": str(SIZE),
        "content-type": "application/octet-stream",
        "docker-content-digest": DIGEST,
        "accept-ranges": "bytes",
        "etag": f'"{DIGEST}"',
        "cache-control": "max-age=31536000",
    }
    head = get(stage, path, method="HEAD")
    assert (head.status, head.headers, head.body) == (200, answer.headers, b"")


def test_it_gives_a_part(stage: Stage, path: str) -> None:
    answer = get(stage, path, ("Range", "bytes=2-5"))

    assert (answer.status, answer.body) == (206, LAYER.content[2:6])
    assert answer.headers["content-range"] == f"bytes 2-5/{SIZE}"
    beyond = get(stage, path, ("Range", f"bytes={SIZE}-"))
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{SIZE}")


def test_it_lasts_an_hour(stage: Stage, path: str) -> None:
    with stage.server.clock.ahead(HOUR - 30 * SECOND):
        assert get(stage, path).status == 200
    with stage.server.clock.ahead(HOUR):
        check_told(get(stage, path), 403, "The download URL has expired. Ask for a new one.")


@pytest.mark.parametrize("position", [0, 5, 20, 40, -30, -10])
def test_a_changed_one_is_not_valid(stage: Stage, path: str, position: int) -> None:
    ticket = path.removeprefix("/layers/")
    letters = list(ticket)
    letters[position] = "A" if letters[position] != "A" else "B"

    check_told(get(stage, f"/layers/{''.join(letters)}"), 403, NOT_VALID)


@pytest.mark.parametrize(
    "ticket",
    [
        "",
        "x",
        "..",
        "../server.key",
        "%2e%2e/server.key",
        "%00",
        "A" * 5000,
        "\u00e9".encode().hex(),
    ],
)
def test_a_guess_is_not_valid(stage: Stage, ticket: str) -> None:
    check_told(get(stage, f"/layers/{ticket}"), 403, NOT_VALID)


def test_a_token_of_another_kind_is_not_valid(stage: Stage) -> None:
    stage.push(IMAGE, "1", "2")
    listed = stage.server.ecr.list_images(repositoryName=stage.name, maxResults=1)

    check_told(get(stage, f"/layers/{listed['nextToken']}"), 403, NOT_VALID)


def test_it_opens_no_layer_that_is_gone(stage: Stage, path: str) -> None:
    stage.server.ecr.delete_repository(repositoryName=stage.name, force=True)
    check_told(
        get(stage, path),
        404,
        f"The repository with name '{stage.name}' does not exist in the registry with id "
        "'000000000000'",
    )

    stage.server.ecr.create_repository(repositoryName=stage.name)
    check_told(
        get(stage, path),
        404,
        f"Layer with digest '{DIGEST}' does not exist in the repository with name "
        f"'{stage.name}' in the registry with id '000000000000'",
    )


def test_it_is_for_reading_alone(stage: Stage, path: str) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert get(stage, path, method=method).status == 404


def test_the_access_log_does_not_tell_it(stage: Stage, path: str, log_scan: LogScan) -> None:
    get(stage, path)

    assert log_scan.await_line("GET /layers/*** 200")
    assert not log_scan.leaks([path.removeprefix("/layers/")])
