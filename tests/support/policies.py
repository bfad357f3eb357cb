"""Policy documents, in a word."""

from __future__ import annotations

import json
from typing import Any


def allow(*actions: str, resource: str = "*") -> str:
    """Return an identity policy that allows `actions`."""
    return document({"Effect": "Allow", "Action": list(actions), "Resource": resource})


def deny(*actions: str, resource: str = "*") -> str:
    """Return an identity policy that denies `actions`."""
    return document({"Effect": "Deny", "Action": list(actions), "Resource": resource})


def trust(*principals: str, action: str | list[str] = "sts:AssumeRole", **more: Any) -> str:
    """Return a trust policy for AWS principals."""
    return document(
        {"Effect": "Allow", "Principal": {"AWS": list(principals)}, "Action": action, **more}
    )


def document(*statements: dict[str, Any]) -> str:
    """Return a policy of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
