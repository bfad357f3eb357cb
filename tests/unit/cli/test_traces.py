"""Traces of real processes: of several servers at once, at their end, and with no collector."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from longshore import server
from longshore.jobs.queue import enqueue
from longshore.settings import Settings
from longshore.work import collector as garbage
from tests.chaos.processes import Serving
from tests.support.collector import ENDPOINT, collecting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Only the end of a process sends anything.
AT_THE_END = {"OTEL_BSP_SCHEDULE_DELAY": "3600000"}


@contextmanager
def serving(home: Path, variables: Mapping[str, str], *options: str) -> Iterator[Serving]:
    words = ["--data", str(home / "data"), "--workers", "1", "--traces", *options]
    process = Serving(home, words, variables)
    try:
        process.start()
        yield process
    finally:
        process.put_away()


def ask(serving: Serving, path: str = "/v2/") -> str:
    connection = http.client.HTTPConnection(serving.address, timeout=60)
    with closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read().decode()


@pytest.mark.parametrize("workers", [1, 2])
def test_every_process_sends_at_its_end_what_it_has_not_sent_yet(
    tmp_path: Path, workers: int
) -> None:
    with collecting() as collector:
        variables = collector.variables | AT_THE_END
        with serving(tmp_path, variables, "--workers", str(workers)) as process:
            for _ in range(50):
                ask(process)
            assert collector.spans == []
            process.stop()
    asked = [span for span in collector.spans if span.attributes.get("http.route") == "/v2/"]
    assert len(asked) == 50
    processes = {span.resource["service.instance.id"] for span in asked}
    assert len(processes) <= workers
    assert len({span.trace_id for span in asked}) == 50


@pytest.mark.parametrize("is_there", [False, True])
def test_nobody_waits_for_a_collector_that_does_not_answer(
    tmp_path: Path,
    is_there: bool,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if is_there:
            # It takes connections, and that is all.
            taken.listen()
        variables = {
            ENDPOINT: f"http://127.0.0.1:{taken.getsockname()[1]}",
            "OTEL_BSP_MAX_QUEUE_SIZE": "20",
        }
        with serving(tmp_path, variables) as process:
            for _ in range(200):
                ask(process)
            [line] = [
                line
                for line in ask(process, "/metrics").splitlines()
                if line.startswith("longshore_spans_dropped_total ")
            ]
            assert float(line.split()[1]) > 0
            process.stop()
            log = process.log.read_text()
    assert "spans of traces are lost" in log
    assert log.count("spans of traces are lost") < 5


def test_a_worker_s_jobs_are_traced(tmp_path: Path) -> None:
    data = tmp_path / "data"
    settings = Settings(data=data)
    server.prepare(settings)
    context = server.open_context(settings)
    with context.database.write() as tx:
        enqueue(tx, garbage.JOB, {}, now=context.clock(), key="")
    context.database.close()
    command = [sys.executable, "-m", "longshore", "worker", "--data", str(data)]
    with (
        collecting() as collector,
        subprocess.Popen(command, env=environment(collector.variables)) as process,
    ):
        span = collector.await_span(lambda it: it.kind == "CONSUMER")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert span.name == f"job: {garbage.JOB}"
    assert collector.below(span)


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_what_traces_need_has_to_be_there(tmp_path: Path, command: str) -> None:
    data = tmp_path / "data"
    server.prepare(Settings(data=data))
    # In the place of what is installed, something of the same name.
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").touch()
    words = [sys.executable, "-m", "longshore", command, "--traces", "--data", str(data)]
    words += ["--listen", "127.0.0.1:0"] if command == "serve" else []
    ended = subprocess.run(
        words,
        env=environment({"PYTHONPATH": str(tmp_path)}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "longshore: traces: Traces need OpenTelemetry's SDK. Install Longshore with it: "
        "pip install '.[opentelemetry]' in its directory.\n"
    )


def test_without_traces_nothing_of_opentelemetry_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from longshore import assembly, server; "
        "from longshore.settings import Settings; "
        f"settings = Settings(data={str(tmp_path)!r}); server.prepare(settings); "
        "assembly.create_app(settings); "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout == "[]\n"


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **variables}
