"""An exchange: a request to an API of AWS, and what became known of it while it was answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.access.sigv4 import Signature
    from longshore.api.aws.api import Api
    from longshore.api.aws.calls import Call
    from longshore.api.http import Request
    from longshore.errors import RegistryError
    from longshore.identity.authorization import Need


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
        output: what the operation gave, unless the answer was in memory.
        error: why it was refused, None if it wasn't.
    """

    request: Request
    api: Api
    signature: Signature | None = None
    body: bytes = field(default=b"", repr=False)
    operation: str | None = None
    call: Call | None = None
    needs: tuple[Need, ...] = ()
    output: Mapping[str, Any] | None = field(default=None, repr=False)
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
