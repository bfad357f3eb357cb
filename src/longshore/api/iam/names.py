"""Whom a request means that names nobody: whoever sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.access.policy.subjects import Kind
from longshore.errors import ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.api.aws.calls import Call


def user_name(call: Call, request: Mapping[str, Any]) -> str | None:
    """Return the name of the user that a request is about; None is the account's root.

    Raises:
        ValidationFailed: it names nobody, and a role sends it.
    """
    name: str | None = request.get("UserName")
    if name is not None or call.principal.subject.kind is Kind.ROOT:
        return name
    if not call.principal.name:
        raise ValidationFailed("Must specify userName when calling with non-User credentials")
    return call.principal.name
