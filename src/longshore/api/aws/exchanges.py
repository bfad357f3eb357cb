"""An exchange: a request to an API of AWS, and what became known of it while it was answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from longshore.api import auditing
from longshore.audit.records import ApiCall
from longshore.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from longshore.access.signatures import Signature
    from longshore.api.aws.api import Api
    from longshore.api.aws.calls import Call
    from longshore.api.aws.outcomes import Outcome
    from longshore.api.http import Request
    from longshore.clock import Millis
    from longshore.identity.authorization import Need
    from longshore.names import Registry
    from longshore.registry.pulls import PulledImage


@dataclass
class Exchange:
    """One request and its fate, for whoever keeps a record of it.

    Attributes:
        request: the HTTP request.
        api: the API that it is for, as far as its head tells.
        signature: what it is signed with, not verified.
        body: its body.
        operation: the name of the operation.
        call: who calls; None if nobody is who the request says.
        needs: the permissions that it needs.
        is_counted: whether the rate limits have counted it.
        output: what the operation gave, unless the answer was in memory.
        is_remembered: whether what it comes to may be kept in memory.
        answer: what it was answered and the images that this hands out, if that may be kept.
        outcome: what it came to, if one that asked the same has come to it before.
        is_from_memory: whether it was answered without asking the database anything.
        error: why it was refused, None if it wasn't.
    """

    request: Request
    api: Api
    signature: Signature | None = None
    body: bytes = field(default=b"", repr=False)
    operation: str | None = None
    call: Call | None = None
    needs: tuple[Need, ...] = ()
    is_counted: bool = False
    output: Mapping[str, Any] | None = field(default=None, repr=False)
    is_remembered: bool = False
    answer: tuple[bytes, Sequence[PulledImage]] | None = field(default=None, repr=False)
    outcome: Outcome | None = field(default=None, repr=False)
    is_from_memory: bool = False
    error: RegistryError | None = None

    @cached_property
    def body_sha256(self) -> bytes:
        """The hash of the body."""
        return sha256(self.body).digest()

    @cached_property
    def members(self) -> dict[str, Any]:
        """What the request asks the operation for, by the names of the model.

        Raises:
            RegistryError: it can't be read, or breaks a constraint.
        """
        return self.api.parse(self.operation or "", self.body)

    def record(self, default: Registry, at: Millis) -> ApiCall:
        """Return what the audit tells of it.

        Args:
            default: the registry of those of whom it isn't known which they ask.
            at: the time.
        """
        call, request = self.call, self.request
        name = self.operation or "Unknown"
        operation = self.api.operations.get(name)
        only_reads = operation is not None and operation.only_reads
        registries = (need.registry for need in self.needs if need.registry is not None)
        own = default if call is None else call.own_registry
        return ApiCall(
            service=self.api.name,
            operation=name,
            region=own.region,
            account=next(registries, own).account,
            identity=auditing.user_identity(
                None if call is None else call.principal,
                None if self.signature is None else self.signature.access_key_id,
            ),
            source_ip=request.client_address,
            user_agent=request.user_agent or "",
            request_id=request.id,
            at=at,
            only_reads=only_reads,
            parameters=self._parameters(),
            response=None if only_reads or self.error else self.output,
            resources=auditing.resources(self.needs),
            error_code=None if self.error is None else self.error.code,
            error_message=None if self.error is None else self.error.message,
            additional=auditing.explanation(self.error),
        )

    def _parameters(self) -> Mapping[str, Any] | None:
        if self.call is None:
            # Who can't say who they are hasn't been listened to.
            return None
        try:
            return self.members
        except (KeyError, RegistryError):
            return None
