"""Directories that outlive a power cut, and walks over them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class DurableDirectories:
    """The directories below a root that are known to outlive a power cut.

    To find one there isn't enough: the process that made it may have died before it synced the
    parent.
    """

    def __init__(self, root: Path) -> None:
        self._durable = {root}

    def make(self, directory: Path) -> None:
        """Make `directory`, with those above it, so that it outlives a power cut."""
        if directory in self._durable:
            return
        self.make(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)
        sync_directory(directory.parent)
        self._durable.add(directory)


def sync_directory(directory: Path | str) -> None:
    """Let the names in a directory outlive a power cut."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def files_below(directory: Path) -> Iterator[Path]:
    """Walk over all files below a directory, in no order."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from files_below(Path(entry.path))
            else:
                yield Path(entry.path)
