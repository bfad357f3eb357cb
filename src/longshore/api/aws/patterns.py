"""The regular expressions of a service's model, made safe to run on what strangers send."""

from __future__ import annotations

import re

# Python's engine backtracks, and on these it would take exponential time to refuse a text of a few
# dozen characters. Beside each stands a pattern of the very same language without the ambiguity.
_EQUIVALENTS = {
    r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$": r"[a-z0-9*]+(?:[._\-/][a-z0-9*]+)*",
}

# Letters, blanks, numbers and the underscore, all of Unicode's, as Java says it inside of a class.
_WORDS_OF_ALL_SCRIPTS = r"\p{L}\p{Z}\p{N}_"
_AS_PYTHON_SAYS_IT = r"\w\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


def compile_pattern(pattern: str) -> re.Pattern[str]:
    r"""Compile a pattern of the model. It is to be used with `fullmatch`.

    Classes such as `\w` mean ASCII, as they do in the services that the models describe; all of
    Unicode is meant by a pattern that says so, with `\p{L}\p{Z}\p{N}_`.

    Raises:
        re.error: Python's engine doesn't know the pattern's syntax.
    """
    if _WORDS_OF_ALL_SCRIPTS in pattern:
        return re.compile(pattern.replace(_WORDS_OF_ALL_SCRIPTS, _AS_PYTHON_SAYS_IT))
    return re.compile(_EQUIVALENTS.get(pattern, pattern), re.ASCII)
