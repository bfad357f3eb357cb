"""An archive directory for the rules' tests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from longshore.blobs.archive_directory import ArchiveDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from longshore.blobs.archive import Archived
    from longshore.names import Digest
    from longshore.registry.context import Context


class InterruptedArchive(ArchiveDirectory):
    """The real archive, with something else happening once after a copy was put there."""

    def __init__(self, root: Path, proof: Path) -> None:
        super().__init__(root, proof)
        self.after_put: Callable[[], object] = lambda: None

    def put(
        self, read: Callable[[], Iterable[bytes]], context: str, digest: Digest, run: str
    ) -> Archived:
        """See `Archive`."""
        archived = super().put(read, context, digest, run)
        interruption, self.after_put = self.after_put, lambda: None
        interruption()
        return archived


def open_archive(home: Path) -> InterruptedArchive:
    """Make `home`/cold the archive of the data directory `home`/data."""
    proof, cold = home / "data" / "database.id", home / "cold"
    for directory in (proof.parent, cold):
        directory.mkdir(exist_ok=True)
    if not proof.exists():
        proof.write_text(f"{home}\n")
    archive = InterruptedArchive(cold, proof)
    archive.claim()
    return archive


def with_archive(context: Context, home: Path) -> Context:
    """Return the same store with an archive directory."""
    return replace(context, archive=open_archive(home))


def files_in(directory: Path) -> set[str]:
    """Return the files of blobs below `directory`, without what tells whose it is."""
    return {
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_file() and path.name != "database.id"
    }
