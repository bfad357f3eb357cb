"""Whether the server runs, and whether it can do its work: for load balancers and supervisors.

Anybody may ask, as often as they like: the answers hold no more than the names of what was looked
at, and however many ask, the server looks about once a second.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from longshore.api.responses import Response
from longshore.metadata.migrate import newest_revision, revision_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from longshore.api.http import Request
    from longshore.api.workers import Workers
    from longshore.registry.context import Context

LIVE_PATH: Final = "/livez"
READY_PATH: Final = "/readyz"

_OK = "ok"
# Without it only images in the archive can't be restored: no reason to send clients elsewhere.
_ARCHIVE = "archive"
_log = logging.getLogger(__name__)


class Health:
    """Answers `GET /livez` and `GET /readyz`.

    Args:
        context: the store.
        workers: where the store is looked at.
        kept: for how many seconds what was found out is answered again.
        patience: after how many seconds what doesn't answer counts as broken.
    """

    def __init__(
        self, context: Context, workers: Workers, *, kept: float = 1.0, patience: float = 5.0
    ) -> None:
        self._context = context
        self._workers = workers
        self._kept = kept
        self._patience = patience
        self._revision = newest_revision()
        self._looking: asyncio.Task[Mapping[str, str]] | None = None
        self._looking_at_archive: asyncio.Task[str] | None = None
        self._found: Mapping[str, str] = {}
        self._found_at: float | None = None

    async def live(self, request: Request) -> Response:
        """Answer whether the server runs: who gets the answer knows that it does."""
        return _answer(request, {"server": _OK})

    async def ready(self, request: Request) -> Response:
        """Answer whether the store can be written and read, and the database fits this version."""
        return _answer(request, await self._find_out())

    async def _find_out(self) -> Mapping[str, str]:
        is_fresh = self._found_at is not None and time.monotonic() - self._found_at < self._kept
        if is_fresh:
            return self._found
        # What doesn't answer is asked once, however many wait for it.
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(self._looking)
        except TimeoutError:
            return {"store and database": f"no answer for {self._patience:g} seconds"}

    async def _look(self) -> Mapping[str, str]:
        archive = await self._look_at_archive()
        self._found = {**await self._workers.run(self._check), **archive}
        self._found_at = time.monotonic()
        return self._found

    async def _look_at_archive(self) -> Mapping[str, str]:
        """Look at the archive, and don't let the store wait for a disk that doesn't answer."""
        archive = self._context.archive
        if archive is None:
            return {}
        if self._looking_at_archive is None or self._looking_at_archive.done():
            self._looking_at_archive = asyncio.create_task(
                self._workers.run(_tried, archive.probe, "can't be used")
            )
        try:
            async with asyncio.timeout(self._patience / 5):
                return {_ARCHIVE: await asyncio.shield(self._looking_at_archive)}
        except TimeoutError:
            return {_ARCHIVE: "doesn't answer"}

    def _check(self) -> Mapping[str, str]:
        return {
            "store": _tried(self._context.blobs.probe, "can't be written and read"),
            **self._check_database(),
        }

    def _check_database(self) -> Mapping[str, str]:
        revision = None

        def read() -> None:
            nonlocal revision
            revision = revision_of(self._context.database)

        database = _tried(read, "doesn't answer")
        if database != _OK:
            return {"database": database}
        is_current = revision == self._revision
        schema = _OK if is_current else "isn't that of this version: stop this server"
        return {"database": database, "schema": schema}


def _tried(step: Callable[[], None], reason: str) -> str:
    try:
        step()
    except Exception:  # noqa: BLE001 - whatever it is, the server isn't ready
        # What went wrong is for the operator alone: it may name hosts and users.
        _log.exception("a part of the server isn't ready")
        return reason
    return _OK


def _answer(request: Request, found: Mapping[str, str]) -> Response:
    headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
    if not request.only_reads:
        return Response(405, {**headers, "Allow": "GET, HEAD"}, b"This is read with GET.\n")
    is_well = all(state == _OK for name, state in found.items() if name != _ARCHIVE)
    text = "".join(f"{name}: {state}\n" for name, state in found.items())
    return Response(200 if is_well else 503, headers, text.encode())
