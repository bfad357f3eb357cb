"""A registry whose work others do, as the test that makes the work sees it."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from longshore import server
from longshore.clock import DAY, HOUR, MINUTE, SECOND
from longshore.events import log, progress
from longshore.housekeeping import create_runner, receivers_of
from longshore.jobs import ledger
from longshore.jobs.queue import State
from longshore.metadata import schema
from longshore.registry import image_archive
from longshore.registry.image_batches import ImageId
from longshore.settings import Settings
from tests.support.images import oci_image
from tests.support.pushing import REGISTRY, create_repository, push
from tests.support.receiver import receiving

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from ctypes import c_longlong
    from pathlib import Path

    from longshore.clock import Millis
    from longshore.events.log import Entry
    from longshore.registry.lifecycle_rules import StorageClass
    from tests.support.images import Image

KEPT_FOR = 2 * DAY
GRACE = MINUTE

_PATIENCE_SECONDS = 120
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Pushed:
    """An image that was pushed, under one tag.

    Attributes:
        repository: where.
        tag: its tag.
        image: the image.
        round: in which round of the scene.
    """

    repository: str
    tag: str
    image: Image
    round: int


class Scene:
    """A store, its time, and those who hear of its events.

    It goes on in rounds: time passes until all that comes round is due, work is made, and all of
    it is done.

    Attributes:
        options: the settings of the workers.
        context: the store.
        kinds: the kinds of jobs that there are.
        round: the number of the round.
        began_at: when the round began.
        pushed: every image that was pushed, in order.
        happened: what the events have to tell: the action, the repository and the digest.
    """

    def __init__(self, home: Path, database_url: str | None, clock: c_longlong) -> None:
        self._open = ExitStack()
        self._webhook = self._open.enter_context(receiving())
        self._file = home / "events.json"
        (home / "archive").mkdir()
        self.options: dict[str, Any] = {
            "data": home / "data",
            "archive_directory": home / "archive",
            "recycle_bin_days": 1,
            "database_url": database_url,
            "region": REGISTRY.region,
            "collect_interval": HOUR / SECOND,
            "lifecycle_interval": HOUR / SECOND,
            "layer_grace": GRACE / SECOND,
            "upload_lifetime": GRACE / SECOND,
            "events": {
                "file": self._file,
                "webhooks": {"ci": {"url": self._webhook.url, "secret": _secret()}},
                "allowed_networks": "127.0.0.0/8",
                "kept_for": KEPT_FOR / SECOND,
            },
        }
        self._clock = clock
        self.settings = Settings(**self.options)
        server.prepare(self.settings)
        self.context = replace(server.open_context(self.settings), clock=lambda: clock.value)
        self._open.callback(self.context.database.close)
        runner = create_runner(self.settings, self.context)
        self.kinds = runner.kinds
        # From now on everything has its next round, and receivers have every event.
        runner.run_due()
        runner.stop()
        self._receivers = [each.name for each in receivers_of(self.settings, self.context)]
        self.round = 0
        self.began_at: Millis = clock.value
        self.pushed: list[Pushed] = []
        self.happened: Counter[tuple[str, str, str]] = Counter()
        self._entries: list[Entry] = []

    def put_away(self) -> None:
        """Close what was opened."""
        self._open.close()

    # --- Making work ------------------------------------------------------------------------------

    def create_repository(self, name: str) -> None:
        """Make a repository."""
        create_repository(self.context, name)

    def push(self, repository: str, tag: str, image: Image | None = None) -> Pushed:
        """Push an image, or one that no other has anything in common with; let a moment pass."""
        image = image or oci_image(f"{repository}:{tag}")
        push(self.context, image, tag, repository)
        self.happens("PUSH", repository, image)
        self._clock.value += 1
        pushed = Pushed(repository, tag, image, self.round)
        self.pushed.append(pushed)
        return pushed

    def happens(self, action: str, repository: str, image: Image) -> None:
        """Take note that receivers have to hear of something."""
        self.happened[action, repository, str(image.digest)] += 1

    def move(self, pushed: Pushed, target: StorageClass) -> None:
        """Archive an image, or have it restored."""
        this = ImageId(str(pushed.image.digest))
        image_archive.update_storage_class(self.context, REGISTRY, pushed.repository, this, target)
        self.happens(target.value, pushed.repository, pushed.image)

    def begin_round(self) -> None:
        """Let a day pass, and more until everything is due that comes round."""
        with self.context.database.read() as tx:
            due_at = tx.execute(select(func.max(schema.recurring_jobs.c.next_at))).scalar_one()
        self._clock.value = max(self._clock.value + DAY, due_at) + 1
        self.round += 1
        self.began_at = self._clock.value

    def pushed_to(self, repository: str, *, before: int | None = None) -> list[Pushed]:
        """Return the images of a repository in order, those of earlier rounds than one alone."""
        return [
            each
            for each in self.pushed
            if each.repository == repository and (before is None or each.round < before)
        ]

    # --- Waiting for it ---------------------------------------------------------------------------

    def end_round(self, meanwhile: Callable[[], None]) -> None:
        """Return when all the work is done.

        Raises:
            AssertionError: some of it fails, or nobody does it.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._is_quiet():
            meanwhile()
            assert time.monotonic() < deadline, f"this isn't done: {self._jobs()}"
            time.sleep(_PAUSE_SECONDS)
        with self.context.database.read() as tx:
            last = self._entries[-1].position if self._entries else 0
            self._entries += log.after(tx, last, 1_000)

    def _is_quiet(self) -> bool:
        # One after the other, as one thing leads to the next, and jobs once more: they end last.
        with self.context.database.read() as tx:
            recurring = schema.recurring_jobs.c.next_at
            if tx.execute(select(recurring).where(recurring <= self._clock.value)).first():
                return False
            has_more = self._jobs() or log.has_new(tx) or progress.behind(tx, self._receivers)
        return not has_more and not self._jobs()

    def _jobs(self) -> list[ledger.Entry]:
        """Return what is to be done by now."""
        with self.context.database.read() as tx:
            jobs = ledger.list_some(tx)
        for job in jobs:
            assert job.state is not State.DEAD, job
            assert job.error is None, job
        now = self._clock.value
        return [job for job in jobs if job.due_at is None or job.due_at <= now or _is_taken(job)]

    # --- Looking ----------------------------------------------------------------------------------

    def delivered(self) -> dict[str, list[str]]:
        """Return the ids of the events that each receiver got, each as often as it did."""
        lines = self._file.read_text(encoding="utf-8").splitlines()
        return {
            "file": [json.loads(line)["id"] for line in lines],
            "webhook": [each.headers["webhook-id"] for each in self._webhook.received],
        }

    def entries(self) -> Sequence[Entry]:
        """Return every event that ever was, in the order of the log."""
        return self._entries

    def told(self) -> Counter[tuple[str, str, str]]:
        """Return what the events told, in the form of `happened`."""
        details = [json.loads(each.document)["detail"] for each in self._entries]
        return Counter(
            (
                detail.get("target-storage-class") or detail["action-type"],
                detail["repository-name"],
                detail["image-digest"],
            )
            for detail in details
        )


def _is_taken(job: ledger.Entry) -> bool:
    return job.state is State.RUNNING


def _secret() -> str:
    return f"whsec_{base64.b64encode(bytes(32)).decode()}"
