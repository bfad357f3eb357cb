"""The command line."""

from __future__ import annotations

from longshore.cli import events, iam, jobs, key, lifecycle, policy, recycle_bin, token
from longshore.cli.commands import app


def main() -> None:
    """Run `longshore`."""
    app(prog_name="longshore")


__all__ = ["events", "iam", "jobs", "key", "lifecycle", "main", "policy", "recycle_bin", "token"]
