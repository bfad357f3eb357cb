"""Wildcards: `*` stands for any number of characters, everything else for itself."""

from __future__ import annotations


def matches(pattern: str, text: str) -> bool:
    """Tell whether `pattern` matches the whole of `text`, in time linear in both."""
    head, *middle = pattern.split("*")
    if not middle:
        return text == head
    *middle, tail = middle
    if len(text) < len(head) + len(tail) or not (text.startswith(head) and text.endswith(tail)):
        return False
    position, end = len(head), len(text) - len(tail)
    for piece in middle:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True
