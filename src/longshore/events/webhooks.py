"""Webhooks: each event is sent to a URL, signed as the Standard Webhooks specification has it.

The signature covers the event's id, the moment of sending and the body, so that nobody else can
send events, and so that an old one can be told from a new one:

    webhook-id: the event's id, the same at each attempt
    webhook-timestamp: seconds since 1970
    webhook-signature: v1,<base64 of HMAC-SHA256 over "<id>.<timestamp>.<body>">
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING

from longshore import outbound
from longshore.clock import SECOND
from longshore.events.receivers import Undelivered
from longshore.outbound import Unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.clock import Clock, Millis
    from longshore.events.log import Entry
    from longshore.outbound import Reach, Url

_MARK = "whsec_"
_KEY_SIZES = range(24, 65)
# They say that it is the receiver's fault or the moment's, and not that of the event.
_OF_THE_MOMENT = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


class BadSecret(ValueError):
    """The text is no secret of a webhook; the message says what one is."""


def read_secret(text: str) -> bytes:
    """Return the key that a secret stands for: `whsec_` and base64 of 24 to 64 bytes.

    Raises:
        BadSecret: it isn't one.
    """
    encoded = text.removeprefix(_MARK)
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if encoded == text or len(key) not in _KEY_SIZES:
        raise BadSecret(
            "a secret is whsec_ and the base64 of 24 to 64 random bytes; make one with "
            'echo "whsec_$(openssl rand -base64 32)"'
        )
    return key


def sign(key: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a body, as the header has it. `timestamp` is in seconds."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that wants to hear of events, one at a time.

    Attributes:
        name: its name.
        url: where it is.
        key: what its events are signed with.
        reach: where requests may go.
        clock: tells when an event is sent.
        timeout: how long it may take to answer, in milliseconds.
    """

    name: str
    url: Url
    key: bytes = field(repr=False)
    reach: Reach
    clock: Clock
    timeout: Millis = 10 * SECOND
    most: int = 1

    def deliver(self, events: Sequence[Entry]) -> str:
        """See `Receiver`. Every 2xx is a yes; a redirect is none."""
        [event] = events
        body, now = event.document.encode(), self.clock() // SECOND
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Longshore/{version('longshore')}",
            "webhook-id": event.event_id,
            "webhook-timestamp": str(now),
            "webhook-signature": sign(self.key, event.event_id, now, body),
        }
        try:
            answer = outbound.post(self.url, headers, body, self.reach, self.timeout / SECOND)
        except Unreachable as error:
            raise Undelivered(str(error)) from error
        told = f"{answer.status} {answer.beginning.strip()}".strip()
        if answer.status // 100 == 2:
            return told
        is_refusal = answer.status // 100 == 4 and answer.status not in _OF_THE_MOMENT
        raise Undelivered(told, is_refusal=is_refusal)
