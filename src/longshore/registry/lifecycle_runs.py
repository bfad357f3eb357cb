"""Runs of lifecycle policies: the images that a repository's policy has done with go.

They are deleted, or go to the archive.

A run evaluates the policy over a repository that everybody goes on using, so what it finds is only
a suggestion. A few images at a time are taken, in a transaction that locks the repository and asks
the policy again: an image goes only if the same rule still marks it. What others have taken away
counts no longer, so that one that has moved up among those to be kept stays; what the run itself
has taken counts on, as if all rules were applied at one moment. A run that is killed has taken
whole images or none; the next one goes on.
"""

from __future__ import annotations

import itertools
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from longshore.errors import ImageStorageClassUpdateNotSupported, RepositoryNotFound
from longshore.names import Digest
from longshore.registry import (
    images,
    lifecycle_images,
    lifecycle_policies,
    repositories,
    storage_classes,
)
from longshore.registry.lifecycle_grammar import parse
from longshore.registry.lifecycle_rules import Action, Marking, evaluate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection

    from longshore.clock import Millis
    from longshore.names import Registry
    from longshore.registry.context import Context
    from longshore.registry.lifecycle_rules import Image, Rule, Verdict
    from longshore.registry.repositories import Repository

# How many images go in one transaction, while pushes to the repository wait.
_BATCH = 100

REFERENCED = "ImageReferencedByManifestList"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did to an image, or couldn't do.

    Attributes:
        digest: the image.
        tags: the tags that it had.
        pushed_at: when it was pushed.
        action: what was to be done.
        rule_priority: by which rule.
        failure: why it wasn't done, in the word that BatchDeleteImage has for it.
    """

    digest: str
    tags: tuple[str, ...]
    pushed_at: Millis
    action: Action
    rule_priority: int
    failure: str | None = None

    @classmethod
    def of(cls, image: Image, rule: Rule, failure: str | None = None) -> Outcome:
        """Tell what a rule did to an image."""
        return cls(image.digest, image.tags, image.pushed_at, rule.action, rule.priority, failure)


class _Superseded(Exception):
    """The repository or its policy isn't the one that the run began with."""


def run(context: Context, registry: Registry, name: str) -> Iterator[Outcome]:
    """Do what a repository's policy says; yield each outcome once it is committed.

    The run ends early if the policy is replaced or the repository deleted under it.

    Raises:
        RepositoryNotFound, LifecyclePolicyNotFound: there is nothing to run.
    """
    now = context.clock()
    with context.database.read() as tx:
        repository = repositories.find(tx, registry, name)
        text = lifecycle_policies.find(tx, repository).text
    with suppress(_Superseded):
        yield from _Run(context, repository, text, now).outcomes()
        with context.database.write() as tx:
            lifecycle_policies.note_evaluation(tx, repository, text, now)


def foresee(
    context: Context, registry: Registry, name: str, text: str | None = None
) -> Iterator[Outcome]:
    """Yield what a run would do now; nothing is changed.

    Args:
        context: the store.
        registry: whose repository it is.
        name: its name.
        text: a policy to go by, instead of the repository's own.

    Raises:
        RepositoryNotFound, LifecyclePolicyNotFound: there is nothing to run.
        InvalidParameter: the text is no lifecycle policy.
    """
    with context.database.read() as tx:
        repository = repositories.find(tx, registry, name)
        rules = parse(lifecycle_policies.find(tx, repository).text if text is None else text)
    shown = lifecycle_images.all_of(context.database.read, repository)
    for verdict in evaluate(rules, shown, context.clock()):
        failure = REFERENCED if verdict.is_protected else None
        yield Outcome.of(verdict.image, verdict.rule, failure)


class _Run:
    """One run of a repository's policy."""

    def __init__(self, context: Context, repository: Repository, text: str, now: Millis) -> None:
        self._context = context
        self._repository = repository
        self._text = text
        self._rules = parse(text)
        self._now = now
        # How many of the images that a rule would keep the run has taken for other rules.
        self._taken: Counter[int] = Counter()

    def outcomes(self) -> Iterator[Outcome]:
        """Do it; yield each outcome once it is committed."""
        shown = lifecycle_images.all_of(self._context.database.read, self._repository)
        for batch in _batches(evaluate(self._rules, shown, self._now)):
            due = [verdict for verdict in batch if not verdict.is_protected]
            if due:
                yield from self._take(due)
            for verdict in batch:
                if verdict.is_protected:
                    yield Outcome.of(verdict.image, verdict.rule, REFERENCED)

    def _take(self, due: list[Verdict]) -> list[Outcome]:
        with self._context.database.write(content_only=True) as tx:
            self._lock(tx)
            marked = self._still_marked(tx, due)
            acting = _Acting(self._context, tx, self._repository)
            for verdict in due:
                if verdict.image.subject is not None:
                    acting.act_on_referrer(verdict.image, verdict.rule)
                elif verdict.image.id in marked:
                    acting.act(marked[verdict.image.id], verdict.rule)
        gone = {outcome.digest for outcome in acting.outcomes if outcome.failure is None}
        for verdict in due:
            if verdict.image.digest in gone:
                self._taken.update(verdict.mark.kept_by)
        return acting.outcomes

    def _lock(self, tx: Connection) -> None:
        repository = self._repository
        try:
            found = repositories.find(tx, repository.registry, repository.name, lock=True)
        except RepositoryNotFound:
            raise _Superseded from None
        if found.id != repository.id or not lifecycle_policies.is_current(tx, found, self._text):
            raise _Superseded

    def _still_marked(self, tx: Connection, due: list[Verdict]) -> dict[int, Image]:
        """Return those of the images that the same rules still mark, as they are now."""
        marking = Marking(self._rules, self._now, self._taken)
        unseen = {verdict.image.id: verdict for verdict in due}
        marked: dict[int, Image] = {}

        def look_at(image: Image) -> None:
            mark, verdict = marking.mark(image), unseen.pop(image.id, None)
            # Younger or under another rule than it was, its place isn't what it was, either.
            if (
                mark is not None
                and verdict is not None
                and mark.rule == verdict.rule
                and image.active_since == verdict.image.active_since
            ):
                marked[image.id] = image

        for image in lifecycle_images.youngest_first(lambda: nullcontext(tx), self._repository):
            if marking.is_full:
                break
            look_at(image)
        # The others are older than all that has been counted, or referrers by now.
        for image in lifecycle_images.find(tx, self._repository, list(unseen)):
            if image.subject is None:
                look_at(image)
        return marked


class _Acting:
    """Does to images what rules say, in a transaction that has locked their repository."""

    def __init__(self, context: Context, tx: Connection, repository: Repository) -> None:
        self.outcomes: list[Outcome] = []
        self._context = context
        self._tx = tx
        self._repository = repository

    def act(self, image: Image, rule: Rule) -> None:
        """Delete an image, or archive it."""
        match rule.action:
            case Action.EXPIRE:
                self._expire(image, rule)
            case Action.TRANSITION:
                self._archive(image, rule)

    def act_on_referrer(self, image: Image, rule: Rule) -> None:
        """Let a referrer follow that an index kept when its subject went, and keeps no longer."""
        for found in lifecycle_images.find(self._tx, self._repository, [image.id]):
            if rule.action is Action.EXPIRE and found.subject is None:
                self._expire(found, rule)
            elif rule.action is Action.TRANSITION and found.subject is not None:
                status = storage_classes.find(self._tx, found.subject)
                if status is storage_classes.Status.ARCHIVED:
                    self._archive(found, rule)

    def _archive(self, image: Image, rule: Rule) -> None:
        """Archive an image with its referrers, unless an index refers to it."""
        digest = Digest.parse(image.digest)
        try:
            ids = storage_classes.archive(self._tx, self._context, self._repository, digest)
        except ImageStorageClassUpdateNotSupported:
            self.outcomes.append(Outcome.of(image, rule, REFERENCED))
            return
        found = lifecycle_images.find(self._tx, self._repository, ids)
        for each in sorted(found, key=lambda each: ids.index(each.id)):
            self.outcomes.append(Outcome.of(each, rule))

    def _expire(self, image: Image, rule: Rule) -> None:
        """Delete an image with its tags and its referrers, unless an index refers to it."""
        expiring = [image]
        while expiring:
            image = expiring.pop()
            digest = Digest.parse(image.digest)
            if images.parents(self._tx, self._repository, digest):
                self.outcomes.append(Outcome.of(image, rule, REFERENCED))
                continue
            images.remove(self._tx, self._context, self._repository, digest)
            self.outcomes.append(Outcome.of(image, rule))
            expiring += lifecycle_images.referrers_of(self._tx, self._repository, image.digest)


def _batches(verdicts: Iterable[Verdict]) -> Iterator[list[Verdict]]:
    iterator = iter(verdicts)
    while batch := list(itertools.islice(iterator, _BATCH)):
        yield batch
