from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from longshore import server
from longshore.clock import DAY
from longshore.metadata import schema
from longshore.registry import lifecycle_policies, recycle_bin, repositories
from longshore.settings import Settings
from tests.support.images import artifact, layer, oci_image, oci_index
from tests.support.lifecycle import policy, rule
from tests.support.pushing import CALLER, REGISTRY, REPOSITORY, create_repository, pull, push, put
from tests.support.recycle_bin import delete, entries
from tests.unit.cli.test_commands import check_failed, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from longshore.registry.context import Context

IMAGE, OTHER = oci_image("thrown away"), oci_image("other")
INDEX = oci_index([IMAGE, OTHER])
SIGNATURE = artifact("signature", subject=INDEX)
OF_REPOSITORY = ("--repository", REPOSITORY)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    server.prepare(Settings(data=tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def context(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    monkeypatch.setenv("LONGSHORE_RECYCLE_BIN_DAYS", "7")
    context = server.open_context(Settings(data=data))
    create_repository(context)
    yield context
    context.database.close()


def bin_(data: Path, *words: str | Path) -> Result:
    return run("bin", *words, "--data", data, "--region", REGISTRY.region)


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    listed: list[dict[str, Any]] = json.loads(result.stdout)
    return listed


def restore(data: Path, *words: str) -> Result:
    return bin_(data, "restore", *OF_REPOSITORY, *words, "--output", "json")


def test_what_was_deleted_is_listed_and_shown(data: Path, context: Context) -> None:
    push(context, IMAGE, "b")
    put(context, IMAGE, "a")
    delete(context, IMAGE)
    [entry] = entries(context)
    [row] = rows(bin_(data, "list", "--output", "json"))
    assert (row["repository"], row["digest"], row["tags"]) == (
        (REPOSITORY, str(IMAGE.digest), ["a", "b"])
    )
    assert (row["size"], row["media_type"]) == (entry.size, IMAGE.media_type)
    assert (row["by"], row["rule"], row["storage_class"]) == (CALLER.arn, None, "STANDARD")
    assert row["deleted"][:10] < row["until"][:10]

    shown = bin_(data, "show", *OF_REPOSITORY, str(IMAGE.digest), "--output", "json")
    assert json.loads(shown.stdout) == row
    head, line = bin_(data, "list", *OF_REPOSITORY).stdout.splitlines()
    assert head.split() == [
        *("repository", "digest", "tags", "size", "media_type", "deleted", "by", "until"),
    ]
    assert line.split()[:4] == [REPOSITORY, str(IMAGE.digest), "a,", "b"]
    assert rows(bin_(data, "list", "--repository", "test/other", "--output", "json")) == []


def test_a_lifecycle_run_on_the_command_line_fills_the_bin(data: Path, context: Context) -> None:
    push(context, IMAGE, "1")
    push(context, OTHER, "2")
    lifecycle_policies.put(context, REGISTRY, REPOSITORY, policy(rule(3, more_than=1)))
    run("lifecycle", "run", REPOSITORY, "--data", data, "--region", REGISTRY.region)
    [row] = rows(bin_(data, "list", "--output", "json"))
    assert (row["by"], row["rule"]) == ("lifecycle rule 3", 3)
    # It would go again.
    restored = restore(data, str(IMAGE.digest))
    assert [each["outcome"] for each in rows(restored)] == ["restored"]
    assert restored.stderr == (
        f"longshore: rule 3 of the repository's lifecycle policy will take {IMAGE.digest} at its "
        "next run. Change the policy before.\n"
    )


def test_images_are_restored_with_what_belongs_to_them(data: Path, context: Context) -> None:
    push(context, INDEX, "1")
    push(context, SIGNATURE)
    put(context, INDEX, "latest")
    delete(context, SIGNATURE, INDEX, IMAGE)
    push(context, OTHER, "latest")
    result = restore(data, str(INDEX.digest), str(IMAGE.digest))
    named, *others = rows(result)
    assert named == {
        "digest": str(INDEX.digest),
        "tags": ["1"],
        "outcome": "restored",
        "taken": {"latest": str(OTHER.digest)},
    }
    assert {each["digest"] for each in others} == {str(IMAGE.digest), str(SIGNATURE.digest)}
    assert result.stderr == (
        f"longshore: {INDEX.digest} doesn't get its tag latest, which stands for {OTHER.digest} "
        "now\n"
    )
    assert pull(context, "1").content == INDEX.content
    audit = (data / "audit.json").read_text()
    assert json.loads(audit)["eventName"] == "RecycleBinRestoreEvent"


def test_people_get_a_table_of_what_came_back(data: Path, context: Context) -> None:
    push(context, IMAGE, "1")
    delete(context, IMAGE)
    push(context, IMAGE, "2")
    result = bin_(data, "restore", *OF_REPOSITORY, str(IMAGE.digest))
    head, line = result.stdout.splitlines()
    assert head.split() == ["digest", "tags", "outcome"]
    assert line.split() == [str(IMAGE.digest), "1", "was", "pushed", "again"]


def test_an_image_is_restored_under_another_tag(data: Path, context: Context) -> None:
    push(context, IMAGE, "1")
    push(context, OTHER, "2")
    delete(context, IMAGE)
    check_failed(
        restore(data, str(IMAGE.digest), "--tag", "2"),
        f"The tag '2' stands for {OTHER.digest} in the repository with name '{REPOSITORY}'. "
        "Choose another one.",
    )
    assert rows(restore(data, str(IMAGE.digest), "--tag", "3"))[0]["tags"] == ["3"]


def test_a_repository_that_was_deleted_comes_back_whole(data: Path, context: Context) -> None:
    push(context, INDEX, "1")
    push(context, oci_image("third", layers=[layer("third")]), "3")
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    check_failed(
        restore(data, "--all"),
        f"The repository with name '{REPOSITORY}' does not exist in the registry with id "
        f"'{REGISTRY.account}'. Create it, or have it created with --create.",
    )
    assert len(rows(restore(data, "--all", "--create"))) == 4
    assert pull(context, "1").content == INDEX.content
    assert rows(restore(data, "--all")) == []


def test_what_can_not_come_back_keeps_nothing_else(data: Path, context: Context) -> None:
    push(context, INDEX, "1")
    push(context, oci_image("third", layers=[layer("third")]), "3")
    delete(context, INDEX, IMAGE)
    recycle_bin.purge(context, REGISTRY, REPOSITORY, IMAGE.digest)
    delete(context, "3")
    result = restore(data, "--all")
    assert (result.exit_code, [row["tags"] for row in json.loads(result.stdout)]) == (2, [["3"]])
    assert result.stderr.startswith(f"longshore: {INDEX.digest} stays in the recycle bin. ")
    assert str(IMAGE.digest) in result.stderr


def test_what_was_done_before_a_failure_is_told(data: Path, context: Context) -> None:
    push(context, IMAGE, "1")
    delete(context, IMAGE)
    result = restore(data, str(IMAGE.digest), str(OTHER.digest))
    assert result.exit_code == 2
    assert [row["tags"] for row in json.loads(result.stdout)] == [["1"]]
    assert result.stderr == (
        f"longshore: The recycle bin has no image {OTHER.digest} of the repository "
        f"'{REPOSITORY}'.\n"
    )


def test_only_the_latest_are_chosen(data: Path, context: Context) -> None:
    push(context, IMAGE, "1")
    delete(context, IMAGE)
    with context.database.write() as tx:
        table = schema.binned_images
        tx.execute(table.update().values(deleted_at=table.c.deleted_at - DAY))
    push(context, OTHER, "2")
    delete(context, OTHER)
    listed = rows(bin_(data, "list", "--since", "12h", "--output", "json"))
    assert [row["tags"] for row in listed] == [["2"]]
    assert [row["tags"] for row in rows(restore(data, "--all", "--since", "12h"))] == [["2"]]
    assert [row["tags"] for row in rows(restore(data, "--all"))] == [["1"]]


def test_images_are_purged(data: Path, context: Context) -> None:
    push(context, INDEX, "1")
    delete(context, INDEX, IMAGE, OTHER)
    result = bin_(data, "purge", *OF_REPOSITORY, str(INDEX.digest))
    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        f"{INDEX.digest} is out of the bin\n",
        "Bytes that nothing else needs go with the next longshore gc.\n",
    )
    kept = run("gc", "--data", data, "--dry-run").stderr.splitlines()
    assert kept[-1].startswith("the recycle bin keeps ")
    assert kept[-1].endswith(" bytes, 2 images")
    assert len(bin_(data, "purge", *OF_REPOSITORY, "--all").stdout.splitlines()) == 2
    assert entries(context) == []
    collected = run("gc", "--data", data)
    assert {line.split("\t")[0] for line in collected.stdout.splitlines()} == {"blob"}
    assert len(collected.stderr.splitlines()) == 1
    assert bin_(data, "purge", *OF_REPOSITORY, "--all").stderr == ""


@pytest.mark.parametrize("command", ["show", "restore", "purge"])
def test_what_is_not_there_is_said_so(data: Path, command: str) -> None:
    sentence = f"The recycle bin has no image {IMAGE.digest} of the repository '{REPOSITORY}'."
    check_failed(bin_(data, command, *OF_REPOSITORY, str(IMAGE.digest)), sentence)


def test_where_there_is_no_bin_that_is_said(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONGSHORE_RECYCLE_BIN_DAYS")
    off = "The recycle bin is off (recycle_bin_days): what is deleted now can't be restored."
    assert bin_(data, "list").stderr == f"longshore: {off}\n"
    sentence = f"The recycle bin has no image {IMAGE.digest} of the repository '{REPOSITORY}'."
    check_failed(restore(data, str(IMAGE.digest)), f"{sentence} {off}")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["restore", *OF_REPOSITORY], "Name images by their digests, or all of them with --all."),
        (["restore", *OF_REPOSITORY, "--all", str(IMAGE.digest)], "Name images by their digests"),
        (["restore", *OF_REPOSITORY, "--all", "--tag", "1"], "--tag goes with one digest."),
        (["restore", *OF_REPOSITORY, str(IMAGE.digest), "--since", "1d"], "--since goes with"),
        (["restore", *OF_REPOSITORY, "sha256:short"], "not a digest: 'sha256:short'; write it as"),
        (["restore", str(IMAGE.digest)], "Missing option '--repository'"),
        (["show", *OF_REPOSITORY, "1.0"], "not a digest: '1.0'"),
        (["purge", *OF_REPOSITORY], "Name images by their digests, or all of them with --all."),
        (["list", "--since", "soon"], "write a number and a unit"),
    ],
)
def test_what_can_not_be_meant_is_refused(data: Path, words: list[str], complaint: str) -> None:
    result = bin_(data, *words)
    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.split())
