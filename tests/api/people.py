"""People with nothing but the permissions that a test gives them."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from longshore.identity import access_keys, inline_policies, users
from longshore.identity.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from longshore.identity.access_keys import AccessKey
    from tests.support.server import Answer, RunningServer

ACCOUNT, OTHER_ACCOUNT = "000000000000", "111122223333"

_NUMBERS: Iterator[int] = itertools.count(1)
_POLICY = "test"


@dataclass(frozen=True)
class Person:
    """A user of a server, with a key."""

    server: RunningServer
    account: str
    name: str
    key: AccessKey

    @classmethod
    def invite(cls, server: RunningServer, account: str = ACCOUNT) -> Person:
        """Create a user that no other test knows, and who may do nothing."""
        name = f"person-{next(_NUMBERS)}"
        users.create(server.context, account, name)
        key, _ = access_keys.create(server.context, account, name)
        return cls(server, account, name, key)

    @property
    def arn(self) -> str:
        """The user's ARN."""
        return f"arn:aws:iam::{self.account}:user/{self.name}"

    def may(self, *statements: Mapping[str, Any]) -> None:
        """Let the user do what these statements say, and nothing else."""
        inline_policies.put(
            self.server.context,
            self.account,
            Kind.USER,
            self.name,
            _POLICY,
            document=policy(*statements),
        )

    def call(self, operation: str, document: Any = None) -> Answer:
        """Call the ECR API."""
        return self.server.call(operation, document, key=(self.key.id, self.key.secret))

    def query(self, service: str, action: str, members: Mapping[str, str] | None = None) -> Answer:
        """Call the API of IAM or STS."""
        return self.server.query(service, action, members, key=(self.key.id, self.key.secret))

    def client(self, service: str) -> Any:
        """Return boto3's client for a service."""
        return self.server.client(service, (self.key.id, self.key.secret))

    def oci(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | Iterable[bytes] | None = None,
    ) -> Answer:
        """Send a request to the registry face."""
        return self.server.send(method, path, [self.authorization, *headers], body)

    @cached_property
    def authorization(self) -> tuple[str, str]:
        """The header that proves to the registry face who is asking."""
        return "Authorization", f"Basic {self.server.token(key=self.key)}"


def policy(*statements: Mapping[str, Any]) -> str:
    """Write a policy down."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(action: str, resource: str = "*", /, **elements: Any) -> dict[str, Any]:
    """Return a statement of an identity's policy."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **elements}


def is_denied(answer: Answer) -> bool:
    """Tell whether an answer of either face says that the caller may not."""
    if answer.status == 403 and not answer.body:
        return True  # to HEAD
    if answer.status == 403:
        return [error["code"] for error in answer.json()["errors"]] == ["DENIED"]
    return answer.status == 400 and answer.json().get("__type") == "AccessDeniedException"
