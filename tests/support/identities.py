"""Users to ask as."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from longshore.identity import access_keys, attachments, aws_managed_policies, users
from longshore.identity.kinds import Kind

if TYPE_CHECKING:
    from longshore.identity.access_keys import AccessKey
    from longshore.registry.context import Context

ACCOUNT = "000000000000"


def key_of_new_user(context: Context, account: str = ACCOUNT) -> AccessKey:
    """Make a user whom nobody knows yet and who may do everything in the account."""
    name = f"somebody-{uuid.uuid4()}"
    users.create(context, account, name)
    attachments.attach(context, account, Kind.USER, name, aws_managed_policies.ADMINISTRATOR_ACCESS)
    return access_keys.create(context, account, name)[0]
