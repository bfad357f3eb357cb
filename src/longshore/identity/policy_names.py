"""Managed policies by their names alone, as people and files name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from longshore.identity import aws_managed_policies
from longshore.identity.errors import NoSuchEntity
from longshore.metadata import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection


def arn_of(tx: Connection, account: str, text: str) -> str:
    """Return the ARN that `text` is, or that of the policy with this name.

    A name stands for the account's own policy before it stands for one of AWS's.

    Raises:
        NoSuchEntity: the account sees none of this name.
    """
    if text.startswith("arn:"):
        return text
    table = schema.managed_policies
    own = tx.execute(
        select(table.c.arn).where(table.c.account == account, table.c.name == text)
    ).scalar_one_or_none()
    if own is not None:
        return str(own)
    for arn in aws_managed_policies.ARNS:
        if arn.rpartition("/")[2] == text:
            return arn
    raise NoSuchEntity(
        f"There is no policy {text} in the account {account}, and none of AWS's of this name. "
        "longshore iam policy list --aws shows those there are."
    )
