"""The regular expressions of a service's model, made safe to run on what strangers send."""

from __future__ import annotations

import re

# Python's engine backtracks, and on these it would take exponential time to refuse a text of a few
# dozen characters. Beside each stands a pattern of the very same language without the ambiguity.
_EQUIVALENTS = {
    r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$": r"[a-z0-9*]+(?:[._\-/][a-z0-9*]+)*",
}


def compile_pattern(pattern: str) -> re.Pattern[str]:
    r"""Compile a pattern of the model. It is to be used with `fullmatch`.

    Classes such as `\w` mean ASCII, as they do in the services that the models describe.

    Raises:
        re.error: Python's engine doesn't know the pattern's syntax.
    """
    return re.compile(_EQUIVALENTS.get(pattern, pattern), re.ASCII)
