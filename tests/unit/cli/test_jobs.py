from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from longshore import server
from longshore.clock import DAY, SECOND
from longshore.jobs import ledger, queue
from longshore.jobs.queue import State, Terms
from longshore.settings import Settings
from longshore.work import collector
from tests.unit.cli.test_commands import check_failed, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from longshore.registry.context import Context

TERMS = Terms(attempts=1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    server.prepare(Settings(data=tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def context(data: Path) -> Iterator[Context]:
    context = server.open_context(Settings(data=data))
    yield context
    context.database.close()


def enqueue(context: Context, kind: str = "work", key: str | None = None, at: int = 0) -> int:
    with context.database.write() as tx:
        return queue.enqueue(tx, kind, {"repository": 7}, now=at, key=key)


def kill_one(context: Context, error: str = "ValueError: no") -> int:
    job_id = enqueue(context)
    with context.database.write() as tx:
        job = queue.take(tx, "work", TERMS, "host:1", SECOND)
        assert job is not None
        queue.fail(tx, job, TERMS, error, now=2 * SECOND, random=0)
    return job_id


def states(context: Context) -> dict[int, str]:
    with context.database.read() as tx:
        return {entry.id: entry.state.value for entry in ledger.list_some(tx)}


def jobs(data: Path, *words: object) -> Result:
    return run("jobs", *map(str, words), "--data", data)


def test_jobs_are_listed_and_shown(data: Path, context: Context) -> None:
    dead = kill_one(context, "ValueError: the disk\nis on fire")
    waiting = enqueue(context, "other", "a key", at=DAY)

    listed = jobs(data, "list")
    assert (listed.exit_code, listed.stderr) == (0, "")
    error = "ValueError: the disk is on fire"
    assert listed.stdout.splitlines() == [
        "id  kind   key    state    due                   attempts  error",
        f"{dead}   work   -      dead     -                     1         {error}",
        f"{waiting}   other  a key  waiting  1970-01-02T00:00:00Z  0         -",
    ]
    assert len(jobs(data, "list", "--state", "waiting").stdout.splitlines()) == 2
    assert len(jobs(data, "list", "--kind", "nothing").stdout.splitlines()) == 1

    assert jobs(data, "show", dead).stdout.splitlines()[-4:] == [
        "           is on fire",
        "payload:   {",
        '             "repository": 7',
        "           }",
    ]
    [document] = json.loads(jobs(data, "list", "--state", "dead", "--output", "json").stdout)
    assert document == json.loads(jobs(data, "show", dead, "--output", "json").stdout)
    assert document == {
        "id": dead,
        "kind": "work",
        "key": None,
        "state": "dead",
        "due": None,
        "attempts": 1,
        "enqueued": "1970-01-01T00:00:00Z",
        "worker": None,
        "failed": "1970-01-01T00:00:02Z",
        "error": "ValueError: the disk\nis on fire",
        "payload": {"repository": 7},
    }


def test_a_listing_has_any_number_of_jobs(
    data: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longshore.cli.jobs._PAGE", 2)
    for _ in range(5):
        enqueue(context)
    assert len(json.loads(jobs(data, "list", "--output", "json").stdout)) == 5


def test_dead_jobs_are_retried(data: Path, context: Context) -> None:
    first, second, third = (kill_one(context) for _ in range(3))
    assert jobs(data, "retry", first).stdout == f"{first} will be tried again\n"
    assert states(context) == {first: "waiting", second: "dead", third: "dead"}
    result = jobs(data, "retry", "--dead")
    assert result.stdout == f"{second} will be tried again\n{third} will be tried again\n"
    assert set(states(context).values()) == {"waiting"}


def test_jobs_are_cancelled(data: Path, context: Context) -> None:
    dead, waiting = kill_one(context), enqueue(context)
    result = jobs(data, "cancel", dead, waiting)
    assert result.stdout == f"{dead} is cancelled\n{waiting} is cancelled\n"
    assert states(context) == {}


@pytest.mark.parametrize("command", ["show", "retry", "cancel"])
def test_there_has_to_be_a_job(data: Path, command: str) -> None:
    check_failed(
        jobs(data, command, 7),
        "There is no job 7: it is done, or was cancelled. See longshore jobs list.",
    )


def test_a_job_that_runs_is_not_retried(data: Path, context: Context) -> None:
    job_id = enqueue(context)
    with context.database.write() as tx:
        queue.take(tx, "work", TERMS, "host:1", SECOND)
    check_failed(jobs(data, "retry", job_id), f"Job {job_id} is running: host:1 has it.")
    assert states(context) == {job_id: State.RUNNING}


@pytest.mark.parametrize("words", [[], ["1", "--dead"]])
def test_what_is_retried_has_to_be_said(data: Path, words: list[str]) -> None:
    result = jobs(data, "retry", *words)
    assert result.exit_code == 2
    assert "Name jobs by their ids, or all that are dead with --dead." in result.stderr


# --- worker ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_does_jobs_until_it_is_told_to_stop(
    data: Path, context: Context, number: signal.Signals
) -> None:
    enqueue(context, collector.JOB)
    command = [sys.executable, "-m", "longshore", "worker", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith(f":{process.pid}\n")
        while states(context):
            pass
        process.send_signal(number)
        assert process.wait(60) == 0


@pytest.mark.parametrize("command", ["worker", "serve"])
def test_what_receivers_need_has_to_be_there(
    data: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setenv("LONGSHORE_EVENTS__EVENTBRIDGE_BUS", "builds")
    listen = ["--listen", "127.0.0.1:0"] if command == "serve" else []
    result = run(command, "--data", data, *listen)
    assert result.exit_code == 2
    assert "EventBridge needs boto3." in result.stderr
