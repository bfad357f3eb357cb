"""Restoring images from the recycle bin, with all that belongs to them, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, insert, literal, null, select, update

from longshore.errors import InvalidParameter, ReferencedImagesNotFound
from longshore.events import log, shapes
from longshore.metadata import schema
from longshore.names import Digest, is_tag
from longshore.registry import (
    image_quotas,
    images,
    layers,
    recycle_bin,
    repositories,
    storage_classes,
)
from longshore.registry.image_batches import API_TAG_MAX_LENGTH
from longshore.registry.lifecycle_rules import StorageClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection, Table

    from longshore.clock import Millis
    from longshore.names import Registry
    from longshore.registry.context import Context
    from longshore.registry.recycle_bin import BinnedImage
    from longshore.registry.repositories import Repository

_BINNED = schema.binned_images.c


@dataclass(frozen=True, slots=True)
class Restored:
    """An image that came back.

    Attributes:
        image: as it was in the bin.
        tags: the tags that stand for it from now on.
        taken: those that it had and that stand for others now, with whom they stand for.
        was_there: whether somebody had pushed it again, so that it lacked tags at most.
    """

    image: BinnedImage
    tags: tuple[str, ...] = ()
    taken: Mapping[str, str] = field(default_factory=dict)
    was_there: bool = False


def restore(
    context: Context,
    registry: Registry,
    repository: str,
    digest: Digest,
    *,
    tag: str | None = None,
) -> list[Restored]:
    """Bring an image back from the bin, as it was when it was deleted, or change nothing.

    With it come those of its referrers and, if it is an index, of the images that it lists which
    are in the bin, too. Tags that stand for other images by now stay with them. An image that was
    pushed again only gets back the tags it had.

    Args:
        context: the store.
        registry: whose it was.
        repository: the name of its repository, which may be another one of this name.
        digest: the image.
        tag: what is to stand for the image, in place of the tags that it had.

    Returns:
        What came back, the named image first.

    Raises:
        RepositoryNotFound: there is no repository of this name.
        ImageNotInRecycleBin: the image isn't in the bin, or its time is over.
        InvalidParameter: the tag isn't one, or stands for another image.
        ReferencedImagesNotFound: images that it lists are neither in the repository nor in the bin.
        LimitExceeded: a quota is used up.
    """
    if tag is not None and not is_tag(tag, API_TAG_MAX_LENGTH):
        raise InvalidParameter(f"'{tag}' can't be a tag.")
    with context.database.write(content_only=True) as tx:
        now = context.clock()
        found = repositories.find(tx, registry, repository, lock=True)
        coming = _gather(tx, found, digest, now)
        restoration = _Restoration(context, tx, found, now)
        restoration.bring(coming)
        for number, image in enumerate(coming):
            wanted = {tag: now} if tag is not None and number == 0 else None
            restoration.tag(image, wanted)
        restoration.tell()
        recycle_bin.remove(tx, coming)
        return restoration.restored


def _gather(
    tx: Connection, repository: Repository, digest: Digest, now: Millis
) -> list[BinnedImage]:
    """Return an image in the bin, and all that come with it, and with those, and so on; locked."""
    where = (tx, repository.registry, repository.name)
    named = recycle_bin.find(*where, digest, now=now, lock=True)
    gathered = {named.id: named}
    latest = [named]
    while latest:
        for each in recycle_bin.find_related(*where, latest.pop(), now):
            if each.id not in gathered:
                gathered[each.id] = each
                latest.append(each)
    for each in gathered.values():
        if each.encryption_context != repository.encryption_context:
            raise InvalidParameter(
                f"The image {each.digest} was encrypted in another way than images of the "
                f"repository with name '{repository.name}' are."
            )
    return list(gathered.values())


class _Restoration:
    """Brings images back, in a transaction that has locked the repository and the images."""

    def __init__(
        self, context: Context, tx: Connection, repository: Repository, now: Millis
    ) -> None:
        self._context = context
        self._tx = tx
        self._repository = repository
        self._repository_id = literal(repository.id, Integer)
        self._now = now
        # Of those that are here by now, by their digests. Who comes back has the id it had.
        self._ids: dict[str, int] = {}
        self.restored: list[Restored] = []

    def bring(self, coming: Iterable[BinnedImage]) -> None:
        """Let the repository have those of the images that it lacks."""
        lacking: list[BinnedImage] = []
        for image in coming:
            present = images.id_of(self._tx, self._repository, Digest.parse(image.digest))
            if present is None:
                lacking.append(image)
            self._ids[image.digest] = image.id if present is None else present
        if not lacking:
            return
        image_quotas.check_images(self._context, self._tx, self._repository, more=len(lacking))
        for image in lacking:
            self._bring(image)
        for image in lacking:
            self._check_children(image)

    def tag(self, image: BinnedImage, wanted: Mapping[str, Millis] | None) -> None:
        """Let tags stand for an image that is here, and say what came of it.

        Args:
            image: as it was in the bin.
            wanted: the tags, with the times since when; without, those that it had, as far as they
                stand for no other image.

        Raises:
            InvalidParameter: one of those that are wanted stands for another image.
        """
        digest = Digest.parse(image.digest)
        given: list[str] = []
        taken: dict[str, str] = {}
        for name, since in (self._tags_of(image) if wanted is None else wanted).items():
            holder = images.digest_of(self._tx, self._repository, name)
            if holder is None:
                self._give(self._ids[image.digest], name, since)
                given.append(name)
            elif holder == digest:
                given.append(name)
            elif wanted is None:
                taken[name] = str(holder)
            else:
                raise InvalidParameter(
                    f"The tag '{name}' stands for {holder} in the repository with name "
                    f"'{self._repository.name}'. Choose another one."
                )
        was_there = self._ids[image.digest] != image.id
        self.restored.append(Restored(image, tuple(given), taken, was_there=was_there))

    def tell(self) -> None:
        """Say which images are there again, and under which tags, as if they were pushed."""
        repository = self._repository
        log.emit(
            self._tx,
            (
                shapes.image_pushed(
                    repository.registry, self._now, repository.name, each.image.digest, tag
                )
                for each in self.restored
                for tag in each.tags or ([] if each.was_there else [None])
            ),
        )

    def _bring(self, image: BinnedImage) -> None:
        columns: dict[str, ColumnElement[Any]] = {
            column.name: _BINNED[column.name]
            for column in schema.images.c
            if column.name not in {"repository_id", "restoring_since"}
        }
        # No job would end its way back from the archive: it is there as before.
        columns |= {"repository_id": self._repository_id, "restoring_since": null()}
        manifest, child = schema.binned_manifests.c, schema.binned_children.c
        self._copy(schema.images, columns, _BINNED.id == image.id)
        self._copy(
            schema.manifests,
            {"image_id": manifest.image_id, "content": manifest.content},
            manifest.image_id == image.id,
        )
        self._copy(
            schema.image_children,
            {
                "image_id": child.image_id,
                "digest": child.digest,
                "repository_id": self._repository_id,
            },
            child.image_id == image.id,
        )
        self._bring_layers(image)

    def _bring_layers(self, image: BinnedImage) -> None:
        binned = schema.binned_layers.c
        its = binned.image_id == image.id
        kept = select(binned.digest, binned.blob_id, binned.media_type).where(its)
        for row in self._tx.execute(kept.order_by(binned.digest)).all():
            # Wherever its bytes lie: those of an active image are kept from the archive by the bin.
            digest = Digest.parse(row.digest)
            layers.attach(self._context, self._tx, self._repository.id, digest, row.blob_id)
            this = (schema.layers.c.repository_id == self._repository.id) & (
                schema.layers.c.digest == row.digest
            )
            self._tx.execute(
                update(schema.layers)
                .where(this, schema.layers.c.media_type.is_(None))
                .values(media_type=row.media_type)
            )
        self._copy(
            schema.image_layers,
            {
                "image_id": binned.image_id,
                "digest": binned.digest,
                "repository_id": self._repository_id,
            },
            its,
        )

    def _check_children(self, image: BinnedImage) -> None:
        """See to it that an index isn't without the images that it lists.

        A job gets those that are in the archive out of it for an index that can be pulled.
        """
        child, here = schema.image_children.c, schema.images.c
        is_here = (here.repository_id == child.repository_id) & (here.digest == child.digest)
        rows = self._tx.execute(
            select(child.digest, here.id, here.storage_class)
            .outerjoin_from(schema.image_children, schema.images, is_here)
            .where(child.image_id == image.id)
            .order_by(child.digest)
        ).all()
        missing = [row.digest for row in rows if row.id is None]
        if missing and not self._context.dialect.accepts_missing_children:
            registry, name = self._repository.registry, self._repository.name
            raise ReferencedImagesNotFound(missing, name, registry.account)
        if image.storage_class == StorageClass.STANDARD:
            for row in rows:
                if row.storage_class == StorageClass.ARCHIVE:
                    digest = Digest.parse(row.digest)
                    storage_classes.restore(self._tx, self._context, self._repository, digest)

    def _give(self, image_id: int, tag: str, since: Millis) -> None:
        image_quotas.check_tags(self._context, self._tx, image_id)
        self._tx.execute(
            insert(schema.tags).values(
                repository_id=self._repository.id, name=tag, image_id=image_id, tagged_at=since
            )
        )

    def _tags_of(self, image: BinnedImage) -> dict[str, Millis]:
        tag = schema.binned_tags.c
        query = select(tag.name, tag.tagged_at).where(tag.image_id == image.id).order_by(tag.name)
        return {row.name: row.tagged_at for row in self._tx.execute(query)}

    def _copy(
        self, table: Table, columns: Mapping[str, ColumnElement[Any]], which: ColumnElement[bool]
    ) -> None:
        query = select(*columns.values()).where(which)
        self._tx.execute(insert(table).from_select(list(columns), query))
