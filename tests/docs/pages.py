"""The pages of the documentation, and what stands in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[2]

_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def page_names() -> list[str]:
    """Return the path of every page, as seen from the repository."""
    pages = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")]
    return sorted(page.relative_to(REPOSITORY).as_posix() for page in pages)


def read(name: str) -> str:
    """Return the text of a page."""
    return (REPOSITORY / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [block["text"] for block in _BLOCK.finditer(text) if block["language"] == language]


def section(text: str, heading: str) -> str:
    """Return what stands under a heading of the second level."""
    [(_, rest)] = [part for part in _sections(text) if part[0] == heading]
    return rest


def code(text: str) -> list[str]:
    """Return every piece of code: the lines of the blocks, and the spans outside of them."""
    lines = [line for block in _BLOCK.finditer(text) for line in block["text"].splitlines()]
    return [*lines, *_SPAN.findall(_BLOCK.sub("", text))]


def links(text: str) -> list[str]:
    """Return where the links lead to."""
    return _LINK.findall(_BLOCK.sub("", text))


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    headings = (heading.lower().replace(" ", "-") for heading in _HEADING.findall(text))
    return {re.sub(r"[^\w-]", "", heading) for heading in headings}


def _sections(text: str) -> list[tuple[str, str]]:
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))
