from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.registry.slices import Slice

if TYPE_CHECKING:
    from longshore.registry.slices import Position


def slice_of(rows: list[int], limit: int) -> Slice[str]:
    return Slice.of(rows, limit, position=lambda row: (row,), item=str)


@pytest.mark.parametrize(
    ("rows", "limit", "items", "following"),
    [
        ([], 2, (), None),
        ([1], 2, ("1",), None),
        ([1, 2], 2, ("1", "2"), None),
        ([1, 2, 3], 2, ("1", "2"), (2,)),
        ([1, 2], 1, ("1",), (1,)),
        # Nobody can go on from nothing.
        ([1], 0, (), None),
    ],
)
def test_one_row_too_many_tells_that_there_is_more(
    rows: list[int], limit: int, items: tuple[str, ...], following: Position | None
) -> None:
    assert slice_of(rows, limit) == Slice(items, following)


@given(listing=st.sets(st.integers(0, 50)).map(sorted), limit=st.integers(1, 8))
def test_the_slices_of_a_listing_are_the_listing(listing: list[int], limit: int) -> None:
    shown: list[str] = []
    after: int | str = -1
    while True:
        rows = [row for row in listing if row > int(after)][: limit + 1]
        part = slice_of(rows, limit)
        assert len(part.items) <= limit
        shown += part.items
        if part.next is None:
            break
        [after] = part.next
    assert shown == [str(row) for row in listing]
