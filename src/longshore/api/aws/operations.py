"""An operation of an API of AWS: what answers it, and what its caller needs for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from longshore.api.aws.calls import Output
    from longshore.identity.authorization import Need

Handler: TypeAlias = "Callable[[Any, Any], Output]"
# From an IAM action, a call and its request to what the caller needs.
Needs: TypeAlias = "Callable[[str, Any, Any], Iterable[Need]]"


@dataclass(frozen=True, slots=True)
class Operation:
    """What answers an operation, and what its caller needs.

    Attributes:
        handler: a plain function from call and request to response.
        action: the IAM action.
        only_reads: whether it changes nothing.
        is_fresh: whether the answer depends on more than the request, its caller and the database,
            so that it can't be kept in memory until the database changes.
        only_computes: whether it asks nothing but the time, so that the event loop may do it. No
            answer is like another one, and none is kept; all else that is told of it is, in turn.
        is_unsigned: whether requests need no signature, because they prove otherwise who sends
            them.
    """

    handler: Handler
    action: str
    _needs: Needs
    only_reads: bool = False
    is_fresh: bool = False
    only_computes: bool = False
    is_unsigned: bool = False

    @property
    def is_remembered(self) -> bool:
        """Whether the answer is kept in memory until the database changes."""
        return self.only_reads and not self.is_fresh

    def needs(self, call: Any, request: Any) -> Iterable[Need]:  # noqa: ANN401 - each has its own
        """Return the permissions that the caller needs.

        Raises:
            RegistryError: the request names something that can't be.
        """
        return self._needs(self.action, call, request)
