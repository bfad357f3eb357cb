"""The grammar of IAM's names, paths, descriptions and tags.

Patterns and lengths are those of IAM's service model; the faces check them too, but commands and
files come here directly.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from longshore.identity.errors import InvalidInput, QuotaExceeded, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)
_PATH = re.compile(r"/|/[\x21-\x7e]+/")
_POLICY_PATH = re.compile(r"(?:/[A-Za-z0-9.,+@=_-]+)*/")
_TEXT = re.compile(r"[\t\n\r\x20-\x7e\xa1-\xff]*")
_LONGEST_PATH = 512
_LONGEST_DESCRIPTION = 1_000
_LONGEST_TAG_KEY = 128
_LONGEST_TAG_VALUE = 256
MOST_TAGS = 50


def check_name(member: str, name: str, longest: int) -> None:
    """Refuse what can't be the name of an identity or of a policy.

    Raises:
        ValidationError: it is empty, too long, or has characters that no name has.
    """
    _check_length(member, name, longest)
    if _NAME.fullmatch(name) is None:
        raise ValidationError(
            f"The specified value for {member} is invalid. It must contain only alphanumeric "
            "characters and/or the following: +=,.@_-"
        )


def check_path(path: str, *, of_policy: bool = False) -> None:
    """Refuse what can't be a path.

    Raises:
        ValidationError: it doesn't begin and end with a slash, or is too long.
    """
    _check_length("path", path, _LONGEST_PATH)
    if (_POLICY_PATH if of_policy else _PATH).fullmatch(path) is None:
        raise ValidationError(
            "The specified value for path is invalid. It must begin and end with / and contain "
            "only alphanumeric characters and/or / characters."
        )


def check_description(text: str) -> None:
    """Refuse what can't be a description.

    Raises:
        ValidationError: it is too long, or has characters that no description has.
    """
    if len(text) > _LONGEST_DESCRIPTION:
        raise ValidationError.at(
            "description", text, f"have length less than or equal to {_LONGEST_DESCRIPTION}"
        )
    if _TEXT.fullmatch(text) is None:
        raise ValidationError.at(
            "description",
            text,
            r"satisfy regular expression pattern: "
            r"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*",
        )


def tagged(tags: Mapping[str, str], new: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return `tags` with the `new` ones; a key that differs by case alone is replaced.

    Raises:
        InvalidInput: a key comes twice, is reserved, or has characters that no tag has.
        QuotaExceeded: there would be more than fifty.
    """
    pairs = list(new)
    folded = [key.lower() for key, _ in pairs]
    if len(set(folded)) != len(folded):
        raise InvalidInput(
            "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    for key, value in pairs:
        _check_tag(key, value)
    result = overlaid(tags, dict(pairs))
    if len(result) > MOST_TAGS:
        raise QuotaExceeded("The number of tags has reached the maximum limit.")
    return result


def overlaid(tags: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Return `tags` with the `new` ones in place of those whose keys differ by case at most."""
    return untagged(tags, new) | dict(new)


def untagged(tags: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Return `tags` without those of these keys, whatever their case."""
    folded = {key.lower() for key in keys}
    return {key: value for key, value in tags.items() if key.lower() not in folded}


def _check_tag(key: str, value: str) -> None:
    if key.lower().startswith("aws:"):
        raise InvalidInput(f"The tag key {key} is invalid: keys that begin with aws: are reserved.")
    if not 1 <= len(key) <= _LONGEST_TAG_KEY or not _is_tag_text(key):
        raise InvalidInput(
            f"The tag key {key!r} is invalid. It must have 1 to {_LONGEST_TAG_KEY} letters, "
            "digits, spaces and characters of _.:/=+-@"
        )
    if len(value) > _LONGEST_TAG_VALUE or not _is_tag_text(value):
        raise InvalidInput(
            f"The value of the tag {key} is invalid. It must have at most {_LONGEST_TAG_VALUE} "
            "letters, digits, spaces and characters of _.:/=+-@"
        )


def _is_tag_text(text: str) -> bool:
    return all(
        character in "_.:/=+-@" or unicodedata.category(character)[0] in "LZN" for character in text
    )


def _check_length(member: str, text: str, longest: int) -> None:
    if not text:
        raise ValidationError.at(member, text, "have length greater than or equal to 1")
    if len(text) > longest:
        raise ValidationError.at(member, text, f"have length less than or equal to {longest}")
