"""Byte ranges: of blobs on their way out (RFC 9110, section 14) and of chunks on their way in."""

from __future__ import annotations

import re

# More digits than any size has: longer numbers aren't worth reading.
_RANGE = re.compile(r"bytes=(?:([0-9]{1,19})-([0-9]{0,19})|-([0-9]{1,19}))")
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?([0-9]{1,19})-([0-9]{1,19})(?:/(?:[0-9]{1,19}|\*))?")


class UnsatisfiableRange(ValueError):
    """The range lies beyond the end."""


def requested(header: str | None, size: int) -> tuple[int, int] | None:
    """Read a Range header against a body of `size` bytes.

    Returns:
        The first byte and the number of bytes, or None where the whole body is to be sent: there
        is no header, or it isn't one range of bytes, which a server may ignore.

    Raises:
        UnsatisfiableRange: no byte of the body is in the range.
    """
    match = _RANGE.fullmatch(header.replace(" ", "")) if header is not None else None
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        length = min(int(suffix), size)
        if length == 0:
            raise UnsatisfiableRange
        return size - length, length
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise UnsatisfiableRange
    return start, end - start + 1


def of_chunk(header: str) -> tuple[int, int]:
    """Read the Content-Range of a chunk: its first and its last byte.

    Raises:
        ValueError: it isn't one.
    """
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is None or int(match[1]) > int(match[2]):
        raise ValueError(f"not the range of a chunk: {header[:80]!r}")
    return int(match[1]), int(match[2])
