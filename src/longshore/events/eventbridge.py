"""Events for a bus of Amazon EventBridge, or of what speaks its API, through boto3.

EventBridge takes no events of others whose source begins with `aws.`, so theirs is another one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from longshore.clock import SECOND
from longshore.events.receivers import Undelivered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from longshore.clock import Millis
    from longshore.events.log import Entry

# They say that this event can't be taken, whenever it is sent (PutEvents, "Errors").
_REFUSALS = frozenset({"InvalidArgument", "MalformedDetail", "NotAuthorizedForSource"})


class NotInstalled(ImportError):
    """boto3 isn't there; the message says what to do."""


@dataclass(frozen=True, slots=True)
class EventBridge:
    """A bus.

    Attributes:
        name: its name as a receiver.
        bus: its name or ARN.
        source: what its events say they come from.
        client: boto3's.
    """

    name: str
    bus: str
    source: str
    client: Any = field(repr=False)
    most: int = 10

    @classmethod
    def connect(
        cls,
        name: str,
        *,
        bus: str,
        source: str,
        region: str,
        endpoint: str | None,
        timeout: Millis,
    ) -> EventBridge:
        """Make a client, with the credentials that boto3 finds in its environment.

        Raises:
            NotInstalled: there is no boto3.
        """
        try:
            import boto3  # noqa: PLC0415 - an extra
            from botocore.config import Config  # noqa: PLC0415
        except ImportError as error:
            raise NotInstalled(
                "EventBridge needs boto3. Install Longshore with it: "
                "pip install '.[eventbridge]' in its directory."
            ) from error
        seconds = timeout / SECOND
        # The queue tries again, and knows for how long.
        config = Config(
            connect_timeout=seconds, read_timeout=seconds, retries={"total_max_attempts": 1}
        )
        client = boto3.client("events", region_name=region, endpoint_url=endpoint, config=config)
        return cls(name, bus, source, client)

    def deliver(self, events: Sequence[Entry]) -> str:
        """See `Receiver`. What the bus takes behind the first failure, it gets again."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        entries = [self._entry(json.loads(event.document)) for event in events]
        try:
            answer = self.client.put_events(Entries=entries)
        except (BotoCoreError, ClientError) as error:
            raise Undelivered(f"{type(error).__name__}: {error}") from error
        for n, result in enumerate(answer["Entries"]):
            if code := result.get("ErrorCode"):
                told = f"{code}: {result.get('ErrorMessage', '')}"
                is_refusal = code.removesuffix("Exception") in _REFUSALS
                raise Undelivered(told, delivered=n, is_refusal=is_refusal)
        return f"{len(entries)} entries taken"

    def _entry(self, document: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "EventBusName": self.bus,
            "Source": self.source,
            "DetailType": document["detail-type"],
            "Time": document["time"],
            "Resources": document["resources"],
            # What the envelope would say stands where receivers can find it.
            "Detail": json.dumps(
                {
                    **document["detail"],
                    "id": document["id"],
                    "account": document["account"],
                    "region": document["region"],
                }
            ),
        }
