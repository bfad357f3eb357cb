"""What the rules work with."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from longshore.access.openid.keys import NoKeys
from longshore.clock import DAY, HOUR, Clock, Horizon, Millis, system_clock
from longshore.metadata.sqlite_transactions import MustWait
from longshore.registry.dialect import ECR, Dialect
from longshore.registry.key_uses import KeyUses
from longshore.registry.limits import Limits
from longshore.registry.memory import Memory, MemoryAtOnce, NotInMemory
from longshore.registry.pulls import Pulls

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from longshore.access.openid.keys import Keys
    from longshore.access.sealing import ServerKey
    from longshore.blobs.archive import Archive
    from longshore.blobs.store import BlobStore
    from longshore.metadata.database import Database
    from longshore.registry.memory import Generation


Result = TypeVar("Result")


def new_upload_id() -> str:
    """Return an id that nobody can guess and that no upload ever had."""
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what nobody needs is kept all the same, in milliseconds."""

    # From the last time that an unreferenced layer was uploaded, mounted, asked for or released.
    unreferenced_layers: Millis = DAY
    # From the last byte of an upload that was never completed.
    unfinished_uploads: Millis = DAY
    # From the deletion of an image: for so long it can be restored from the recycle bin; 0 without
    # one.
    deleted_images: Millis = 0
    # How long a registry token is good for (ECR: 12 hours).
    registry_tokens: Millis = 12 * HOUR
    # How long a URL of GetDownloadUrlForLayer is good for (ECR: 1 hour).
    download_urls: Millis = HOUR


@dataclass(frozen=True, slots=True)
class Context:
    """The store, the clock and the choices of the operator: what every rule is handed."""

    database: Database
    blobs: BlobStore
    server_key: ServerKey
    dialect: Dialect = ECR
    limits: Limits = field(default_factory=Limits)
    retention: Retention = field(default_factory=Retention)
    clock: Clock = system_clock
    new_upload_id: Callable[[], str] = new_upload_id
    openid_keys: Keys = field(default_factory=NoKeys)
    # Where the bytes of archived layers go; None where they stay.
    archive: Archive | None = None
    # Whether a push to a repository that doesn't exist creates it where no template says so.
    creates_on_push: bool = False
    # Is entered, with an action and a resource, while it is decided on a permission.
    authorizing: Callable[[str, str], AbstractContextManager[object]] | None = None
    pulls: Pulls = field(default_factory=Pulls)
    key_uses: KeyUses = field(default_factory=KeyUses)
    memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", Memory(self.database))

    def within(self, tx: Connection) -> Context:
        """Return the same store for rules that are to be part of one transaction."""
        return replace(self, database=self.database.joined(tx))

    def without_waiting(self) -> WithoutWaiting:
        """Return the same store for the event loop: it answers at once or not at all."""
        return WithoutWaiting(self)


class WithoutWaiting:
    """The store for the event loop.

    Args:
        context: the store that everybody else has.
    """

    def __init__(self, context: Context) -> None:
        self._outer = context
        self._memory = MemoryAtOnce(context.memory)
        self._horizon = Horizon(context.clock)
        self._context = replace(context, clock=self._horizon, database=context.database.at_once())
        object.__setattr__(self._context, "memory", self._memory)

    def run(self, function: Callable[[Context], Result]) -> Result:
        """Call a function that must not wait.

        Raises:
            NotInMemory: it needs more of the database than can be had at once.
        """
        self._memory.look_again()
        self._horizon.begin()
        try:
            return function(self._context)
        except MustWait:
            raise NotInMemory from None

    @property
    def until(self) -> Millis | None:
        """Before which moment what was found last holds; None where the time has no say in it."""
        return self._horizon.until

    def standing(self, key_ids: Hashable) -> Standing | None:
        """Return what was found last rests on, if content has no say in it, else None.

        Args:
            key_ids: of the server's keys, from before it was found.
        """
        generation = self._memory.beside_content
        if generation is None:
            return None
        return Standing(self._outer, generation, key_ids, self.until)

    def keep(self, question: Hashable, answer: object, size: int) -> None:
        """Remember something that follows from what was found last and from nothing else.

        Args:
            question: all that it depends on, beside the database.
            answer: what follows.
            size: how many bytes it takes.
        """
        self._memory.keep(question, answer, size)


class Standing:
    """What an answer rests on that content has no say in: who may do what, for one.

    Args:
        context: the store.
        generation: the database's, beside content, when the answer was found.
        key_ids: of the server's keys, from before it was found.
        until: before which moment the answer holds; None where the time has no say in it.
    """

    __slots__ = ("_context", "_generation", "_key_ids", "_until")

    def __init__(
        self,
        context: Context,
        generation: Generation,
        key_ids: Hashable,
        until: Millis | None,
    ) -> None:
        self._context = context
        self._generation = generation
        self._key_ids = key_ids
        self._until = until

    def holds(self) -> bool:
        """Tell whether the same would be found now. Any thread may ask."""
        context = self._context
        return (
            context.memory.look()[1] is self._generation
            and context.server_key.ids == self._key_ids
            and (self._until is None or context.clock() < self._until)
        )


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: the account and the ARN of a principal."""

    account: str
    arn: str
