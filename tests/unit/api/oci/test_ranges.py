from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.api.oci.ranges import UnsatisfiableRange, of_chunk, requested

SIZES = st.integers(0, 2**63 - 1)


@given(size=SIZES, first=SIZES, last=SIZES)
def test_a_range_is_what_rfc_9110_says_of_it(size: int, first: int, last: int) -> None:
    header = f"bytes={first}-{last}"
    if last < first:
        assert requested(header, size) is None
    elif first >= size:
        with pytest.raises(UnsatisfiableRange):
            requested(header, size)
    else:
        assert requested(header, size) == (first, min(last, size - 1) - first + 1)


@given(size=SIZES, first=SIZES)
def test_an_open_range_goes_to_the_end(size: int, first: int) -> None:
    if first >= size:
        with pytest.raises(UnsatisfiableRange):
            requested(f"bytes={first}-", size)
    else:
        assert requested(f"bytes={first}-", size) == (first, size - first)


@given(size=SIZES, length=SIZES)
def test_a_suffix_is_the_end(size: int, length: int) -> None:
    if min(size, length) == 0:
        with pytest.raises(UnsatisfiableRange):
            requested(f"bytes=-{length}", size)
    else:
        offset, found = requested(f"bytes=-{length}", size) or (0, 0)
        assert (offset + found, found) == (size, min(size, length))


@given(header=st.text(alphabet="bytes=-,0123456789 \u00b2\u0661"), size=SIZES)
def test_no_range_leads_out_of_the_body(header: str, size: int) -> None:
    try:
        asked = requested(header, size)
    except UnsatisfiableRange:
        return
    if asked is not None:
        offset, length = asked
        assert 0 <= offset < offset + length <= size


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=0-1,2-3",
        "items=0-1",
        "bytes=\u0661-",
        "BYTES=0",
    ],
)
def test_what_is_not_one_range_asks_for_everything(header: str | None) -> None:
    assert requested(header, 10) is None


@given(first=st.integers(0, 10**18), length=st.integers(1, 10**18))
@pytest.mark.parametrize(
    "form", ["{}-{}", "bytes {}-{}/*", "bytes {}-{}/99", "bytes={}-{}", " {}-{} "]
)
def test_both_spellings_of_a_chunk_s_range(form: str, first: int, length: int) -> None:
    last = first + length - 1

    assert of_chunk(form.format(first, last)) == (first, last)


@pytest.mark.parametrize(
    "header",
    ["", "-", "0", "0-", "-9", "9-0", "0-9-", "0-9/", "0-9/x", "bytes", "bytes */9", "items 0-9",
     "0-9,10-19", f"0-{'9' * 20}", "0x0-0x9", "\u0660-\u0669"],
)  # fmt: skip
def test_what_is_no_range_of_a_chunk(header: str) -> None:
    with pytest.raises(ValueError, match="not the range of a chunk"):
        of_chunk(header)
