"""Any history of a registry, over both faces, against a model of it in a few dicts.

After every step all that either face shows must be what the model says, and the store must hold
the bytes that the model counts and no others, through restarts and garbage collections.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from longshore import server
from longshore.clock import HOUR, SECOND
from longshore.setting_tables import LimitSettings
from longshore.settings import Settings
from longshore.work.collector import Collector
from tests.property.ecr_face import EcrFace
from tests.property.oci_face import OciFace
from tests.property.registry_content import (
    CONTENTS,
    IMAGES,
    REPOSITORIES,
    TAGS,
    digest_of,
    image_digests,
    layer_digests,
)
from tests.property.registry_model import (
    GRACE,
    LARGEST_PART,
    MOST_IMAGES,
    MOST_PARTS,
    MOST_TAGS,
    RENEWED_AFTER,
    SMALLEST_PART,
    UPLOAD_LIFETIME,
    Mutability,
    Refused,
    RegistryModel,
    Upload,
)
from tests.property.stations import InProcess, Listening
from tests.support.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal, TypeVar

    from hypothesis.stateful import MultipleResults

    from longshore.clock import Millis
    from tests.property.stations import Station
    from tests.support.images import Image
    from tests.support.postgres import PostgresCluster

    Told = TypeVar("Told")
    Said = TypeVar("Said")

Compatibility: TypeAlias = "Literal['ecr', 'oci']"

NAMES = st.sampled_from(REPOSITORIES)
LAYERS = st.sampled_from(CONTENTS)
PUSHABLE = st.sampled_from(IMAGES)
MAYBE_TAGS = st.sampled_from([*TAGS, None])
FACES = st.sampled_from(["ecr", "oci"])
ENDINGS = st.sampled_from(["with the rest", "in parts", "in chunks", "cancelled"])
ALGORITHMS = st.sampled_from(["sha256", "sha512"])
MUTABILITIES = st.sampled_from(
    [
        Mutability(),
        Mutability("IMMUTABLE"),
        Mutability("MUTABLE_WITH_EXCLUSION", ("v*",)),
        Mutability("IMMUTABLE_WITH_EXCLUSION", ("la*st", "v1.0*_rc")),
    ]
)
# Some image or tag, and how to name it.
CHOICES = st.tuples(st.integers(0, 9), st.sampled_from(["digest", "tag", "both"]))
# Each ends just before or behind an edge: of a grace time, of an upload, of a renewal, of a token.
TIMES = st.sampled_from(
    [
        0,
        GRACE + 1,
        GRACE,
        UPLOAD_LIFETIME + 1,
        UPLOAD_LIFETIME,
        RENEWED_AFTER,
        RENEWED_AFTER - 1,
        13 * HOUR,
    ]
)


class Histories(RuleBasedStateMachine):
    """A registry, from its first start on."""

    uploads = Bundle("uploads")

    def __init__(
        self, compatibility: Compatibility, station: type[Station], database_url: str | None
    ) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="longshore-"))
        self.clock = FakeClock()
        chosen = _settings(self.root, compatibility, database_url)
        key = server.prepare(chosen).administrator
        assert key is not None
        self.station = station(chosen, self.clock)
        self.station.start()
        self.ecr = EcrFace(self.station, key, compatibility)
        self.oci = OciFace(self.station, self.ecr, compatibility)
        self.model = RegistryModel(compatibility, self.clock)
        self.layers = layer_digests(compatibility)
        self.images = image_digests(compatibility)
        self.begun: list[Upload] = []

    def same(
        self, face: EcrFace | OciFace, real: Callable[[], Said], told: Callable[[], Told]
    ) -> tuple[Said | None, Told | None]:
        """Do it to the registry and to the model; both do it, or both refuse for one reason."""
        answer = refusal = expected = words = None
        try:
            answer = real()
        except Refused as error:
            refusal = error.code
        try:
            expected = told()
        except Refused as error:
            words = face.words(error.code)
        assert refusal == words
        return answer, expected

    # --- Repositories -----------------------------------------------------------------------------

    @initialize(mutability=MUTABILITIES)
    def create_repositories(self, mutability: Mutability) -> None:
        self.create_repository(REPOSITORIES[0], mutability)
        self.create_repository(REPOSITORIES[1], Mutability())

    @precondition(lambda self: len(self.model.repositories) < len(REPOSITORIES))
    @rule(name=NAMES, mutability=MUTABILITIES)
    def create_repository(self, name: str, mutability: Mutability) -> None:
        self.same(
            self.ecr,
            lambda: self.ecr.create_repository(name, mutability),
            lambda: self.model.create_repository(name, mutability),
        )

    @precondition(lambda self: self.model.holds_something)
    @rule(name=NAMES, force=st.booleans())
    def delete_repository(self, name: str, *, force: bool) -> None:
        self.same(
            self.ecr,
            lambda: self.ecr.delete_repository(name, force=force),
            lambda: self.model.delete_repository(name, force=force),
        )

    @precondition(lambda self: self.model.holds_images)
    @rule(name=NAMES, mutability=MUTABILITIES)
    def put_mutability(self, name: str, mutability: Mutability) -> None:
        self.same(
            self.ecr,
            lambda: self.ecr.put_mutability(name, mutability),
            lambda: self.model.put_mutability(name, mutability),
        )

    # --- Layers -----------------------------------------------------------------------------------

    @rule(target=uploads, name=NAMES, face=FACES)
    def begin_upload(self, name: str, face: str) -> Upload | MultipleResults[Upload]:
        real = self.ecr if face == "ecr" else self.oci
        upload_id, upload = self.same(
            real, lambda: real.begin_upload(name), lambda: self.model.begin_upload(name)
        )
        return multiple() if upload is None else self._named(upload, upload_id)

    def _named(self, upload: Upload, upload_id: str | None) -> Upload:
        assert upload_id
        upload.id = upload_id
        self.begun.append(upload)
        return upload

    @rule(
        upload=uploads,
        content=LAYERS,
        size=st.integers(1, LARGEST_PART + 1),
        gap=st.sampled_from([0, 0, 0, 1]),
        face=FACES,
    )
    def append(self, upload: Upload, content: bytes, size: int, gap: int, face: str) -> None:
        """Add what of `content` comes next."""
        first = len(upload.content) + gap
        data = content[len(upload.content) :][:size] or b"and more"
        if face == "ecr":
            self.same(
                self.ecr,
                lambda: self.ecr.append(upload.repository, upload.id, first, data),
                lambda: self.model.append_part(upload, first, data),
            )
        else:
            self.same(
                self.oci,
                lambda: self.oci.append(upload.repository, upload.id, first, data),
                lambda: self.model.append(upload, first, data),
            )

    @rule(upload=uploads, content=LAYERS, algorithm=ALGORITHMS, ending=ENDINGS)
    def end_upload(self, upload: Upload, content: bytes, algorithm: str, ending: str) -> None:
        digest = self._layer(content, algorithm)
        repository, upload_id = upload.repository, upload.id
        if ending == "in parts":
            self.same(
                self.ecr,
                lambda: self.ecr.complete(repository, upload_id, digest),
                lambda: self.model.complete_in_parts(upload, digest),
            )
        elif ending == "cancelled":
            self.same(
                self.oci,
                lambda: self.oci.cancel(repository, upload_id),
                lambda: self.model.cancel(upload),
            )
        else:
            rest = content[len(upload.content) :] if ending == "with the rest" else b""
            self.same(
                self.oci,
                lambda: self.oci.complete(repository, upload_id, digest, rest),
                lambda: self.model.complete_with(upload, digest, rest),
            )

    @rule(name=NAMES, content=LAYERS, algorithm=ALGORITHMS, ending=ENDINGS)
    def upload(self, name: str, content: bytes, algorithm: str, ending: str) -> None:
        """Upload a layer from beginning to end."""
        face = "ecr" if ending == "in parts" else "oci"
        upload = self.begin_upload(name, face)
        if isinstance(upload, Upload):
            if ending != "with the rest":
                for _ in range(0, len(content), LARGEST_PART):
                    self.append(upload, content, LARGEST_PART, 0, face)
            self.end_upload(upload, content, algorithm, ending)

    @rule(name=NAMES, content=LAYERS, algorithm=ALGORITHMS, claimed=st.none() | LAYERS)
    def upload_at_once(
        self, name: str, content: bytes, algorithm: str, claimed: bytes | None
    ) -> None:
        """Upload a layer in one request, perhaps under the digest of another one."""
        digest = self._layer(content if claimed is None else claimed, algorithm)
        self.same(
            self.oci,
            lambda: self.oci.upload_at_once(name, digest, content),
            lambda: self.model.upload_at_once(name, digest, content),
        )

    @rule(
        target=uploads,
        name=NAMES,
        source=NAMES,
        content=LAYERS,
        algorithm=ALGORITHMS,
        setting=st.sampled_from(["ENABLED", "DISABLED"]),
    )
    def mount(
        self, name: str, source: str, content: bytes, algorithm: str, setting: str
    ) -> Upload | MultipleResults[Upload]:
        if setting != self.model.mounting:
            self.ecr.put_mounting(setting)
            self.model.mounting = setting
        digest = self._layer(content, algorithm)
        upload_id, upload = self.same(
            self.oci,
            lambda: self.oci.mount(name, source, digest),
            lambda: self.model.mount(name, source, digest),
        )
        if upload is not None:
            return self._named(upload, upload_id)
        assert upload_id is None
        return multiple()

    @precondition(lambda self: self.model.is_oci and self.model.holds_something)
    @rule(name=NAMES, content=LAYERS, algorithm=ALGORITHMS)
    def delete_layer(self, name: str, content: bytes, algorithm: str) -> None:
        digest = self._layer(content, algorithm)
        self.same(
            self.oci,
            lambda: self.oci.delete_layer(name, digest),
            lambda: self.model.delete_layer(name, digest),
        )

    def _layer(self, content: bytes, algorithm: str) -> str:
        digest = digest_of(content, algorithm)
        return digest if digest in self.layers else digest_of(content)

    # --- Images -----------------------------------------------------------------------------------

    @rule(name=NAMES, image=PUSHABLE, tag=MAYBE_TAGS, ending=ENDINGS, face=FACES)
    def push(self, name: str, image: Image, tag: str | None, ending: str, face: str) -> None:
        """Push an image as a client does, with all that it refers to, or try it alone."""
        if ending != "cancelled":
            for child in image.children:
                self.push(name, child, None, ending, face)
            for blob in image.blobs:
                held = self.model.repositories.get(name)
                if held and str(blob.digest) not in held.layers and not blob.urls:
                    self.upload(name, blob.content, "sha256", ending)
        self._put_image(name, image, tag, None, face)

    @rule(
        name=NAMES,
        image=PUSHABLE,
        tag=MAYBE_TAGS,
        claimed=st.none() | PUSHABLE,
        algorithm=ALGORITHMS,
    )
    def push_by_digest(
        self, name: str, image: Image, tag: str | None, claimed: Image | None, algorithm: str
    ) -> None:
        """Push a manifest with its digest, or with that of another one."""
        content = (claimed or image).content
        digest = digest_of(content, algorithm)
        digest = digest if digest in self.images else digest_of(content)
        # The registry face names an image by a tag or by a digest.
        self._put_image(name, image, tag, digest, "ecr" if tag else "oci")

    def _put_image(
        self, name: str, image: Image, tag: str | None, digest: str | None, face: str
    ) -> None:
        real = self.ecr if face == "ecr" else self.oci
        self.same(
            real,
            lambda: real.put_image(name, image, tag, digest),
            lambda: self.model.put_image(name, image, tag, digest),
        )

    @precondition(lambda self: self.model.holds_images)
    @rule(name=NAMES, choices=st.lists(CHOICES, min_size=1, max_size=3), face=FACES)
    def delete_images(self, name: str, choices: list[tuple[int, str]], face: str) -> None:
        ids = [self._choose_image(name, number, by) for number, by in choices]
        if face == "ecr":
            said, told = self.same(
                self.ecr,
                lambda: self.ecr.delete_images(name, ids),
                lambda: self.model.delete_images(name, ids),
            )
            assert said == told
            return
        for digest, tag in ids:
            self._delete_image(name, None if tag else digest, tag)

    def _delete_image(self, name: str, digest: str | None, tag: str | None) -> None:
        keep = self.model.is_oci
        self.same(
            self.oci,
            lambda: self.oci.delete_image(name, digest, tag),
            lambda: self.model.delete_image(name, digest, tag, keep_untagged=keep),
        )

    def _choose_image(self, name: str, number: int, by: str) -> tuple[str | None, str | None]:
        """Return the id of an image, more often than not of one that is there."""
        held = self.model.repositories.get(name)
        digests = [*(held.images if held else ()), str(IMAGES[number % len(IMAGES)].digest)]
        tags = [*(held.tags if held else ()), TAGS[number % len(TAGS)]]
        digest, tag = digests[number % len(digests)], tags[number % len(tags)]
        return (digest if by != "tag" else None, tag if by != "digest" else None)

    # --- Looking ----------------------------------------------------------------------------------

    @precondition(lambda self: self.model.holds_images)
    @rule(name=NAMES, size=st.integers(1, 3), status=st.sampled_from(["ANY", "TAGGED", "UNTAGGED"]))
    def list_in_pages(self, name: str, size: int, status: str) -> None:
        repositories = self.ecr.list_in_pages("DescribeRepositories", "repositories", size)
        assert [each["repositoryName"] for each in repositories] == sorted(self.model.repositories)
        catalog = self.oci.list_in_pages("_catalog", "repositories", size)
        assert catalog == sorted(self.model.repositories)
        if name not in self.model.repositories:
            return
        ids = self.model.repository(name).ids(status)
        request = {"repositoryName": name, "filter": {"tagStatus": status}}
        listed = self.ecr.list_in_pages("ListImages", "imageIds", size, **request)
        assert [(each["imageDigest"], each.get("imageTag")) for each in listed] == ids
        images = self.ecr.list_in_pages("DescribeImages", "imageDetails", size, **request)
        assert [each["imageDigest"] for each in images] == [*dict(ids)]
        tags = self.oci.list_in_pages(f"{name}/tags/list", "tags", size)
        assert tags == sorted(self.model.repository(name).tags)

    # --- Time -------------------------------------------------------------------------------------

    @rule(by=TIMES, restarts=st.booleans(), collects=st.booleans())
    def time_passes(self, by: Millis, *, restarts: bool, collects: bool) -> None:
        self.clock.advance(by)
        if restarts:
            self.station.stop()
            self.station.start()
        if collects:
            self._collect_garbage()

    def _collect_garbage(self) -> None:
        """Collect as another process does, which first tells what it would take."""
        context = self.station.open_context()
        try:
            foretold = list(Collector(context, dry_run=True).run())
            taken = list(Collector(context).run())
        finally:
            context.database.close()
        expected = self.model.collect()
        assert sorted((each.kind.value, each.name, each.size) for each in taken) == expected
        assert sorted((each.kind.value, each.name, each.size) for each in foretold) == expected

    def teardown(self) -> None:
        try:
            self._delete_everything()
        finally:
            self.station.stop()
            shutil.rmtree(self.root)

    def _delete_everything(self) -> None:
        """Whatever the history was: at its end nothing is needed, and nothing stays."""
        self.time_passes(GRACE + 1, restarts=True, collects=True)
        self.check()
        for name in [*self.model.repositories]:
            self.delete_repository(name, force=True)
        self._collect_garbage()
        self.check()
        assert not self.model.blobs

    @invariant()
    def check(self) -> None:
        """All that the faces show, and all that the store holds, is as the model says."""
        seen = self.model.once_there
        assert self.ecr.look(seen) == self.ecr.shown(self.model)
        assert self.oci.look(self.begun, seen) == self.oci.shown(self.model, self.begun)
        blobs = [path for path in (self.root / "blobs").rglob("*") if path.is_file()]
        digests = [f"{path.parts[-3]}:{path.name.partition('.')[0]}" for path in blobs]
        assert sorted(digests) == sorted(self.model.blobs)
        assert {path.name for path in (self.root / "uploads").iterdir()} == self.model.staged


def _settings(data: Path, compatibility: Compatibility, database_url: str | None) -> Settings:
    return Settings(
        data=data,
        listen="127.0.0.1:0",
        database_url=database_url,
        compatibility=compatibility,
        jobs=False,
        layer_grace=GRACE / SECOND,
        upload_lifetime=UPLOAD_LIFETIME / SECOND,
        limits=LimitSettings(
            layer_part_smallest=SMALLEST_PART,
            layer_part_largest=LARGEST_PART,
            layer_parts=MOST_PARTS,
            tags_per_image=MOST_TAGS,
            images_per_repository=MOST_IMAGES,
        ),
    )


def _histories(
    compatibility: Compatibility, station: type[Station], database_url: Callable[[], str | None]
) -> type[Histories]:
    class Chosen(Histories):
        def __init__(self) -> None:
            super().__init__(compatibility, station, database_url())

    return Chosen


@pytest.mark.parametrize("compatibility", ["ecr", "oci"])
def test_both_faces_show_the_model_after_every_step(compatibility: Compatibility) -> None:
    run_state_machine_as_test(
        _histories(compatibility, InProcess, lambda: None),
        settings=settings(
            max_examples=5,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
@pytest.mark.parametrize("compatibility", ["ecr", "oci"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_they_do_so_over_the_network_through_many_more_histories(
    compatibility: Compatibility, database: str, request: pytest.FixtureRequest
) -> None:
    def url() -> str | None:
        if database == "sqlite":
            return None
        cluster: PostgresCluster = request.getfixturevalue("postgres")
        return cluster.create_database()

    run_state_machine_as_test(
        _histories(compatibility, Listening, url),
        settings=settings(
            # PostgreSQL takes three times as long for one.
            max_examples=8 if database == "sqlite" else 3,
            stateful_step_count=40,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
