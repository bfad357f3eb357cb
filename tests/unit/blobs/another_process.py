"""What another process does to a store; run as a program by `test_filesystem.py`.

hold ROOT UPLOAD        hold a writer until the standard input ends
append ROOT UPLOAD OFFSET HEX
crash ROOT UPLOAD CONTENT
                        commit an upload to the stores ROOT/0, ROOT/1, …, each time in a
                        process that is killed one line of the store's code later, until one
                        lives to its end; CONTENT is in hex
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.blobs import filesystem
from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.names import Digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def hold(root: str, upload_id: str) -> None:
    with FilesystemBlobStore(Path(root)).writer(upload_id, 0) as writer:
        writer.append(b"held")
        sys.stdout.write("holding\n")
        sys.stdout.flush()
        sys.stdin.read()


def append(root: str, upload_id: str, offset: str, data: str) -> None:
    with FilesystemBlobStore(Path(root)).writer(upload_id, int(offset)) as writer:
        writer.append(bytes.fromhex(data))


def crash(root: str, upload_id: str, data: str) -> None:
    content = bytes.fromhex(data)
    # They are made one like the other: three stand for all 256.
    filesystem._SHARDS[:] = sorted({"00", Digest.of(content).hex[:2], "ff"})
    lines = 0
    while _dies_after(lines, Path(root, str(lines)), upload_id, content):
        lines += 1


def _dies_after(lines: int, root: Path, upload_id: str, content: bytes) -> bool:
    child = os.fork()
    if child == 0:
        store = FilesystemBlobStore(root)
        with store.writer(upload_id, 0) as writer:
            writer.append(content)
        _die_after(lines)
        store.commit(upload_id, len(content), "aes256", Digest.of(content))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _die_after(lines: int) -> None:
    left = lines

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if "longshore/blobs" not in frame.f_code.co_filename:
            return None
        if event == "line":
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
        return trace

    sys.settrace(trace)


if __name__ == "__main__":
    commands: dict[str, Callable[..., None]] = {"hold": hold, "append": append, "crash": crash}
    commands[sys.argv[1]](*sys.argv[2:])
