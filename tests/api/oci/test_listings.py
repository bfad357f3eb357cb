"""Lists of tags and of repositories (OCI distribution-spec, "Listing Tags")."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.api.oci.cases import Case, Reply, constraint, play, refused_parameter
from tests.support.images import oci_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.api.oci.scene import Scene
    from tests.api.stage import Stage
    from tests.support.server import Answer, RunningServer

IMAGE = oci_image("of many tags")
# In the order of their code points, which is what the specification calls ASCIIbetical.
TAGS = sorted(["0", "10", "9", "B", "Z", "_", "a", "a-b", "a.b", "a_b", "b", "latest", "v1"])

_ACCOUNTS = itertools.count(1)


@pytest.fixture
def tagged(stage: Stage) -> Stage:
    """A repository with one image of a few tags."""
    stage.push(IMAGE)
    for first in range(0, len(TAGS), 10):
        push_tags(stage, TAGS[first : first + 10])
    return stage


def push_tags(stage: Stage, tags: Sequence[str]) -> None:
    query = "&".join(f"tag={tag}" for tag in tags)
    answer = stage.send("PUT", f"manifests/{IMAGE.digest}?{query}", body=IMAGE.content)
    assert answer.status == 201, answer.body


def next_url(answer: Answer) -> str | None:
    """Return the target of the Link header (RFC 8288)."""
    link = answer.headers.get("link")
    if link is None:
        return None
    match = re.fullmatch(r'<([^>]+)>; rel="next"', link)
    assert match
    return match[1]


def pages(get: Callable[[str], Answer], path: str, member: str) -> Iterator[list[str]]:
    """Follow the links from `path` to the end."""
    following: str | None = path
    while following is not None:
        answer = get(following)
        assert answer.status == 200, answer.body
        yield answer.json()[member]
        url = next_url(answer)
        following = None if url is None else url.removeprefix("http://" + urlsplit(url).netloc)


def test_an_empty_repository_has_no_tags(stage: Stage, compatibility: str) -> None:
    answer = stage.send("GET", "tags/list")

    assert answer.json() == {"name": stage.name, "tags": []}
    assert answer.headers["content-type"] == (
        "text/plain; charset=utf-8" if compatibility == "ecr" else "application/json"
    )


def test_tags_are_listed_in_the_order_of_their_code_points(tagged: Stage) -> None:
    answer = tagged.send("GET", "tags/list")

    assert answer.json() == {"name": tagged.name, "tags": TAGS}
    assert "link" not in answer.headers
    head = tagged.send("HEAD", "tags/list")
    assert (head.status, head.body, head.headers) == (200, b"", answer.headers)


@pytest.mark.parametrize("size", [1, 2, 5, len(TAGS) - 1, len(TAGS), 1000])
def test_pages_follow_their_links_to_the_end(tagged: Stage, size: int) -> None:
    path = f"/v2/{tagged.name}/tags/list?n={size}"
    listed = list(pages(lambda it: tagged.server.oci("GET", it), path, "tags"))

    assert listed == [TAGS[first : first + size] for first in range(0, len(TAGS), size)]


def test_the_link_is_absolute_and_names_the_host_that_was_asked(
    tagged: Stage, compatibility: str
) -> None:
    answer = tagged.server.oci(
        "GET", f"/v2/{tagged.name}/tags/list?n=2", [("Host", "registry.example.org:8443")]
    )

    url = next_url(answer)
    assert url is not None
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    assert f"{parts.scheme}://{parts.netloc}" == "http://registry.example.org:8443"
    assert parts.path == f"/v2/{tagged.name}/tags/list"
    assert query["n"] == ["2"]
    # To the specification the cursor is the last tag; ECR's is opaque.
    assert (query["last"] == [TAGS[1]]) is (compatibility == "oci")


def test_a_page_of_nobodys_asking_has_a_hundred_tags_in_ecr(
    stage: Stage, compatibility: str
) -> None:
    tags = [f"v{number:03}" for number in range(101)]
    stage.push(IMAGE)
    for first in range(0, len(tags), 10):
        push_tags(stage, tags[first : first + 10])

    listed = list(
        pages(lambda it: stage.server.oci("GET", it), f"/v2/{stage.name}/tags/list", "tags")
    )
    assert listed == ([tags[:100], tags[100:]] if compatibility == "ecr" else [tags])


def refused_size(reason: str) -> tuple[Reply, Reply]:
    return refused_parameter(constraint("maxResults", reason))


NOT_A_NUMBER = refused_size("Member must be a whole number")
SIZES = [
    *(
        Case(f"a size that is no number ({text})", f"GET tags/list?n={text}", NOT_A_NUMBER)
        for text in ("", "-1", "%2b1", "1.5", "1e3", "0x10", "a", "%C2%B2", "%D9%A1", "9" * 11,
                     "9" * 5000, "1%201", "1,1")
    ),
    Case("a size that is no number of repositories", "GET /v2/_catalog?n=x", NOT_A_NUMBER),
    Case("an unknown repository", "GET /v2/no/such/tags/list", Reply(404, "NAME_UNKNOWN")),
    Case("HEAD of an unknown repository", "HEAD /v2/no/such/tags/list", Reply(404, "NAME_UNKNOWN")),
    Case("a NUL in the cursor", "GET tags/list?last=%00", Reply(400, "UNSUPPORTED")),
]  # fmt: skip


@pytest.mark.parametrize("case", SIZES, ids=lambda case: case.description[:60])
def test_refused(case: Case, scene: Scene) -> None:
    play(case, scene.stage, scene.names)


@pytest.mark.parametrize("path", ["tags/list", "/v2/_catalog"])
@pytest.mark.parametrize("size", [0, 1001, 9_999_999_999])
def test_a_size_out_of_bounds_is_refused_by_ecr_alone(
    path: str, size: int, scene: Scene, compatibility: str
) -> None:
    request = path if path.startswith("/") else f"/v2/{scene.stage.name}/{path}"
    answer = scene.stage.server.oci("GET", f"{request}?n={size}")

    if compatibility == "ecr":
        bound = "less than or equal to 1000" if size else "greater than or equal to 1"
        [error] = answer.json()["errors"]
        assert answer.status == 405
        assert error["message"] == constraint("maxResults", f"Member must have value {bound}")
    else:
        assert answer.status == 200
        # Of zero, the specification wants an empty list and no link.
        assert bool(answer.json().get("tags", answer.json().get("repositories"))) is bool(size)
        assert size or "link" not in answer.headers


def test_the_specification_begins_after_any_name(tagged: Stage, compatibility: str) -> None:
    answer = tagged.send("GET", "tags/list?n=2&last=a-a")
    if compatibility == "ecr":
        assert (answer.status, answer.json()["errors"][0]["code"]) == (405, "UNSUPPORTED")
    else:
        assert answer.json()["tags"] == ["a-b", "a.b"]
        assert tagged.send("GET", "tags/list?last=zzz").json()["tags"] == []
        assert tagged.send("GET", "tags/list?last=latest").json()["tags"] == ["v1"]
        assert tagged.send("GET", "tags/list?last=").json()["tags"] == TAGS


def test_a_cursor_of_ecr_is_good_for_its_listing_alone(
    tagged: Stage, scene: Scene, compatibility: str
) -> None:
    if compatibility == "oci":
        return
    url = next_url(tagged.send("GET", "tags/list?n=2"))
    assert url is not None
    [cursor] = parse_qs(urlsplit(url).query)["last"]
    tampered = cursor[:20] + ("A" if cursor[20] != "A" else "B") + cursor[21:]

    assert tagged.send("GET", f"tags/list?last={cursor}").json()["tags"] == TAGS[2:]
    for answer in (
        tagged.send("GET", f"tags/list?last={tampered}"),
        tagged.send("GET", "tags/list?last="),
        tagged.send("GET", "tags/list?last=latest"),
        scene.stage.send("GET", f"tags/list?last={cursor}"),
        tagged.server.oci("GET", f"/v2/_catalog?last={cursor}"),
    ):
        assert answer.status == 405
        assert answer.json()["errors"][0]["message"] == constraint(
            "nextToken", "The token is not one that this listing returned"
        )


# --- Repositories ---------------------------------------------------------------------------------

NAMES = ["a0", "ab", "ab/c", "ab-c", "b.c/d", "b_c", "z9"]


@pytest.fixture
def host(server: RunningServer) -> str:
    """The host of a registry with a few repositories."""
    account = f"7{next(_ACCOUNTS):011}"
    for name in NAMES:
        server.ecr.create_repository(registryId=account, repositoryName=name)
    return f"{account}.dkr.ecr.us-east-1.{server.settings.domain or 'localhost'}"


def test_the_catalog_lists_the_repositories_of_one_registry(
    server: RunningServer, host: str, compatibility: str
) -> None:
    answer = server.oci("GET", "/v2/_catalog", [("Host", host)])

    assert answer.json() == {"repositories": sorted(NAMES)}
    assert answer.headers["content-type"] == (
        "text/plain; charset=utf-8" if compatibility == "ecr" else "application/json"
    )
    assert "link" not in answer.headers


@pytest.mark.parametrize("size", [1, 3, len(NAMES)])
def test_the_pages_of_the_catalog(server: RunningServer, host: str, size: int) -> None:
    def get(path: str) -> Answer:
        return server.oci("GET", path, [("Host", host)])

    listed = list(pages(get, f"/v2/_catalog?n={size}", "repositories"))

    ordered = sorted(NAMES)
    assert listed == [ordered[first : first + size] for first in range(0, len(NAMES), size)]
