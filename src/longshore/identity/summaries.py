"""What an account has, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from longshore.identity.kinds import Kind
from longshore.metadata import schema

if TYPE_CHECKING:
    from longshore.registry.context import Context


def of_account(context: Context, account: str) -> dict[str, int]:
    """Return the counts of an account and some of its quotas, as GetAccountSummary names them."""
    identities, policies = schema.identities.c, schema.managed_policies.c
    keys, providers = schema.access_keys.c, schema.openid_providers.c
    with context.database.read() as tx:
        of_kind = tx.execute(
            select(identities.kind, func.count())
            .where(identities.account == account)
            .group_by(identities.kind)
        )
        counts = {Kind(kind): count for kind, count in of_kind}
        summary = {
            name: tx.execute(select(func.count()).where(*conditions)).scalar_one()
            for name, conditions in (
                ("Policies", (policies.account == account,)),
                ("Providers", (providers.account == account,)),
                (
                    "AccountAccessKeysPresent",
                    (keys.account == account, keys.user_id.is_(None)),
                ),
            )
        }
    for kind in Kind:
        summary[f"{kind.title}s"] = counts.get(kind, 0)
        summary[f"{kind.title}sQuota"] = kind.quotas.in_account
        summary[f"{kind.title}PolicySizeQuota"] = kind.quotas.inline_size
        summary[f"AttachedPoliciesPer{kind.title}Quota"] = kind.quotas.attachments
    return summary
