"""Previews of lifecycle policies: what a run would do, kept for a day.

A repository has one preview, the newest. It is complete before anything of it is shown. It is in
progress as long as its job waits or runs: one whose job is dead, or was cancelled, has failed, and
is in progress again if an operator lets the job begin anew.
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, false, insert, or_, select, update

from longshore.clock import DAY
from longshore.errors import (
    LifecyclePolicyPreviewInProgress,
    LifecyclePolicyPreviewNotFound,
    RepositoryNotFound,
)
from longshore.jobs.queue import enqueue, is_pending
from longshore.metadata import schema
from longshore.metadata.statements import batches, upsert
from longshore.registry import lifecycle_images, lifecycle_policies, repositories
from longshore.registry.lifecycle_grammar import parse
from longshore.registry.lifecycle_rules import Action, StorageClass, TagStatus, evaluate
from longshore.registry.slices import Position, Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from longshore.clock import Millis
    from longshore.names import Registry
    from longshore.registry.context import Context
    from longshore.registry.image_batches import ImageId
    from longshore.registry.lifecycle_rules import Verdict
    from longshore.registry.repositories import Repository

JOB = "lifecycle preview"
LIFETIME = DAY
_BATCH = 500

_PREVIEWS, _IMAGES = schema.lifecycle_previews, schema.lifecycle_preview_images


class Status(StrEnum):
    """How far a preview is."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETE = "COMPLETE"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Preview:
    """A preview without its images.

    Attributes:
        id: tells it from the repository's other previews.
        text: the policy, as it was given.
        status: how far it is.
        expiring: how many images would go.
        transitioning: how many would be archived.
    """

    id: str
    text: str
    status: Status
    expiring: int = 0
    transitioning: int = 0


@dataclass(frozen=True, slots=True)
class PreviewImage:
    """What would be done to an image, and by which rule."""

    digest: str
    tags: tuple[str, ...]
    pushed_at: Millis
    storage_class: StorageClass
    action: Action
    rule_priority: int


def start(context: Context, registry: Registry, repository: str, text: str | None) -> Preview:
    """Begin a preview; a job makes it complete by `fill`.

    Args:
        context: the store.
        registry: whose repository it is.
        repository: its name.
        text: the policy; without it, the repository's own.

    Raises:
        InvalidParameter: the text is no lifecycle policy.
        LifecyclePolicyNotFound: none is given, and the repository has none.
        LifecyclePolicyPreviewInProgress: another preview isn't complete yet.
    """
    if text is not None:
        parse(text)
    now = context.clock()
    with context.database.write() as tx:
        found = repositories.find(tx, registry, repository, lock=True)
        if text is None:
            text = lifecycle_policies.find(tx, found).text
        last = tx.execute(_of(found)).one_or_none()
        if last is not None and _preview(last, now).status is Status.IN_PROGRESS:
            raise LifecyclePolicyPreviewInProgress
        preview = Preview(str(uuid.uuid4()), text, Status.IN_PROGRESS)
        upsert(
            tx,
            _PREVIEWS,
            {"repository_id": found.id},
            {
                "id": preview.id,
                "document": preview.text,
                "status": preview.status.value,
                "started_at": now,
                "expiring": 0,
                "transitioning": 0,
            },
        )
        payload = {
            "account": registry.account,
            "region": registry.region,
            "repository": repository,
            "preview": preview.id,
        }
        enqueue(tx, JOB, payload, now=now, key=preview.id)
    return preview


def fill(
    context: Context,
    registry: Registry,
    repository: str,
    preview_id: str,
    *,
    check: Callable[[], None] = lambda: None,
    hold: Callable[[Connection], None] = lambda _: None,
) -> None:
    """Find out what a preview's policy would do, and keep that; it may be begun anew at any time.

    Nothing happens if the preview has been replaced, or its repository deleted.

    Args:
        context: the store.
        registry: whose repository it is.
        repository: its name.
        preview_id: the preview.
        check: called every now and then; what it raises ends the work.
        hold: called in the transaction that makes the preview complete; what it raises undoes
            that. Whoever has begun it anew has deleted what was found before.
    """
    try:
        with context.database.write() as tx:
            found = repositories.find(tx, registry, repository)
            row = _lock(tx, found, preview_id)
            if row is None:
                return
            # Of the preview before, or of a worker that was killed.
            tx.execute(delete(_IMAGES).where(_IMAGES.c.repository_id == found.id))
    except RepositoryNotFound:
        return
    verdicts = evaluate(
        parse(row.document),
        lifecycle_images.all_of(context.database.read, found),
        row.started_at,
    )
    counts: Counter[Action] = Counter()
    numbered = enumerate(verdict for verdict in verdicts if not verdict.is_protected)
    for batch in batches(numbered, _BATCH):
        counts.update(verdict.rule.action for _, verdict in batch)
        with context.database.write(durable=False) as tx:
            if _lock(tx, found, preview_id) is None:
                return
            tx.execute(insert(_IMAGES), [_columns(found, *each) for each in batch])
        check()
    with context.database.write() as tx:
        hold(tx)
        tx.execute(
            update(_PREVIEWS)
            .where(_is_unfinished(found, preview_id))
            .values(
                status=Status.COMPLETE.value,
                expiring=counts[Action.EXPIRE],
                transitioning=counts[Action.TRANSITION],
            )
        )


def get(
    context: Context,
    registry: Registry,
    repository: str,
    *,
    ids: Sequence[ImageId] = (),
    status: TagStatus = TagStatus.ANY,
    after: Position | None = None,
    limit: int,
) -> tuple[Preview, Slice[PreviewImage]]:
    """Return the newest preview, and up to `limit` of the images that something would be done to.

    Args:
        context: the store.
        registry: whose repository it is.
        repository: its name.
        ids: only these images, where there are any.
        status: only tagged ones, or untagged ones.
        after: where the slice starts.
        limit: how many there may be in it.

    Raises:
        RepositoryNotFound, LifecyclePolicyPreviewNotFound: there is none.
    """
    with context.database.read() as tx:
        found = repositories.find(tx, registry, repository)
        row = tx.execute(_of(found)).one_or_none()
        if row is None:
            raise LifecyclePolicyPreviewNotFound(repository, registry.account)
        preview = _preview(row, context.clock())
        if preview.status is not Status.COMPLETE:
            return preview, Slice(())
        query = (
            select(_IMAGES)
            .where(_IMAGES.c.repository_id == found.id)
            .order_by(_IMAGES.c.position)
            .limit(limit + 1)
        )
        if status is not TagStatus.ANY:
            is_untagged = _IMAGES.c.tags.is_(None)
            query = query.where(is_untagged if status is TagStatus.UNTAGGED else ~is_untagged)
        if ids:
            query = query.where(or_(false(), *(_is(each) for each in ids)))
        if after is not None:
            query = query.where(_IMAGES.c.position > after[0])
        rows = tx.execute(query).all()
    return preview, Slice.of(rows, limit, lambda row: (row.position,), _image)


def forget_expired(context: Context) -> None:
    """Delete what expired previews have found; that there were previews is remembered."""
    expired = and_(
        _PREVIEWS.c.started_at <= context.clock() - LIFETIME,
        exists().where(_IMAGES.c.repository_id == _PREVIEWS.c.repository_id),
    )
    with context.database.read() as tx:
        rows = tx.execute(select(_PREVIEWS.c.repository_id, _PREVIEWS.c.id).where(expired)).all()
    for row in rows:
        this = and_(_PREVIEWS.c.repository_id == row.repository_id, _PREVIEWS.c.id == row.id)
        with context.database.write() as tx:
            if tx.execute(select(_PREVIEWS.c.id).where(this).with_for_update()).first():
                tx.execute(delete(_IMAGES).where(_IMAGES.c.repository_id == row.repository_id))


def _of(repository: Repository) -> Any:  # noqa: ANN401 - a query
    """Select a repository's preview; in one statement whether its job will make it complete.

    Between two statements the job could have done so.
    """
    has_job = is_pending(JOB, _PREVIEWS.c.id)
    return select(_PREVIEWS, has_job.label("has_job")).where(
        _PREVIEWS.c.repository_id == repository.id
    )


def _lock(tx: Connection, repository: Repository, preview_id: str) -> Row[Any] | None:
    """Return a preview that is in progress, and keep it there; None if it is over or replaced."""
    return tx.execute(
        select(_PREVIEWS).where(_is_unfinished(repository, preview_id)).with_for_update()
    ).one_or_none()


def _is_unfinished(repository: Repository, preview_id: str) -> ColumnElement[bool]:
    return and_(
        _PREVIEWS.c.repository_id == repository.id,
        _PREVIEWS.c.id == preview_id,
        _PREVIEWS.c.status == Status.IN_PROGRESS.value,
    )


def _preview(row: Row[Any], now: Millis) -> Preview:
    return Preview(
        id=row.id,
        text=row.document,
        status=_status(row, now),
        expiring=row.expiring,
        transitioning=row.transitioning,
    )


def _status(row: Row[Any], now: Millis) -> Status:
    status = Status(row.status)
    if status is Status.IN_PROGRESS and not row.has_job:
        return Status.FAILED
    # Nor does one that nobody does the job of stand in the way for ever.
    return Status.EXPIRED if row.started_at <= now - LIFETIME else status


def _is(image_id: ImageId) -> ColumnElement[bool]:
    conditions = []
    if image_id.digest is not None:
        conditions.append(_IMAGES.c.digest == image_id.digest)
    if image_id.tag is not None:
        conditions.append(_IMAGES.c.tags.contains(f"\n{image_id.tag}\n", autoescape=True))
    return and_(*conditions) if conditions else false()


def _columns(repository: Repository, position: int, verdict: Verdict) -> dict[str, Any]:
    image, rule = verdict.image, verdict.rule
    return {
        "repository_id": repository.id,
        "position": position,
        "digest": image.digest,
        "tags": "\n".join(("", *image.tags, "")) if image.tags else None,
        "pushed_at": image.pushed_at,
        "storage_class": image.storage_class.value,
        "rule_priority": rule.priority,
        "action": rule.action.value,
    }


def _image(row: Row[Any]) -> PreviewImage:
    return PreviewImage(
        digest=row.digest,
        tags=tuple((row.tags or "").split("\n")[1:-1]),
        pushed_at=row.pushed_at,
        storage_class=StorageClass(row.storage_class),
        action=Action(row.action),
        rule_priority=row.rule_priority,
    )
