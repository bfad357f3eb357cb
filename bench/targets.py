"""What the project wants to reach."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Target:
    """How many times faster than a peer the rows of a pattern should be."""

    rows: str
    peer: str
    ratio: float


# The first that fits a row and a peer counts.
TARGETS = (
    Target("manifest-*", "distribution-2.8", 12),
    Target("blob-get-1k", "distribution-2.8", 10),
    Target("blob-get-1m", "distribution-2.8", 4),
    Target("blob-get-256m*", "distribution-2.8", 1.5),
    Target("upload-1m-*", "distribution-2.8", 2.5),
    Target("upload-256m-*", "distribution-2.8", 2),
    Target("image-*-skopeo", "distribution-2.8", 1),
    Target("image-*-skopeo", "distribution-3", 1),
    Target("manifest-*", "distribution-3", 1),
    Target("blob-get-*", "distribution-3", 1),
    Target("upload-*", "distribution-3", 1),
    Target("api-*", "moto", 20),
)

IDLE_MEMORY = 90 * 1024 * 1024
START_SECONDS = 1.0


def target(row: str, peer: str) -> float | None:
    """Return how many times faster a row should be than a peer, if that has been said."""
    return next(
        (each.ratio for each in TARGETS if each.peer == peer and fnmatchcase(row, each.rows)), None
    )
