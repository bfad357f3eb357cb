"""Images on their way back from the archive, as jobs.

All that a job does is in the transaction that finishes it. What is gone by then, or in the archive
again, is left alone.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from longshore.clock import SECOND
from longshore.errors import RepositoryNotFound
from longshore.jobs.queue import Terms
from longshore.names import Registry
from longshore.registry import repositories, storage_classes

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from longshore.work.runner import Work

JOB = storage_classes.JOB

# Somebody waits for it.
TERMS = Terms(first_delay=SECOND)


def restore(context: Context, work: Work) -> None:
    """Make those images of a repository active that are on their way: the handler of `JOB`."""
    payload = work.job.payload
    registry = Registry(payload["account"], payload["region"])
    with context.database.write(content_only=True) as tx:
        with suppress(RepositoryNotFound):
            found = repositories.find(tx, registry, payload["repository"], lock=True)
            # Else it is another one of the same name.
            if found.id == payload["repository_id"]:
                storage_classes.finish_restoring(tx, context, found)
        work.finish(tx)
