"""What the tests of this folder share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.identity import access_keys, users
from tests.support.identities import ACCOUNT

if TYPE_CHECKING:
    from longshore.identity.access_keys import AccessKey
    from longshore.registry.context import Context


@pytest.fixture
def key(context: Context) -> AccessKey:
    """The key of a user, who may do nothing."""
    users.create(context, ACCOUNT, "alice")
    return access_keys.create(context, ACCOUNT, "alice")[0]
