"""The command line."""

from __future__ import annotations

from longshore.cli import events, iam, jobs, key, lifecycle, policy, recycle_bin, token
from longshore.cli.commands import app

__all__ = ["app", "events", "iam", "jobs", "key", "lifecycle", "policy", "recycle_bin", "token"]
