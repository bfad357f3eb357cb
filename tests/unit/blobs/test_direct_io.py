"""Large blobs, most of which go past the kernel's cache."""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
from mmap import ACCESS_COPY, PAGESIZE, mmap
from typing import TYPE_CHECKING

import pytest

from longshore.blobs import direct_io
from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.names import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TypeAlias

    Memory: TypeAlias = "bytes | memoryview"

UPLOAD = "0f14d0ab-9605-4a62-a9e4-5ed26688389b"
MIB = 1 << 20
CONTENT = random.Random(7).randbytes(21 * MIB + 12_345)


def in_pages(content: bytes) -> memoryview:
    memory = memoryview(mmap(-1, len(content)))
    memory[:] = content
    return memory


def in_the_middle_of_a_page(content: bytes) -> memoryview:
    return in_pages(b"!" + content)[1:]


def pieces(content: bytes, sizes: list[int]) -> Iterator[bytes]:
    """Cut `content` into pieces of `sizes`, again and again."""
    done = 0
    while done < len(content):
        for size in sizes:
            yield content[done : done + size]
            done += size


@pytest.mark.parametrize("place", [in_pages, in_the_middle_of_a_page, bytes])
@pytest.mark.parametrize(
    "sizes",
    [[2 * MIB], [4096], [3 * MIB + 1], [1, 2 * MIB], [17 * MIB, 4095, 4097, 100], [len(CONTENT)]],
    ids=str,
)
def test_what_is_read_is_what_was_appended(
    tmp_path: Path, sizes: list[int], place: Callable[[bytes], Memory]
) -> None:
    store = FilesystemBlobStore(tmp_path)
    with store.writer(UPLOAD, 0) as writer:
        for piece in pieces(CONTENT, sizes):
            if piece:
                writer.append(place(piece))
    location = store.commit(UPLOAD, len(CONTENT), "aes256", Digest.of(CONTENT))
    with store.open(location) as blob:
        assert blob.read() == CONTENT


def test_an_upload_goes_on_within_a_block_and_at_the_next(tmp_path: Path) -> None:
    store = FilesystemBlobStore(tmp_path)
    begin, ends = 0, [18 * MIB + 5, 18 * MIB + 8192, 20 * MIB, len(CONTENT)]
    for end in ends:
        with store.writer(UPLOAD, begin) as writer:
            writer.append(in_pages(CONTENT[begin:end]))
        begin = end
    assert store.digest(UPLOAD, len(CONTENT), "sha512") == Digest.of(CONTENT, "sha512")


def test_a_large_blob_leaves_the_cache_to_others_but_for_its_beginning(tmp_path: Path) -> None:
    _skip_unless_cache_can_be_passed(tmp_path)
    store = FilesystemBlobStore(tmp_path)
    content = CONTENT[: 20 * MIB]
    with store.writer(UPLOAD, 0) as writer:
        for piece in pieces(content, [2 * MIB]):
            writer.append(in_pages(piece))
    with store.open(store.commit(UPLOAD, len(content), "aes256", Digest.of(content))) as blob:
        assert _is_cached(blob.fileno(), 0)
        assert _is_cached(blob.fileno(), 15 * MIB)
        assert not _is_cached(blob.fileno(), 19 * MIB)


@pytest.mark.parametrize(("offset", "size"), [(4096, 4095), (4095, 8192), (1, 4096)])
def test_what_is_no_whole_block_in_its_place_is_left_to_the_cache(
    tmp_path: Path, offset: int, size: int
) -> None:
    with (tmp_path / "file").open("wb", buffering=0) as file:
        assert direct_io.write(file.fileno(), in_pages(b"x" * size), offset) == 0
        assert os.fstat(file.fileno()).st_size == 0


def test_nothing_of_the_file_is_changed_for_later_writes(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb", buffering=0) as file:
        before = fcntl.fcntl(file, fcntl.F_GETFL)
        direct_io.write(file.fileno(), in_pages(b"x" * 8192), 0)
        direct_io.write(file.fileno(), in_the_middle_of_a_page(b"x" * 8192), 0)
        assert fcntl.fcntl(file, fcntl.F_GETFL) == before
        os.pwrite(file.fileno(), b"one byte", 3)


def test_a_file_that_may_not_be_written_to_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (tmp_path / "file").open("rb", buffering=0) as file, pytest.raises(OSError, match="Bad"):
        direct_io.write(file.fileno(), in_pages(b"x" * 8192), 0)


def _skip_unless_cache_can_be_passed(directory: Path) -> None:
    if not hasattr(os, "RWF_NOWAIT"):
        pytest.skip("nobody here tells what is in the cache")
    with (directory / "probe").open("wb+", buffering=0) as probe:
        if not direct_io.write(probe.fileno(), in_pages(b"x" * 4096), 0):
            pytest.skip("this file system has no way past the cache")
        if _is_cached(probe.fileno(), 0):
            pytest.skip("this file system is a cache")


def _is_cached(file: int, offset: int) -> bool:
    """Tell whether the kernel has a page of a file in memory; to read it might get it there."""
    page = mmap(file, PAGESIZE, access=ACCESS_COPY, offset=offset)
    place = ctypes.c_char.from_buffer(page)
    answer = ctypes.create_string_buffer(1)
    libc = ctypes.CDLL(None, use_errno=True)
    status = libc.mincore(ctypes.c_void_p(ctypes.addressof(place)), PAGESIZE, answer)
    del place
    page.close()
    assert status == 0, os.strerror(ctypes.get_errno())
    return bool(answer.raw[0] & 1)
