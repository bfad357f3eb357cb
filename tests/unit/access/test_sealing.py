from __future__ import annotations

import base64
import os
import stat
from functools import partial
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from longshore.access.sealing import (
    BrokenSeal,
    Seal,
    ServerKey,
    replace_private_file,
    write_private_file,
)
from tests.support.threads import at_once

if TYPE_CHECKING:
    from pathlib import Path

KEY = ServerKey(bytes(range(32)))
SEAL = KEY.seal_for("test")
SECRET = b"what nobody else may read"


@given(content=st.binary(), bound_to=st.binary())
def test_what_was_sealed_opens(content: bytes, bound_to: bytes) -> None:
    assert SEAL.open(SEAL.close(content, bound_to), bound_to) == content
    assert SEAL.open_text(SEAL.close_text(content, bound_to), bound_to) == content


def test_what_is_sealed_cannot_be_read_and_never_looks_the_same() -> None:
    sealed = {SEAL.close(SECRET) for _ in range(50)}
    assert len(sealed) == 50
    assert not any(SECRET in each for each in sealed)
    assert len({each[:16] for each in sealed}) == 50


@pytest.mark.parametrize(
    "other",
    [
        KEY.seal_for("another purpose"),
        KEY.seal_for(""),
        ServerKey(bytes(32)).seal_for("test"),
        Seal({KEY.seal_for("test")._mark: bytes(range(32))}, "another"),
    ],
    ids=["purpose", "no purpose", "key", "the server key itself"],
)
def test_only_the_seal_of_the_same_key_and_purpose_opens_it(other: Seal) -> None:
    with pytest.raises(BrokenSeal):
        other.open(SEAL.close(SECRET))


def test_the_same_key_and_purpose_open_it_in_another_process() -> None:
    assert ServerKey(bytes(range(32))).seal_for("test").open(SEAL.close(SECRET)) == SECRET


def test_it_opens_only_together_with_what_it_is_bound_to() -> None:
    sealed = SEAL.close(SECRET, b"listing A")
    for bound_to in (b"", b"listing B", b"listing A "):
        with pytest.raises(BrokenSeal):
            SEAL.open(sealed, bound_to)


def test_no_bit_of_it_can_be_changed() -> None:
    sealed = SEAL.close(SECRET)
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BrokenSeal):
            SEAL.open(bytes(changed))


def test_nothing_can_be_cut_off_or_added() -> None:
    sealed = SEAL.close(SECRET)
    for length in range(len(sealed)):
        with pytest.raises(BrokenSeal):
            SEAL.open(sealed[:length])
    for changed in (sealed + b"\0", b"\0" + sealed, sealed * 2):
        with pytest.raises(BrokenSeal):
            SEAL.open(changed)


@given(text=st.text() | st.text("ABCxyz019-_=", max_size=80))
def test_text_that_was_not_sealed_here_is_refused(text: str) -> None:
    with pytest.raises(BrokenSeal):
        SEAL.open_text(text)


def test_sealed_text_is_safe_in_a_url() -> None:
    for length in range(8):
        assert set(SEAL.close_text(b"\xff" * length)) <= set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        )


def test_changed_text_never_opens_to_anything_else() -> None:
    sealed = SEAL.close_text(SECRET)
    for position in range(len(sealed)):
        for letter in "Aa0-_+/=. \n\0é":
            changed = sealed[:position] + letter + sealed[position + 1 :]
            try:
                opened = SEAL.open_text(changed)
            except BrokenSeal:
                continue
            # The last letter has bits that stand for nothing.
            assert opened == SECRET


def test_the_name_of_a_key_tells_nothing_and_stays() -> None:
    assert KEY.id == ServerKey(bytes(range(32))).id
    assert KEY.id != ServerKey(bytes(32)).id
    assert len(KEY.id) == 16
    assert bytes.fromhex(KEY.id) not in bytes(range(32))


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match=f"a server key has 32 bytes, not {length}"):
        ServerKey(bytes(length))


def test_a_new_key_is_kept_in_a_file_that_only_the_owner_can_read(tmp_path: Path) -> None:
    file = tmp_path / "data" / "server.key"
    made = ServerKey.read_or_create(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ServerKey.read_or_create(file).id == made.id == ServerKey.read(file).id
    assert [path.name for path in file.parent.iterdir()] == ["server.key"]


def test_two_new_keys_differ(tmp_path: Path) -> None:
    keys = {ServerKey.read_or_create(tmp_path / name).id for name in ("a", "b")}
    assert len(keys) == 2


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    file = tmp_path / "server.key"
    keys = at_once([partial(ServerKey.read_or_create, file)] * 8)
    assert {key.id for key in keys} == {ServerKey.read(file).id}
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"AAAA", b"\xff\xfe", "schlüssel".encode(), base64.b64encode(bytes(33)), b"A"],
)
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "server.key"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="server key"):
        ServerKey.read_or_create(file)
    assert file.read_bytes() == content


def test_a_key_file_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ServerKey.read(tmp_path / "server.key")


def test_a_private_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        write_private_file(tmp_path / "file", "secret")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_who_comes_second_keeps_the_first_ones_file(tmp_path: Path) -> None:
    write_private_file(tmp_path / "file", "first")
    write_private_file(tmp_path / "file", "second")
    assert (tmp_path / "file").read_text() == "first"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_private_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_private_file(tmp_path / "file", "\ud800")
    assert list(tmp_path.iterdir()) == []


# --- Several keys ---------------------------------------------------------------------------------

OLD, NEW = bytes(range(32)), bytes(range(1, 33))


def sealed_without_a_mark(content: bytes, bound_to: bytes = b"") -> bytes:
    """Seal as the first version did."""
    return SEAL.close(content, bound_to)[4:]


def test_the_newest_key_seals_and_the_older_ones_open() -> None:
    ring = ServerKey(NEW, OLD).seal_for("test")
    assert ring.open(SEAL.close(SECRET, b"x"), b"x") == SECRET
    assert ServerKey(NEW).seal_for("test").open(ring.close(SECRET)) == SECRET
    with pytest.raises(BrokenSeal):
        SEAL.open(ring.close(SECRET))
    assert not ring.is_newest(SEAL.close(SECRET))
    assert ring.is_newest(ring.close(SECRET))


@given(content=st.binary(), bound_to=st.binary())
def test_what_was_sealed_before_keys_had_marks_still_opens(content: bytes, bound_to: bytes) -> None:
    sealed = sealed_without_a_mark(content, bound_to)
    for key in (KEY, ServerKey(NEW, OLD), ServerKey(bytes(32), NEW, OLD)):
        assert key.seal_for("test").open(sealed, bound_to) == content
    with pytest.raises(BrokenSeal):
        ServerKey(NEW).seal_for("test").open(sealed, bound_to)


def test_what_begins_with_a_mark_by_chance_still_opens() -> None:
    sealed = sealed_without_a_mark(SECRET)
    # As if the nonce began with the mark of another key.
    key = HKDF(SHA256(), 32, salt=None, info=b"longshore seal: test").derive(OLD)
    assert Seal({sealed[:4]: bytes(32), b"mark": key}, "another").open(sealed) == SECRET


def test_the_names_of_the_keys_are_told_in_order() -> None:
    ring = ServerKey(NEW, OLD)
    assert ring.ids == (ServerKey(NEW).id, ServerKey(OLD).id)
    assert ring.id == ring.ids[0]


def test_a_rotated_key_is_the_newest_and_the_older_ones_stay(tmp_path: Path) -> None:
    file = tmp_path / "server.key"
    key = ServerKey.read_or_create(file)
    first = key.seal_for("test").close(SECRET)
    key.rotate()
    key.rotate()
    assert len(set(key.ids)) == 3
    assert len(file.read_text().splitlines()) == 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ServerKey.read(file).ids == key.ids
    assert key.seal_for("test").open(first) == SECRET
    second = key.seal_for("test").close(SECRET)
    key.retire()
    assert ServerKey.read(file).ids == (key.id,)
    assert key.seal_for("test").open(second) == SECRET
    with pytest.raises(BrokenSeal):
        key.seal_for("test").open(first)
    assert list(tmp_path.iterdir()) == [file]


def test_another_process_follows_the_file(tmp_path: Path) -> None:
    file = tmp_path / "server.key"
    mine, other = ServerKey.read_or_create(file), ServerKey.read(file)
    mine.rotate()
    assert other.seal_for("test").open(mine.seal_for("test").close(SECRET)) == SECRET
    assert other.id == mine.id


@pytest.mark.parametrize("content", [None, "", "spoilt", "AAAA"])
def test_a_server_that_runs_outlives_a_spoilt_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    file = tmp_path / "server.key"
    key = ServerKey.read_or_create(file)
    name, sealed = key.id, key.seal_for("test").close(SECRET)
    file.unlink()
    if content is not None:
        file.write_text(content)
    assert key.id == name
    assert key.seal_for("test").open(sealed) == SECRET
    assert "can't be read again" in caplog.text


def test_a_key_without_a_file_cannot_be_changed() -> None:
    for change in (KEY.rotate, KEY.retire):
        with pytest.raises(ValueError, match="in no file"):
            change()


def test_a_file_is_replaced_whole_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("before")
    file.chmod(0o644)
    with pytest.raises(UnicodeEncodeError):
        replace_private_file(file, "\ud800")
    assert file.read_text() == "before"
    replace_private_file(file, "after")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("after", 0o600)
    assert list(tmp_path.iterdir()) == [file]
