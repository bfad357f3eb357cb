"""Listings, one slice at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Self, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Row = TypeVar("Row")
Position: TypeAlias = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Slice(Generic[Item]):
    """Some items of a listing.

    Attributes:
        items: at most as many as were asked for.
        next: where the next slice starts, or None after the last.
    """

    items: tuple[Item, ...]
    next: Position | None = None

    @classmethod
    def of(
        cls,
        rows: Sequence[Row],
        limit: int,
        position: Callable[[Row], Position],
        item: Callable[[Row], Item],
    ) -> Self:
        """Make a slice of `rows`, which are one more than `limit` where there is a next slice."""
        shown = rows[:limit]
        return cls(
            tuple(item(row) for row in shown),
            # A slice of none has no last item to go on from.
            position(shown[-1]) if shown and len(rows) > limit else None,
        )
