"""A registry in this process: uvicorn over `create_app`, on a free port of loopback.

The server is the one that `longshore serve` runs, but for three things that tests need: it runs in
a thread, its clock can be stopped and moved, and jobs are done when a test says so.
"""

from __future__ import annotations

import base64
import http.client
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import boto3
import uvicorn
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from longshore import server, serving
from longshore.api.ecr.api import SERVICE
from longshore.api.events import Pace
from longshore.assembly import create_app
from longshore.clock import system_clock
from longshore.identity import access_keys, registry_tokens
from longshore.settings import Settings

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from types_boto3_ecr import ECRClient
    from types_boto3_iam import IAMClient
    from types_boto3_sts import STSClient

    from longshore.clock import Millis
    from longshore.identity.access_keys import AccessKey
    from longshore.registry.context import Context

REGION = "us-east-1"
TARGET = "AmazonEC2ContainerRegistry_V20150921"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
VERSIONS = {"iam": "2010-05-08", "sts": "2011-06-15"}

# No retries: a test wants the first answer. No validation: the server is to do that.
_CONFIG = Config(
    retries={"total_max_attempts": 1},
    parameter_validation=False,
    connect_timeout=10,
    read_timeout=60,
)
_PATIENCE_SECONDS = 60
# Streams of events look all the time, and soon tell that nothing happens.
_QUICK = Pace(look=0.01, beat=5)
# Tests write pulls down when they want to see them.
_NEVER = 1e6


class MovableClock:
    """Tells the machine's time, until a test stops it or sets it ahead."""

    def __init__(self) -> None:
        self._ahead: Millis = 0
        self._stopped_at: Millis | None = None

    def __call__(self) -> Millis:
        return (system_clock() if self._stopped_at is None else self._stopped_at) + self._ahead

    @contextmanager
    def stopped(self) -> Iterator[Millis]:
        """Let no time pass; yield what it is."""
        self._stopped_at = system_clock()
        try:
            yield self()
        finally:
            self._stopped_at = None

    @contextmanager
    def ahead(self, by: Millis) -> Iterator[None]:
        """Be later than it is."""
        self._ahead = by
        try:
            yield
        finally:
            self._ahead = 0


@dataclass(frozen=True)
class Answer:
    """What came back over the wire. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class RunningServer:
    """A server, how to talk to it, and what is behind it.

    Attributes:
        settings: what it was started with; `listen` names its real port.
        context: its store, for tests that look behind the wire or hurry something along.
        clock: its clock.
        administrator: the access key that its first start made.
    """

    settings: Settings
    context: Context
    clock: MovableClock
    administrator: AccessKey

    @property
    def address(self) -> str:
        """`HOST:PORT`, the registry as clients name it."""
        return self.settings.listen

    @property
    def url(self) -> str:
        """The endpoint of the APIs of AWS."""
        return f"http://{self.address}"

    @cached_property
    def ecr(self) -> ECRClient:
        """The ECR API through boto3, as the administrator, in the default region."""
        return self.ecr_in(REGION)

    @cached_property
    def ecr_in(self) -> Callable[[str], ECRClient]:
        """Return boto3's client for a region (made once)."""
        return cache(self._client)

    def _client(self, region: str) -> ECRClient:
        client: ECRClient = self.client("ecr", region=region)
        return client

    @cached_property
    def iam(self) -> IAMClient:
        """The API of IAM through boto3, as the administrator."""
        client: IAMClient = self.client("iam")
        return client

    @cached_property
    def sts(self) -> STSClient:
        """The API of STS through boto3, as the administrator, in the default region."""
        client: STSClient = self.client("sts")
        return client

    def client(
        self,
        service: str,
        key: tuple[str, str] | None = None,
        token: str | None = None,
        region: str = REGION,
    ) -> Any:
        """Return boto3's client for a service, with a key and a session token if there is one."""
        key_id, secret = key or (self.administrator.id, self.administrator.secret)
        return boto3.client(
            service,  # type: ignore[call-overload] # one of three, and the caller knows which
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=_CONFIG,
        )

    def token(self, region: str = REGION, key: AccessKey | None = None) -> str:
        """Return what `docker login` would send: `AWS:<password>`, in base64."""
        credentials = access_keys.find(self.context, (key or self.administrator).id)
        password = registry_tokens.issue(self.context, credentials, region).password
        return base64.b64encode(f"AWS:{password}".encode()).decode()

    @cached_property
    def authorization(self) -> tuple[str, str]:
        """The header that proves to the registry face who is asking."""
        return "Authorization", f"Basic {self.token()}"

    def send(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | Iterable[bytes] | None = None,
    ) -> Answer:
        """Send a request just as it is given; only Host and the body's length are added.

        A body in pieces is sent with chunked transfer encoding.
        """
        given = {name.lower() for name, _ in headers}
        connection = http.client.HTTPConnection(self.address, timeout=_PATIENCE_SECONDS)
        try:
            connection.putrequest(
                method, path, skip_host="host" in given, skip_accept_encoding=True
            )
            for name, value in headers:
                connection.putheader(name, value)
            in_pieces = body is not None and not isinstance(body, bytes)
            if in_pieces:
                connection.putheader("Transfer-Encoding", "chunked")
            elif "content-length" not in given and (body or method in {"POST", "PUT", "PATCH"}):
                connection.putheader("Content-Length", str(len(body or b"")))  # type: ignore[arg-type] # not in pieces
            connection.endheaders(body or None, encode_chunked=in_pieces)
            return read_answer(connection.getresponse())
        finally:
            connection.close()

    def oci(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | Iterable[bytes] | None = None,
    ) -> Answer:
        """Send a request to the registry face, with the administrator's token."""
        return self.send(method, path, [self.authorization, *headers], body)

    def call(
        self, operation: str, document: Any = None, *, body: bytes | None = None, **changes: Any
    ) -> Answer:
        """Call the ECR API by hand, with whatever no SDK would send; see `signed`."""
        if body is None:
            body = json.dumps({} if document is None else document).encode()
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{TARGET}.{operation}",
        }
        return self.send("POST", "/", self.signed(headers, body, **changes), body)

    def query(
        self,
        service: str,
        action: str,
        members: Mapping[str, str] | None = None,
        *,
        body: bytes | None = None,
        **changes: Any,
    ) -> Answer:
        """Call the API of IAM or STS by hand, with whatever no SDK would send; see `signed`."""
        if body is None:
            form = {"Action": action, "Version": VERSIONS[service], **(members or {})}
            body = urlencode(form).encode()
        headers = {"Content-Type": FORM}
        return self.send("POST", "/", self.signed(headers, body, service=service, **changes), body)

    def signed(
        self,
        headers: Mapping[str, str],
        body: bytes,
        *,
        region: str = REGION,
        service: str = SERVICE,
        key: tuple[str, str] | None = None,
        host: str | None = None,
        security_token: str | None = None,
    ) -> list[tuple[str, str]]:
        """Return the headers of a request to an API of AWS, signed as botocore does."""
        host = host or self.address
        request = AWSRequest("POST", f"http://{host}/", dict(headers), body)
        key_id, secret = key or (self.administrator.id, self.administrator.secret)
        SigV4Auth(Credentials(key_id, secret, security_token), service, region).add_auth(request)
        return [("Host", host), *request.headers.items()]


def read_answer(response: http.client.HTTPResponse) -> Answer:
    """Read an answer to its end."""
    body = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    # uvicorn's own, and different each second.
    headers.pop("date", None)
    return Answer(response.status, headers, body)


@contextmanager
def running_server(data: Path, **settings: Any) -> Iterator[RunningServer]:
    """Run a server over the directory `data`; it is stopped when the block ends.

    Unless told otherwise, nobody has to wait who fails to authenticate: many tests do.
    """
    settings = {"failed_attempts": 0, **settings}
    taken, chosen = serving.listen(
        Settings(
            data=data, listen="127.0.0.1:0", **{"jobs": False, "pulls_interval": _NEVER} | settings
        )
    )
    administrator = server.prepare(chosen).administrator
    if administrator is None:
        raise AssertionError("the data directory has no administrator's key")
    clock = MovableClock()
    context = replace(server.open_context(chosen), clock=clock)
    with _serving(chosen, context, taken):
        yield RunningServer(chosen, context, clock, administrator)


@contextmanager
def _serving(settings: Settings, context: Context, taken: socket.socket) -> Iterator[None]:
    uvicorn_server = _Server(
        serving.uvicorn_config(partial(create_app, settings, context, _QUICK), settings)
    )
    thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [taken]})
    thread.start()
    try:
        if not uvicorn_server.listening.wait(_PATIENCE_SECONDS):
            raise AssertionError("the server didn't start")
        yield
    finally:
        uvicorn_server.should_exit = True
        thread.join()


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()
