"""Lifecycle rules and what they make of a repository's images. No database, no clock.

ECR's semantics (user guide, "How lifecycle policies work"), in the form in which they can be
answered by looking at each image once, the youngest first:

- All rules look at all images, those of higher priority first. The first rule whose tags and
  storage class an image has is the only one that may act on it, whether or not it does: for the
  rules after it, the image is seen. It counts for them all the same.
- "More than N" acts on what is older than the N youngest images that the rule selects.
- An image that an index refers to stays while the index does. It keeps its place in the count.
- A referrer whose subject is in the repository is subject to no rule and counts for none: it
  follows its subject. A referrer without its subject is an image like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from longshore.clock import DAY
from longshore.registry.wildcards import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from longshore.clock import Millis


class TagStatus(StrEnum):
    """Which images a rule selects by their tags."""

    ANY = "ANY"
    TAGGED = "TAGGED"
    UNTAGGED = "UNTAGGED"


class StorageClass(StrEnum):
    """Where an image is kept."""

    STANDARD = "STANDARD"
    ARCHIVE = "ARCHIVE"


class CountType(StrEnum):
    """What a rule counts: images, or the days since something happened to them."""

    IMAGE_COUNT_MORE_THAN = "imageCountMoreThan"
    SINCE_IMAGE_PUSHED = "sinceImagePushed"
    SINCE_IMAGE_PULLED = "sinceImagePulled"
    SINCE_IMAGE_TRANSITIONED = "sinceImageTransitioned"


class Action(StrEnum):
    """What a rule does to an image."""

    EXPIRE = "EXPIRE"
    TRANSITION = "TRANSITION"


@dataclass(frozen=True, slots=True)
class Image:
    """What the rules look at. Times are milliseconds, None for what never happened.

    Attributes:
        id: tells images apart.
        digest: its digest.
        tags: its tags, sorted.
        pushed_at: when it was first pushed.
        storage_class: where it is kept.
        last_pulled_at: when it was last pulled.
        archived_at: when it was last archived.
        activated_at: when it was last restored from the archive.
        parents: the indexes that refer to it, by id.
        subject: the image that it refers to as its subject, by id, if the repository has that.
        is_awaited: whether others refer to it, as their parent or their subject.
    """

    id: int
    digest: str
    tags: tuple[str, ...]
    pushed_at: Millis
    storage_class: StorageClass = StorageClass.STANDARD
    last_pulled_at: Millis | None = None
    archived_at: Millis | None = None
    activated_at: Millis | None = None
    parents: tuple[int, ...] = ()
    subject: int | None = None
    is_awaited: bool = False

    @property
    def active_since(self) -> Millis:
        """When it was pushed, or last restored: what its age and its place in a count go by."""
        return self.pushed_at if self.activated_at is None else self.activated_at

    @property
    def last_used_at(self) -> Millis:
        """When it was last pulled; before the first pull since, when it was pushed or restored."""
        if self.last_pulled_at is None:
            return self.active_since
        return max(self.last_pulled_at, self.activated_at or 0)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a lifecycle policy.

    Attributes:
        priority: the lower the number, the earlier the rule has its say.
        tag_status: which images it selects; of the tagged ones, those that have a tag for each
            entry of `tag_prefixes` and `tag_patterns`.
        storage_class: in which storage class they are.
        count_type: what is counted.
        count_number: how many images, or days, it takes until the rule acts.
        action: what it does.
        description: what it is for, in its author's words.
    """

    priority: int
    tag_status: TagStatus
    count_type: CountType
    count_number: int
    action: Action = Action.EXPIRE
    storage_class: StorageClass = StorageClass.STANDARD
    tag_prefixes: tuple[str, ...] = ()
    tag_patterns: tuple[str, ...] = ()
    description: str | None = None

    @property
    def counts_images(self) -> bool:
        """Whether it goes by the number of images, and not by their age."""
        return self.count_type is CountType.IMAGE_COUNT_MORE_THAN

    def selects(self, image: Image) -> bool:
        """Tell whether the image has the tags and the storage class that the rule is about."""
        if image.storage_class is not self.storage_class:
            return False
        match self.tag_status:
            case TagStatus.ANY:
                return True
            case TagStatus.UNTAGGED:
                return not image.tags
            case TagStatus.TAGGED:
                return all(
                    any(tag.startswith(prefix) for tag in image.tags)
                    for prefix in self.tag_prefixes
                ) and all(
                    any(matches(pattern, tag) for tag in image.tags)
                    for pattern in self.tag_patterns
                )

    def is_due(self, image: Image, count: int, now: Millis) -> bool:
        """Tell whether the rule marks an image that it selects.

        Args:
            image: the image.
            count: how many of the images that the rule selects are as young as this one, itself
                included.
            now: the time.
        """
        since: Millis | None
        match self.count_type:
            case CountType.IMAGE_COUNT_MORE_THAN:
                return count > self.count_number
            case CountType.SINCE_IMAGE_PUSHED:
                since = image.active_since
            case CountType.SINCE_IMAGE_PULLED:
                since = image.last_used_at
            case CountType.SINCE_IMAGE_TRANSITIONED:
                since = image.archived_at
        return since is not None and now - since > self.count_number * DAY


@dataclass(frozen=True, slots=True)
class Mark:
    """That a rule marks an image.

    Attributes:
        rule: the rule.
        kept_by: the priorities of the other rules that count the image among those they keep.
    """

    rule: Rule
    kept_by: tuple[int, ...] = ()


class Marking:
    """Looks at images, the youngest first, and marks them.

    Args:
        rules: the rules, in any order.
        now: the time.
        counted: how many images rules have counted before the first one, by their priorities.
    """

    def __init__(
        self, rules: Iterable[Rule], now: Millis, counted: Mapping[int, int] | None = None
    ) -> None:
        self._rules = sorted(rules, key=lambda rule: rule.priority)
        self._now = now
        self._counts = [(counted or {}).get(rule.priority, 0) for rule in self._rules]

    @property
    def is_full(self) -> bool:
        """Whether every rule that counts images has counted enough to act on all further ones."""
        return all(
            count >= rule.count_number
            for rule, count in zip(self._rules, self._counts, strict=True)
            if rule.counts_images
        )

    def mark(self, image: Image) -> Mark | None:
        """Return the mark that an image gets; the rules that count images count it."""
        marked_by, kept_by, is_seen = None, [], False
        for position, rule in enumerate(self._rules):
            if (is_seen and not rule.counts_images) or not rule.selects(image):
                continue
            self._counts[position] += 1
            is_due = rule.is_due(image, self._counts[position], self._now)
            if is_due and not is_seen:
                marked_by = rule
            if not is_due and rule.counts_images:
                kept_by.append(rule.priority)
            is_seen = True
        return None if marked_by is None else Mark(marked_by, tuple(kept_by))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an image that a rule marks.

    Attributes:
        image: the image.
        mark: its mark; of a referrer, its subject's.
        is_protected: whether nothing becomes of it, because an index that stays refers to it.
    """

    image: Image
    mark: Mark
    is_protected: bool = False

    @property
    def rule(self) -> Rule:
        """The rule that marks it."""
        return self.mark.rule


class _Fate(IntEnum):
    """What becomes of an image, as those that wait for it see it."""

    STAYS = 0
    ARCHIVED = 1
    GONE = 2


_FATES = {Action.TRANSITION: _Fate.ARCHIVED, Action.EXPIRE: _Fate.GONE}


def evaluate(rules: Sequence[Rule], images: Iterable[Image], now: Millis) -> Iterator[Verdict]:
    """Yield a verdict on each image that a rule marks, and on the referrers that follow it.

    An image comes after those that it had to wait for: its indexes and its subject. What is
    remembered of all the others is a number for each rule.

    Args:
        rules: the rules of one policy.
        images: all images of the repository, the youngest (`Image.active_since`) first;
            referrers may stand anywhere, and take the least memory at the end, oldest first.
        now: the time.
    """
    marking = Marking(rules, now)
    court = _Court()
    for image in images:
        mark = None if image.subject is not None else marking.mark(image)
        yield from court.hear(image, mark)
    yield from court.close()


class _Court:
    """Decides what becomes of images that are marked, in the light of those they depend on."""

    def __init__(self) -> None:
        # Of the images that others wait for: what becomes of them, and by which mark.
        self._settled: dict[int, tuple[_Fate, Mark | None]] = {}
        self._waiting: list[tuple[Image, Mark | None]] = []

    def hear(self, image: Image, mark: Mark | None) -> Iterator[Verdict]:
        """Decide now, or hold the image back until the others are decided."""
        if self._must_wait(image, mark):
            self._waiting.append((image, mark))
        else:
            yield from self._decide(image, mark)

    def close(self) -> Iterator[Verdict]:
        """Decide on all that were held back."""
        waiting, before = self._waiting, -1
        while len(waiting) != before:
            before, still = len(waiting), []
            for image, mark in waiting:
                if self._must_wait(image, mark):
                    still.append((image, mark))
                else:
                    yield from self._decide(image, mark)
            waiting = still
        # They wait for images that nobody showed: those stay.
        for image, mark in waiting:
            if mark is not None:
                yield Verdict(image, mark, is_protected=True)

    def _must_wait(self, image: Image, mark: Mark | None) -> bool:
        if image.subject is not None:
            if image.subject not in self._settled:
                return True
            mark = self._mark_of_subject(image)
        if mark is None or self._is_kept(image, mark):
            return False
        return any(parent not in self._settled for parent in image.parents)

    def _decide(self, image: Image, mark: Mark | None) -> Iterator[Verdict]:
        if image.subject is not None:
            mark = self._mark_of_subject(image)
        fate = _Fate.STAYS if image.storage_class is StorageClass.STANDARD else _Fate.ARCHIVED
        acting = None
        if mark is not None:
            is_protected = self._is_kept(image, mark)
            yield Verdict(image, mark, is_protected)
            if not is_protected:
                fate, acting = _FATES[mark.rule.action], Mark(mark.rule)
        if image.is_awaited:
            self._settled[image.id] = (fate, acting)

    def _mark_of_subject(self, image: Image) -> Mark | None:
        """Return the mark by which a referrer's subject goes, where the same is to happen to it."""
        if image.subject is None:
            return None
        _, mark = self._settled[image.subject]
        archives = mark is not None and mark.rule.action is Action.TRANSITION
        return None if archives and image.storage_class is StorageClass.ARCHIVE else mark

    def _is_kept(self, image: Image, mark: Mark) -> bool:
        """Tell whether an index of which it is known that it stays refers to the image."""
        needed = _FATES[mark.rule.action]
        return any(
            self._settled[parent][0] < needed for parent in image.parents if parent in self._settled
        )
