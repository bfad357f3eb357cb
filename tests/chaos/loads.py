"""The work of each kind of job, and what must have become of it when there is none left.

A new kind of job has its load here, or `test_housekeeping.py` fails and names it.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest
from sqlalchemy import select

from longshore.blobs.store import Location
from longshore.errors import ImageInaccessible, ImageNotFound
from longshore.metadata import schema
from longshore.registry import (
    bin_restoration,
    image_batches,
    lifecycle_policies,
    lifecycle_previews,
)
from longshore.registry.image_batches import ImageId
from longshore.registry.lifecycle_previews import Status
from longshore.registry.lifecycle_rules import StorageClass
from longshore.work import archive, collector, event_delivery, lifecycle, recycle_bin
from tests.chaos.scene import KEPT_FOR
from tests.support.images import artifact, layer
from tests.support.lifecycle import policy, rule
from tests.support.pushing import REGISTRY, begin, pull, read_layer, upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from longshore.clock import Millis
    from tests.chaos.scene import Pushed, Scene


class Load(Protocol):
    """The work of one kind, made round by round."""

    def make(self) -> None:
        """Make some: there is to be a job of the kind in this round."""

    def check(self) -> None:
        """See that what was made is done. Nobody makes or does anything meanwhile."""


class Garbage:
    """Layers that no image refers to, and uploads that nobody completes."""

    repository: Final = "garbage"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        scene.create_repository(self.repository)
        # By round: the digests of layers, and the ids of uploads.
        self._layers: dict[str, int] = {}
        self._uploads: dict[str, int] = {}
        # What dead workers had left by the end of the last round.
        self._left: set[str] = set()

    def make(self) -> None:
        """See `Load`."""
        context, number = self._scene.context, self._scene.round
        for n in range(3):
            blob = layer(f"layer {n} of round {number}")
            self._layers[str(upload(context, blob, self.repository))] = number
            unfinished = begin(context, b"unfinished", self.repository)
            self._uploads[unfinished.id] = number

    def check(self) -> None:
        """What is older than this round is gone, bytes that no row names among it."""
        with self._scene.context.database.read() as tx:
            layers = set(tx.execute(select(schema.layers.c.digest)).scalars())
            blobs = tx.execute(select(schema.blobs)).all()
            uploads = set(tx.execute(select(schema.uploads.c.id)).scalars())
        assert not self._old(self._layers) & (layers | {row.digest for row in blobs})
        assert not self._old(self._uploads) & uploads
        store, archive = self._scene.context.blobs, self._scene.context.archive
        assert archive is not None
        there = {*store.locations(), *archive.locations(), *store.uploads()}
        named = {row.location for row in blobs} | uploads
        assert named <= there
        # A worker that moves bytes leaves some when it dies, perhaps after this round's collection.
        assert not (there - named) & self._left
        self._left = there - named

    def _old(self, made: Mapping[str, int]) -> set[str]:
        return {name for name, number in made.items() if number < self._scene.round}


class Policies:
    """What comes round for every repository with a policy: see `Expiring` and `Archiving`."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def make(self) -> None:
        """Time alone makes it."""

    def check(self) -> None:
        """Every policy was run in this round."""
        table = schema.lifecycle_policies.c
        with self._scene.context.database.read() as tx:
            evaluated = tx.execute(select(table.evaluated_at)).scalars().all()
        assert evaluated
        assert all(at is not None and at >= self._scene.began_at for at in evaluated)


class Expiring:
    """Images of which a policy keeps the newest two, and others of which it archives all but one.

    A policy may be run before this round's images are pushed, or afterwards.
    """

    expiring: Final = "lifecycle/expiring"
    archiving: Final = "lifecycle/archiving"
    at_first: Final = 8

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._audit = scene.settings.data / "audit.json"
        for name, text in (
            (self.expiring, policy(rule(more_than=2))),
            (self.archiving, policy(rule(more_than=1, action="transition"))),
        ):
            scene.create_repository(name)
            lifecycle_policies.put(scene.context, REGISTRY, name, text)
            for number in range(self.at_first):
                scene.push(name, f"first-{number}")
        self._expired: set[str] = set()
        self._archived: set[str] = set()

    def make(self) -> None:
        """See `Load`."""
        for name in (self.expiring, self.archiving):
            for letter in "ab":
                self._scene.push(name, f"{self._scene.round}-{letter}")

    def check(self) -> None:
        """What had to go is gone, once; what had to stay is there."""
        scene = self._scene
        for each in scene.pushed_to(self.expiring, before=scene.round)[:-2]:
            with pytest.raises(ImageNotFound):
                pull(scene.context, each.tag, each.repository)
            self._note("DELETE", each, self._expired)
        check_pulls(scene, scene.pushed_to(self.expiring)[-2:])
        for each in scene.pushed_to(self.archiving, before=scene.round)[:-1]:
            with pytest.raises(ImageInaccessible):
                pull(scene.context, each.tag, each.repository)
            self._note("ARCHIVE", each, self._archived)
        check_pulls(scene, scene.pushed_to(self.archiving)[-1:])
        self._check_audit()

    def _note(self, action: str, pushed: Pushed, known: set[str]) -> None:
        if pushed.tag not in known:
            known.add(pushed.tag)
            self._scene.happens(action, pushed.repository, pushed.image)

    def _check_audit(self) -> None:
        """No image is recorded twice, and none that wasn't touched."""
        records = [json.loads(line) for line in self._audit.read_text().splitlines()]
        recorded = Counter(
            _recorded(each for each in records if each["eventName"] == "PolicyExecutionEvent")
        )
        images = {
            (each.repository, str(each.image.digest))
            for name in (self.expiring, self.archiving)
            for each in self._scene.pushed_to(name)
        }
        assert recorded.keys() <= images
        assert set(recorded.values()) <= {1}


class Previews:
    """Previews of ever another policy."""

    repository: Final = "previewed"
    images: Final = 6

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        scene.create_repository(self.repository)
        for number in range(self.images):
            scene.push(self.repository, f"{number}")
        self._kept = 0

    def make(self) -> None:
        """See `Load`."""
        self._kept = 1 + self._scene.round % (self.images - 1)
        text = policy(rule(more_than=self._kept))
        lifecycle_previews.start(self._scene.context, REGISTRY, self.repository, text)

    def check(self) -> None:
        """The newest preview is complete, and nothing has happened to the images."""
        scene = self._scene
        preview, found = lifecycle_previews.get(
            scene.context, REGISTRY, self.repository, limit=1_000
        )
        images = scene.pushed_to(self.repository)
        check_pulls(scene, images)
        if preview.status is not Status.EXPIRED:
            going = [str(each.image.digest) for each in images[: -self._kept]]
            assert preview.status is Status.COMPLETE
            assert preview.expiring == len(going)
            assert sorted(each.digest for each in found.items) == sorted(going)


class Restoring:
    """Images that are archived and wanted back."""

    repository: Final = "restored"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        scene.create_repository(self.repository)

    def make(self) -> None:
        """See `Load`."""
        scene = self._scene
        for letter in "ab":
            pushed = scene.push(self.repository, f"{scene.round}-{letter}")
            for target in (StorageClass.ARCHIVE, StorageClass.STANDARD):
                scene.move(pushed, target)

    def check(self) -> None:
        """They are back, bit for bit."""
        check_pulls(self._scene, self._scene.pushed_to(self.repository))


class Resting:
    """Images that are archived, whose bytes follow a round later; then they are wanted back."""

    repository: Final = "resting"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        scene.create_repository(self.repository)
        self._resting: list[Pushed] = []

    def make(self) -> None:
        """See `Load`."""
        scene = self._scene
        for each in self._resting:
            scene.move(each, StorageClass.STANDARD)
        self._resting = [scene.push(self.repository, f"{scene.round}-{letter}") for letter in "ab"]
        for each in self._resting:
            scene.move(each, StorageClass.ARCHIVE)

    def check(self) -> None:
        """Those that are wanted are back, and the others rest where they should."""
        scene = self._scene
        check_pulls(
            scene, (each for each in scene.pushed_to(self.repository) if each not in self._resting)
        )
        for each in self._resting:
            with pytest.raises(ImageInaccessible):
                pull(scene.context, each.tag, each.repository)
            if each.round < scene.round:
                for blob in each.image.blobs:
                    assert self._archived(str(blob.digest)) == blob.content

    def _archived(self, digest: str) -> bytes:
        blob = schema.blobs.c
        query = select(blob.location).where(blob.digest == digest, blob.archived_size.is_not(None))
        with self._scene.context.database.read() as tx:
            location = tx.execute(query).scalar_one()
        archive = self._scene.context.archive
        assert archive is not None
        return b"".join(archive.read(Location(location)))


class Following:
    """Referrers that are pushed after their subjects were archived."""

    repository: Final = "followed"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        scene.create_repository(self.repository)
        self._late: list[Pushed] = []
        self._followed: set[str] = set()

    def make(self) -> None:
        """See `Load`."""
        scene = self._scene
        subject = scene.push(self.repository, f"{scene.round}")
        scene.move(subject, StorageClass.ARCHIVE)
        signature = artifact(f"signature {scene.round}", subject=subject.image)
        self._late.append(scene.push(self.repository, f"{scene.round}-signature", signature))

    def check(self) -> None:
        """They are archived, a round later at most."""
        scene = self._scene
        for each in self._late:
            if each.round < scene.round and each.tag not in self._followed:
                self._followed.add(each.tag)
                scene.happens("ARCHIVE", each.repository, each.image)
        for tag in self._followed:
            with pytest.raises(ImageInaccessible):
                pull(scene.context, tag, self.repository)


class Binned:
    """Images that are deleted, and can be restored until the next day."""

    repository: Final = "deleted"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        scene.create_repository(self.repository)

    def make(self) -> None:
        """See `Load`."""
        scene = self._scene
        deleted = [scene.push(self.repository, f"{scene.round}-{letter}") for letter in "ab"]
        ids = [ImageId(str(each.image.digest)) for each in deleted]
        _, failures = image_batches.delete(scene.context, REGISTRY, self.repository, ids)
        assert not failures
        for each in deleted:
            scene.happens("DELETE", each.repository, each.image)
        # Whoever sees in the morning that it was a mistake.
        bin_restoration.restore(scene.context, REGISTRY, self.repository, deleted[0].image.digest)
        scene.happens("PUSH", self.repository, deleted[0].image)

    def check(self) -> None:
        """Who was restored is there, and the bin has nothing that is older than this round."""
        scene = self._scene
        check_pulls(
            scene, (each for each in scene.pushed_to(self.repository) if each.tag.endswith("a"))
        )
        with scene.context.database.read() as tx:
            deleted_at = tx.execute(select(schema.binned_images.c.deleted_at)).scalars().all()
        assert all(at >= scene.began_at for at in deleted_at)


class Deliveries:
    """The events of all the others, for a webhook and a file."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def make(self) -> None:
        """The others make it."""

    def check(self) -> None:
        """Every receiver has heard of everything, and of nothing too early."""
        ids = [entry.event_id for entry in self._scene.entries()]
        for heard in self._scene.delivered().values():
            # What was sent and not written down is sent again.
            assert list(dict.fromkeys(heard)) == ids


class Forgetting:
    """Events that are too old by now."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def make(self) -> None:
        """Time alone makes it."""

    def check(self) -> None:
        """There is none that was too old in this round, but perhaps the newest."""
        table = schema.events.c
        query = select(table.occurred_at).order_by(table.position.desc()).offset(1)
        with self._scene.context.database.read() as tx:
            times: list[Millis] = list(tx.execute(query).scalars())
        assert all(at >= self._scene.began_at - KEPT_FOR for at in times)


LOADS: Final[Mapping[str, Callable[[Scene], Load]]] = {
    collector.JOB: Garbage,
    lifecycle.ROUND: Policies,
    lifecycle.RUN: Expiring,
    lifecycle.PREVIEW: Previews,
    archive.RESTORATION: Restoring,
    archive.MOVE: Resting,
    archive.FOLLOWING: Following,
    recycle_bin.JOB: Binned,
    event_delivery.JOB: Deliveries,
    event_delivery.FORGETTING: Forgetting,
}


def check_pulls(scene: Scene, images: Iterable[Pushed]) -> None:
    """See that images can be pulled, bit for bit."""
    for each in images:
        found = pull(scene.context, each.tag, each.repository)
        assert found.content == each.image.content
        for blob in each.image.blobs:
            assert read_layer(scene.context, blob.digest, each.repository) == blob.content


def _recorded(records: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    for record in records:
        details = record["serviceEventDetails"]
        for action in details["lifecycleEventImageActions"]:
            yield details["repositoryName"], action["lifecycleEventImage"]["digest"]
