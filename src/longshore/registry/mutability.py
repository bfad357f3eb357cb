"""Tag mutability: whether a tag, once pushed, may be moved to another image."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from longshore.errors import InvalidParameter
from longshore.registry.wildcards import matches


class Mode(StrEnum):
    """The four settings of a repository."""

    MUTABLE = "MUTABLE"
    IMMUTABLE = "IMMUTABLE"
    MUTABLE_WITH_EXCLUSION = "MUTABLE_WITH_EXCLUSION"
    IMMUTABLE_WITH_EXCLUSION = "IMMUTABLE_WITH_EXCLUSION"


_WITH_EXCLUSION = frozenset({Mode.MUTABLE_WITH_EXCLUSION, Mode.IMMUTABLE_WITH_EXCLUSION})


@dataclass(frozen=True, slots=True)
class TagMutability:
    """A mode, and the wildcards of the tags that it excludes."""

    mode: Mode = Mode.MUTABLE
    exclusions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.mode in _WITH_EXCLUSION and not self.exclusions:
            raise InvalidParameter.at(
                "imageTagMutabilityExclusionFilters",
                "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability "
                f"is set as {self.mode}",
            )
        if self.exclusions and self.mode not in _WITH_EXCLUSION:
            raise InvalidParameter.at(
                "imageTagMutabilityExclusionFilters",
                "ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability "
                f"is set to {self.mode}",
            )

    def protects(self, tag: str) -> bool:
        """Tell whether `tag` must go on standing for the image it was first pushed for."""
        excluded = any(matches(pattern, tag) for pattern in self.exclusions)
        if self.mode in {Mode.IMMUTABLE, Mode.IMMUTABLE_WITH_EXCLUSION}:
            return not excluded
        return excluded
