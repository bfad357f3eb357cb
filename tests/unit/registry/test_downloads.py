from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from longshore.access.sealing import ServerKey
from longshore.clock import DAY, HOUR
from longshore.errors import (
    AccessDenied,
    LayerInaccessible,
    LayersNotFound,
    RepositoryNotFound,
)
from longshore.registry import downloads, image_batches, repositories
from longshore.registry.image_batches import ImageId
from longshore.work.collector import Collector
from tests.support.images import layer, oci_image
from tests.support.pushing import REGISTRY, REPOSITORY, create_repository, push, upload

if TYPE_CHECKING:
    from longshore.names import Digest
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock

pytestmark = pytest.mark.usefixtures("repository")

IMAGE = oci_image("one")
LAYER = IMAGE.blobs[1]
NOT_VALID = "The download URL isn't valid. Ask for a new one."


def ticket(context: Context, digest: Digest = LAYER.digest, repository: str = REPOSITORY) -> str:
    return downloads.ticket(context, REGISTRY, repository, digest)


def download(context: Context, text: str) -> bytes:
    _, file = downloads.read(context, text).open(context)
    with file:
        return file.read()


def test_a_ticket_opens_the_layer_that_it_was_made_for(context: Context) -> None:
    push(context, IMAGE)
    found, file = downloads.read(context, ticket(context)).open(context)
    with file:
        assert file.read() == LAYER.content
    assert (found.digest, found.size) == (LAYER.digest, len(LAYER.content))


def test_a_ticket_is_good_for_an_hour(context: Context, clock: FakeClock) -> None:
    push(context, IMAGE)
    made = ticket(context)
    clock.advance(HOUR - 1)
    assert download(context, made) == LAYER.content
    clock.advance(1)
    with pytest.raises(AccessDenied) as refusal:
        download(context, made)
    assert refusal.value.message == "The download URL has expired. Ask for a new one."


def test_there_is_no_ticket_for_what_no_image_refers_to(context: Context) -> None:
    upload(context, LAYER)
    with pytest.raises(LayerInaccessible):
        ticket(context)


def test_there_is_no_ticket_for_what_the_repository_does_not_hold(context: Context) -> None:
    create_repository(context, "other")
    push(context, IMAGE, None, "other")
    with pytest.raises(LayersNotFound):
        ticket(context)
    with pytest.raises(RepositoryNotFound):
        ticket(context, LAYER.digest, "no/such")


def test_a_ticket_is_worth_nothing_once_the_layer_is_gone(
    context: Context, clock: FakeClock
) -> None:
    push(context, IMAGE)
    patient = replace(context, retention=replace(context.retention, download_urls=10 * DAY))
    made = ticket(patient)
    image_batches.delete(context, REGISTRY, REPOSITORY, [ImageId(str(IMAGE.digest))])
    # What was promised is kept as long as the layer is.
    assert download(context, made) == LAYER.content
    clock.advance(DAY + 1)
    for _ in Collector(context).run():
        pass
    with pytest.raises(LayersNotFound):
        download(context, made)
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    with pytest.raises(RepositoryNotFound):
        download(context, made)


@pytest.mark.parametrize("text", ["", "x", "é", "\0", "\ud800", "=", "A" * 10_000, "../../etc"])
def test_what_is_no_ticket_is_refused(context: Context, text: str) -> None:
    with pytest.raises(AccessDenied) as refusal:
        downloads.read(context, text).open(context)
    assert refusal.value.message == NOT_VALID


def test_no_letter_of_a_ticket_can_be_changed(context: Context) -> None:
    push(context, IMAGE)
    made = ticket(context)
    for position in range(len(made) - 1):
        other = "A" if made[position] != "A" else "B"
        with pytest.raises(AccessDenied) as refusal:
            downloads.read(context, made[:position] + other + made[position + 1 :]).open(context)
        assert refusal.value.message == NOT_VALID


@pytest.mark.parametrize("purpose", ["page token", "registry token", "access key", ""])
def test_what_was_sealed_for_another_purpose_is_no_ticket(context: Context, purpose: str) -> None:
    push(context, IMAGE)
    claims = {
        "registry": [REGISTRY.account, REGISTRY.region],
        "repository": REPOSITORY,
        "digest": str(LAYER.digest),
        "expires": context.clock() + HOUR,
    }
    forged = context.server_key.seal_for(purpose).close_text(json.dumps(claims).encode())
    with pytest.raises(AccessDenied):
        downloads.read(context, forged).open(context)


def test_a_ticket_of_another_server_is_refused(context: Context) -> None:
    push(context, IMAGE)
    other = replace(context, server_key=ServerKey(b"x" * 32))
    with pytest.raises(AccessDenied):
        downloads.read(context, ticket(other)).open(context)


def test_a_ticket_tells_nothing_of_what_it_is_for(context: Context) -> None:
    push(context, IMAGE)
    made = ticket(context)
    assert REPOSITORY not in made
    assert LAYER.digest.hex not in made
    assert made != ticket(context)


def test_a_ticket_is_for_one_layer_alone(context: Context) -> None:
    push(context, IMAGE)
    push(context, oci_image("two", layers=[layer("other")]))
    tickets = {blob.content: ticket(context, blob.digest) for blob in IMAGE.blobs}
    for content, made in tickets.items():
        assert download(context, made) == content
