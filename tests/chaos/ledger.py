"""What a client was told, and so what it must find.

Of everything that it has to do with (an image, a tag, a layer) the ledger holds the values that
may be found. After an answer that is one; while a request is under way, and for ever where it
was never answered, it is also the one that the request would bring about.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# Of an image and of a layer whether it is there, of a tag the digest that it stands for.
Value: TypeAlias = "bool | str | None"


class Thing(NamedTuple):
    """Something that is there or isn't."""

    kind: Literal["image", "layer", "tag"]
    repository: str
    name: str


class Attempt:
    """A request under way."""

    def __init__(
        self,
        possible: dict[Thing, frozenset[Value]],
        effects: Mapping[Thing, Callable[[Value], Value]],
    ) -> None:
        self._possible = possible
        self._before = {thing: possible[thing] for thing in effects}
        self._after = {
            thing: frozenset(effect(value) for value in possible[thing])
            for thing, effect in effects.items()
        }
        possible.update({thing: self._before[thing] | self._after[thing] for thing in effects})

    def succeeded(self) -> None:
        """The server said that it was done."""
        self._possible.update(self._after)

    def was_refused(self) -> None:
        """The server said that it wasn't."""
        self._possible.update(self._before)


class Ledger:
    """The expectations of one client; nobody else changes the things in it."""

    def __init__(self) -> None:
        self._possible: dict[Thing, frozenset[Value]] = {}

    def __iter__(self) -> Iterator[Thing]:
        return iter([*self._possible])

    def possible(self, thing: Thing) -> frozenset[Value]:
        """Return the values that may be found."""
        return self._possible.setdefault(thing, frozenset({None if thing.kind == "tag" else False}))

    @contextmanager
    def attempt(self, effects: Mapping[Thing, Callable[[Value], Value]]) -> Iterator[Attempt]:
        """Note that a request is sent, and what it does to the value of each thing."""
        for thing in effects:
            self.possible(thing)
        yield Attempt(self._possible, effects)

    def found(self, thing: Thing, value: Value) -> None:
        """Compare what was found with what may be, and keep to it from now on."""
        # Another client may have brought a layer to a common repository; none takes one away.
        may_be = self.possible(thing) | ({True} if thing.kind == "layer" else set())
        assert value in may_be, f"{thing} is {value!r} and must be one of {set(may_be)}"
        self._possible[thing] = frozenset({value})
