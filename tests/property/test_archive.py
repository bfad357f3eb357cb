"""Images that are pushed, archived, restored and deleted in any order, while their bytes move.

Whatever happens, what is active can be pulled bit for bit, what was pushed last is active, and
nothing that was pushed is gone before it is deleted. With a recycle bin, what was deleted comes
back as it was.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import select

from longshore.access.sealing import ServerKey
from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.clock import DAY, HOUR
from longshore.errors import (
    ImageAlreadyExists,
    ImageInaccessible,
    ImageNotFound,
    ImageNotInRecycleBin,
    ImageStorageClassUpdateNotSupported,
    LayersNotFound,
    ReferencedImagesNotFound,
)
from longshore.housekeeping import create_runner
from longshore.metadata import schema
from longshore.metadata.database import Database
from longshore.metadata.migrate import migrate
from longshore.registry import bin_restoration, image_archive, image_batches, layers
from longshore.registry.context import Context, Retention
from longshore.registry.image_batches import ImageId
from longshore.registry.lifecycle_rules import StorageClass
from longshore.settings import Settings
from tests.support.clock import FakeClock
from tests.support.cold import files_in, open_archive
from tests.support.images import artifact, layer, oci_image, oci_index
from tests.support.pushing import REGISTRY, create_repository, pull, put, read_layer, upload

if TYPE_CHECKING:
    from tests.support.images import Image

REPOSITORIES = ["demo/one", "demo/two"]
SHARED = layer("what all images stand on " * 20)
FIRST, SECOND = (oci_image(name, layers=[SHARED, layer(name)]) for name in ("first", "second"))
# An image of the same layers.
TWIN = oci_image("second", layers=[SHARED, layer("second")], annotations={"is": "another"})
IMAGES = [FIRST, SECOND, TWIN, artifact("signature", subject=FIRST), oci_index([FIRST, SECOND])]

repositories = st.sampled_from(REPOSITORIES)
images = st.sampled_from(IMAGES)


class Archiving(RuleBasedStateMachine):
    """A store with an archive directory, and which images have to be in it."""

    retention = Retention()

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="longshore-archiving-"))
        self.clock = FakeClock()
        database = Database(self.home / "metadata.sqlite")
        self.context = Context(
            database=database,
            blobs=FilesystemBlobStore(self.home / "data"),
            archive=open_archive(self.home),
            server_key=ServerKey(bytes(32)),
            clock=self.clock,
            retention=self.retention,
        )
        migrate(database)
        for name in REPOSITORIES:
            create_repository(self.context, name)
        self.pushed: set[tuple[str, Image]] = set()
        self.runner = create_runner(Settings(), self.context)

    def teardown(self) -> None:
        self.clock.advance(10 * DAY)
        self.runner.run_due()
        self.check_files()
        self.context.database.close()
        shutil.rmtree(self.home)

    @rule(repository=repositories, image=images)
    def push(self, repository: str, image: Image) -> None:
        for child in image.children:
            self.push(repository, child)
        for blob in image.blobs:
            held = layers.check(self.context, REGISTRY, repository, [blob.digest])
            if blob.digest not in held or held[blob.digest].is_archived:
                upload(self.context, blob, repository)
        with suppress(ImageAlreadyExists):
            put(self.context, image, None, repository)
        self.pushed.add((repository, image))
        self.check_pull(repository, image)

    @rule(repository=repositories)
    def push_manifests_alone(self, repository: str) -> None:
        for image in IMAGES:
            try:
                with suppress(ImageAlreadyExists):
                    put(self.context, image, None, repository)
            except (LayersNotFound, ReferencedImagesNotFound):
                continue
            self.pushed.add((repository, image))
            self.check_pull(repository, image)

    @rule(
        repository=repositories,
        image=images,
        to=st.sampled_from([StorageClass.ARCHIVE, StorageClass.ARCHIVE, StorageClass.STANDARD]),
    )
    def move(self, repository: str, image: Image, to: StorageClass) -> None:
        with suppress(ImageNotFound, ImageStorageClassUpdateNotSupported):
            image_archive.update_storage_class(
                self.context, REGISTRY, repository, ImageId(str(image.digest)), to
            )

    @rule(repository=repositories)
    def put_everything_to_rest(self, repository: str) -> None:
        # An index before its images.
        for image in reversed(IMAGES):
            self.move(repository, image, StorageClass.ARCHIVE)
        self.let_time_pass(25, works=True)

    @rule(repository=repositories, image=images)
    def delete(self, repository: str, image: Image) -> None:
        ids = [ImageId(str(image.digest))]
        deleted, _ = image_batches.delete(self.context, REGISTRY, repository, ids)
        if deleted:
            self.pushed.remove((repository, image))

    @rule(hours=st.sampled_from([1, 25]), works=st.booleans())
    def let_time_pass(self, hours: int, works: bool) -> None:
        self.clock.advance(hours * HOUR + 1)
        if works:
            self.runner.run_due()

    @rule()
    def lose_the_memory(self) -> None:
        self.context = replace(self.context)
        self.runner = create_runner(Settings(), self.context)

    @invariant()
    def what_is_active_can_be_pulled(self) -> None:
        for repository, image in self.pushed:
            try:
                pull(self.context, str(image.digest), repository)
            except ImageInaccessible:
                continue
            self.check_pull(repository, image)

    def check_pull(self, repository: str, image: Image) -> None:
        assert pull(self.context, str(image.digest), repository).content == image.content
        for blob in image.blobs:
            assert read_layer(self.context, blob.digest, repository) == blob.content
        for child in image.children:
            self.check_pull(repository, child)

    def check_files(self) -> None:
        """Each row's bytes lie where it says, and nothing else does."""
        with self.context.database.read() as tx:
            rows = tx.execute(select(schema.blobs.c.location)).scalars().all()
        found = files_in(self.home / "data") - {"database.id"}
        archived = {f"archive/{name}" for name in files_in(self.home / "cold")}
        assert found | archived == set(rows)


class ArchivingWithBin(Archiving):
    """The same with a recycle bin, which is emptied in the end."""

    retention = Retention(deleted_images=7 * DAY)

    @rule(repository=repositories, image=images)
    def bring_back(self, repository: str, image: Image) -> None:
        by_digest = {str(each.digest): each for each in IMAGES}
        # An index doesn't come back without its images.
        with suppress(ImageNotInRecycleBin, ReferencedImagesNotFound):
            for each in bin_restoration.restore(self.context, REGISTRY, repository, image.digest):
                self.pushed.add((repository, by_digest[each.image.digest]))


TestArchiving = Archiving.TestCase
TestArchivingWithBin = ArchivingWithBin.TestCase
TestArchiving.settings = settings(max_examples=10, stateful_step_count=25)
TestArchivingWithBin.settings = settings(max_examples=12, stateful_step_count=30)
