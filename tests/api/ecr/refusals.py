"""How the ECR face refuses: an error's code, sentence and further members, to the letter."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Answer

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

REPOSITORY_PATTERN = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"


def constraint(member: str, reason: str) -> str:
    """Return ECR's sentence on a member that breaks a constraint."""
    return f"Invalid parameter at '{member}' failed to satisfy constraint: '{reason}'"


def check_refusal(
    answer: Answer, code: str, message: str, *, status: int = 400, **members: Any
) -> None:
    """Hold an answer against the refusal that it should be, whole."""
    assert answer.json() == {"__type": code, "message": message, **members}
    assert answer.status == status
    headers = dict(answer.headers)
    assert UUID.fullmatch(headers.pop("x-amzn-requestid"))
    assert headers == {
        "content-type": "application/x-amz-json-1.1",
        "content-length": str(len(answer.body)),
    }


@contextmanager
def refusal(code: str, message: str, *, status: int = 400, **members: Any) -> Iterator[None]:
    """Expect that boto3 is refused so."""
    with pytest.raises(ClientError) as caught:
        yield
    response: dict[str, Any] = dict(caught.value.response)
    metadata = response.pop("ResponseMetadata")
    assert response.pop("Error") == {"Code": code, "Message": message}
    assert response == {"message": message, **members}
    assert metadata["HTTPStatusCode"] == status
    assert UUID.fullmatch(metadata["RequestId"])


def body(response: Any) -> dict[str, Any]:
    """Return boto3's response without what it says of the HTTP exchange."""
    members = dict(response)
    metadata = members.pop("ResponseMetadata")
    assert metadata["HTTPStatusCode"] == 200
    assert UUID.fullmatch(metadata["RequestId"])
    return members
