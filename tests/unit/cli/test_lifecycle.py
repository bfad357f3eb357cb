from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from longshore import server
from longshore.names import Registry
from longshore.registry import lifecycle_policies
from longshore.settings import Settings
from tests.support.images import layer, oci_image, oci_index
from tests.support.lifecycle import policy, rule
from tests.support.pushing import ACCOUNT, REGISTRY, REPOSITORY, create_repository, push
from tests.unit.cli.test_commands import check_failed, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from longshore.registry.context import Context

IMAGES = [oci_image(name, layers=[layer("shared")]) for name in ("a", "b", "c")]
KEEP_ONE = policy(rule(7, more_than=1))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    server.prepare(Settings(data=tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def context(data: Path) -> Iterator[Context]:
    context = server.open_context(Settings(data=data))
    create_repository(context)
    for image, tag in zip(IMAGES, ("1", "2", None), strict=True):
        push(context, image, tag)
    yield context
    context.database.close()


def lifecycle(data: Path, *words: str | Path) -> Result:
    return run("lifecycle", *words, "--data", data, "--region", REGISTRY.region)


def put_policy(context: Context, text: str = KEEP_ONE) -> None:
    lifecycle_policies.put(context, REGISTRY, REPOSITORY, text)


def test_a_preview_shows_what_a_run_then_does(data: Path, context: Context) -> None:
    put_policy(context)
    shown = lifecycle(data, "preview", REPOSITORY, "--output", "json")
    assert (shown.exit_code, shown.stderr) == (0, "")
    rows = json.loads(shown.stdout)
    assert [(row["repository"], row["digest"], row["tags"], row["rule"]) for row in rows] == [
        (REPOSITORY, str(IMAGES[1].digest), ["2"], 7),
        (REPOSITORY, str(IMAGES[0].digest), ["1"], 7),
    ]
    assert {(row["action"], row["failure"]) for row in rows} == {("expire", None)}

    assert json.loads(lifecycle(data, "run", REPOSITORY, "--output", "json").stdout) == rows
    assert json.loads(lifecycle(data, "run", REPOSITORY, "--output", "json").stdout) == []


def test_people_get_a_table(data: Path, context: Context) -> None:
    push(context, oci_index([IMAGES[0]]), "index")
    put_policy(context, policy(rule(1, prefixes=["1"], days=1), rule(2, more_than=3)))
    head, *lines = lifecycle(data, "preview", REPOSITORY).stdout.splitlines()
    assert head.split() == [
        *("repository", "digest", "tags", "pushed", "action", "rule", "failure"),
    ]
    assert lines == []
    put_policy(context, policy(rule(4, more_than=2)))
    _, first, second = lifecycle(data, "run", REPOSITORY).stdout.splitlines()
    assert first.split()[4:] == ["expire", "4", "ImageReferencedByManifestList"]
    assert second.split()[:3] == [REPOSITORY, str(IMAGES[1].digest), "2"]
    assert second.split()[4:] == ["expire", "4", "-"]


def test_a_preview_goes_by_another_policy_where_one_is_given(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(policy(rule(3, more_than=2, action="transition")))
    [row] = json.loads(
        lifecycle(data, "preview", REPOSITORY, "--policy", file, "--output", "json").stdout
    )
    assert (row["action"], row["rule"]) == ("transition", 3)
    file.write_text("{}")
    result = lifecycle(data, "preview", REPOSITORY, "--policy", file)
    assert result.exit_code == 2
    assert "Lifecycle policy validation failure" in result.stderr


@pytest.mark.parametrize("command", ["run", "preview"])
def test_what_cannot_be_run_is_said(data: Path, command: str) -> None:
    result = lifecycle(data, command, REPOSITORY)
    assert result.exit_code == 2
    assert result.stderr == (
        "longshore: Lifecycle policy does not exist for the repository with name "
        f"'{REPOSITORY}' in the registry with id '{ACCOUNT}'\n"
    )
    assert lifecycle(data, command, "no/such").exit_code == 2
    assert lifecycle(data, command).exit_code == 2


def test_what_was_done_is_told_even_if_the_next_repository_is_wrong(
    data: Path, context: Context
) -> None:
    put_policy(context)
    result = lifecycle(data, "run", REPOSITORY, "no/such")
    assert result.exit_code == 2
    assert str(IMAGES[0].digest) in result.stdout
    assert "no/such" in result.stderr


def test_another_registry_is_named_by_account_and_region(data: Path, context: Context) -> None:
    other = Registry("111122223333", REGISTRY.region)
    create_repository(context, registry=other)
    lifecycle_policies.put(context, other, REPOSITORY, KEEP_ONE)
    result = lifecycle(data, "run", REPOSITORY, "--account", other.account)
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)
    check_failed(
        run("lifecycle", "run", "a", "--data", data / "nowhere"),
        f"There is no registry in {data / 'nowhere'}. Start the server once (longshore serve), "
        "or name the data directory with --data.",
    )
