from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import resource
import signal
import stat
import subprocess
import sys
import tracemalloc
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.blobs.store import (
    BlobMissing,
    BlobStore,
    DigestMismatch,
    Location,
    UploadBusy,
    UploadLost,
    upload_of,
)
from longshore.errors import StorageFull
from longshore.names import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UPLOAD = "0f14d0ab-9605-4a62-a9e4-5ed26688389b"
OTHER_UPLOAD = "9b3c8f4e-2f0e-4b7c-8f5e-1a2b3c4d5e6f"
CONTENT = b"the bytes of a layer"
DIGEST = Digest.of(CONTENT)
ANOTHER_PROCESS = [sys.executable, str(Path(__file__).with_name("another_process.py"))]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "store"


@pytest.fixture
def store(root: Path) -> BlobStore:
    return FilesystemBlobStore(root)


def upload(store: BlobStore, content: bytes = CONTENT, upload_id: str = UPLOAD) -> str:
    with store.writer(upload_id, 0) as writer:
        writer.append(content)
    return upload_id


def committed(store: BlobStore, content: bytes = CONTENT, upload_id: str = UPLOAD) -> Location:
    upload(store, content, upload_id)
    return store.commit(upload_id, len(content), "aes256", Digest.of(content))


def read(store: BlobStore, location: Location) -> bytes:
    with store.open(location) as blob:
        return blob.read()


def test_an_upload_in_parts_becomes_a_blob(store: BlobStore) -> None:
    store.create(UPLOAD)
    with store.writer(UPLOAD, 0) as writer:
        assert writer.offset == 0
        writer.append(CONTENT[:5])
        writer.append(memoryview(CONTENT)[5:8])
        assert writer.offset == 8
    with store.writer(UPLOAD, 8) as writer:
        writer.append(bytearray(CONTENT[8:]))
        assert writer.offset == len(CONTENT)
    assert store.digest(UPLOAD, len(CONTENT), "sha256") == DIGEST
    location = store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)
    assert location == f"blobs/aes256/sha256/{DIGEST.hex[:2]}/{DIGEST.hex}.{UPLOAD}"
    assert upload_of(location) == UPLOAD
    assert read(store, location) == CONTENT
    assert list(store.locations()) == [location]
    assert list(store.uploads()) == []


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob_is_kept_under_either_algorithm(store: BlobStore, algorithm: str) -> None:
    upload(store)
    digest = Digest.of(CONTENT, algorithm)
    assert store.digest(UPLOAD, len(CONTENT), algorithm) == digest
    location = store.commit(UPLOAD, len(CONTENT), "aes256", digest)
    assert location.startswith(f"blobs/aes256/{algorithm}/")
    assert read(store, location) == CONTENT


def test_an_empty_blob_is_a_blob(store: BlobStore) -> None:
    store.create(UPLOAD)
    with store.writer(UPLOAD, 0) as writer:
        writer.append(b"")
        writer.append(memoryview(b""))
    location = store.commit(UPLOAD, 0, "aes256", Digest.of(b""))
    assert read(store, location) == b""


def test_the_same_content_has_a_location_for_every_upload(store: BlobStore) -> None:
    first = committed(store, upload_id=UPLOAD)
    second = committed(store, upload_id=OTHER_UPLOAD)
    store.delete(first)
    assert read(store, second) == CONTENT
    assert [*map(upload_of, store.locations())] == [OTHER_UPLOAD]


def test_an_open_blob_is_read_to_its_end_though_it_is_deleted(store: BlobStore) -> None:
    location = committed(store)
    with store.open(location) as blob:
        store.delete(location)
        assert os.pread(blob.fileno(), 5, 4) == CONTENT[4:9]
    with pytest.raises(BlobMissing):
        store.open(location)


def test_a_blob_is_opened_raw(store: BlobStore) -> None:
    with store.open(committed(store)) as blob:
        assert isinstance(blob, io.RawIOBase)


def test_a_store_that_can_be_used_says_so_and_another_one_does_not(
    root: Path, store: BlobStore
) -> None:
    store.probe()
    assert list(store.uploads()) == []
    assert list((root / "uploads").iterdir()) == []
    (root / "uploads").rmdir()
    with pytest.raises(OSError, match="uploads"):
        store.probe()


def test_removing_what_is_not_there_is_no_error(store: BlobStore) -> None:
    location = committed(store)
    for _ in range(2):
        store.delete(location)
        store.discard(OTHER_UPLOAD)
    assert list(store.locations()) == []


def test_a_discarded_upload_is_gone(store: BlobStore) -> None:
    store.create(UPLOAD)
    store.create(UPLOAD)
    assert list(store.uploads()) == [UPLOAD]
    store.discard(UPLOAD)
    assert list(store.uploads()) == []
    with pytest.raises(UploadLost):
        store.digest(UPLOAD, 0, "sha256")
    with pytest.raises(UploadLost):
        store.commit(UPLOAD, 0, "aes256", Digest.of(b""))


def test_an_upload_that_is_discarded_while_it_is_written_does_not_come_back(
    store: BlobStore,
) -> None:
    with store.writer(UPLOAD, 0) as writer:
        writer.append(CONTENT)
        store.discard(UPLOAD)
        writer.append(CONTENT)
    assert list(store.uploads()) == []
    with pytest.raises(UploadLost):
        store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)


# --- Offsets --------------------------------------------------------------------------------------


def test_acknowledged_bytes_that_are_not_there_are_told(store: BlobStore) -> None:
    upload(store, b"0123456789")
    with pytest.raises(UploadLost), store.writer(UPLOAD, 11):
        pass
    with pytest.raises(UploadLost), store.writer(OTHER_UPLOAD, 1):
        pass
    with pytest.raises(UploadLost):
        store.digest(UPLOAD, 11, "sha256")
    with pytest.raises(UploadLost):
        store.commit(UPLOAD, 11, "aes256", DIGEST)
    assert list(store.uploads()) == [UPLOAD]
    assert list(store.locations()) == []


def test_a_tail_that_nobody_acknowledged_is_overwritten(store: BlobStore) -> None:
    upload(store, b"keep" + b"a long tail that is not kept")
    with store.writer(UPLOAD, 4) as writer:
        writer.append(b" this")
    location = store.commit(UPLOAD, 9, "aes256", Digest.of(b"keep this"))
    assert read(store, location) == b"keep this"


def test_a_tail_that_nobody_acknowledged_is_not_committed(store: BlobStore) -> None:
    upload(store, CONTENT + b"tail")
    assert store.digest(UPLOAD, len(CONTENT), "sha256") == DIGEST
    location = store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)
    assert read(store, location) == CONTENT


def test_opening_a_writer_changes_nothing(store: BlobStore) -> None:
    # A request that waited for its turn finds here, before it appends, that its offset is stale.
    upload(store)
    with store.writer(UPLOAD, 3):
        pass
    with store.writer(UPLOAD, 0) as writer:
        writer.append(b"")
    assert store.digest(UPLOAD, len(CONTENT), "sha256") == DIGEST


# --- Committing while a writer holds the upload ---------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_whoever_writes_the_last_bytes_can_commit_them(store: BlobStore, algorithm: str) -> None:
    upload(store, CONTENT[:7])
    digest = Digest.of(CONTENT, algorithm)
    with store.writer(UPLOAD, 7) as writer:
        assert not writer.is_first
        writer.append(CONTENT[7:])
        assert store.digest(UPLOAD, len(CONTENT), algorithm, writer) == digest
        location = store.commit(UPLOAD, len(CONTENT), "aes256", digest, writer)
        with pytest.raises(ValueError, match="after the end"):
            writer.append(b"more")
    assert read(store, location) == CONTENT
    assert list(store.uploads()) == []
    with pytest.raises(UploadLost):
        store.digest(UPLOAD, len(CONTENT), algorithm)


def test_a_tail_is_not_committed_by_a_writer_that_wrote_nothing(store: BlobStore) -> None:
    upload(store, CONTENT + b"tail")
    with store.writer(UPLOAD, len(CONTENT)) as writer:
        location = store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST, writer)
    assert read(store, location) == CONTENT


def test_a_writer_goes_on_after_a_digest_that_is_not_its_bytes(store: BlobStore) -> None:
    with store.writer(UPLOAD, 0) as writer:
        assert writer.is_first
        writer.append(CONTENT[:7])
        with pytest.raises(DigestMismatch) as refusal:
            store.commit(UPLOAD, 7, "aes256", DIGEST, writer)
        assert refusal.value.computed == Digest.of(CONTENT[:7])
        writer.append(CONTENT[7:])
    assert read(store, store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)) == CONTENT


def test_bytes_that_come_again_after_a_death_are_those_that_are_there(
    store: BlobStore, root: Path
) -> None:
    # A process died after the rename: the client sends all of it once more.
    before = committed(store)
    again = FilesystemBlobStore(root)
    with again.writer(UPLOAD, 0) as writer:
        writer.append(CONTENT)
        assert again.commit(UPLOAD, len(CONTENT), "aes256", DIGEST, writer) == before
    assert read(again, before) == CONTENT
    assert list(again.uploads()) == []


def test_a_writer_is_not_the_first_where_somebody_wrote(store: BlobStore) -> None:
    upload(store)
    with store.writer(UPLOAD, 0) as writer:
        assert not writer.is_first


def test_a_writer_cannot_be_used_after_its_block(store: BlobStore) -> None:
    with store.writer(UPLOAD, 0) as writer:
        writer.append(CONTENT)
    with pytest.raises(ValueError, match="after the end"):
        writer.append(CONTENT)


# --- Digests --------------------------------------------------------------------------------------


def test_bytes_are_never_committed_under_a_digest_that_is_not_theirs(store: BlobStore) -> None:
    upload(store)
    for _ in range(2):
        with pytest.raises(DigestMismatch) as refusal:
            store.commit(UPLOAD, len(CONTENT), "aes256", Digest.of(b"other"))
        assert refusal.value.computed == DIGEST
    assert list(store.locations()) == []
    assert read(store, store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)) == CONTENT


@pytest.mark.parametrize("times", [1, 2])
def test_processes_that_take_turns_compute_the_digest_of_the_whole(root: Path, times: int) -> None:
    one, other = FilesystemBlobStore(root), FilesystemBlobStore(root)
    parts = [b"aaaaaaaaaa", b"bbbbbbbbbb", b"cccccccccc", b"dddddddddd"] * times
    for number, part in enumerate(parts):
        with (one, other)[number % 2].writer(UPLOAD, 10 * number) as writer:
            writer.append(part)
    content = b"".join(parts)
    assert one.digest(UPLOAD, len(content), "sha256") == Digest.of(content)
    assert other.digest(UPLOAD, len(content), "sha256") == Digest.of(content)


def test_a_hash_state_dies_when_another_process_rewrites_the_file(root: Path) -> None:
    # As fast as it goes: the two writes share a tick of the kernel's clock more often than not.
    one, other = FilesystemBlobStore(root), FilesystemBlobStore(root)
    for _ in range(50):
        upload(one, b"0123456789")
        upload(other, b"9876543210")
        assert one.digest(UPLOAD, 10, "sha256") == Digest.of(b"9876543210")


def test_a_hash_state_dies_when_a_dying_process_rewrote_the_file(root: Path) -> None:
    store = FilesystemBlobStore(root)
    for _ in range(50):
        upload(store, b"0123456789")
        with Path(root, "uploads", UPLOAD).open("r+b") as staged:
            staged.write(b"9876543210")
        assert store.digest(UPLOAD, 10, "sha256") == Digest.of(b"9876543210")
        store.discard(UPLOAD)


def test_bytes_hashed_as_they_came_are_not_read_again(root: Path) -> None:
    store = FilesystemBlobStore(root)
    upload(store, b"0123456789")
    staged = Path(root, "uploads", UPLOAD)
    stamp = staged.stat()
    # Only to see which of the two it is; nothing but this keeps the stamp of a changed file.
    staged.write_bytes(b"9876543210")
    os.utime(staged, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert store.digest(UPLOAD, 10, "sha256") == Digest.of(b"0123456789")
    assert FilesystemBlobStore(root).digest(UPLOAD, 10, "sha256") == Digest.of(b"9876543210")


def test_a_large_upload_is_read_again_in_pieces(root: Path) -> None:
    content = os.urandom((3 << 20) + 17)
    upload(FilesystemBlobStore(root), content)
    tracemalloc.start()
    digest = FilesystemBlobStore(root).digest(UPLOAD, len(content), "sha256")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert digest == Digest.of(content)
    assert peak < 5 << 19


def test_more_uploads_than_hash_states_are_kept_all_come_out_right(root: Path) -> None:
    store = FilesystemBlobStore(root)
    uploads = {str(uuid.uuid4()): os.urandom(20) for _ in range(1100)}
    for upload_id, content in uploads.items():
        upload(store, content, upload_id)
    for upload_id in [*uploads][:10] + [*uploads][-10:]:
        assert store.digest(upload_id, 20, "sha256") == Digest.of(uploads[upload_id])


# --- Many at once ---------------------------------------------------------------------------------


def test_one_request_at_a_time_works_on_an_upload(store: BlobStore) -> None:
    with store.writer(UPLOAD, 0) as writer:
        writer.append(CONTENT)
        with pytest.raises(UploadBusy), store.writer(UPLOAD, 0):
            pass
        with pytest.raises(UploadBusy):
            store.digest(UPLOAD, len(CONTENT), "sha256")
        with pytest.raises(UploadBusy):
            store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)
        with store.writer(OTHER_UPLOAD, 0):
            pass
    assert read(store, store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)) == CONTENT


def test_another_process_holds_an_upload_until_it_is_killed(root: Path, store: BlobStore) -> None:
    command = [*ANOTHER_PROCESS, "hold", str(root), UPLOAD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"holding\n"
        with pytest.raises(UploadBusy), store.writer(UPLOAD, 0):
            pass
        holder.kill()
    assert holder.returncode == -signal.SIGKILL
    # What it had written is there, and is a tail.
    assert store.digest(UPLOAD, 4, "sha256") == Digest.of(b"held")
    assert read(store, committed(store)) == CONTENT


def test_what_another_process_appended_is_part_of_the_upload(root: Path, store: BlobStore) -> None:
    upload(store, b"from here, ")
    command = [*ANOTHER_PROCESS, "append", str(root), UPLOAD, "11", b"from there".hex()]
    subprocess.run(command, check=True)
    content = b"from here, from there"
    location = store.commit(UPLOAD, len(content), "aes256", Digest.of(content))
    assert read(store, location) == content


def test_of_many_who_want_to_write_each_byte_has_one_author(store: BlobStore) -> None:
    def push(author: int) -> bool:
        try:
            with store.writer(UPLOAD, 0) as writer:
                for _ in range(50):
                    writer.append(bytes([author]) * 100)
        except UploadBusy:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert any(threads.map(push, range(8)))
    contents = [bytes([author]) * 5000 for author in range(8)]
    assert store.digest(UPLOAD, 5000, "sha256") in [*map(Digest.of, contents)]


@pytest.mark.parametrize("begins_again", [False, True])
def test_a_writer_that_opened_the_file_before_its_commit_does_not_touch_the_blob(
    root: Path, store: BlobStore, monkeypatch: pytest.MonkeyPatch, begins_again: bool
) -> None:
    upload(store)
    lock = fcntl.flock

    def commit_first(file: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        FilesystemBlobStore(root).commit(UPLOAD, len(CONTENT), "aes256", DIGEST)
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", commit_first)
    if begins_again:
        upload(store, b"x" * len(CONTENT))
    else:
        with pytest.raises(UploadLost), store.writer(UPLOAD, 4) as writer:
            writer.append(b"x")
    [location] = store.locations()
    assert read(store, location) == CONTENT


# --- Death and a full disk ------------------------------------------------------------------------


def test_a_commit_is_repeated_and_answers_the_same(root: Path, store: BlobStore) -> None:
    location = committed(store)
    # The same process, another one, and one that finds a late writer's leavings as well.
    assert store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST) == location
    again = FilesystemBlobStore(root)
    assert again.commit(UPLOAD, len(CONTENT), "aes256", DIGEST) == location
    upload(again, b"late")
    assert again.commit(UPLOAD, len(CONTENT), "aes256", DIGEST) == location
    assert read(store, location) == CONTENT


def test_a_commit_may_die_at_any_line(tmp_path: Path) -> None:
    subprocess.run([*ANOTHER_PROCESS, "crash", str(tmp_path), UPLOAD, CONTENT.hex()], check=True)
    expected = f"blobs/aes256/sha256/{DIGEST.hex[:2]}/{DIGEST.hex}.{UPLOAD}"
    died_with = {"staged": 0, "moved": 0}
    for root in tmp_path.iterdir():
        store = FilesystemBlobStore(root)
        staged, moved = [*store.uploads()] == [UPLOAD], [*store.locations()] == [expected]
        assert staged != moved
        died_with["staged" if staged else "moved"] += 1
        location = store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)
        assert location == expected
        assert read(store, location) == CONTENT
        assert [*store.uploads()] == []
    assert died_with["staged"] > 20
    assert died_with["moved"] > 5


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=280", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a small disk can't be mounted here (needs root)")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> list[Path]:
    """Make files until no more can be made."""
    made: list[Path] = []
    with contextlib.suppress(OSError):
        while True:
            path = disk / str(len(made))
            path.touch()
            made.append(path)
    return made


def test_a_full_disk_takes_nothing_of_a_request(small_disk: Path) -> None:
    store = FilesystemBlobStore(small_disk / "store")
    upload(store, b"kept")
    with store.writer(UPLOAD, 4) as writer:
        writer.append(b"x" * (512 << 10))
        with pytest.raises(StorageFull):
            writer.append(b"x" * (512 << 10))
        assert writer.offset == 4
        # The space is free again, for whoever is next.
        assert Path(small_disk, "store", "uploads", UPLOAD).stat().st_size == 4
        writer.append(b" too")
    assert store.digest(UPLOAD, 8, "sha256") == Digest.of(b"kept too")
    location = store.commit(UPLOAD, 8, "aes256", Digest.of(b"kept too"))
    assert read(store, location) == b"kept too"


def test_a_disk_without_room_for_a_file_says_so(small_disk: Path) -> None:
    store = FilesystemBlobStore(small_disk / "store")
    upload(store)
    taken = fill(small_disk)
    full: list[Callable[[], object]] = [
        lambda: store.create(OTHER_UPLOAD),
        lambda: upload(store, upload_id=OTHER_UPLOAD),
        lambda: store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST),
    ]
    for attempt in full:
        with pytest.raises(StorageFull):
            attempt()
    for path in taken:
        path.unlink()
    assert [*store.locations()] == []
    location = store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)
    assert read(store, location) == CONTENT


def test_a_write_that_fails_half_way_takes_nothing_of_a_request(store: BlobStore) -> None:
    upload(store, b"kept")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with store.writer(UPLOAD, 4) as writer:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
            with pytest.raises(OSError, match="large") as failure:
                writer.append(b" but not this")
            assert writer.offset == 4
            writer.append(b" too")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert failure.value.errno == errno.EFBIG
    assert store.digest(UPLOAD, 8, "sha256") == Digest.of(b"kept too")


def failing_to_sync(which: Callable[[int], bool], number: int) -> Callable[[int], None]:
    """Stand in for `os.fsync`; no disk at hand fails on demand."""
    sync = os.fsync

    def fsync(file: int) -> None:
        if which(os.fstat(file).st_mode):
            raise OSError(number, os.strerror(number))
        sync(file)

    return fsync


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, OSError)],
)
def test_an_upload_that_could_not_be_synced_is_not_believed_again(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    upload(store)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing_to_sync(stat.S_ISREG, number))
        with pytest.raises(error):
            store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)
    assert list(store.locations()) == []
    with pytest.raises(UploadLost):
        store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)


@pytest.mark.parametrize("kept", [CONTENT, b"\0" * len(CONTENT), b""])
def test_what_a_power_cut_took_of_a_commit_that_died_is_missed(
    root: Path, store: BlobStore, monkeypatch: pytest.MonkeyPatch, kept: bytes
) -> None:
    upload(store)
    sync = os.fsync

    def die(file: int) -> None:
        if stat.S_ISREG(os.fstat(file).st_mode):
            raise KeyboardInterrupt
        sync(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", die)
        with pytest.raises(KeyboardInterrupt):
            store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)
    [location] = store.locations()
    Path(root, location).write_bytes(kept)
    again = FilesystemBlobStore(root)
    if kept != CONTENT:
        with pytest.raises(UploadLost):
            again.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)
        return
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    assert again.commit(UPLOAD, len(CONTENT), "aes256", DIGEST) == location
    blob = Path(root, location)
    assert synced[-2:] == [blob.stat().st_ino, blob.parent.stat().st_ino]


def test_a_commit_waits_for_no_other_one_of_the_same_upload(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(store)
    sync = os.fsync

    def try_at_once(file: int) -> None:
        monkeypatch.setattr(os, "fsync", sync)
        with pytest.raises(UploadBusy):
            store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)
        sync(file)

    committed(store, upload_id=OTHER_UPLOAD)
    monkeypatch.setattr(os, "fsync", try_at_once)
    assert read(store, store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)) == CONTENT


def test_the_directories_of_all_blobs_are_synced_once(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(store)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    for number in range(20):
        content = b"another %d" % number
        upload(store, content, upload_id=OTHER_UPLOAD)
        store.commit(OTHER_UPLOAD, len(content), "aes256", Digest.of(content))
    assert len(synced) == 2 * 20


def test_a_directory_that_could_not_be_synced_is_synced_the_next_time(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(store)
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing_to_sync(stat.S_ISDIR, errno.EIO))
            with pytest.raises(OSError, match="Input/output"):
                store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)
    assert read(store, store.commit(UPLOAD, len(CONTENT), "aes256", DIGEST)) == CONTENT


def test_a_commit_has_synced_the_file_and_every_directory_above_it(
    root: Path, store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(store)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    location = FilesystemBlobStore(root).commit(UPLOAD, len(CONTENT), "aes256", DIGEST)
    blob = Path(root, location)
    above = [blob, *(path for path in blob.parents if path.is_relative_to(root))]
    assert {path.stat().st_ino for path in above} <= set(synced)
    # The name comes last, when the bytes are safe.
    assert synced[-1] == blob.parent.stat().st_ino
    assert synced.index(blob.stat().st_ino) < len(synced) - 1


# --- Paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "upload_id",
    [
        "",
        ".",
        "..",
        "../../../../../../../../../etc/passwd",
        "../blobs/0f14d0ab-9605-4a62-a9e4-5ed26688",
        f"x/../../.{UPLOAD}",
        UPLOAD.upper(),
        UPLOAD + "\n",
        UPLOAD + "\0",
        UPLOAD.replace("-", "0"),
        "-" * 36,
    ],
)
def test_an_upload_id_that_is_none_reaches_no_path(root: Path, upload_id: str) -> None:
    store = FilesystemBlobStore(root)
    attempts: list[Callable[[], object]] = [
        lambda: store.create(upload_id),
        lambda: upload(store, upload_id=upload_id),
        lambda: store.digest(upload_id, 0, "sha256"),
        lambda: store.commit(upload_id, 0, "aes256", DIGEST),
        lambda: store.discard(upload_id),
        lambda: upload_of(Location(f"{DIGEST.hex}.{upload_id}x")),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError, match="not "):
            attempt()
    assert sorted(root.rglob("*")) == [root / "blobs", root / "uploads"]


@pytest.mark.parametrize(
    ("context", "digest"),
    [
        ("", DIGEST),
        ("..", DIGEST),
        ("a/b", DIGEST),
        ("AES256", DIGEST),
        ("aes256\n", DIGEST),
        ("a" * 65, DIGEST),
        ("aes256", Digest("md5", "0" * 32)),
        ("aes256", Digest("sha256", "0" * 63)),
        ("aes256", Digest("sha256", "0" * 128)),
        ("aes256", Digest("sha512", "0" * 64)),
        ("aes256", Digest("sha256", "../" + "0" * 61)),
        ("aes256", Digest("sha256", "A" * 64)),
    ],
)
def test_a_context_or_a_digest_that_is_none_reaches_no_path(
    root: Path, context: str, digest: Digest
) -> None:
    store = FilesystemBlobStore(root)
    upload(store)
    with pytest.raises(ValueError, match="not a location"):
        store.commit(UPLOAD, len(CONTENT), context, digest)
    assert [*(root / "blobs").iterdir()] == []


@pytest.mark.parametrize(
    ("part", "replacement"),
    [
        ("blobs/", "../blobs/"),
        ("blobs/", "/blobs/"),
        ("blobs/", "uploads/"),
        ("blobs/", ""),
        ("/sha256/", "/../"),
        ("/sha256/", "/sha512/"),
        ("/sha256/", "/md5/"),
        (f"/{DIGEST.hex[:2]}/", "/../"),
        (f"/{DIGEST.hex[:2]}/", "/00/"),
        (f".{UPLOAD}", ""),
        (UPLOAD, UPLOAD + "\n"),
        (UPLOAD, "-" * 36),
    ],
)
def test_a_location_that_is_none_reaches_no_path(
    store: BlobStore, part: str, replacement: str
) -> None:
    location = committed(store)
    assert part in location
    elsewhere = Location(location.replace(part, replacement))
    for attempt in (store.open, store.delete):
        with pytest.raises(ValueError, match="not a location"):
            attempt(elsewhere)
    assert read(store, location) == CONTENT


def test_files_that_are_not_the_store_s_own_are_no_blobs(root: Path) -> None:
    store = FilesystemBlobStore(root)
    location = committed(store)
    Path(root, location).with_name("lost+found").touch()
    Path(root, "blobs", "README").touch()
    Path(root, "uploads", ".nfs0001").touch()
    assert list(store.locations()) == [location]
    assert list(store.uploads()) == []


def test_links_are_not_followed(root: Path, tmp_path: Path) -> None:
    store = FilesystemBlobStore(root)
    outside = tmp_path / "outside"
    outside.write_bytes(CONTENT)
    Path(root, "uploads", UPLOAD).symlink_to(outside)
    with pytest.raises(OSError, match="symbolic links"):
        upload(store, b"overwritten")
    location = committed(store, upload_id=OTHER_UPLOAD)
    Path(root, location).unlink()
    Path(root, location).symlink_to(outside)
    with pytest.raises(OSError, match="symbolic links"):
        store.open(location)
    assert outside.read_bytes() == CONTENT


def test_nobody_but_the_owner_can_look_in(root: Path) -> None:
    mask = os.umask(0)
    try:
        store = FilesystemBlobStore(root)
        committed(store)
        upload(store, upload_id=OTHER_UPLOAD)
    finally:
        os.umask(mask)
    modes = {path.stat().st_mode & 0o7777 for path in [root, *root.rglob("*")] if path.is_dir()}
    assert modes == {0o700}
    modes = {path.stat().st_mode & 0o7777 for path in root.rglob("*") if path.is_file()}
    assert modes == {0o600}
