from __future__ import annotations

import gzip
import hashlib
import os
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore.blobs.archive import Archived, ArchiveUnavailable, BytesDamaged
from longshore.blobs.archive_directory import ArchiveDirectory
from longshore.blobs.store import BlobMissing, Location, upload_of
from longshore.names import Digest
from tests.support.cold import files_in, open_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RUN, OTHER_RUN = "0f14d0ab-9605-4a62-a9e4-5ed26688389b", "1f14d0ab-9605-4a62-a9e4-5ed26688389b"
PIECE = 1 << 20
TEXT = b"how well this can be compressed " * 100_000
NOISE = random.Random(1).randbytes(3_000_000)


@pytest.fixture
def archive(tmp_path: Path) -> ArchiveDirectory:
    return open_archive(tmp_path)


@pytest.fixture
def cold(tmp_path: Path) -> Path:
    return tmp_path / "cold"


def put(
    archive: ArchiveDirectory, content: bytes, algorithm: str = "sha256", run: str = RUN
) -> Archived:
    def read() -> Iterator[bytes]:
        for start in range(0, len(content), PIECE):
            yield content[start : start + PIECE]

    return archive.put(read, "aes256", Digest.of(content, algorithm), run)


def content_of(archive: ArchiveDirectory, location: Location) -> bytes:
    return b"".join(archive.read(location))


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize(
    ("content", "form"), [(TEXT, "gzip"), (NOISE, "plain"), (b"", "plain"), (b"x", "plain")]
)
def test_what_goes_in_comes_out_and_takes_no_more_room(
    archive: ArchiveDirectory, cold: Path, content: bytes, form: str, algorithm: str
) -> None:
    archived = put(archive, content, algorithm)
    digest = hashlib.new(algorithm, content).hexdigest()
    name = f"{form}/aes256/{algorithm}/{digest[:2]}/{digest}.{RUN}"
    assert archived == (Archived(Location(f"archive/{name}"), (cold / name).stat().st_size))
    assert archived.size <= len(content)
    assert content_of(archive, archived.location) == content
    assert list(archive.locations()) == [archived.location]
    assert upload_of(archived.location) == RUN
    # By hand, too.
    on_disk = (cold / name).read_bytes()
    assert (gzip.decompress(on_disk) if form == "gzip" else on_disk) == content
    archive.delete(archived.location)
    archive.delete(archived.location)
    assert files_in(cold) == set()
    with pytest.raises(BlobMissing):
        content_of(archive, archived.location)


@given(text=st.binary(max_size=3000), times=st.integers(1, 200))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_content_comes_back(archive: ArchiveDirectory, text: bytes, times: int) -> None:
    content = text * times
    archived = put(archive, content)
    assert archived.size <= len(content)
    assert content_of(archive, archived.location) == content
    archive.delete(archived.location)


def test_what_only_begins_well_is_kept_as_it_is(archive: ArchiveDirectory, cold: Path) -> None:
    # What its first piece saves, gzip's own bytes take up again.
    pieces = [bytes(100), NOISE]
    content = b"".join(pieces)
    archived = archive.put(lambda: pieces, "aes256", Digest.of(content), RUN)
    assert archived.location.startswith("archive/plain/")
    assert archived.size == len(content)
    assert len(files_in(cold)) == 1
    assert content_of(archive, archived.location) == content


def test_two_runs_have_two_locations_and_none_writes_twice(archive: ArchiveDirectory) -> None:
    first, second = put(archive, TEXT), put(archive, TEXT, run=OTHER_RUN)
    archive.delete(first.location)
    assert content_of(archive, second.location) == TEXT
    with pytest.raises(ArchiveUnavailable, match="exists"):
        put(archive, TEXT, run=OTHER_RUN)
    assert content_of(archive, second.location) == TEXT


@pytest.mark.parametrize("content", [TEXT, NOISE])
def test_other_bytes_than_were_to_come_are_not_kept(
    archive: ArchiveDirectory, cold: Path, content: bytes
) -> None:
    with pytest.raises(BytesDamaged, match="in the data directory are damaged"):
        archive.put(lambda: [content[:-1]], "aes256", Digest.of(content), RUN)
    assert files_in(cold) == set()


@pytest.mark.parametrize("content", [TEXT, NOISE])
def test_a_copy_that_is_broken_off_leaves_nothing(
    archive: ArchiveDirectory, cold: Path, content: bytes
) -> None:
    def read() -> Iterator[bytes]:
        yield content[:PIECE]
        yield content[PIECE : 2 * PIECE]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive.put(read, "aes256", Digest.of(content), RUN)
    assert files_in(cold) == set()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def overwrite(path: Path) -> None:
    path.write_bytes(b"nothing of the kind")


@pytest.mark.parametrize("damage", [cut, flip, overwrite])
def test_what_was_compressed_and_is_damaged_is_told(
    archive: ArchiveDirectory, cold: Path, damage: Callable[[Path], None]
) -> None:
    archived = put(archive, TEXT)
    [name] = files_in(cold)
    damage(cold / name)
    with pytest.raises(BytesDamaged, match="in the archive directory are damaged"):
        content_of(archive, archived.location)


@pytest.mark.parametrize(
    "text",
    [
        "blobs/aes256/sha256/ab/" + "ab" * 32 + f".{RUN}",
        "archive/plain/../sha256/ab/" + "ab" * 32 + f".{RUN}",
        "archive/plain/aes256/sha256/ab/" + "ab" * 32,
        "archive/plain/aes256/sha256/cd/" + "ab" * 32 + f".{RUN}",
        "archive/other/aes256/sha256/ab/" + "ab" * 32 + f".{RUN}",
        "archive/plain/aes256/sha256/ab/" + "ab" * 32 + "." + "-" * 36,
        "",
    ],
)
def test_nothing_but_a_location_is_looked_for(archive: ArchiveDirectory, text: str) -> None:
    for step in (
        lambda: content_of(archive, Location(text)),
        lambda: archive.delete(Location(text)),
    ):
        with pytest.raises(ValueError, match="not a location in an archive"):
            step()


def steps(archive: ArchiveDirectory) -> list[Callable[[], object]]:
    location = Location(f"archive/plain/aes256/sha256/ab/{'ab' * 32}.{RUN}")
    return [
        archive.probe,
        lambda: put(archive, TEXT),
        lambda: content_of(archive, location),
        lambda: archive.delete(location),
        lambda: list(archive.locations()),
    ]


def test_a_directory_that_is_not_there_is_not_made(archive: ArchiveDirectory, cold: Path) -> None:
    cold.rename(cold.with_name("elsewhere"))
    for is_mount_point in (False, True):
        if is_mount_point:
            cold.mkdir()
        for step in steps(archive):
            with pytest.raises(ArchiveUnavailable, match=r"Mount the disk"):
                step()
        assert files_in(cold) == set()
    with pytest.raises(ArchiveUnavailable, match="No such file"):
        ArchiveDirectory(cold / "no", cold.with_name("data") / "database.id").claim()


def test_a_directory_of_another_registry_is_left_alone(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    theirs = open_archive(tmp_path / "theirs")
    put(theirs, TEXT)
    before = files_in(tmp_path / "theirs" / "cold")
    ours = ArchiveDirectory(tmp_path / "theirs" / "cold", open_archive(tmp_path / "ours")._proof)
    ours.claim()
    for step in steps(ours):
        with pytest.raises(ArchiveUnavailable, match="another registry's"):
            step()
    assert files_in(tmp_path / "theirs" / "cold") == before


def test_a_directory_with_blobs_and_no_mark_is_nobodys(
    archive: ArchiveDirectory, cold: Path
) -> None:
    put(archive, TEXT)
    (cold / "database.id").unlink()
    archive.claim()
    with pytest.raises(ArchiveUnavailable):
        archive.probe()


def test_claiming_again_and_beside_other_files_changes_nothing(
    archive: ArchiveDirectory, cold: Path
) -> None:
    (cold / "lost+found").mkdir()
    archive.claim()
    archive.probe()
    assert sorted(path.name for path in cold.iterdir()) == ["database.id", "lost+found"]
