"""`longshore iam`: users, groups, roles, their keys and their policies, on the data directory."""

from __future__ import annotations

from longshore.cli.iam import apply, groups, keys, policies, providers, roles, users
from longshore.cli.iam.group import iam

__all__ = ["apply", "groups", "iam", "keys", "policies", "providers", "roles", "users"]
