from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from longshore.audit.trail import Trail
from longshore.errors import ImageNotInRecycleBin, RepositoryNotFound
from longshore.names import Digest
from longshore.registry import creation_templates, repositories
from longshore.registry.creation_templates import Changes, Scenario
from longshore.registry.mutability import Mode
from longshore.work import recycle_bin as working
from tests.support.images import artifact, layer, oci_image
from tests.support.pushing import REGISTRY, REPOSITORY, create_repository, pull, push
from tests.support.recycle_bin import delete, entries, with_bin

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.registry.context import Context

IMAGE = oci_image("thrown away")
SIGNATURE = artifact("signature", subject=IMAGE)


@pytest.fixture
def context(context: Context) -> Context:
    """A store that has a bin, and a repository."""
    create_repository(context)
    return with_bin(context)


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    return Trail(tmp_path / "audit.json", largest=1_000_000, kept=0)


def records(tmp_path: Path) -> list[dict[str, Any]]:
    file = tmp_path / "audit.json"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def of(*tags: str) -> list[tuple[str, list[str]]]:
    return [(str(IMAGE.digest), list(tags)), (str(SIGNATURE.digest), [])]


def told(record: dict[str, Any]) -> list[tuple[str, list[str]]]:
    images = record["serviceEventDetails"]["recycleBinImages"]
    return [(image["digest"], image["tagList"]) for image in images]


def test_the_audit_is_told_of_what_comes_back(
    context: Context, trail: Trail, tmp_path: Path
) -> None:
    push(context, IMAGE, "1")
    push(context, SIGNATURE)
    delete(context, SIGNATURE, IMAGE)
    [deleted, _] = entries(context)
    working.restore(context, trail, REGISTRY, REPOSITORY, IMAGE.digest, tag="2")
    [record] = records(tmp_path)
    assert record["eventName"] == "RecycleBinRestoreEvent"
    assert record["resources"] == [
        {"ARN": REGISTRY.repository_arn(REPOSITORY), "accountId": REGISTRY.account}
    ]
    assert record["serviceEventDetails"]["repositoryName"] == REPOSITORY
    assert told(record) == of("2")
    first = record["serviceEventDetails"]["recycleBinImages"][0]
    assert (first["pushedAt"], first["deletedAt"]) == (deleted.pushed_at, deleted.deleted_at)


def test_what_fails_is_not_told(context: Context, trail: Trail, tmp_path: Path) -> None:
    with pytest.raises(ImageNotInRecycleBin):
        working.restore(context, trail, REGISTRY, REPOSITORY, IMAGE.digest)
    with pytest.raises(ImageNotInRecycleBin):
        working.purge(context, trail, REGISTRY, REPOSITORY, IMAGE.digest)
    assert list(working.purge_all(context, trail, REGISTRY, REPOSITORY)) == []
    assert records(tmp_path) == []


def test_the_audit_is_told_of_what_is_thrown_away(
    context: Context, trail: Trail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "_MOST_IMAGES", 1)
    push(context, IMAGE, "1")
    delete(context, IMAGE)
    working.purge(context, trail, REGISTRY, REPOSITORY, IMAGE.digest)
    push(context, IMAGE, "1")
    push(context, SIGNATURE)
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    purged = list(working.purge_all(context, trail, REGISTRY, REPOSITORY))
    assert {each.digest for each in purged} == {digest for digest, _ in of()}
    first, *rest = records(tmp_path)
    assert {record["eventName"] for record in (first, *rest)} == {"RecycleBinPurgeEvent"}
    assert told(first) == of("1")[:1]
    assert sorted(each for record in rest for each in told(record)) == sorted(of("1"))


def test_a_repository_that_is_gone_is_created_as_by_a_push_and_only_with_the_image(
    context: Context, trail: Trail
) -> None:
    push(context, IMAGE, "1")
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    creation_templates.create(
        *(context, REGISTRY, "demo"),
        Changes(mode=Mode.IMMUTABLE, applied_for=(Scenario.CREATE_ON_PUSH,)),
    )
    with pytest.raises(RepositoryNotFound):
        working.restore(context, trail, REGISTRY, REPOSITORY, IMAGE.digest)
    with pytest.raises(ImageNotInRecycleBin):
        working.restore(context, trail, REGISTRY, REPOSITORY, SIGNATURE.digest, creates=True)
    with pytest.raises(RepositoryNotFound):
        repositories.describe(context, REGISTRY, [REPOSITORY])
    working.restore(context, trail, REGISTRY, REPOSITORY, IMAGE.digest, creates=True)
    [created] = repositories.describe(context, REGISTRY, [REPOSITORY])
    assert created.mutability.mode is Mode.IMMUTABLE
    assert pull(context, "1").content == IMAGE.content

    # Without a template, with the settings of CreateRepository.
    create_repository(context, "test/other")
    push(context, oci_image("b", layers=[layer("b")]), "1", "test/other")
    repositories.remove(context, REGISTRY, "test/other", force=True)
    [entry] = entries(context, "test/other")
    digest = Digest.parse(entry.digest)
    working.restore(context, trail, REGISTRY, "test/other", digest, creates=True)
    [created] = repositories.describe(context, REGISTRY, ["test/other"])
    assert created.mutability.mode is Mode.MUTABLE
