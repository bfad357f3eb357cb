"""How the APIs of IAM and STS refuse: an error's code, sentence and status, to the letter."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import create_parser

from tests.api.ecr.refusals import UUID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Answer

_PARSER = create_parser("query")


def error_of(answer: Answer) -> dict[str, str]:
    """Read the error that an answer tells of, as botocore does."""
    response = {"status_code": answer.status, "headers": {}, "body": answer.body}
    no_shape: Any = None
    parsed: dict[str, Any] = _PARSER.parse(response, no_shape)
    error: dict[str, str] = parsed["Error"]
    return error


def check_query_refusal(answer: Answer, code: str, message: str, *, status: int) -> None:
    """Hold an answer against the refusal that it should be, whole."""
    kind = "Sender" if status < 500 else "Receiver"
    assert error_of(answer) == {"Type": kind, "Code": code, "Message": message}
    assert answer.status == status
    headers = dict(answer.headers)
    request_id = headers.pop("x-amzn-requestid")
    assert UUID.fullmatch(request_id)
    assert f"<RequestId>{request_id}</RequestId>" in answer.body.decode()
    assert headers == {"content-type": "text/xml", "content-length": str(len(answer.body))}


@contextmanager
def refused(code: str, message: str | None = None, *, ending: str = "") -> Iterator[None]:
    """Expect that a call through boto3 is refused, with a message or at least its end."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code
    assert error["Message"].endswith(ending)
    if message is not None:
        assert error["Message"] == message
