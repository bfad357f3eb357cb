"""Creation on push: what a push does where there is no repository yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from longshore.errors import RepositoryNotFound
from longshore.identity import creation_on_push

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.api.oci.calls import Call

Result = TypeVar("Result")


def creating(call: Call, begin: Callable[[], Result]) -> Result:
    """Do what begins a push, and where there is no repository, create it and do it again.

    Args:
        call: a request whose sender has the permissions that it needs.
        begin: what is done; a worker runs it.

    Raises:
        RepositoryNotFound: repositories of this name aren't created on push.
        AccessDenied, LimitExceeded: it can't be created.
    """
    try:
        return begin()
    except RepositoryNotFound:
        creation = creation_on_push.create(call.context, call.registry, call.name)
        if creation is not None:
            call.creations.append(creation)
        return begin()
