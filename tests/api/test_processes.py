"""Several server processes on one port, with real signals."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from longshore import server
from longshore.metadata import schema
from longshore.settings import Settings
from tests.chaos.processes import Serving
from tests.support.certificates import write_certificate
from tests.support.server import REGION, TARGET

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_SECONDS = 60
# What a client sees, and tries again, whose connection was taken by a process that ends just then.
_CUT_OFF = (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)
BODY = b'{"repositoryName": "late"}'


class Processes(Serving):
    """A server of two processes over a new directory."""

    def __init__(self, home: Path, *options: str) -> None:
        self.data = home / "data"
        super().__init__(home, ["--data", str(self.data), "--workers", "2", *options])

    @property
    def supervisor(self) -> int:
        """The id of the first process."""
        assert self._process is not None
        return self._process.pid

    def serving(self) -> set[int]:
        """Return the ids of those that serve, or begin to."""
        file = Path(f"/proc/{self.supervisor}/task/{self.supervisor}/children")
        try:
            return set(map(int, file.read_text(encoding="ascii").split()))
        except OSError:
            return set()

    def await_other(self, than: set[int]) -> set[int]:
        """Return the ids of as many processes, once none is one of these."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (serving := self.serving()) & than or len(serving) != len(than):
            assert time.monotonic() < deadline
        return serving

    def status(self) -> int:
        """Ask something on a connection of its own, which any process may answer.

        Raises:
            ConnectionRefusedError: there is none that would.
        """
        while True:
            with closing(self.connection()) as connection, suppress(*_CUT_OFF):
                connection.request("GET", "/v2/")
                return connection.getresponse().status

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection that isn't opened yet."""
        return http.client.HTTPConnection(self.address, timeout=PATIENCE_SECONDS)

    def signed(self, body: bytes) -> dict[str, str]:
        """Return the headers of a call of CreateRepository."""
        key = server.read_administrator(Settings(data=self.data))
        assert key is not None
        headers = {
            "Host": self.address,
            "X-Amz-Target": f"{TARGET}.CreateRepository",
            "Content-Type": "application/x-amz-json-1.1",
        }
        request = AWSRequest("POST", f"http://{self.address}/", headers, body)
        SigV4Auth(Credentials(key.id, key.secret), "ecr", REGION).add_auth(request)
        return dict(request.headers.items())

    def exit_code(self) -> int:
        """Wait for the end."""
        assert self._process is not None
        return self._process.wait(PATIENCE_SECONDS)

    def await_ending(self) -> None:
        """Return when nobody is let in any more."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._listens():
            assert time.monotonic() < deadline


@contextmanager
def running(home: Path) -> Iterator[Processes]:
    started = Processes(home)
    started.start()
    try:
        yield started
    finally:
        started.put_away()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Two processes for one test."""
    with running(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Two processes for tests that do nothing to them."""
    with running(tmp_path_factory.mktemp("unharmed")) as started:
        yield started


def test_the_first_start_is_told_once_and_every_process_serves(unharmed: Processes) -> None:
    answered = {unharmed.status() for _ in range(20)}
    log = unharmed.log.read_text()

    assert answered == {401}
    assert len(unharmed.serving()) == 2
    for line in ("is listening on", "its secret is in", "aws ecr create-repository"):
        assert log.count(line) == 1
    assert server.read_administrator(Settings(data=unharmed.data)) is not None


def test_the_first_process_has_no_thread_and_no_database(unharmed: Processes) -> None:
    home = Path(f"/proc/{unharmed.supervisor}")
    opened = [each.readlink().name for each in home.glob("fd/*")]

    assert len(list(home.glob("task/*"))) == 1
    assert not [name for name in opened if name.startswith(("metadata", "audit"))]


def test_a_killed_process_is_replaced_while_requests_go_on(processes: Processes) -> None:
    before = processes.serving()
    for victim in sorted(before):
        os.kill(victim, signal.SIGKILL)
        # Somebody takes each connection that is made from now on, and answers.
        assert {processes.status() for _ in range(20)} == {401}
    processes.await_other(before)
    ended = re.findall(r"server process (\d+) ended .*killed by SIGKILL", processes.log.read_text())
    assert set(map(int, ended)) == before


def test_all_end_with_the_first_process_and_the_next_start_has_the_port(
    processes: Processes,
) -> None:
    before = processes.serving()
    processes.kill_supervisor()

    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(Path(f"/proc/{each}/fd").is_dir() and is_alive(each) for each in before):
        assert time.monotonic() < deadline
    processes.start()
    assert processes.status() == 401


def is_alive(process_id: int) -> bool:
    # Nobody may have taken note of its end yet.
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_progress_is_answered_before_the_end(
    processes: Processes, number: signal.Signals
) -> None:
    with closing(processes.connection()) as connection:
        connection.putrequest("POST", "/", skip_host=True)
        for name, value in processes.signed(BODY).items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(BODY)))
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        # The server asks for the rest: it works for this request.
        assert connection.sock.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        # Ctrl-C in a terminal is heard by every process.
        send = os.killpg if number == signal.SIGINT else os.kill
        send(processes.supervisor, number)
        processes.await_ending()
        connection.sock.sendall(BODY)
        assert b" 200 OK\r\n" in connection.sock.recv(10_000)
    assert processes.exit_code() == 0
    assert "Traceback" not in processes.log.read_text()
    context = server.open_context(Settings(data=processes.data))
    with context.database.read() as tx:
        assert tx.execute(select(schema.repositories.c.name)).scalar_one() == "late"
    context.database.close()


def test_a_hangup_gives_new_processes_without_a_gap(processes: Processes) -> None:
    before = processes.serving()
    is_over = threading.Event()

    def ask_on_one_connection_after_the_other() -> int:
        answered = 0
        with closing(processes.connection()) as connection:
            while not is_over.is_set():
                # The client opens another connection where an answer was the last one on its own.
                connection.request("GET", "/v2/")
                response = connection.getresponse()
                response.read()
                assert response.status == 401
                answered += 1
        return answered

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(ask_on_one_connection_after_the_other) for _ in range(4)]
        try:
            os.kill(processes.supervisor, signal.SIGHUP)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while processes.serving() & before:
                # One that is opened for each request isn't cut off either.
                with closing(processes.connection()) as connection:
                    connection.request("GET", "/v2/")
                    assert connection.getresponse().status == 401
                assert time.monotonic() < deadline
        finally:
            is_over.set()
        assert all(client.result() for client in clients)
    assert len(processes.serving()) == 2
    assert processes.status() == 401


@pytest.mark.parametrize("workers", [1, 2])
def test_a_hangup_lets_a_new_certificate_be_read(tmp_path: Path, workers: int) -> None:
    file = str(write_certificate(tmp_path))
    processes = Processes(
        tmp_path, "--tls-certificate", file, "--tls-key", file, "--workers", str(workers)
    )

    def shown() -> bytes | None:
        """Return the certificate that clients are shown, if anybody shows one."""
        host, _, port = processes.address.rpartition(":")
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        with (
            suppress(OSError),
            socket.create_connection((host, int(port)), PATIENCE_SECONDS) as plain,
            client.wrap_socket(plain) as encrypted,
        ):
            return encrypted.getpeercert(binary_form=True)
        return None

    def await_certificate() -> None:
        current = x509.load_pem_x509_certificate(Path(file).read_bytes())
        deadline = time.monotonic() + PATIENCE_SECONDS
        while shown() != current.public_bytes(Encoding.DER):
            assert time.monotonic() < deadline

    try:
        processes.spawn()
        await_certificate()
        before = shown()
        Path(file).write_text("no certificate", encoding="ascii")
        os.kill(processes.supervisor, signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "nothing is read anew" not in processes.log.read_text():
            assert time.monotonic() < deadline
        assert shown() == before
        write_certificate(tmp_path)
        os.kill(processes.supervisor, signal.SIGHUP)
        await_certificate()
    finally:
        processes.put_away()


def test_a_hangup_does_no_harm_to_a_server_of_one_process(tmp_path: Path) -> None:
    processes = Processes(tmp_path, "--workers", "1")
    try:
        processes.start()
        with closing(processes.connection()) as connection:
            connection.connect()
            os.kill(processes.supervisor, signal.SIGHUP)
            connection.request("GET", "/v2/")
            assert connection.getresponse().status == 401
    finally:
        processes.put_away()


def test_a_server_whose_processes_can_not_serve_any_more_gives_up(processes: Processes) -> None:
    key = processes.data / "server.key"
    key.rename(processes.data / "elsewhere")
    for each in processes.serving():
        os.kill(each, signal.SIGKILL)

    assert processes.exit_code() == 2
    log = processes.log.read_text()
    assert re.search(r"server process \d+ ended before it served \(exit code 1\)", log)
    assert log.endswith("longshore: No server process comes to serve; see above for the reason.\n")
    assert str(key) in log
    assert not processes._listens()


def test_a_port_that_is_taken_is_told_once(unharmed: Processes, tmp_path: Path) -> None:
    words = ["serve", "--listen", unharmed.address, "--workers", "2"]
    result = subprocess.run(
        [sys.executable, "-m", "longshore", *words, "--data", str(tmp_path / "other")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert f"Can't listen on {unharmed.address}: Address already in use." in result.stderr


def test_servers_that_begin_in_a_new_directory_at_once_agree(tmp_path: Path) -> None:
    both = [Processes(tmp_path), Processes(tmp_path)]
    try:
        for each in both:
            each.spawn()
        deadline = time.monotonic() + PATIENCE_SECONDS
        for each in both:
            while not each._answers():
                assert not each._has_ended(), each.log.read_text()
                assert time.monotonic() < deadline
        assert tmp_path.joinpath("server.log").read_text().count("its secret is in") == 1
    finally:
        for each in both:
            each.put_away()
