"""What a collector of OpenTelemetry's learns of requests and jobs, decoded from the wire."""

from __future__ import annotations

import base64
import json
import uuid
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from botocore.exceptions import ClientError

from longshore.housekeeping import create_runner
from longshore.identity import robot_tokens
from longshore.traces import parts as tracing
from tests.api.conftest import learn_secrets
from tests.api.secrets import LogScan
from tests.api.stage import Stage
from tests.support.collector import ENDPOINT, collecting
from tests.support.images import oci_image
from tests.support.server import REGION, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.collector import Collector, Span
    from tests.support.server import Answer, RunningServer

ACCOUNT = "000000000000"
IMAGE = oci_image("traced")
DIGEST = str(IMAGE.blobs[1].digest)
PARENT = "b7ad6b7169203331"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def server(
    collector: Collector, tmp_path_factory: pytest.TempPathFactory, secrets: set[str]
) -> Iterator[RunningServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENDPOINT, collector.variables[ENDPOINT])
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        with running_server(tmp_path_factory.mktemp("traced"), traces=True) as server:
            learn_secrets(server, secrets)
            yield server


@pytest.fixture
def trace() -> str:
    """The trace of a client."""
    return uuid.uuid4().hex


@pytest.fixture
def stage(server: RunningServer) -> Stage:
    stage = Stage.build(server)
    stage.push(IMAGE, "1")
    return stage


def of_answer(collector: Collector, answer: Answer) -> Span:
    """Return the span of what an API of AWS was asked."""
    return collector.await_request(answer.headers["x-amzn-requestid"])


def of_path(collector: Collector, method: str, path: str) -> Span:
    """Return the span of what the registry face was asked, which tells no id."""
    return collector.await_span(
        lambda it: (
            (it.attributes.get("http.request.method"), it.attributes.get("url.path"))
            == (method, path)
        )
    )


def of_trace(trace: str, flags: str) -> tuple[str, str]:
    return "traceparent", f"00-{trace}-{PARENT}-{flags}"


def test_a_call_of_an_api_is_one_span_named_by_its_operation(
    collector: Collector, stage: Stage
) -> None:
    answer = stage.server.call("DescribeImages", {"repositoryName": stage.name})
    span = of_answer(collector, answer)
    assert (span.name, span.kind, span.parent_id) == ("ECR.DescribeImages", "SERVER", "")
    assert not span.has_failed
    told = dict(span.attributes)
    assert told.pop("user_agent.original") == ""
    assert told.pop("http.request.body.size") > 0
    assert told == {
        "http.request.method": "POST",
        "http.route": "/",
        "http.response.status_code": 200,
        "http.response.body.size": len(answer.body),
        "url.scheme": "http",
        "url.path": "/",
        "client.address": "127.0.0.1",
        "rpc.system": "aws-api",
        "rpc.service": "ECR",
        "rpc.method": "DescribeImages",
        "longshore.operation": "DescribeImages",
        "longshore.request_id": answer.headers["x-amzn-requestid"],
        "longshore.account": ACCOUNT,
        "longshore.region": REGION,
        "longshore.repository": stage.name,
    }
    assert span.resource["service.name"] == "longshore"


@pytest.mark.parametrize("service", ["iam", "sts"])
def test_iam_and_sts_are_traced_alike(
    collector: Collector, server: RunningServer, service: str
) -> None:
    action = {"iam": "ListUsers", "sts": "GetCallerIdentity"}[service]
    span = of_answer(collector, server.query(service, action))
    assert span.name == f"{service.upper()}.{action}"
    assert span.attributes["rpc.service"] == service.upper()


ROUTES = {
    ("GET", "manifests/1"): ("manifests/{reference}", "BatchGetImage"),
    ("HEAD", f"blobs/{DIGEST}"): ("blobs/{digest}", "BatchCheckLayerAvailability"),
    ("GET", f"blobs/{DIGEST}"): ("blobs/{digest}", "GetDownloadUrlForLayer"),
    ("POST", "blobs/uploads/"): ("blobs/uploads/", "InitiateLayerUpload"),
    ("GET", f"referrers/{DIGEST}"): ("referrers/{digest}", "ListImageReferrers"),
}


@pytest.mark.parametrize(("method", "rest"), ROUTES)
def test_a_request_to_the_registry_face_is_one_span_named_by_its_route(
    collector: Collector, stage: Stage, trace: str, method: str, rest: str
) -> None:
    route, operation = ROUTES[method, rest]
    path = f"/v2/{stage.name}/{rest}"
    answer = stage.server.oci(method, path, [of_trace(trace, "01")])
    span = collector.await_span(lambda it: it.kind == "SERVER" and it.trace_id == trace)
    assert (span.name, span.parent_id) == (f"{method} /v2/{{name}}/{route}", PARENT)
    assert span.attributes["http.route"] == f"/v2/{{name}}/{route}"
    assert span.attributes["url.path"] == path
    assert span.attributes["longshore.operation"] == operation
    assert span.attributes["longshore.repository"] == stage.name
    assert span.attributes["http.response.status_code"] == answer.status < 300
    assert "rpc.system" not in span.attributes


def test_what_takes_time_is_told_below_the_request(collector: Collector, stage: Stage) -> None:
    content = b"a layer"
    begun = stage.server.oci("POST", f"/v2/{stage.name}/blobs/uploads/")
    path = begun.headers["location"].removeprefix(stage.server.url)
    digest = str(oci_image("another").blobs[1].digest)
    stage.server.oci("PATCH", path, body=content)
    stage.server.oci("PUT", f"{path}?digest={quote(digest)}")
    patched = of_path(collector, "PATCH", path)
    below = {span.name: span for span in collector.below(patched)}
    assert set(below) == {
        *("authorize", "worker", "read transaction", "write transaction", "blob write"),
    }
    assert below["blob write"].attributes["longshore.bytes"] == len(content)
    assert below["authorize"].attributes["longshore.action"] == "ecr:UploadLayerPart"
    assert below["read transaction"].attributes["db.system.name"] == "sqlite"
    assert below["write transaction"].kind == "CLIENT"
    workers = [span for span in collector.below(patched) if span.name == "worker"]
    assert {worker.parent_id for worker in workers} == {patched.id}
    assert below["blob write"].parent_id in {worker.id for worker in workers}

    # Not the digest of what was sent: an error that the client made.
    put = of_path(collector, "PUT", path)
    assert (put.attributes["error.type"], put.has_failed) == ("InvalidLayerException", False)
    commit = next(span for span in collector.below(put) if span.name == "blob commit")
    assert commit.attributes["error.type"] == "DigestMismatch"


def test_a_failure_of_the_server_is_told_as_one(collector: Collector, stage: Stage) -> None:
    for file in stage.server.settings.data.glob("blobs/*/*/*/*"):
        file.unlink()
    answer = stage.server.oci("GET", f"/v2/{stage.name}/blobs/{DIGEST}")
    assert answer.status == 500
    span = of_path(collector, "GET", f"/v2/{stage.name}/blobs/{DIGEST}")
    assert span.has_failed
    assert span.attributes["error.type"] == "ServerException"
    # Neither what was raised nor where: it may hold anything.
    assert not span.message.events
    assert not span.message.status.message


def test_a_client_that_is_traced_says_whether_it_is_recorded(
    collector: Collector, stage: Stage, trace: str
) -> None:
    path = f"/v2/{stage.name}/tags/list"
    stage.server.oci("GET", path, [of_trace(trace, "00")])
    stage.server.oci("GET", f"/v2/{stage.name}/manifests/1")
    of_path(collector, "GET", f"/v2/{stage.name}/manifests/1")
    assert trace not in {span.trace_id for span in collector.spans}
    # The trace is the client's all the same.
    assert last_record(stage.server, "ListImages")["additionalEventData"] == {"traceId": trace}


@pytest.mark.parametrize(
    "headers",
    [
        [("traceparent", "nonsense")],
        [("traceparent", f"00-{'0' * 32}-{PARENT}-01")],
        [("traceparent", f"ff-{'1' * 32}-{PARENT}-01")],
        [of_trace("1" * 32, "01"), of_trace("1" * 32, "01")],
        [("tracestate", "a=b")],
    ],
)
def test_what_names_no_parent_begins_a_trace(
    collector: Collector, stage: Stage, headers: list[tuple[str, str]]
) -> None:
    path = f"/v2/{stage.name}/manifests/nowhere"
    stage.server.oci("GET", path, headers)
    span = of_path(collector, "GET", path)
    assert span.parent_id == ""
    assert span.trace_id != "1" * 32


def test_span_audit_record_and_log_find_each_other(
    collector: Collector, stage: Stage, log_scan: LogScan
) -> None:
    answer = stage.server.call("DescribeImages", {"repositoryName": f"{stage.name}/no"})
    span = of_answer(collector, answer)
    record = last_record(stage.server, "DescribeImages")
    assert record["additionalEventData"]["traceId"] == span.trace_id
    assert record["requestID"] == span.attributes["longshore.request_id"]
    assert span.attributes["error.type"] == record["errorCode"] == "RepositoryNotFoundException"
    assert log_scan.await_line("POST / 400", answer.headers["x-amzn-requestid"])


def test_nobody_looks_for_health_and_metrics_in_traces(
    collector: Collector, server: RunningServer
) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert server.send("GET", path).status == 200
    of_answer(collector, server.call("DescribeRegistry"))
    assert not any(
        span.attributes.get("url.path") in {"/livez", "/readyz", "/metrics"}
        for span in collector.spans
    )
    assert all(span.parent_id for span in collector.spans if span.kind != "SERVER")


def test_a_job_is_a_trace_of_its_own(collector: Collector, stage: Stage) -> None:
    ecr, settings = stage.server.ecr, stage.server.settings
    policy = {
        "rulePriority": 1,
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1},
        "action": {"type": "expire"},
    }
    ecr.start_lifecycle_policy_preview(
        repositoryName=stage.name, lifecyclePolicyText=json.dumps({"rules": [policy]})
    )
    with closing(tracing.parts(traced=True)) as parts:
        create_runner(settings, parts.context(stage.server.context), parts=parts).run_due()
    span = collector.await_span(lambda it: it.name == "job: lifecycle preview")
    assert (span.kind, span.parent_id) == ("CONSUMER", "")
    assert span.attributes["longshore.job.kind"] == "lifecycle preview"
    assert span.attributes["longshore.job.attempt"] == 1
    assert {below.name for below in collector.below(span)} == {
        *("read transaction", "write transaction"),
    }


def test_no_secret_is_in_a_trace(collector: Collector, stage: Stage, secrets: set[str]) -> None:
    server = stage.server
    given = give_secrets(stage)
    given |= {
        server.administrator.secret,
        server.authorization[1].removeprefix("Basic "),
        base64.b64decode(server.authorization[1].removeprefix("Basic ")).decode(),
        (server.settings.data / "server.key").read_text().strip(),
    }
    of_answer(collector, server.call("DescribeRegistry"))
    sent = b"".join(received.body for received in collector.receiver.received).decode("latin-1")
    assert len(collector.spans) > 50
    scan = LogScan()
    scan.lines = [sent]
    secrets |= given
    found = [secret for secret in given if secret in sent]
    assert found == []
    assert scan.leaks(given) == []
    assert "X-Amz-" not in sent
    # What isn't secret is there, and so would be what is.
    assert "user/anna" in sent


def give_secrets(stage: Stage) -> set[str]:
    """Let every secret that there is come by the server; return those that it gave or was given."""
    server, iam = stage.server, stage.server.iam
    iam.create_user(UserName="anna")
    key = iam.create_access_key(UserName="anna")["AccessKey"]
    pair = key["AccessKeyId"], key["SecretAccessKey"]
    session = server.client("sts", pair).get_session_token()["Credentials"]
    temporary = session["AccessKeyId"], session["SecretAccessKey"]
    with suppress(ClientError):
        server.client("ecr", temporary, session["SessionToken"]).describe_registry()
    token = server.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).decode().partition(":")[2]
    server.oci("GET", f"/v2/{stage.name}/manifests/1")
    wrong = base64.b64encode(b"AWS:s3cr3t-but-wr0ng").decode()
    server.send("GET", "/v2/", [("Authorization", f"Basic {wrong}")])
    bearer = "bearer-t0ken-of-somebody"
    server.send("GET", "/v2/", [("Authorization", f"Bearer {bearer}")])
    url = server.ecr.get_download_url_for_layer(repositoryName=stage.name, layerDigest=DIGEST)
    ticket = url["downloadUrl"].rpartition("/")[2]
    assert server.send("GET", f"/layers/{ticket}").status == 200
    # As somebody would who takes this for a presigned URL.
    presigned = urlencode(
        {"X-Amz-Security-Token": session["SessionToken"], "X-Amz-Signature": "f" * 64}
    )
    server.send("GET", f"/v2/{stage.name}/manifests/1?{presigned}", [server.authorization])
    web_identity = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
    role = f"arn:aws:iam::{ACCOUNT}:role/none"
    form = {"RoleArn": role, "RoleSessionName": "ci", "WebIdentityToken": web_identity}
    body = urlencode({"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", **form})
    headers = [("Content-Type", "application/x-www-form-urlencoded")]
    server.send("POST", "/", headers, body.encode())
    scope = robot_tokens.scope_of(ACCOUNT, pull=["*"])
    _, robot = robot_tokens.create(server.context, ACCOUNT, "anna", scope)
    server.send("GET", f"/v2/{stage.name}/manifests/1", [basic("AWS", robot)])
    return {
        *(pair[1], temporary[1], session["SessionToken"], token, password, wrong),
        *("s3cr3t-but-wr0ng", bearer, ticket, web_identity, robot, "f" * 64),
    }


def basic(user: str, password: str) -> tuple[str, str]:
    return "Authorization", f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def last_record(server: RunningServer, operation: str) -> Any:
    lines = (server.settings.data / "audit.json").read_bytes().splitlines()
    records = (json.loads(line) for line in reversed(lines))
    return next(record for record in records if record["eventName"] == operation)
