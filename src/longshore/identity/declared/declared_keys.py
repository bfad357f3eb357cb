"""Access keys that are declared: those that users bring along."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from longshore.identity import access_keys, identities
from longshore.identity.access_keys import AccessKey
from longshore.identity.declared.yaml_reader import InvalidFile
from longshore.identity.kinds import Kind
from longshore.metadata import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.identity.declared.application import Application
    from longshore.identity.declared.declaration import DeclaredKey, DeclaredUser

_KIND = "key"
_table = schema.access_keys


def write(application: Application, account: str, user: DeclaredUser) -> Iterator[str]:
    """Give a user the keys that are declared, and take those that were before; say which.

    Those that were made otherwise stay, and so does whether a key is active: whoever has made one
    inactive had a reason.

    Raises:
        InvalidFile: a key is somebody else's, or was made otherwise.
    """
    owner = identities.find(application.tx, account, Kind.USER, user.name).id
    named = {key.id for key in user.keys}
    query = select(_table.c.id).where(_table.c.user_id == owner).order_by(_table.c.id)
    for key_id in list(application.tx.execute(query).scalars()):
        if key_id not in named and application.is_remembered(account, _KIND, key_id):
            access_keys.remove(application.context, account, user.name, key_id)
            application.forget(account, _KIND, key_id)
            yield f"without the key {key_id}"
    for key in user.keys:
        yield from _write(application, account, owner, key)


def forget_lost(application: Application) -> None:
    """Forget the keys that went with their users, or otherwise."""
    for account, key_id in application.remembered(_KIND):
        query = select(_table.c.id).where(_table.c.id == key_id)
        if application.tx.execute(query).first() is None:
            application.forget(account, _KIND, key_id)


def _write(application: Application, account: str, owner: str, key: DeclaredKey) -> Iterator[str]:
    context, tx = application.context, application.tx
    seal = access_keys.seal_of(context)
    row = tx.execute(select(_table).where(_table.c.id == key.id).with_for_update()).one_or_none()
    if row is None:
        made = AccessKey(key.id, key.secret)
        access_keys.store(tx, seal, made, account=account, user_id=owner, now=context.clock())
        access_keys.check_count(tx, account, owner)
        application.remember(account, _KIND, key.id)
        yield f"with the key {key.id}"
        return
    if row.user_id != owner:
        raise InvalidFile(key.line, f"the key {key.id} belongs to somebody else")
    application.require_own(account, _KIND, key.id, f"key {key.id}", key.line)
    bound_to = key.id.encode()
    if not hmac.compare_digest(seal.open(row.secret, bound_to), key.secret.encode()):
        sealed = seal.close(key.secret.encode(), bound_to)
        tx.execute(update(_table).where(_table.c.id == key.id).values(secret=sealed))
        yield f"another secret of the key {key.id}"
