from __future__ import annotations

import pytest

from longshore.errors import InvalidParameter
from longshore.registry.mutability import Mode, TagMutability


@pytest.mark.parametrize(
    ("mode", "exclusions", "tag", "protected"),
    [
        ("MUTABLE", (), "latest", False),
        ("IMMUTABLE", (), "latest", True),
        # What an immutable repository excludes stays mutable.
        ("IMMUTABLE_WITH_EXCLUSION", ("latest",), "latest", False),
        ("IMMUTABLE_WITH_EXCLUSION", ("latest",), "latest-1", True),
        ("IMMUTABLE_WITH_EXCLUSION", ("latest",), "Latest", True),
        ("IMMUTABLE_WITH_EXCLUSION", ("dev-*",), "dev-", False),
        ("IMMUTABLE_WITH_EXCLUSION", ("dev-*",), "my-dev-1", True),
        ("IMMUTABLE_WITH_EXCLUSION", ("dev-*", "*-rc"), "1-rc", False),
        ("IMMUTABLE_WITH_EXCLUSION", ("*",), "anything", False),
        # What a mutable one excludes becomes immutable.
        ("MUTABLE_WITH_EXCLUSION", ("v*",), "v1.0", True),
        ("MUTABLE_WITH_EXCLUSION", ("v*",), "latest", False),
        ("MUTABLE_WITH_EXCLUSION", ("v*.*.*",), "v1.0", False),
        ("MUTABLE_WITH_EXCLUSION", ("v*.*.*",), "v1.0.0", True),
        ("MUTABLE_WITH_EXCLUSION", ("a", "b", "c", "d", "e"), "e", True),
    ],
)
def test_a_mode_and_its_exclusions_say_which_tags_may_move(
    mode: str, exclusions: tuple[str, ...], tag: str, *, protected: bool
) -> None:
    assert TagMutability(Mode(mode), exclusions).protects(tag) is protected


def test_tags_are_mutable_where_nothing_is_said() -> None:
    assert TagMutability() == TagMutability(Mode.MUTABLE, ())


@pytest.mark.parametrize("mode", ["IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"])
def test_a_mode_with_exclusions_needs_some(mode: str) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        TagMutability(Mode(mode))
    assert refusal.value.message == (
        "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: "
        "'ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as "
        f"{mode}'"
    )


@pytest.mark.parametrize("mode", ["IMMUTABLE", "MUTABLE"])
def test_a_mode_without_exclusions_takes_none(mode: str) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        TagMutability(Mode(mode), ("latest",))
    assert refusal.value.message == (
        "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: "
        "'ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set to "
        f"{mode}'"
    )
