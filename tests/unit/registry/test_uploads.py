from __future__ import annotations

import errno
import os
import uuid
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore.blobs.store import is_upload_id
from longshore.clock import DAY
from longshore.errors import (
    EmptyUpload,
    InvalidLayer,
    InvalidLayerPart,
    LayerAlreadyExists,
    LayerPartTooSmall,
    LayersNotFound,
    LimitExceeded,
    RegistryError,
    RepositoryNotFound,
    StorageFull,
    UploadNotFound,
)
from longshore.names import Digest, Registry
from longshore.registry import completion, layers, repositories, upload_parts, uploads
from longshore.registry.context import Caller
from longshore.registry.limits import MIB, Limits
from longshore.registry.upload_parts import Part
from longshore.registry.uploads import UploadConflict
from longshore.work.collector import Collector
from tests.support.interruptions import before_statement
from tests.support.pushing import (
    ACCOUNT,
    CALLER,
    REGISTRY,
    REPOSITORY,
    begin,
    create_repository,
    read_layer,
)
from tests.support.threads import at_once, outcome

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from longshore.registry.uploads import Upload
    from tests.support.clock import FakeClock
    from tests.support.interruptions import InterruptedBlobStore

pytestmark = pytest.mark.usefixtures("repository")

SMALL = Limits(layer_part_smallest=4, layer_part_largest=10, layer_parts=5, layer_size=30)
NOBODYS = "0f14d0ab-9605-4a62-a9e4-5ed26688389b"


@pytest.fixture
def small(context: Context) -> Context:
    """The same store, in which a few bytes are much."""
    return replace(context, limits=SMALL)


def start(context: Context, repository: str = REPOSITORY) -> Upload:
    return uploads.start(context, CALLER, REGISTRY, repository)


def again(context: Context, upload: Upload) -> Upload:
    return uploads.find(context, CALLER, upload.registry, upload.repository, upload.id)


def append(context: Context, upload: Upload, *parts: bytes) -> Upload:
    for part in parts:
        upload = again(context, upload)
        upload_parts.append_part(context, upload, upload.size, upload.size + len(part) - 1, part)
    return again(context, upload)


def complete(context: Context, upload: Upload, content: bytes) -> Digest:
    digest = Digest.of(content)
    completion.complete_in_parts(context, CALLER, upload, digest)
    return digest


def collect(context: Context) -> None:
    for _ in Collector(context).run():
        pass


def refused(upload: Upload, reason: str) -> str:
    return (
        f"Invalid layer part of the upload with id '{upload.id}' in the repository with name "
        f"'demo/app': {reason}"
    )


def gone(upload_id: str, repository: str = REPOSITORY) -> str:
    return (
        f"The upload with id '{upload_id}' does not exist in the repository with name "
        f"'{repository}' in the registry with id '000000000000'"
    )


# --- Beginning and finding ------------------------------------------------------------------------


def test_an_upload_begins_with_nothing_under_an_id_nobody_guesses(context: Context) -> None:
    first, second = start(context), start(context)
    assert is_upload_id(first.id)
    assert uuid.UUID(first.id).version == 4
    assert first.id != second.id
    assert first == again(context, first)
    assert (first.size, first.parts) == (0, 0)
    assert list(context.blobs.uploads()) == []


def test_an_upload_needs_a_repository(context: Context) -> None:
    with pytest.raises(RepositoryNotFound):
        start(context, "no/such")
    with pytest.raises(RepositoryNotFound):
        uploads.find(context, CALLER, REGISTRY, "no/such", NOBODYS)


@pytest.mark.parametrize(
    "upload_id", [NOBODYS, NOBODYS.upper(), "", "../x", "\0", "%", "x" * 5000, f"{NOBODYS}\n"]
)
def test_an_upload_that_nobody_began_is_not_found(context: Context, upload_id: str) -> None:
    with pytest.raises(UploadNotFound) as refusal:
        uploads.find(context, CALLER, REGISTRY, REPOSITORY, upload_id)
    assert refusal.value.message == gone(upload_id)
    with pytest.raises(UploadNotFound):
        uploads.cancel(context, CALLER, REGISTRY, REPOSITORY, upload_id)


@pytest.mark.parametrize(
    "caller",
    [
        Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/somebody"),
        Caller("999999999999", "arn:aws:iam::999999999999:user/administrator"),
        Caller(ACCOUNT, CALLER.arn.upper()),
    ],
)
def test_an_upload_is_its_principals_alone(context: Context, caller: Caller) -> None:
    upload = begin(context, b"bytes")
    for intrusion in (
        partial(uploads.find, context, caller, REGISTRY, REPOSITORY, upload.id),
        partial(uploads.cancel, context, caller, REGISTRY, REPOSITORY, upload.id),
        partial(completion.complete, context, caller, upload, Digest.of(b"bytes")),
    ):
        with pytest.raises(UploadNotFound) as refusal:
            intrusion()
        assert refusal.value.message == gone(upload.id)
    assert again(context, upload) == upload


def test_an_upload_is_its_repositorys_alone(context: Context) -> None:
    create_repository(context, "other")
    create_repository(context, registry=Registry(ACCOUNT, "us-east-1"))
    upload = begin(context, b"bytes")
    with pytest.raises(UploadNotFound) as refusal:
        uploads.find(context, CALLER, REGISTRY, "other", upload.id)
    assert refusal.value.message == gone(upload.id, "other")
    with pytest.raises(UploadNotFound):
        uploads.cancel(context, CALLER, REGISTRY, "other", upload.id)
    with pytest.raises(UploadNotFound):
        uploads.find(context, CALLER, Registry(ACCOUNT, "us-east-1"), REPOSITORY, upload.id)
    assert again(context, upload) == upload


def test_a_cancelled_upload_is_gone_with_its_bytes(context: Context) -> None:
    upload = begin(context, b"bytes")
    uploads.cancel(context, CALLER, REGISTRY, REPOSITORY, upload.id)
    assert list(context.blobs.uploads()) == []
    for attempt in (
        partial(again, context, upload),
        partial(append, context, upload, b"more"),
        partial(complete, context, upload, b"bytes"),
        partial(uploads.cancel, context, CALLER, REGISTRY, REPOSITORY, upload.id),
    ):
        with pytest.raises(UploadNotFound):
            attempt()


# --- Parts ----------------------------------------------------------------------------------------


def test_parts_follow_on_one_another_and_say_how_far_they_came(context: Context) -> None:
    upload = start(context)
    assert upload_parts.append_part(context, upload, 0, 3, b"four") == 3
    upload = again(context, upload)
    assert (upload.size, upload.parts) == (4, 1)
    assert upload_parts.append_part(context, upload, 4, 8, b"bytes") == 8
    upload = again(context, upload)
    assert (upload.size, upload.parts) == (9, 2)


@pytest.mark.parametrize(
    ("first", "last", "data", "reason"),
    [
        (5, 8, b"1234", "The part must begin at byte 4, not at 5"),
        (3, 6, b"1234", "The part must begin at byte 4, not at 3"),
        (0, 3, b"1234", "The part must begin at byte 4, not at 0"),
        (4, 8, b"1234", "The part's numbers name 5 bytes and it has 4"),
        (4, 6, b"1234", "The part's numbers name 3 bytes and it has 4"),
        (4, 0, b"1234", "The part's numbers name -3 bytes and it has 4"),
        (4, 4, b"", "The part's numbers name 1 bytes and it has 0"),
        (4, 14, b"12345678901", "Layer parts must be at most 10 bytes in size"),
        (2**62, 2**62, b"1", f"The part must begin at byte 4, not at {2**62}"),
    ],
    ids=["gap", "overlap", "repeat", "short", "long", "backwards", "empty", "large", "absurd"],
)
def test_a_part_out_of_its_place_is_refused_and_changes_nothing(
    small: Context, first: int, last: int, data: bytes, reason: str
) -> None:
    upload = append(small, start(small), b"four")
    with pytest.raises(InvalidLayerPart) as refusal:
        upload_parts.append_part(small, upload, first, last, data)
    assert refusal.value.message == refused(upload, reason)
    assert refusal.value.members == {
        "registryId": ACCOUNT,
        "repositoryName": REPOSITORY,
        "uploadId": upload.id,
        "lastValidByteReceived": 3,
    }
    assert again(small, upload) == upload
    complete(small, append(small, upload, b"more"), b"fourmore")


def test_before_the_first_part_no_byte_is_valid(small: Context) -> None:
    with pytest.raises(InvalidLayerPart) as refusal:
        upload_parts.append_part(small, start(small), 1, 4, b"1234")
    assert refusal.value.members["lastValidByteReceived"] == -1


def test_parts_are_at_most_20_mebibytes(context: Context) -> None:
    upload = start(context)
    with pytest.raises(InvalidLayerPart) as refusal:
        upload_parts.append_part(context, upload, 0, 20 * MIB, bytes(20 * MIB + 1))
    assert "Layer parts must be at most 20971520 bytes in size" in refusal.value.message


def test_there_are_only_so_many_parts(small: Context) -> None:
    upload = append(small, start(small), *[b"four"] * 5)
    with pytest.raises(LimitExceeded) as refusal:
        append(small, upload, b"more")
    assert refusal.value.message == "A layer may be uploaded in at most 5 parts"
    complete(small, again(small, upload), b"four" * 5)


def test_a_layer_is_only_so_large(small: Context) -> None:
    upload = append(small, start(small), *[b"ten bytes."] * 3)
    with pytest.raises(LimitExceeded) as refusal:
        append(small, upload, b"1")
    assert refusal.value.message == "A layer may have at most 30 bytes"
    assert again(small, upload) == upload
    complete(small, upload, b"ten bytes." * 3)


@pytest.mark.parametrize(
    ("parts", "is_refused"),
    [
        ([b"1"], False),
        ([b"1234", b"1"], False),
        ([b"1234", b"1234"], False),
        ([b"1", b"1"], True),
        ([b"123", b"1234"], True),
        ([b"1234", b"123", b"1234"], True),
    ],
)
def test_only_the_last_part_may_be_small(
    small: Context, parts: list[bytes], *, is_refused: bool
) -> None:
    upload = append(small, start(small), *parts)
    content = b"".join(parts)
    if is_refused:
        with pytest.raises(LayerPartTooSmall):
            complete(small, upload, content)
        assert again(small, upload) == upload
    else:
        assert read_layer(small, complete(small, upload, content)) == content


def test_a_small_part_is_told_of_in_the_words_of_ecr(context: Context) -> None:
    upload = append(context, start(context), b"1", b"2")
    with pytest.raises(LayerPartTooSmall) as refusal:
        complete(context, upload, b"12")
    assert refusal.value.message == "Layer parts must be at least 5 MiB in size"


@given(cuts=st.lists(st.integers(4, 10), min_size=1, max_size=3), content=st.binary(min_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
def test_however_it_is_cut_a_layer_is_the_same(
    small: Context, cuts: list[int], content: bytes
) -> None:
    upload, position = start(small), 0
    for cut in cuts:
        upload = append(small, upload, content[position : position + cut])
        position += cut
    completion.complete(small, CALLER, upload, Digest.of(content[:position]))
    assert read_layer(small, Digest.of(content[:position])) == content[:position]


# --- Streams of bytes -----------------------------------------------------------------------------


def test_what_came_before_the_client_broke_off_counts(context: Context) -> None:
    upload = start(context)

    def send_and_break_off() -> None:
        with Part(context, upload) as part:
            part.append(b"what came ")
            assert part.size == 10
            raise ConnectionError

    with pytest.raises(ConnectionError):
        send_and_break_off()
    resumed = again(context, upload)
    assert resumed.size == 10
    with Part(context, resumed) as part:
        part.append(b"and ")
        part.append(b"the rest")
    content = b"what came and the rest"
    assert completion.complete(context, CALLER, again(context, upload), Digest.of(content))
    assert read_layer(context, Digest.of(content)) == content


@pytest.mark.parametrize("parts", [(b"all of it",), (b"half ", b"of it")])
def test_the_last_part_counts_with_the_layer(context: Context, parts: tuple[bytes, ...]) -> None:
    upload = append(context, start(context), *parts[:-1])
    digest = Digest.of(b"".join(parts))
    with Part(context, upload) as part:
        part.append(parts[-1])
        assert completion.complete(context, CALLER, upload, digest, part)
        assert part.is_closed
    assert read_layer(context, digest) == b"".join(parts)
    with pytest.raises(UploadNotFound):
        again(context, upload)
    assert list(context.blobs.uploads()) == []


@pytest.mark.parametrize("stored", [b"other", b"bytes more"])
def test_a_last_part_with_the_wrong_digest_counts_and_makes_no_layer(
    context: Context, stored: bytes
) -> None:
    complete(context, begin(context, stored), stored)
    upload = begin(context, b"bytes")

    def send() -> None:
        with Part(context, upload) as part:
            part.append(b" and what nobody said")
            completion.complete(context, CALLER, upload, Digest.of(stored), part)

    with pytest.raises(InvalidLayer):
        send()
    content = b"bytes and what nobody said"
    digest = Digest.of(content)
    assert again(context, upload).size == len(content)
    assert completion.complete(context, CALLER, again(context, upload), digest)
    assert read_layer(context, digest) == content


def test_a_last_part_of_bytes_that_are_there_is_discarded(context: Context) -> None:
    create_repository(context, "other")
    digest = complete(context, begin(context, b"bytes", "other"), b"bytes")
    upload = start(context)
    with Part(context, upload) as part:
        part.append(b"bytes")
        assert completion.complete(context, CALLER, upload, digest, part)
    assert read_layer(context, digest) == b"bytes"
    assert len(list(context.blobs.locations())) == 1
    assert list(context.blobs.uploads()) == []


def test_a_last_part_of_an_upload_that_is_cancelled_completes_nothing(context: Context) -> None:
    upload = start(context)

    def send() -> None:
        with Part(context, upload) as part:
            part.append(b"bytes")
            uploads.cancel(context, CALLER, REGISTRY, REPOSITORY, upload.id)
            completion.complete(context, CALLER, upload, Digest.of(b"bytes"), part)

    with pytest.raises(UploadNotFound):
        send()
    with pytest.raises(LayersNotFound):
        layers.find(context, REGISTRY, REPOSITORY, Digest.of(b"bytes"))


def test_a_process_that_died_before_its_last_part_counted_left_nothing_in_the_way(
    interrupted: Context, blobs: InterruptedBlobStore
) -> None:
    upload, digest = start(interrupted), Digest.of(b"bytes")
    # The bytes are a blob already, no row says so, and none of them was acknowledged.
    with blobs.writer(upload.id, 0) as writer:
        writer.append(b"bytes")
        blobs.commit(upload.id, 5, "aes256", digest, writer)
    assert again(interrupted, upload) == upload
    with Part(interrupted, upload) as part:
        part.append(b"bytes")
        assert completion.complete(interrupted, CALLER, upload, digest, part)
    assert read_layer(interrupted, digest) == b"bytes"
    assert len(list(blobs.locations())) == 1
    assert list(blobs.uploads()) == []


def test_a_last_part_that_fails_between_bytes_and_rows_is_found_by_who_tries_again(
    context: Context,
) -> None:
    upload, content = begin(context, b"bytes"), b"bytes and the end"
    digest = Digest.of(content)

    def fail() -> None:
        raise ZeroDivisionError

    def send() -> None:
        with Part(context, upload) as part:
            part.append(b" and the end")
            completion.complete(context, CALLER, upload, digest, part)

    with (
        before_statement(context.database, "INSERT INTO blobs", fail),
        pytest.raises(ZeroDivisionError),
    ):
        send()
    found = again(context, upload)
    assert found.size == len(content)
    assert completion.complete(context, CALLER, found, digest)
    assert read_layer(context, digest) == content


def test_an_abandoned_part_does_not_count(context: Context) -> None:
    upload = begin(context, b"bytes")
    with Part(context, upload) as part:
        part.append(b"not what was announced")
        part.abandon()
    assert again(context, upload) == upload
    with Part(context, upload) as part:
        part.append(b" more")
    completion.complete(context, CALLER, again(context, upload), Digest.of(b"bytes more"))
    assert read_layer(context, Digest.of(b"bytes more")) == b"bytes more"


def test_a_part_without_bytes_is_none(context: Context) -> None:
    upload = begin(context, b"bytes")
    with Part(context, upload) as part:
        part.append(b"")
    assert again(context, upload) == upload


def test_a_stream_is_cut_off_where_layers_end(small: Context) -> None:
    upload = start(small)

    def send_too_much() -> None:
        with Part(small, upload) as part:
            for _ in range(4):
                part.append(b"ten bytes.")

    with pytest.raises(LimitExceeded):
        send_too_much()
    assert again(small, upload).size == 30


def test_every_part_moves_the_end_of_an_upload_further_away(
    context: Context, clock: FakeClock
) -> None:
    upload = begin(context, b"bytes")
    clock.advance(1000)
    append(context, upload, b"more")
    with context.database.read() as tx:
        touched = tx.exec_driver_sql("SELECT touched_at - started_at FROM uploads").scalar_one()
    assert touched == 1000


def test_an_upload_whose_bytes_come_slowly_is_not_left_alone(
    context: Context, clock: FakeClock
) -> None:
    upload = start(context)
    with Part(context, upload) as part:
        for _ in range(20):
            clock.advance(DAY // 4)
            part.append(b"slowly, ")
            collect(context)
    content = b"slowly, " * 20
    completion.complete(context, CALLER, again(context, upload), Digest.of(content))
    assert read_layer(context, Digest.of(content)) == content


# --- Two at once ----------------------------------------------------------------------------------


def test_who_comes_while_somebody_writes_is_refused(context: Context) -> None:
    upload = begin(context, b"bytes")
    with Part(context, upload) as part:
        part.append(b" more")
        for attempt in (
            partial(upload_parts.append_part, context, upload, 5, 9, b"other"),
            partial(completion.complete, context, CALLER, upload, Digest.of(b"bytes")),
        ):
            with pytest.raises(UploadConflict) as refusal:
                attempt()
            assert refusal.value.message == refused(
                upload, "Another request is writing to this upload"
            )
            assert refusal.value.members["lastValidByteReceived"] == 4
    assert again(context, upload).size == 10


@pytest.mark.parametrize("is_stored", [False, True])
def test_who_looked_before_the_last_part_is_refused(context: Context, *, is_stored: bool) -> None:
    if is_stored:
        complete(context, begin(context, b"bytes"), b"bytes")
    before = begin(context, b"bytes")
    append(context, before, b" more")
    for attempt in (
        partial(upload_parts.append_part, context, before, 5, 9, b"other"),
        # It was all of the bytes when this one looked.
        partial(completion.complete, context, CALLER, before, Digest.of(b"bytes")),
    ):
        with pytest.raises(UploadConflict):
            attempt()
    completion.complete(context, CALLER, again(context, before), Digest.of(b"bytes more"))
    assert read_layer(context, Digest.of(b"bytes more")) == b"bytes more"


def test_who_began_to_send_before_somebody_added_something_is_refused(
    context: Context, clock: FakeClock
) -> None:
    upload = start(context)
    began_at = context.clock()
    find = partial(uploads.find, context, CALLER, REGISTRY, REPOSITORY, upload.id)
    assert find(untouched_since=began_at) == upload
    clock.advance(1)
    append(context, upload, b"bytes")
    with pytest.raises(UploadConflict) as refusal:
        find(untouched_since=began_at)
    assert refusal.value.members["lastValidByteReceived"] == 4
    assert find(untouched_since=context.clock()).size == 5


def test_of_many_who_send_the_same_part_one_does(context: Context) -> None:
    upload = start(context)
    send = partial(upload_parts.append_part, context, upload, 0, 4, b"bytes")
    outcomes = at_once([outcome(send)] * 6)
    assert sorted(outcomes) == ["UploadConflict"] * 5 + ["done"]
    assert again(context, upload).size == 5


def test_an_upload_that_is_cancelled_while_it_is_written_to_is_gone(context: Context) -> None:
    upload = begin(context, b"bytes")

    def send() -> None:
        with Part(context, upload) as part:
            part.append(b" more")
            uploads.cancel(context, CALLER, REGISTRY, REPOSITORY, upload.id)

    with pytest.raises(UploadNotFound):
        send()
    assert list(context.blobs.uploads()) == []


# --- Completion, by the one who sends -------------------------------------------------------------


def test_a_completed_upload_is_a_layer_and_no_upload(context: Context) -> None:
    upload = begin(context, b"bytes")
    digest = complete(context, upload, b"bytes")
    layer = layers.find(context, REGISTRY, REPOSITORY, digest)
    assert (layer.size, layer.media_type) == (5, None)
    assert read_layer(context, digest) == b"bytes"
    assert list(context.blobs.uploads()) == []
    with pytest.raises(UploadNotFound) as refusal:
        complete(context, upload, b"bytes")
    assert refusal.value.message == gone(upload.id)


def test_an_upload_without_parts_cannot_be_completed(context: Context) -> None:
    upload = start(context)
    with pytest.raises(EmptyUpload) as refusal:
        complete(context, upload, b"")
    assert refusal.value.message == (
        f"The upload with id '{upload.id}' in the repository with name 'demo/app' in registry with "
        "id '000000000000' cannot be completed because it does not have any parts"
    )
    assert again(context, upload) == upload


@pytest.mark.parametrize("stored", [b"", b"other", b"bytes"], ids=["nothing", "other", "same"])
def test_a_wrong_digest_is_refused_and_the_upload_stays(context: Context, stored: bytes) -> None:
    if stored:
        complete(context, begin(context, stored), stored)
    upload = begin(context, b"bytes")
    with pytest.raises(InvalidLayer) as refusal:
        complete(context, upload, b"other")
    assert refusal.value.message == (
        f"The bytes that were uploaded have the digest '{Digest.of(b'bytes')}', not the one given"
    )
    assert again(context, upload) == upload
    assert completion.complete(context, CALLER, upload, Digest.of(b"bytes")) is (stored != b"bytes")


def test_a_layer_that_is_there_is_told_after_its_digest_was_verified(context: Context) -> None:
    digest = complete(context, begin(context, b"bytes"), b"bytes")
    with pytest.raises(InvalidLayer):
        complete(context, begin(context, b"other"), b"bytes")
    upload = begin(context, b"bytes")
    with pytest.raises(LayerAlreadyExists) as refusal:
        complete(context, upload, b"bytes")
    assert refusal.value.message == (
        f"Layer with digest '{digest}' already exists in the repository with name 'demo/app' in "
        "the registry with id '000000000000'"
    )
    with pytest.raises(UploadNotFound):
        again(context, upload)
    assert read_layer(context, digest) == b"bytes"


def test_an_upload_is_not_completed_in_a_repository_that_is_gone(context: Context) -> None:
    upload = begin(context, b"bytes")
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    with pytest.raises(RepositoryNotFound):
        complete(context, upload, b"bytes")


def test_a_sha512_names_a_layer_too(oci: Context) -> None:
    upload = begin(oci, b"bytes")
    digest = Digest.of(b"bytes", "sha512")
    assert completion.complete(oci, CALLER, upload, digest)
    assert read_layer(oci, digest) == b"bytes"


def test_a_layer_without_bytes_is_stored_as_oci_has_it(oci: Context) -> None:
    assert completion.complete(oci, CALLER, start(oci), Digest.of(b""))
    assert read_layer(oci, Digest.of(b"")) == b""
    assert not completion.complete(oci, CALLER, start(oci), Digest.of(b""))
    with pytest.raises(InvalidLayer):
        completion.complete(oci, CALLER, start(oci), Digest.of(b"bytes"))


def test_a_layer_without_bytes_vanishes_in_ecr(context: Context) -> None:
    upload = start(context)
    with pytest.raises(InvalidLayer):
        completion.complete(context, CALLER, upload, Digest.of(b"bytes"))
    assert completion.complete(context, CALLER, upload, Digest.of(b""))
    assert layers.check(context, REGISTRY, REPOSITORY, [Digest.of(b"")]) == {}
    with pytest.raises(UploadNotFound):
        again(context, upload)


# --- Completion, among others --------------------------------------------------------------------


def test_bytes_that_the_store_has_are_kept_once(context: Context) -> None:
    create_repository(context, "other")
    digest = complete(context, begin(context, b"bytes"), b"bytes")
    upload = begin(context, b"bytes", "other")
    complete(context, upload, b"bytes")
    first = layers.find(context, REGISTRY, REPOSITORY, digest)
    second = layers.find(context, REGISTRY, "other", digest)
    assert first.location == second.location
    assert list(context.blobs.locations()) == [first.location]
    assert list(context.blobs.uploads()) == []


def test_bytes_that_are_there_do_not_help_one_who_has_not_got_them(context: Context) -> None:
    create_repository(context, "other")
    digest = complete(context, begin(context, b"bytes"), b"bytes")
    with pytest.raises(EmptyUpload):
        completion.complete_in_parts(context, CALLER, start(context, "other"), digest)
    with pytest.raises(InvalidLayer):
        completion.complete(context, CALLER, begin(context, b"guess", "other"), digest)
    assert layers.check(context, REGISTRY, "other", [digest]) == {}


def test_the_same_bytes_completed_everywhere_at_once_are_kept_once(context: Context) -> None:
    names = [f"demo/{number}" for number in range(6)]
    for name in names:
        create_repository(context, name)
    begun = [begin(context, b"bytes", name) for name in names]
    outcomes = at_once([outcome(partial(complete, context, upload, b"bytes")) for upload in begun])
    assert outcomes == ["done"] * 6
    [location] = context.blobs.locations()
    for name in names:
        layer = layers.find(context, REGISTRY, name, Digest.of(b"bytes"))
        assert layer.location == location
        assert read_layer(context, layer.digest, name) == b"bytes"
    assert list(context.blobs.uploads()) == []


def test_of_uploads_of_the_same_bytes_to_one_repository_one_is_new(context: Context) -> None:
    begun = [begin(context, b"bytes") for _ in range(6)]
    outcomes = at_once([outcome(partial(complete, context, upload, b"bytes")) for upload in begun])
    assert sorted(outcomes) == ["LayerAlreadyExists"] * 5 + ["done"]
    assert len(list(context.blobs.locations())) == 1
    for upload in begun:
        with pytest.raises(UploadNotFound):
            again(context, upload)


def test_an_upload_is_completed_once_however_many_try(context: Context) -> None:
    upload = begin(context, b"bytes")
    outcomes = at_once([outcome(partial(complete, context, upload, b"bytes"))] * 6)
    assert outcomes.count("done") == 1
    assert set(outcomes) <= {"done", "UploadNotFound", "UploadConflict"}
    assert read_layer(context, Digest.of(b"bytes")) == b"bytes"


def test_one_who_died_before_the_row_was_written_can_try_again(
    interrupted: Context, blobs: InterruptedBlobStore
) -> None:
    upload = begin(interrupted, b"bytes")
    # The bytes are a blob already, and no row says so.
    blobs.commit(upload.id, 5, "aes256", Digest.of(b"bytes"))
    assert again(interrupted, upload) == upload
    digest = complete(interrupted, upload, b"bytes")
    assert read_layer(interrupted, digest) == b"bytes"
    assert len(list(blobs.locations())) == 1


def test_a_blob_that_somebody_stored_in_the_meantime_is_used(
    interrupted: Context, blobs: InterruptedBlobStore
) -> None:
    create_repository(interrupted, "other")
    mine, theirs = begin(interrupted, b"bytes"), begin(interrupted, b"bytes", "other")
    blobs.before("commit", partial(complete, interrupted, theirs, b"bytes"))
    digest = complete(interrupted, mine, b"bytes")
    [location] = blobs.locations()
    for name in (REPOSITORY, "other"):
        assert layers.find(interrupted, REGISTRY, name, digest).location == location
    assert read_layer(interrupted, digest) == b"bytes"


def test_a_blob_that_was_collected_in_the_meantime_is_stored_again(
    interrupted: Context, blobs: InterruptedBlobStore, clock: FakeClock
) -> None:
    create_repository(interrupted, "other")
    digest = complete(interrupted, begin(interrupted, b"bytes", "other"), b"bytes")
    [before] = blobs.locations()
    clock.advance(2 * DAY)
    upload = begin(interrupted, b"bytes")
    # The blob was found; now the bytes are being compared.
    blobs.before("digest", partial(collect, interrupted))
    complete(interrupted, upload, b"bytes")
    [after] = blobs.locations()
    assert after != before
    assert read_layer(interrupted, digest) == b"bytes"


# Only PostgreSQL lets anybody come between: SQLite has one writer at a time.
@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("statement", ["SELECT blobs.id", "DELETE FROM uploads"])
def test_a_blob_that_is_collected_at_the_last_moment_is_stored_again(
    context: Context, statement: str
) -> None:
    create_repository(context, "other")
    digest = complete(context, begin(context, b"bytes", "other"), b"bytes")
    repositories.remove(context, REGISTRY, "other", force=True)
    upload = begin(context, b"bytes")
    with before_statement(context.database, statement, partial(collect, context)):
        complete(context, upload, b"bytes")
    assert read_layer(context, digest) == b"bytes"
    assert len(list(context.blobs.locations())) == 1


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_blob_that_is_about_to_be_held_is_not_collected(context: Context) -> None:
    create_repository(context, "other")
    complete(context, begin(context, b"bytes", "other"), b"bytes")
    repositories.remove(context, REGISTRY, "other", force=True)
    [location] = context.blobs.locations()
    upload = begin(context, b"bytes")
    with before_statement(context.database, "INSERT INTO layers", partial(collect, context)):
        complete(context, upload, b"bytes")
    assert list(context.blobs.locations()) == [location]
    assert read_layer(context, Digest.of(b"bytes")) == b"bytes"


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_blob_that_comes_and_goes_while_the_same_is_stored_does_no_harm(
    interrupted: Context, blobs: InterruptedBlobStore
) -> None:
    create_repository(interrupted, "other")
    upload, theirs = begin(interrupted, b"bytes"), begin(interrupted, b"bytes", "other")

    with ExitStack() as stack:

        def come_and_go() -> None:
            complete(interrupted, theirs, b"bytes")
            repositories.remove(interrupted, REGISTRY, "other", force=True)
            # Their row keeps this one's from being inserted. Then it goes.
            going = before_statement(
                interrupted.database, "SELECT blobs.id", partial(collect, interrupted)
            )
            stack.enter_context(going)

        blobs.before("commit", come_and_go)
        completion.complete(interrupted, CALLER, upload, Digest.of(b"bytes"))
    assert read_layer(interrupted, Digest.of(b"bytes")) == b"bytes"
    assert len(list(blobs.locations())) == 1


@pytest.mark.parametrize("name", [REPOSITORY, "other"])
def test_bytes_that_the_store_has_lost_are_replaced_by_those_that_come(
    context: Context, name: str
) -> None:
    create_repository(context, "other")
    digest = complete(context, begin(context, b"bytes"), b"bytes")
    context.blobs.delete(layers.find(context, REGISTRY, REPOSITORY, digest).location)
    completion.complete(context, CALLER, begin(context, b"bytes", name), digest)
    assert read_layer(context, digest) == b"bytes"
    assert len(list(context.blobs.locations())) == 1
    collect(context)
    assert read_layer(context, digest, name) == b"bytes"


# --- A full disk ----------------------------------------------------------------------------------


def test_a_full_disk_in_the_middle_of_a_part_leaves_the_upload_as_it_was(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = begin(context, b"bytes")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(StorageFull):
            append(context, upload, b" more")
    assert again(context, upload) == upload
    append(context, upload, b" more")
    completion.complete(context, CALLER, again(context, upload), Digest.of(b"bytes more"))
    assert read_layer(context, Digest.of(b"bytes more")) == b"bytes more"


def test_no_refusal_of_an_upload_is_a_failure_of_the_server(small: Context) -> None:
    upload = append(small, start(small), b"1", b"2")
    for content in (b"12", b"other"):
        with pytest.raises(RegistryError) as refusal:
            complete(small, upload, content)
        assert refusal.value.code != "ServerException"
