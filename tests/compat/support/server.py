"""A Longshore for the tests: a real process on loopback, stopped and started at will."""

from __future__ import annotations

import base64
import itertools
import random
import shlex
import socket
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
import urllib3
from botocore.config import Config

from tests.compat.support.content import MANIFEST_TYPES, Content
from tests.compat.support.daemons import Daemon
from tests.compat.support.programs import Shell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from types_boto3_ecr import ECRClient
    from types_boto3_ecr.type_defs import ImageDetailTypeDef

USER = "AWS"

_NO_RETRIES = Config(retries={"total_max_attempts": 1})


class Longshore:
    """A server over one data directory, at the same address after every restart.

    Attributes:
        address: `HOST:PORT`, the registry as clients name it.
        shell: where its commands are run by hand, with the server's own settings.
    """

    def __init__(self, home: Path, settings: Mapping[str, str]) -> None:
        self.address = f"127.0.0.1:{_free_port()}"
        self.shell = Shell(
            home,
            {
                "LONGSHORE_LISTEN": self.address,
                "LONGSHORE_DATA": str(home / "data"),
                **settings,
            },
        )
        self._log = home / "server.log"
        self._daemon = Daemon(
            ["longshore", "serve"],
            self.shell.environment,
            self.address,
            self._log,
        )
        self._numbers = itertools.count(1)
        self._http = urllib3.PoolManager()

    def start(self) -> None:
        """Start the server and return when it answers."""
        self._daemon.start()
        # It listens before it has prepared its store; what is asked meanwhile waits.
        self._http.request("GET", f"http://{self.address}/v2/", retries=False)

    def stop(self) -> None:
        """Ask the server to end, and wait until it has."""
        self._http.clear()
        self._daemon.stop()

    def restart(self) -> None:
        """Stop the server and start it over the same data."""
        self.stop()
        self.start()

    def log(self) -> str:
        """Return all that the server has printed."""
        return self._log.read_text()

    @cached_property
    def credentials(self) -> Mapping[str, str]:
        """What `longshore env` tells a shell to export."""
        printed = self.shell.run("longshore", "env")
        words = (shlex.split(line) for line in printed.splitlines())
        return dict(word[1].split("=", 1) for word in words if word[:1] == ["export"])

    @property
    def session(self) -> boto3.Session:
        """What boto3 makes clients of, as the administrator."""
        return self.session_of(
            self.credentials["AWS_ACCESS_KEY_ID"], self.credentials["AWS_SECRET_ACCESS_KEY"]
        )

    def session_of(self, key_id: str, secret: str, token: str | None = None) -> boto3.Session:
        """Return what boto3 makes clients of, as whoever has these credentials."""
        return boto3.Session(key_id, secret, token, region_name=self.credentials["AWS_REGION"])

    def client(self, service: Any, session: boto3.Session | None = None) -> Any:
        """Return boto3's client of an API of this server, as the administrator or another."""
        return (session or self.session).client(
            service, endpoint_url=f"http://{self.address}", config=_NO_RETRIES
        )

    @cached_property
    def ecr(self) -> ECRClient:
        """The ECR API through boto3, as the administrator."""
        client: ECRClient = self.client("ecr")
        return client

    def password(self, session: boto3.Session | None = None) -> str:
        """Return the password of the user `AWS`, from GetAuthorizationToken."""
        token = self._token if session is None else _token_of(self.client("ecr", session))
        return base64.b64decode(token).decode().removeprefix(f"{USER}:")

    def create_repository(self, prefix: str) -> str:
        """Create a repository that no other test uses and return its name."""
        name = f"{prefix}/{next(self._numbers)}"
        self.ecr.create_repository(repositoryName=name)
        return name

    def described(self, repository: str) -> list[ImageDetailTypeDef]:
        """Return the repository's images as DescribeImages tells them, sorted by digest."""
        pages = self.ecr.get_paginator("describe_images").paginate(repositoryName=repository)
        details = (detail for page in pages for detail in page["imageDetails"])
        return sorted(details, key=lambda detail: detail["imageDigest"])

    def content(self, repository: str, reference: str) -> Content:
        """Read an image whole through the registry face."""

        def manifest(digest: str) -> bytes:
            return self.get(f"/v2/{repository}/manifests/{digest}").data

        def blob(digest: str) -> bytes:
            return self.get(f"/v2/{repository}/blobs/{digest}").data

        root = self.get(f"/v2/{repository}/manifests/{reference}").headers["Docker-Content-Digest"]
        return Content.read(root, manifest, blob)

    def get(self, path: str) -> urllib3.BaseHTTPResponse:
        """GET `path` of the registry face, which must succeed."""
        response = self._http.request(
            "GET",
            f"http://{self.address}{path}",
            headers={
                "Authorization": f"Basic {self._token}",
                "Accept": ", ".join(MANIFEST_TYPES),
            },
        )
        assert response.status == 200, (path, response.status, response.data)
        return response

    @cached_property
    def _token(self) -> str:
        return _token_of(self.ecr)


def _token_of(ecr: ECRClient) -> str:
    [authorization] = ecr.get_authorization_token()["authorizationData"]
    return authorization["authorizationToken"]


def _free_port() -> int:
    """Find a port below those that the system gives to outgoing connections.

    One of those could be taken while a server is down, by the very client that knocks for it.
    """
    for port in random.sample(range(20000, 30000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port in a hundred")
