"""Lifecycle policies for tests, written as people think of them."""

from __future__ import annotations

import json
from typing import Any


def rule(
    priority: int = 1,
    *,
    prefixes: list[str] | None = None,
    patterns: list[str] | None = None,
    status: str | None = None,
    more_than: int | None = None,
    days: int | None = None,
    since: str = "sinceImagePushed",
    storage_class: str | None = None,
    action: str = "expire",
    description: str | None = None,
) -> dict[str, Any]:
    """Return a rule of a policy's text; it selects what has tags, if it has a list of them."""
    is_tagged = prefixes is not None or patterns is not None
    counted = (
        {"countType": "imageCountMoreThan", "countNumber": more_than}
        if days is None
        else {"countType": since, "countUnit": "days", "countNumber": days}
    )
    return _present(
        rulePriority=priority,
        description=description,
        selection=_present(
            tagStatus=status or ("tagged" if is_tagged else "any"),
            tagPrefixList=prefixes,
            tagPatternList=patterns,
            storageClass=storage_class,
            **counted,
        ),
        action=_present(
            type=action, targetStorageClass="archive" if action == "transition" else None
        ),
    )


def policy(*rules: dict[str, Any], indent: int | None = 2) -> str:
    """Return the text of a policy."""
    return json.dumps({"rules": list(rules)}, indent=indent)


def _present(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
