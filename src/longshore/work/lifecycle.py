"""Lifecycle policies as jobs: each round, a run for every repository that has a policy; previews.

What a run does bears being done again: it finds what is left. A preview is begun anew.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from longshore.clock import SECOND
from longshore.errors import (
    LifecyclePolicyNotFound,
    LifecyclePolicyPreviewNotFound,
    RepositoryNotFound,
)
from longshore.jobs.queue import Terms, enqueue
from longshore.metadata import schema
from longshore.names import Registry
from longshore.registry import lifecycle_previews, lifecycle_runs
from longshore.registry.lifecycle_previews import Status
from longshore.registry.lifecycle_rules import Action
from longshore.work import lifecycle_audit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Row

    from longshore.audit.trail import Trail
    from longshore.registry.context import Context
    from longshore.registry.lifecycle_runs import Outcome
    from longshore.registry.repositories import Repository
    from longshore.work.runner import Work

ROUND = "lifecycle policies"
RUN = "lifecycle run"
PREVIEW = lifecycle_previews.JOB

# The next round finds what this one has left.
TERMS_OF_RUN = Terms(attempts=3)
# Somebody waits for it.
TERMS_OF_PREVIEW = Terms(attempts=3, first_delay=SECOND)

_PAGE = 500
_MOST_FAILURES_TOLD = 100
# The preview itself has all of them, and whoever asks for previews must not fill the audit.
_MOST_PREVIEWED_TOLD = 100
_DONE = {Action.EXPIRE: "expired", Action.TRANSITION: "archived"}
_log = logging.getLogger(__name__)


def enqueue_runs(context: Context, work: Work) -> None:
    """Enqueue a run for each repository that has a policy: the handler of `ROUND`."""
    lifecycle_previews.forget_expired(context)
    last = 0
    while rows := _with_policies(context, last):
        with context.database.write() as tx:
            # In the order of their keys, lest two processes wait for each other.
            for key, row in sorted((str(row.id), row) for row in rows):
                payload = {"account": row.account, "region": row.region, "repository": row.name}
                enqueue(tx, RUN, payload, now=context.clock(), key=key)
        last = rows[-1].id
        work.check()


def carry_out(
    context: Context, registry: Registry, name: str, *, trail: Trail
) -> Iterator[Outcome]:
    """Do what the policy of a repository says, tell the log and the audit, and yield the outcomes.

    Of the images that indexes keep, again in each run, the audit is told of some only.

    Raises:
        RepositoryNotFound, LifecyclePolicyNotFound: there is nothing to do.
    """
    run = lifecycle_runs.begin(context, registry, name)
    untold = _MOST_FAILURES_TOLD
    for outcomes in run.batches():
        done = [outcome for outcome in outcomes if outcome.failure is None]
        failed = [outcome for outcome in outcomes if outcome.failure is not None]
        for record in lifecycle_audit.of_run(run, [*done, *failed[:untold]], context.clock()):
            trail.write(record)
        untold = max(0, untold - len(failed))
        for outcome in done:
            _log.info("%s", _told(run.repository, outcome))
        yield from outcomes


def run(
    context: Context, trail: Trail, work: Work, expired: Callable[[], None] = lambda: None
) -> None:
    """Do what the policy of a repository says: the handler of `RUN`.

    Args:
        context: the store.
        trail: what is told of each image.
        work: the job.
        expired: is called for each image that has gone.
    """
    registry, name = _repository(work.job.payload)
    counts: Counter[Action | None] = Counter()
    try:
        for outcome in carry_out(context, registry, name, trail=trail):
            counts[outcome.action if outcome.failure is None else None] += 1
            if outcome.failure is None and outcome.action is Action.EXPIRE:
                expired()
            work.check()
    except (RepositoryNotFound, LifecyclePolicyNotFound):
        return
    if counts:
        _log.info(
            "lifecycle run of %s: %d images expired, %d archived, %d are kept by an index",
            registry.repository_arn(name),
            *(counts[each] for each in (Action.EXPIRE, Action.TRANSITION, None)),
        )


def fill_preview(context: Context, trail: Trail, work: Work) -> None:
    """Find out what a policy would do, and tell the audit: the handler of `PREVIEW`."""
    payload = work.job.payload
    registry, name = _repository(payload)
    lifecycle_previews.fill(
        context, registry, name, payload["preview"], check=work.check, hold=work.hold
    )
    # Also where an earlier attempt was killed between the two.
    _tell_preview(context, trail, registry, name, payload["preview"])


def _tell_preview(
    context: Context, trail: Trail, registry: Registry, name: str, preview_id: str
) -> None:
    try:
        preview, found = lifecycle_previews.get(context, registry, name, limit=_MOST_PREVIEWED_TOLD)
    except (RepositoryNotFound, LifecyclePolicyPreviewNotFound):
        return
    if preview.id == preview_id and preview.status is Status.COMPLETE:
        records = lifecycle_audit.of_preview(
            registry, name, preview.text, found.items, context.clock()
        )
        for record in records:
            trail.write(record)


def _told(repository: Repository, outcome: Outcome) -> str:
    tags = f" ({', '.join(outcome.tags)})" if outcome.tags else ""
    return (
        f"lifecycle rule {outcome.rule_priority} of {repository.arn} "
        f"has {_DONE[outcome.action]} {outcome.digest}{tags}"
    )


def _repository(payload: Mapping[str, Any]) -> tuple[Registry, str]:
    return Registry(payload["account"], payload["region"]), payload["repository"]


def _with_policies(context: Context, last: int) -> Sequence[Row[Any, Any, Any, Any]]:
    table = schema.repositories
    query = (
        select(table.c.id, table.c.account, table.c.region, table.c.name)
        .join(schema.lifecycle_policies, schema.lifecycle_policies.c.repository_id == table.c.id)
        .where(table.c.id > last)
        .order_by(table.c.id)
        .limit(_PAGE)
    )
    with context.database.read() as tx:
        return tx.execute(query).all()
