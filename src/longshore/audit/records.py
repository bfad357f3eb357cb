"""Audit records, in the form of CloudTrail's (event version 1.11).

A record is a JSON object on a line of its own. It tells who did what, on what, from where, and how
it went. Neither secrets nor the bytes of blobs are in it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from longshore.clock import SECOND, as_datetime
from longshore.ids import random_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from longshore.clock import Millis

EVENT_VERSION: Final = "1.11"
# What CloudTrail calls whoever shows no credentials.
ANONYMOUS: Final[Mapping[str, Any]] = {"type": "Unknown", "principalId": "ANONYMOUS_PRINCIPAL"}
# What CloudTrail calls a service that does something by itself.
_BY_ITSELF: Final = "AWS Internal"
# What stands in the place of a secret, in CloudTrail's words, and the members that are secret.
HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"
SECRET_MEMBERS: Final = frozenset(
    {
        # what AWS's models call sensitive
        *("AddPrivateKey", "Base32StringSeed", "NewPassword", "OldPassword", "Password"),
        *("PrivateKey", "QRCodePNG", "SAMLAssertion", "SecretAccessKey", "TradeInToken"),
        *("ServiceCredentialSecret", "ServicePassword", "WebIdentityToken"),
        # what opens something all the same
        *("SessionToken", "TokenCode", "authorizationToken", "downloadUrl"),
    }
)
# Texts of requests and answers are told up to here, in characters: a manifest may have millions.
LONGEST_TEXT: Final = 10_000


# Not frozen: each request makes one, and freezing costs more than all its members.
@dataclass(slots=True)
class ApiCall:
    """One request, as the audit tells of it.

    Attributes:
        service: the AWS service, such as `ecr`.
        operation: the operation, such as `PutImage`; on the registry face the one that a route
            stands for.
        region: where.
        account: whose registry or identities it was about.
        identity: who it was, in CloudTrail's words (`userIdentity`).
        source_ip: the address that it came from.
        user_agent: what it came from.
        request_id: the id that the client was told.
        at: when.
        only_reads: whether the operation changes nothing.
        parameters: what was asked; None where it couldn't be read.
        response: what was answered, if it is told at all.
        resources: the ARNs that it was about.
        error_code: why it failed, if it did.
        error_message: the same for people.
        additional: what else there is to tell.
    """

    service: str
    operation: str
    region: str
    account: str
    identity: Mapping[str, Any]
    source_ip: str
    user_agent: str
    request_id: str
    at: Millis
    only_reads: bool
    parameters: Mapping[str, Any] | None = None
    response: Mapping[str, Any] | None = None
    resources: Sequence[str] = ()
    error_code: str | None = None
    error_message: str | None = None
    additional: Mapping[str, Any] | None = None
    _outline: Outline | None = field(default=None, init=False, repr=False, compare=False)

    def as_line(self) -> bytes:
        """Return the record as one line of JSON."""
        return self.outline.line(self.at, self.request_id)

    @property
    def outline(self) -> Outline:
        """All of it but the time and the ids, made once."""
        if self._outline is None:
            self._outline = self._make_outline()
        return self._outline

    def _make_outline(self) -> Outline:
        record = {
            "eventVersion": EVENT_VERSION,
            "userIdentity": self.identity,
            "eventTime": None,
            "eventSource": f"{self.service}.amazonaws.com",
            "eventName": self.operation,
            "awsRegion": self.region,
            "sourceIPAddress": self.source_ip,
            "userAgent": _told(self.user_agent),
        }
        if self.error_code is not None:
            record["errorCode"] = self.error_code
            record["errorMessage"] = _told(self.error_message)
        record["requestParameters"] = _told(self.parameters)
        record["responseElements"] = _told(self.response)
        if self.additional is not None:
            record["additionalEventData"] = self.additional
        record["requestID"] = None
        record["readOnly"] = self.only_reads
        record["resources"] = [{"ARN": arn, "accountId": _account(arn)} for arn in self.resources]
        record["eventType"] = "AwsApiCall"
        record["managementEvent"] = True
        record["recipientAccountId"] = self.account
        record["eventCategory"] = "Management"
        # Quotes in a text are escaped, so that no text holds these; what requests name themselves
        # lies between them.
        beginning, _, rest = _members(record).partition('"eventTime":null,')
        middle, _, end = rest.rpartition('"requestID":null,')
        return Outline(beginning, middle, end)


@dataclass(slots=True)
class Outline:
    """What the records of a request have in common that is sent again and again.

    Attributes:
        beginning: the members before the time, as JSON.
        middle: those between the time and the ids.
        end: those after the ids.
    """

    beginning: str
    middle: str
    end: str

    def line(self, at: Millis, request_id: str) -> bytes:
        """Return the record of one of them as one line of JSON."""
        return (
            f'{{{self.beginning}"eventTime":"{_moment(at // SECOND)}",{self.middle}'
            f'"requestID":"{request_id}","eventID":"{random_id()}",{self.end}}}\n'
        ).encode("ascii")


@dataclass(slots=True)
class RepeatedCall:
    """One more request of those that an outline is about."""

    outline: Outline
    at: Millis
    request_id: str

    def as_line(self) -> bytes:
        """Return the record as one line of JSON."""
        return self.outline.line(self.at, self.request_id)


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """What the registry did by itself, as the audit tells of it.

    Attributes:
        service: the AWS service, such as `ecr`.
        name: what it was, such as `PolicyExecutionEvent`.
        region: where.
        account: whose registry it was.
        at: when.
        resources: the ARNs that it was about.
        details: what is to be told of it.
    """

    service: str
    name: str
    region: str
    account: str
    at: Millis
    resources: Sequence[str]
    details: Mapping[str, Any]

    def as_line(self) -> bytes:
        """Return the record as one line of JSON."""
        return _line(
            {
                "eventVersion": EVENT_VERSION,
                "userIdentity": {"accountId": self.account, "invokedBy": _BY_ITSELF},
                "eventTime": _moment(self.at // SECOND),
                "eventSource": f"{self.service}.amazonaws.com",
                "eventName": self.name,
                "awsRegion": self.region,
                "sourceIPAddress": _BY_ITSELF,
                "userAgent": _BY_ITSELF,
                "requestParameters": None,
                "responseElements": None,
                "eventID": random_id(),
                "readOnly": True,
                "resources": [{"ARN": arn, "accountId": _account(arn)} for arn in self.resources],
                "eventType": "AwsServiceEvent",
                "managementEvent": True,
                "recipientAccountId": self.account,
                "serviceEventDetails": _told(self.details),
                "eventCategory": "Management",
            }
        )


def _account(arn: str) -> str:
    # Whoever asks may call anything an ARN.
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 else ""


@lru_cache(4)
def _moment(second: int) -> str:
    # CloudTrail tells whole seconds.
    return as_datetime(second * SECOND).strftime("%Y-%m-%dT%H:%M:%SZ")


def _told(value: Any) -> Any:  # noqa: ANN401 - whatever a request holds
    """Return what is told of a value: of bytes their number, of long texts the beginning."""
    # The usual things first: each request has a dozen.
    if isinstance(value, str):
        is_long = len(value) > LONGEST_TEXT
        return f"{value[:LONGEST_TEXT]}… ({len(value)} characters)" if is_long else value
    if isinstance(value, dict):
        return {
            name: HIDDEN if name in SECRET_MEMBERS else _told(member)
            for name, member in value.items()
            if member is not None
        }
    if isinstance(value, list | tuple):
        return [_told(element) for element in value]
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _line(record: Mapping[str, Any]) -> bytes:
    return f"{{{_members(record)}}}\n".encode("ascii")


def _members(record: Mapping[str, Any]) -> str:
    # Half a character, from a header, is written as the escape that it is in JSON.
    return _ENCODER.encode(record)[1:-1]


# Made once: `json.dumps` would make one for each record.
_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)
