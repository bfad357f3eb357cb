"""Runs of lifecycle policies: the images that a repository's policy has done with go.

They are deleted, or go to the archive.

A run evaluates the policy over a repository that everybody goes on using, so what it finds is only
a plan, of a few bytes for each image that is to go. A few images at a time are taken, in a
transaction that locks the repository and asks the policy again: an image goes only if the same rule
still marks it. What others have taken away counts no longer, so that one that has moved up among
those to be kept stays; what the run itself has taken counts on, as if all rules were applied at one
moment. A run that is killed has taken whole images or none; the next one goes on.
"""

from __future__ import annotations

from array import array
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from longshore.errors import ImageStorageClassUpdateNotSupported, RepositoryNotFound
from longshore.metadata.statements import batches
from longshore.names import Digest
from longshore.registry import (
    image_removal,
    image_status,
    lifecycle_images,
    lifecycle_policies,
    repositories,
    storage_classes,
)
from longshore.registry.lifecycle_grammar import parse
from longshore.registry.lifecycle_rules import Action, Marking, evaluate
from longshore.registry.recycle_bin import Deletion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection

    from longshore.clock import Millis
    from longshore.names import Registry
    from longshore.registry.context import Context
    from longshore.registry.lifecycle_policies import LifecyclePolicy
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


def begin(context: Context, registry: Registry, name: str) -> Run:
    """Begin a run of a repository's policy.

    Raises:
        RepositoryNotFound, LifecyclePolicyNotFound: there is nothing to run.
    """
    with context.database.read() as tx:
        repository = repositories.find(tx, registry, name)
        policy = lifecycle_policies.find(tx, repository)
    rules = parse(policy.text)
    return Run(context, repository, policy, rules)


def run(context: Context, registry: Registry, name: str) -> Iterator[Outcome]:
    """Do what a repository's policy says; yield each outcome once it is committed.

    Raises:
        RepositoryNotFound, LifecyclePolicyNotFound: see `begin`.
    """
    for outcomes in begin(context, registry, name).batches():
        yield from outcomes


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


class Run:
    """One run of a repository's policy.

    Attributes:
        repository: the repository.
        policy: its policy, as it is when the run begins.
        rules: what the policy says.
    """

    def __init__(
        self,
        context: Context,
        repository: Repository,
        policy: LifecyclePolicy,
        rules: tuple[Rule, ...],
    ) -> None:
        self.repository = repository
        self.policy = policy
        self.rules = rules
        self._context = context
        self._now = context.clock()
        self._rules_by_priority = {rule.priority: rule for rule in rules}
        # How many of the images that a rule would keep the run has taken for other rules.
        self._taken: Counter[int] = Counter()

    def batches(self) -> Iterator[list[Outcome]]:
        """Do it; yield the outcomes of each transaction when it is committed.

        The run ends early if the policy is replaced or the repository deleted under it.
        """
        plan = _Plan()
        shown = lifecycle_images.all_of(self._context.database.read, self.repository)
        for verdicts in batches(evaluate(self.rules, shown, self._now), _BATCH):
            kept = [verdict for verdict in verdicts if verdict.is_protected]
            if kept:
                yield [Outcome.of(verdict.image, verdict.rule, REFERENCED) for verdict in kept]
            plan.add(verdict for verdict in verdicts if not verdict.is_protected)
        with suppress(_Superseded):
            for due in batches(plan.steps(), _BATCH):
                yield self._take(due)
            with self._context.database.write() as tx:
                lifecycle_policies.note_evaluation(tx, self.repository, self.policy.text, self._now)

    def _take(self, due: list[_Step]) -> list[Outcome]:
        with self._context.database.write(content_only=True) as tx:
            self._lock(tx)
            marked = self._still_marked(tx, due)
            acting = _Acting(self._context, tx, self.repository)
            for step in due:
                rule = self._rules_by_priority[step.rule_priority]
                if step.follows:
                    acting.act_on_referrer(step.image_id, rule)
                elif step.image_id in marked:
                    acting.act(marked[step.image_id], rule)
        for step in due:
            if step.image_id in acting.done:
                self._taken.update(step.kept_by)
        return acting.outcomes

    def _lock(self, tx: Connection) -> None:
        repository = self.repository
        try:
            found = repositories.find(tx, repository.registry, repository.name, lock=True)
        except RepositoryNotFound:
            raise _Superseded from None
        if found.id != repository.id or not lifecycle_policies.is_current(
            tx, found, self.policy.text
        ):
            raise _Superseded

    def _still_marked(self, tx: Connection, due: list[_Step]) -> dict[int, Image]:
        """Return those of the images that the same rules still mark, as they are now."""
        marking = Marking(self.rules, self._now, self._taken)
        unseen = {step.image_id: step for step in due if not step.follows}
        marked: dict[int, Image] = {}

        def look_at(image: Image) -> None:
            mark, step = marking.mark(image), unseen.pop(image.id, None)
            # Younger or under another rule than it was, its place isn't what it was, either.
            if (
                mark is not None
                and step is not None
                and mark.rule.priority == step.rule_priority
                and image.active_since == step.active_since
            ):
                marked[image.id] = image

        shown = lifecycle_images.youngest_first(lambda: nullcontext(tx), self.repository)
        while not marking.is_full and (image := next(shown, None)) is not None:
            look_at(image)
        # The others are older than all that has been counted, or referrers by now.
        for image in lifecycle_images.find(tx, self.repository, unseen):
            if image.subject is None:
                look_at(image)
        return marked


class _Step(NamedTuple):
    """An image that is to go, and what it was when that was found out.

    Attributes:
        image_id: the image.
        rule_priority: by which rule.
        active_since: how young it was.
        follows: whether it goes because its subject does.
        kept_by: the rules that count it among those they keep.
    """

    image_id: int
    rule_priority: int
    active_since: Millis
    follows: bool
    kept_by: tuple[int, ...]


class _Plan:
    """The steps of a run, in as little memory as they take."""

    def __init__(self) -> None:
        self._ids = array("q")
        self._priorities = array("i")
        self._active_since = array("q")
        self._follows = bytearray()
        # Of few images, at most as many as the rules keep.
        self._kept_by: dict[int, tuple[int, ...]] = {}

    def add(self, verdicts: Iterable[Verdict]) -> None:
        """Add what verdicts say, in their order."""
        for verdict in verdicts:
            image, mark = verdict.image, verdict.mark
            self._ids.append(image.id)
            self._priorities.append(mark.rule.priority)
            self._active_since.append(image.active_since)
            self._follows.append(image.subject is not None)
            if mark.kept_by:
                self._kept_by[image.id] = mark.kept_by

    def steps(self) -> Iterator[_Step]:
        """Yield the steps."""
        columns = (self._ids, self._priorities, self._active_since, self._follows)
        for image_id, priority, active_since, follows in zip(*columns, strict=True):
            kept_by = self._kept_by.get(image_id, ())
            yield _Step(image_id, priority, active_since, bool(follows), kept_by)


class _Acting:
    """Does what rules say, in a transaction that has locked the repository, and keeps minutes."""

    def __init__(self, context: Context, tx: Connection, repository: Repository) -> None:
        self.outcomes: list[Outcome] = []
        self.done: set[int] = set()
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

    def act_on_referrer(self, image_id: int, rule: Rule) -> None:
        """Let a referrer follow that an index kept when its subject went, and keeps no longer."""
        for found in lifecycle_images.find(self._tx, self._repository, [image_id]):
            if rule.action is Action.EXPIRE and found.subject is None:
                self._expire(found, rule)
            elif rule.action is Action.TRANSITION and found.subject is not None:
                status = image_status.find(self._tx, found.subject)
                if status is image_status.Status.ARCHIVED:
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
            self.done.add(each.id)

    def _expire(self, image: Image, rule: Rule) -> None:
        """Delete an image with its tags and its referrers, unless an index refers to it."""
        expiring = [image]
        while expiring:
            image = expiring.pop()
            digest = Digest.parse(image.digest)
            if image_removal.parents(self._tx, self._repository, digest):
                self.outcomes.append(Outcome.of(image, rule, REFERENCED))
                continue
            deletion = Deletion(rule_priority=rule.priority)
            image_removal.remove(self._tx, self._context, self._repository, digest, deletion)
            self.outcomes.append(Outcome.of(image, rule))
            self.done.add(image.id)
            expiring += lifecycle_images.referrers_of(self._tx, self._repository, image.digest)
