"""Account settings: choices that hold for a whole registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, select

from longshore.errors import InvalidParameter
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.metadata.statements import upsert

if TYPE_CHECKING:
    from longshore.names import Registry
    from longshore.registry.context import Context

BLOB_MOUNTING = "BLOB_MOUNTING"
REGISTRY_POLICY_SCOPE = "REGISTRY_POLICY_SCOPE"

# Each setting with its possible values; the first is the one before it was ever set.
_VALUES: dict[str, tuple[str, ...]] = {
    BLOB_MOUNTING: ("DISABLED", "ENABLED"),
    "BASIC_SCAN_TYPE_VERSION": ("AWS_NATIVE",),
    REGISTRY_POLICY_SCOPE: ("V2", "V1"),
}

_READ = Prepared(
    select(schema.account_settings.c.value).where(
        schema.account_settings.c.account == bindparam("account"),
        schema.account_settings.c.region == bindparam("region"),
        schema.account_settings.c.name == bindparam("name"),
    )
)


def get(context: Context, registry: Registry, name: str) -> str:
    """Return the value that is in force.

    Raises:
        InvalidParameter: there is no such setting.
    """
    with context.database.read() as tx:
        return read(tx, registry, name)


def read(tx: Connection, registry: Registry, name: str) -> str:
    """Return the value that is in force, inside a transaction."""
    value_before = unset(name)
    value: str | None = _READ.value(tx, account=registry.account, region=registry.region, name=name)
    return value_before if value is None else value


def unset(name: str) -> str:
    """Return the value of a setting before it was ever set.

    Raises:
        InvalidParameter: there is no such setting.
    """
    return _values(name)[0]


def put(context: Context, registry: Registry, name: str, value: str) -> None:
    """Change a setting.

    Raises:
        InvalidParameter: there is no such setting, or it has no such value.
    """
    values = _values(name)
    if value not in values:
        raise InvalidParameter.at(
            "value", f"Member must satisfy enum value set: [{', '.join(values)}]"
        )
    with context.database.write() as tx:
        upsert(
            tx,
            schema.account_settings,
            key={"account": registry.account, "region": registry.region, "name": name},
            values={"value": value},
        )


def _values(name: str) -> tuple[str, ...]:
    if name not in _VALUES:
        raise InvalidParameter.at(
            "name", f"Member must satisfy enum value set: [{', '.join(_VALUES)}]"
        )
    return _VALUES[name]
