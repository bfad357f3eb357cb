"""Hash states, kept so that an upload needn't be read again to be verified.

A state is worth something only while the file holds exactly the bytes that went into it. That is
not to be taken on trust: other processes write to the same uploads, and a failed request leaves a
tail that the next one cuts off. So a state is kept in this process's memory and nowhere else
(unpickling a stored one would run whatever somebody stored), and together with a stamp on the file
that the next write by anyone wipes off.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

_SECOND_IN_NS = 10**9


class Hasher(Protocol):
    """A hash in the making, as `hashlib` has them."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take in more bytes."""

    def hexdigest(self) -> str:
        """Return the hash of the bytes so far, in lower-case hex."""


@dataclass(frozen=True, slots=True)
class _Fingerprint:
    """What tells a file, and the state of its content, from any other."""

    device: int
    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, file: int) -> _Fingerprint:
        status = os.fstat(file)
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class _State:
    fingerprint: _Fingerprint
    algorithm: str
    hasher: Hasher


class HashMemory:
    """The hash states of the uploads that were last worked on in this process.

    `remember` and `take` are for whoever holds the lock of the upload's file.

    Args:
        capacity: how many are kept; the one longest unused goes first. A state is under a
            kilobyte.
    """

    def __init__(self, capacity: int = 1024) -> None:
        self._capacity = capacity
        self._states: OrderedDict[str, _State] = OrderedDict()
        self._lock = Lock()

    def remember(self, upload_id: str, file: int, algorithm: str, hasher: Hasher) -> None:
        """Keep `hasher`, which has taken in the whole of `file`, the open file of the upload."""
        fingerprint = _stamp(file)
        if fingerprint is None:
            return
        with self._lock:
            self._states[upload_id] = _State(fingerprint, algorithm, hasher)
            self._states.move_to_end(upload_id)
            if len(self._states) > self._capacity:
                self._states.popitem(last=False)

    def take(self, upload_id: str, file: int, algorithm: str, size: int) -> Hasher | None:
        """Hand out, once, the state that has taken in exactly the first `size` bytes of `file`.

        None when there is no such state, or when the file was written to or is longer since.
        """
        with self._lock:
            state = self._states.pop(upload_id, None)
        if state is None or (state.algorithm, state.fingerprint.size) != (algorithm, size):
            return None
        return state.hasher if state.fingerprint == _Fingerprint.of(file) else None

    def forget(self, upload_id: str) -> None:
        """Drop what is kept for the upload."""
        with self._lock:
            self._states.pop(upload_id, None)


def _stamp(file: int) -> _Fingerprint | None:
    """Give `file` a time of modification that no later write will give it, and return how it is.

    The kernel's own time moves in steps of milliseconds, within which a second write would go
    unseen. None where the file system can't hold the stamp.
    """
    now = time.time_ns()
    stamp = now - now % _SECOND_IN_NS + secrets.randbelow(_SECOND_IN_NS)
    try:
        os.utime(file, ns=(now, stamp))
    except OSError:
        return None
    fingerprint = _Fingerprint.of(file)
    return fingerprint if fingerprint.modified_ns == stamp else None
