"""Any history of uploads over several processes, against what SQL would hold."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.blobs.store import (
    BlobMissing,
    DigestMismatch,
    Location,
    UploadBusy,
    UploadLost,
    upload_of,
)
from longshore.names import Digest

if TYPE_CHECKING:
    from longshore.blobs.store import BlobStore

# Few and alike, so that contents of equal length and equal contents come up.
CONTENTS = st.sampled_from([b"", b"a", b"b", b"ab", b"ba", b"a" * 3000, b"b" * 3000])
ALGORITHMS = st.sampled_from(["sha256", "sha512"])
PROCESSES = st.sampled_from([0, 1])


@dataclass
class Upload:
    """An upload as its row has it: `acknowledged` is all that anybody was promised.

    Without a row (it was committed or discarded) nobody appends to it; who looked before may
    still come late.
    """

    id: str
    acknowledged: bytes = b""
    has_row: bool = True
    location: Location | None = None


class Histories(RuleBasedStateMachine):
    uploads = Bundle("uploads")

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="longshore-"))
        # A store each stands for a process each: they share nothing but the directory.
        self.processes: list[BlobStore] = [FilesystemBlobStore(self.root) for _ in range(2)]
        self.staged: set[str] = set()
        self.blobs: dict[Location, bytes] = {}
        self.deleted: set[Location] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @rule(target=uploads, process=PROCESSES)
    def begin(self, process: int) -> Upload:
        upload = Upload(str(uuid.uuid4()))
        self.processes[process].create(upload.id)
        self.staged.add(upload.id)
        return upload

    @rule(upload=uploads, process=PROCESSES, parts=st.lists(CONTENTS, max_size=3))
    def append(self, upload: Upload, process: int, parts: list[bytes]) -> None:
        if upload.has_row:
            self._append(upload, process, parts)
            upload.acknowledged += b"".join(parts)

    @rule(upload=uploads, process=PROCESSES, parts=st.lists(CONTENTS, max_size=3))
    def append_and_die_before_the_acknowledgement(
        self, upload: Upload, process: int, parts: list[bytes]
    ) -> None:
        if upload.has_row:
            self._append(upload, process, parts)

    def _append(self, upload: Upload, process: int, parts: list[bytes]) -> None:
        begin = len(upload.acknowledged)
        with self.processes[process].writer(upload.id, begin) as writer:
            for part in parts:
                writer.append(part)
            assert writer.offset == begin + sum(map(len, parts))

    @rule(upload=uploads, process=PROCESSES, stale=st.integers(0, 6000))
    def come_late_and_see_it(self, upload: Upload, process: int, stale: int) -> None:
        offset = min(stale, len(upload.acknowledged))
        try:
            with self.processes[process].writer(upload.id, offset):
                pass  # SQL says that the offset isn't the acknowledged one
        except UploadLost:
            assert upload.id not in self.staged
            assert offset > 0
        else:
            self.staged.add(upload.id)  # perhaps a leaving of nobody's, for the collector

    @rule(upload=uploads, process=PROCESSES, other=PROCESSES, part=CONTENTS)
    def two_at_once(self, upload: Upload, process: int, other: int, part: bytes) -> None:
        if not upload.has_row:
            return
        begin = len(upload.acknowledged)
        with self.processes[process].writer(upload.id, begin) as writer:
            writer.append(part)
            with pytest.raises(UploadBusy), self.processes[other].writer(upload.id, begin):
                pass
        upload.acknowledged += part

    @rule(upload=uploads, process=PROCESSES, algorithm=ALGORITHMS)
    def digest(self, upload: Upload, process: int, algorithm: str) -> None:
        if upload.has_row:
            size = len(upload.acknowledged)
            digest = self.processes[process].digest(upload.id, size, algorithm)
            assert digest == Digest.of(upload.acknowledged, algorithm)

    @rule(upload=uploads, process=PROCESSES, algorithm=ALGORITHMS, context=st.sampled_from("ab"))
    def commit(self, upload: Upload, process: int, algorithm: str, context: str) -> None:
        if upload.has_row:
            content = upload.acknowledged
            digest = Digest.of(content, algorithm)
            location = self.processes[process].commit(upload.id, len(content), context, digest)
            assert location not in self.blobs.keys() | self.deleted
            assert upload_of(location) == upload.id
            upload.has_row, upload.location = False, location
            self.staged.remove(upload.id)
            self.blobs[location] = content

    @rule(upload=uploads, process=PROCESSES)
    def commit_again_after_a_death(self, upload: Upload, process: int) -> None:
        if upload.location in self.blobs:
            _, context, algorithm, _, _ = upload.location.split("/")
            content = upload.acknowledged
            digest = Digest.of(content, algorithm)
            location = self.processes[process].commit(upload.id, len(content), context, digest)
            assert location == upload.location

    @rule(upload=uploads, process=PROCESSES, content=CONTENTS)
    def commit_under_another_digest(self, upload: Upload, process: int, content: bytes) -> None:
        if upload.has_row and content != upload.acknowledged:
            store, size = self.processes[process], len(upload.acknowledged)
            with pytest.raises(DigestMismatch):
                store.commit(upload.id, size, "a", Digest.of(content))

    @rule(upload=uploads, process=PROCESSES)
    def discard(self, upload: Upload, process: int) -> None:
        self.processes[process].discard(upload.id)
        upload.has_row = False
        self.staged.discard(upload.id)

    @rule(process=PROCESSES, data=st.data())
    def delete(self, process: int, data: st.DataObject) -> None:
        if self.blobs:
            location = data.draw(st.sampled_from(sorted(self.blobs)))
            self.processes[process].delete(location)
            self.deleted.add(location)
            del self.blobs[location]

    @rule(process=PROCESSES)
    def restart(self, process: int) -> None:
        self.processes[process] = FilesystemBlobStore(self.root)

    @invariant()
    def the_store_holds_what_was_committed_and_nothing_else(self) -> None:
        for store in self.processes:
            assert sorted(store.locations()) == sorted(self.blobs)
            assert set(store.uploads()) == self.staged

    @invariant()
    def every_blob_reads_as_it_was_acknowledged(self) -> None:
        for location, content in self.blobs.items():
            with self.processes[0].open(location) as blob:
                assert blob.read() == content
        for location in self.deleted:
            with pytest.raises(BlobMissing):
                self.processes[0].open(location)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
