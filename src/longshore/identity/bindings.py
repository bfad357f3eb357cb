"""Whom the policies of resources name: users and roles, by the ids that nobody else ever gets.

IAM User Guide, "AWS JSON policy elements: Principal".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import select

from longshore.identity import identities
from longshore.identity.identities import Identity
from longshore.identity.kinds import Kind
from longshore.identity.principals import IDENTITY_ARN, ROOT_ARN, SESSION_ARN
from longshore.metadata import schema
from longshore.metadata.statements import batches
from longshore.names import is_account
from longshore.registry import policies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from longshore.access.policy.principals import Bindings
    from longshore.registry.context import Context

_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com")


class NoSuchPrincipal(LookupError):
    """A policy names somebody who doesn't exist.

    Attributes:
        named: as the policy names them.
    """

    def __init__(self, named: str) -> None:
        super().__init__(named)
        self.named = named


def find(context: Context, named: Iterable[str]) -> dict[str, str]:
    """Return to whom the ARNs belong that a policy names: the ids of users and roles by their ARNs.

    Of the session of a role that is the role's. An account is its number: each exists, whether or
    not anybody uses it, and will be nobody else's; so do the services.

    Raises:
        NoSuchPrincipal: one of those named doesn't exist.
    """
    found: dict[str, str] = {}
    with context.database.read() as tx:
        for text in sorted(named):
            if not _is_always_there(text):
                found[text] = _id_behind(tx, text)
    return found


def shown(tx: Connection, stored: Sequence[tuple[str, Bindings]]) -> list[str]:
    """Return policies as they are shown, of their texts and of whom these named when they were set.

    Somebody who hasn't the ARN any more stands there with their unique id, whether or not somebody
    else has it now. So whoever compares the policy with the one that it should be, as Terraform
    does, finds that it isn't about the one who has the ARN.
    """
    there = _identities(tx, {each for _, bindings in stored for each in bindings.values()})
    return [policies.renamed(text, _lost(bindings, there)) for text, bindings in stored]


def _identities(tx: Connection, ids: set[str]) -> dict[str, Identity]:
    table = schema.identities
    found: dict[str, Identity] = {}
    for some in batches(sorted(ids)):
        query = select(table).where(table.c.id.in_(some))
        found |= {row.id: Identity.of(row) for row in tx.execute(query)}
    return found


def _lost(bindings: Bindings, there: Mapping[str, Identity]) -> dict[str, str]:
    """Return the ids of those who haven't their ARNs any more, by these ARNs."""
    return {
        arn: _as_id(arn, unique_id)
        for arn, unique_id in bindings.items()
        if unique_id not in there or not _has(there[unique_id], arn)
    }


def _has(identity: Identity, arn: str) -> bool:
    if session := SESSION_ARN.fullmatch(arn):
        return (identity.account, identity.name) == (session["account"], session["name"])
    return identity.arn == arn


def _as_id(arn: str, unique_id: str) -> str:
    """Return a unique id; of a session, in the form of `aws:userid`."""
    session = SESSION_ARN.fullmatch(arn)
    return f"{unique_id}:{session['session']}" if session else unique_id


def _is_always_there(text: str) -> bool:
    matched = ROOT_ARN.fullmatch(text) or _SERVICE.fullmatch(text)
    return text == "*" or is_account(text) or matched is not None


def _id_behind(tx: Connection, text: str) -> str:
    unique_id = None
    if (found := IDENTITY_ARN.fullmatch(text)) and found["kind"] != Kind.GROUP.value:
        kind = Kind(found["kind"])
        unique_id = identities.find_id(tx, found["account"], kind, found["path"], found["name"])
    elif found := SESSION_ARN.fullmatch(text):
        unique_id = identities.find_id(tx, found["account"], Kind.ROLE, None, found["name"])
    if unique_id is None:
        raise NoSuchPrincipal(text)
    return unique_id
