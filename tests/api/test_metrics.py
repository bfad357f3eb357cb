"""What monitoring reads, as Prometheus's own client library understands it."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from longshore.api.metrics import METRICS
from longshore.clock import DAY, MINUTE
from longshore.housekeeping import create_runner
from longshore.jobs import queue
from longshore.metrics.exposition import Kind
from tests.api.stage import Stage
from tests.chaos.processes import Serving
from tests.support.images import layer, oci_image
from tests.support.lifecycle import policy, rule
from tests.support.wire import wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.api.conftest import NewServer
    from tests.support.server import RunningServer

    Metrics = dict[str, dict[tuple[str, ...], float]]


PATIENCE_SECONDS = 60


def parsed(text: str) -> Metrics:
    """Return the values by the samples' names and the values of their labels, in order."""
    found: Metrics = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def read(server: RunningServer) -> Metrics:
    answer = server.send("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parsed(answer.body.decode())


def awaited(server: RunningServer, is_there: Callable[[Metrics], bool]) -> Metrics:
    """Return the metrics as soon as they tell something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_there(found := read(server)):
        assert time.monotonic() < deadline
    return found


def test_each_request_is_counted_where_it_belongs(new_server: NewServer) -> None:
    server = new_server()
    stage = Stage.build(server)
    image = oci_image("app", layers=[layer("x" * 1000)])
    stage.push(image, "1")
    [digest] = [str(blob.digest) for blob in image.blobs if len(blob.content) == 1000]
    stage.send("GET", f"blobs/{digest}")
    stage.send("HEAD", f"blobs/{digest}")
    stage.send("GET", f"blobs/sha256:{'0' * 64}")
    stage.send("GET", "no/such/thing")
    server.send("GET", "/v2/")
    server.call("DescribeRepositories", {"maxResults": -1})
    server.call("NoSuchOperation", {})
    server.query("sts", "GetCallerIdentity")
    server.iam.list_users()
    url = server.ecr.get_download_url_for_layer(repositoryName=stage.name, layerDigest=digest)
    server.send("GET", url["downloadUrl"].removeprefix(server.url))

    found = read(server)

    assert found["longshore_requests_total"] == {
        ("ecr", "CreateRepository", "2xx"): 1,
        ("ecr", "DescribeRepositories", "4xx"): 1,
        ("ecr", "DownloadLayer", "2xx"): 1,
        ("ecr", "GetDownloadUrlForLayer", "2xx"): 1,
        ("ecr", "Unknown", "4xx"): 1,
        ("iam", "ListUsers", "2xx"): 1,
        ("registry", "BatchCheckLayerAvailability", "2xx"): 1,
        ("registry", "GetDownloadUrlForLayer", "2xx"): 1,
        ("registry", "GetDownloadUrlForLayer", "4xx"): 1,
        ("registry", "InitiateLayerUpload", "2xx"): len(image.blobs),
        ("registry", "PutImage", "2xx"): 1,
        ("registry", "CheckCredentials", "4xx"): 1,
        ("registry", "Unknown", "4xx"): 1,
        ("sts", "GetCallerIdentity", "2xx"): 1,
    }
    received = found["longshore_received_bytes_total"]
    assert received["registry", "InitiateLayerUpload"] == sum(
        len(blob.content) for blob in image.blobs
    )
    assert received["registry", "PutImage"] == len(image.content)
    sent = found["longshore_sent_bytes_total"]
    assert sent["registry", "GetDownloadUrlForLayer"] > 1000
    assert sent["registry", "BatchCheckLayerAvailability"] == 0
    assert sent["ecr", "DownloadLayer"] == 1000
    by_operation: Counter[tuple[str, ...]] = Counter()
    for (face, operation, _), count in found["longshore_requests_total"].items():
        by_operation[face, operation] += int(count)
    assert found["longshore_request_duration_seconds_count"] == by_operation
    assert found["longshore_request_duration_seconds_sum"].keys() == by_operation.keys()


def test_a_client_that_goes_away_is_counted(new_server: NewServer) -> None:
    server = new_server()
    stage = Stage.build(server)
    name, token = server.authorization
    head = f"PUT /v2/{stage.name}/manifests/1 HTTP/1.1\r\nHost: {server.address}\r\n"
    with wire(server) as connection:
        connection.send(f"{head}{name}: {token}\r\nContent-Length: 100\r\n\r\nx".encode())
        connection.close()
    gone = ("registry", "PutImage", "gone")
    found = awaited(server, lambda found: gone in found.get("longshore_requests_total", {}))
    assert found["longshore_requests_total"][gone] == 1


def test_wrong_credentials_are_counted_and_a_question_for_them_is_not(
    new_server: NewServer,
) -> None:
    server = new_server()
    server.send("GET", "/v2/")
    server.send("GET", "/v2/", [("Authorization", "Basic QVdTOng=")])
    server.call("DescribeRepositories", {}, key=(server.administrator.id, "x" * 40))
    assert read(server)["longshore_authentication_failures_total"] == {(): 2}


def test_the_store_and_its_work_are_told(new_server: NewServer) -> None:
    server = new_server()
    stage = Stage.build(server)
    for tag in ("1", "2"):
        stage.push(oci_image(tag), tag)
        stage.send("GET", f"manifests/{tag}")
    server.context.pulls.write(server.context)
    with server.context.database.write() as tx:
        queue.enqueue(tx, "odd job", {}, now=server.clock() - MINUTE)
    with server.clock.ahead(DAY):
        found = read(server)
    assert found["longshore_database_up"] == {(): 1}
    assert found["longshore_repositories"] == {(): 1}
    assert found["longshore_images"] == {("STANDARD",): 2}
    assert found["longshore_logical_bytes"] == found["longshore_stored_bytes"]
    assert found["longshore_stored_bytes"][()] > 0
    assert found["longshore_archived_bytes"] == {(): 0}
    pulled = ("000000000000", "us-east-1", stage.name)
    assert found["longshore_repository_pulls_total"] == {pulled: 2}
    assert found["longshore_jobs"] == {("odd job", "waiting"): 1}
    assert found["longshore_oldest_job_seconds"]["odd job", "waiting"] >= (DAY + MINUTE) / 1000


def test_receivers_that_are_behind_are_told(new_server: NewServer, tmp_path: Path) -> None:
    server = new_server(events={"file": tmp_path / "events.json"})
    runner = create_runner(server.settings, server.context)
    runner.run_due()
    stage = Stage.build(server)
    (tmp_path / "events.json").unlink(missing_ok=True)
    (tmp_path / "events.json").mkdir()
    stage.push(oci_image("one"), "1")
    runner.run_due()
    assert read(server)["longshore_events_backlog"] == {("file",): 1}


def test_what_a_lifecycle_policy_takes_is_counted(new_server: NewServer) -> None:
    server = new_server(jobs=True, lifecycle_interval=0.05)
    stage = Stage.build(server)
    for tag in ("1", "2", "3"):
        stage.push(oci_image(tag), tag)
    server.ecr.put_lifecycle_policy(
        repositoryName=stage.name, lifecyclePolicyText=policy(rule(1, more_than=1))
    )
    expired = "longshore_lifecycle_expirations_total"
    assert awaited(server, lambda found: found[expired][()] >= 2)[expired] == {(): 2}


def test_without_a_database_the_rest_is_told(
    new_server: NewServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("the database is gone")

    server = new_server()
    monkeypatch.setattr(server.context.database, "read", fail)
    found = read(server)
    assert found["longshore_database_up"] == {(): 0}
    assert "longshore_repositories" not in found
    assert found["process_open_fds"].keys() == {("0",)}


def test_every_metric_that_is_told_is_listed(server: RunningServer) -> None:
    listed = {
        f"{metric.name}{suffix}"
        for metric in METRICS
        for suffix in (("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",))
    }
    server.ecr.describe_repositories()
    assert read(server).keys() <= listed


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ({}, {}, 200),
        ({}, {"Host": "127.0.0.1:1"}, 200),
        ({}, {"Host": "[::1]"}, 200),
        # Through a proxy on this machine that nobody has told the server of.
        ({}, {"Host": "registry.example"}, 403),
        ({}, {"Host": "localhost.example:80"}, 403),
        ({}, {"Host": "nobody's"}, 403),
        ({"trusted_proxies": "127.0.0.1"}, {"X-Forwarded-For": "192.0.2.1"}, 403),
        ({"trusted_proxies": "127.0.0.1"}, {"X-Forwarded-For": "127.0.0.1"}, 200),
        ({"metrics": "everybody"}, {"Host": "registry.example"}, 200),
        ({"metrics": "off"}, {}, 404),
    ],
)
def test_who_may_read(
    new_server: NewServer, settings: dict[str, str], headers: dict[str, str], status: int
) -> None:
    server = new_server(**settings)
    answer = server.send("GET", "/metrics", list(headers.items()))
    assert answer.status == status
    assert (b"longshore_build_info" in answer.body) == (status == 200)


def test_metrics_are_only_read(plain_server: RunningServer) -> None:
    answer = plain_server.send("POST", "/metrics")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert plain_server.send("HEAD", "/metrics").body == b""


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_anybody_hears_that_the_server_is_well(server: RunningServer, path: str) -> None:
    answer = server.send("GET", path, [("Host", "anything.example")])
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert {line.partition(b": ")[2] for line in answer.body.splitlines()} == {b"ok"}


def test_a_store_that_cannot_be_written_is_not_ready(new_server: NewServer) -> None:
    server = new_server()
    (server.settings.data / "uploads").rmdir()
    answer = server.send("GET", "/readyz")
    assert answer.status == 503
    assert answer.body.startswith(b"store: can't be written and read\n")
    assert str(server.settings.data).encode() not in answer.body
    assert server.send("GET", "/livez").status == 200


def test_the_numbers_of_all_processes_are_told_and_outlive_each(tmp_path: Path) -> None:
    serving = Serving(tmp_path, ["--data", str(tmp_path / "data"), "--workers", "2",
                                 "--log-format", "json", "--access-log"])  # fmt: skip

    def get(path: str) -> str:
        # Each on a connection of its own, so that either process may answer.
        with closing(http.client.HTTPConnection(serving.address, timeout=60)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def counted() -> float:
        return parsed(get("/metrics"))["longshore_requests_total"][
            "registry", "CheckCredentials", "4xx"
        ]

    try:
        serving.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(parsed(get("/metrics"))["process_open_fds"]) < 2:
            assert time.monotonic() < deadline
        for _ in range(40):
            get("/v2/")
        assert {counted() for _ in range(10)} == {40}
        serving.kill_worker(random.Random(1))
        while not serving._answers():
            assert time.monotonic() < deadline
        assert {counted() for _ in range(10)} == {40}
    finally:
        serving.put_away()
    lines = [json.loads(line) for line in serving.log.read_text().splitlines() if line[0] == "{"]
    asked = [line for line in lines if line.get("path") == "/v2/"]
    assert len({line["request_id"] for line in asked}) == len(asked) == 40
    assert {line["status"] for line in asked} == {401}
