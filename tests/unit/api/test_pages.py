from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.access.sealing import ServerKey
from longshore.api.pages import read_token, write_token
from longshore.errors import InvalidParameter

KEY = ServerKey(bytes(32))
# What databases count and keep: no lone surrogates.
POSITIONS = st.lists(
    st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])), min_size=1
).map(tuple)


@given(position=POSITIONS, listing=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_token_continues_where_the_page_ended(
    position: tuple[int | str, ...], listing: str
) -> None:
    token = write_token(KEY, listing, position)

    assert token is not None
    assert token.replace("-", "").replace("_", "").isalnum()
    assert read_token(KEY, listing, token, member="nextToken") == position


def test_there_is_no_token_after_the_end_and_none_before_the_beginning() -> None:
    assert write_token(KEY, "a listing", None) is None
    assert read_token(KEY, "a listing", None, member="nextToken") is None


def _changed(token: str, position: int) -> str:
    return token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]


TOKEN = write_token(KEY, "a listing", (7, "tag")) or ""


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "A" * 60,
        "=" * 60,
        "\u00e9",
        TOKEN + "AAAA",
        TOKEN[4:],
        TOKEN[:-4],
        *(_changed(TOKEN, position) for position in range(0, len(TOKEN) - 1, 7)),
        write_token(KEY, "another listing", (7, "tag")) or "",
        write_token(ServerKey(bytes(31) + b"1"), "a listing", (7, "tag")) or "",
        KEY.seal_for("download URL").close_text(b"[7]", b"a listing"),
    ],
    # A token is another one each time, and a test's name must not be.
    ids=count(),
)
def test_whatever_this_listing_did_not_return_is_refused(token: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        read_token(KEY, "a listing", token, member="last")
    assert caught.value.message == (
        "Invalid parameter at 'last' failed to satisfy constraint: "
        "'The token is not one that this listing returned'"
    )
