from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.clock import DAY
from longshore.errors import InvalidParameter
from longshore.registry.lifecycle_grammar import parse
from longshore.registry.lifecycle_rules import Image, Marking, StorageClass, Verdict, evaluate
from tests.support.lifecycle import policy, rule
from tests.support.lifecycle_oracle import outcomes

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = 1_700_000_000_000
ARCHIVE = StorageClass.ARCHIVE


def image(name: str, *tags: str, days: float = 0, **facts: Any) -> Image:
    """Return an image that was pushed so many days ago; its name stands for its digest."""
    return Image(ord(name), name, tuple(sorted(tags)), NOW - round(days * DAY), **facts)


def youngest_first(images: Iterable[Image]) -> list[Image]:
    return sorted(images, key=lambda image: (image.active_since, image.id), reverse=True)


def judged(text: str, *images: Image) -> list[Verdict]:
    awaited = {other for each in images for other in (*each.parents, each.subject)}
    shown = [replace(each, is_awaited=each.id in awaited) for each in images]
    return list(evaluate(parse(text), youngest_first(shown), NOW))


def acted_on(text: str, *images: Image) -> dict[str, int]:
    """Return the priorities of the rules that act on images, by name."""
    return {
        verdict.image.digest: verdict.rule.priority
        for verdict in judged(text, *images)
        if not verdict.is_protected
    }


def protected(text: str, *images: Image) -> set[str]:
    return {verdict.image.digest for verdict in judged(text, *images) if verdict.is_protected}


# --- The examples of the user guide ---------------------------------------------------------------

PROD: dict[str, Any] = {"patterns": ["prod*"], "more_than": 1}
BETA: dict[str, Any] = {"patterns": ["beta*"], "more_than": 1}
PROD_AND_BETA = (
    image("A", "beta-1", "prod-1", days=10),
    image("B", "beta-2", "prod-2", days=9),
    image("C", "beta-3", days=8),
)


def test_what_a_rule_has_seen_no_later_rule_acts_on() -> None:
    text = policy(rule(1, **PROD), rule(2, **BETA))
    # Rule 2 marks A and B. A is rule 1's, and B was seen by rule 1.
    assert acted_on(text, *PROD_AND_BETA) == {"A": 1}


def test_priorities_decide() -> None:
    text = policy(rule(2, **PROD), rule(1, **BETA))
    assert acted_on(text, *PROD_AND_BETA) == {"A": 1, "B": 1}


def test_rules_of_all_kinds() -> None:
    text = policy(
        rule(1, patterns=["alpha*"], more_than=1),
        rule(2, status="untagged", days=1),
        rule(3, more_than=1),
    )
    images = (
        image("A", "alpha-1", "beta-1", days=4),
        image("B", days=3),
        image("C", "alpha-2", days=2),
        image("D", "git hash", days=1),
        image("E", days=1),
    )
    assert acted_on(text, *images) == {"A": 1, "B": 2, "D": 3}


def test_all_entries_of_a_list_have_to_match_by_whatever_tags() -> None:
    images = (
        image("A", "alpha-1", "beta-1", days=5),
        image("B", "alpha-beta", days=4),
        image("C", "alpha-2", days=3),
        image("D", "beta-2", days=2),
    )
    assert acted_on(policy(rule(patterns=["alpha*", "*beta*"], days=1)), *images) == {
        "A": 1,
        "B": 1,
    }
    assert acted_on(policy(rule(prefixes=["alpha", "beta"], days=1)), *images) == {"A": 1}


# --- Each kind of count ---------------------------------------------------------------------------


def test_a_rule_on_days_acts_on_what_is_older_and_not_on_what_is_as_old() -> None:
    images = (image("A", days=14), image("B", days=14.1), image("C", days=13))
    assert acted_on(policy(rule(days=14)), *images) == {"B": 1}


def test_a_rule_on_the_count_keeps_the_youngest() -> None:
    images = [image(name, days=ord(name)) for name in "ABCDE"]
    assert acted_on(policy(rule(more_than=2)), *images) == {"C": 1, "D": 1, "E": 1}
    assert acted_on(policy(rule(more_than=5)), *images) == {}


def test_a_restored_image_is_as_young_as_its_restoring() -> None:
    restored = image("A", days=100, archived_at=NOW - 50 * DAY, activated_at=NOW - DAY)
    others = (image("B", days=2), image("C", days=3))
    assert acted_on(policy(rule(more_than=1)), restored, *others) == {"B": 1, "C": 1}
    assert acted_on(policy(rule(days=2)), restored, *others) == {"C": 1}


@pytest.mark.parametrize(
    ("pulled", "activated", "is_due"),
    [
        # Never pulled: since the push.
        (None, None, True),
        (11, None, True),
        (9, None, False),
        # Restored and not pulled since.
        (100, 9, False),
        (100, 11, True),
        (None, 9, False),
        # Restored and pulled since.
        (11, 100, True),
        (9, 100, False),
    ],
)
def test_days_since_a_pull(pulled: int | None, activated: int | None, *, is_due: bool) -> None:
    text = policy(rule(since="sinceImagePulled", days=10, action="transition"))
    pulled_image = image(
        "A",
        days=200,
        last_pulled_at=None if pulled is None else NOW - pulled * DAY,
        activated_at=None if activated is None else NOW - activated * DAY,
    )
    assert ("A" in acted_on(text, pulled_image)) == is_due


def test_archived_images_expire_by_the_time_of_their_archiving_and_no_other_rule_sees_them() -> (
    None
):
    text = policy(
        rule(1, more_than=1),
        rule(2, since="sinceImageTransitioned", days=90, storage_class="archive"),
    )
    images = (
        image("A", days=300, storage_class=ARCHIVE, archived_at=NOW - 91 * DAY),
        image("B", days=300, storage_class=ARCHIVE, archived_at=NOW - 90 * DAY),
        image("C", days=300, storage_class=ARCHIVE),
        image("D", days=300),
        image("E", days=301),
    )
    assert acted_on(text, *images) == {"A": 2, "E": 1}


def test_a_rule_that_archives_shields_images_from_a_later_one_that_expires_them() -> None:
    text = policy(
        rule(1, patterns=["v*"], days=30, action="transition"),
        rule(2, more_than=1),
    )
    images = (image("A", "v1", days=31), image("B", "v2", days=2), image("C", "x", days=1))
    assert acted_on(text, *images) == {"A": 1}


# --- Indexes and referrers ------------------------------------------------------------------------

EXPIRE_UNTAGGED = policy(rule(status="untagged", days=1))
EXPIRE_ALL = policy(rule(days=1))


def test_an_image_stays_while_an_index_refers_to_it() -> None:
    images = (
        image("I", "latest", days=9),
        image("A", days=10, parents=(ord("I"),)),
        image("B", days=10),
    )
    assert acted_on(EXPIRE_UNTAGGED, *images) == {"B": 1}
    assert protected(EXPIRE_UNTAGGED, *images) == {"A"}


def test_an_image_goes_with_the_last_index_that_refers_to_it() -> None:
    images = (
        image("I", days=9),
        image("J", days=8),
        image("A", days=10, parents=(ord("I"), ord("J"))),
        image("B", days=10, parents=(ord("I"),)),
    )
    assert acted_on(EXPIRE_ALL, *images).keys() == {"I", "J", "A", "B"}
    tagged = (image("J", "latest", days=8), *(each for each in images if each.digest != "J"))
    assert acted_on(EXPIRE_UNTAGGED, *tagged).keys() == {"I", "B"}


def test_an_image_that_an_index_keeps_still_counts() -> None:
    images = (
        image("I", "latest", days=1),
        image("A", days=2, parents=(ord("I"),)),
        image("B", days=3),
    )
    assert acted_on(policy(rule(status="untagged", more_than=1)), *images) == {"B": 1}


def test_indexes_come_before_what_they_refer_to_even_if_they_are_older() -> None:
    inner = image("I", days=5, parents=(ord("J"),))
    images = (image("A", days=2, parents=(ord("I"),)), inner, image("J", days=9))
    names = [verdict.image.digest for verdict in judged(EXPIRE_ALL, *images)]
    assert names == ["J", "I", "A"]


def test_an_image_of_an_archived_index_can_be_archived_and_not_expired() -> None:
    index = image("I", days=9, storage_class=ARCHIVE)
    child = image("A", days=9, parents=(ord("I"),))
    assert acted_on(policy(rule(days=1, action="transition")), index, child) == {"A": 1}
    assert acted_on(EXPIRE_ALL, index, child) == {}


def test_an_image_is_archived_with_its_index_and_does_not_expire_then() -> None:
    index = image("I", "latest", days=9)
    child = image("A", days=9, parents=(ord("I"),))
    archives = rule(1, patterns=["latest"], days=1, action="transition")
    archives_all = policy(archives, rule(2, days=1, action="transition"))
    assert acted_on(archives_all, index, child) == {"I": 1, "A": 2}
    expires_rest = policy(archives, rule(2, days=1))
    assert acted_on(expires_rest, index, child) == {"I": 1}


def test_referrers_follow_their_subjects_and_do_not_count() -> None:
    images = (
        image("A", "1", days=3),
        image("B", "2", days=2),
        image("s", days=1, subject=ord("A")),
        image("t", "signature-of-t", days=1, subject=ord("s")),
        image("u", days=1, subject=ord("B")),
    )
    assert acted_on(policy(rule(7, more_than=1)), *images) == {"A": 7, "s": 7, "t": 7}
    # No rule sees them, however old they are.
    assert acted_on(EXPIRE_UNTAGGED, *images) == {}


def test_a_referrer_stays_while_an_index_refers_to_it() -> None:
    images = (
        image("A", days=3),
        image("I", "latest", days=1),
        image("s", days=2, subject=ord("A"), parents=(ord("I"),)),
    )
    assert acted_on(EXPIRE_UNTAGGED, *images) == {"A": 1}
    assert protected(EXPIRE_UNTAGGED, *images) == {"s"}


def test_an_archived_referrer_is_not_archived_again() -> None:
    images = (
        image("A", days=3),
        image("s", days=2, subject=ord("A"), storage_class=ARCHIVE),
        image("t", days=2, subject=ord("A")),
    )
    assert acted_on(policy(rule(days=1, action="transition")), *images) == {"A": 1, "t": 1}
    assert acted_on(EXPIRE_ALL, *images).keys() == {"A", "s", "t"}


# --- Against the oracle ---------------------------------------------------------------------------

TAGS = ["a", "ab", "b", "b-a", "c"]
PATTERNS = ["a", "a*", "*b*", "*", "c*", "b-*"]


@st.composite
def policies(draw: st.DrawFn) -> str:
    """Draw a valid policy: whatever rules, less those that contradict others."""
    rules: list[dict[str, Any]] = []
    for priority in draw(st.permutations(range(1, draw(st.integers(2, 7))))):
        drawn = draw(single_rules(priority))
        if is_valid(policy(*rules, drawn)):
            rules.append(drawn)
    return policy(*(rules or [rule(1, more_than=1)]))


@st.composite
def single_rules(draw: st.DrawFn, priority: int) -> dict[str, Any]:
    chosen: dict[str, Any] = draw(
        st.sampled_from([{"status": "any"}, {"status": "untagged"}])
        | st.lists(st.sampled_from(["a", "b", "ab", "c"]), min_size=1, max_size=2).map(
            lambda prefixes: {"prefixes": prefixes}
        )
        | st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2).map(
            lambda patterns: {"patterns": patterns}
        )
    )
    action = draw(st.sampled_from(["expire", "expire", "transition"]))
    days = st.integers(1, 6)
    chosen |= draw(
        st.integers(1, 4).map(lambda number: {"more_than": number, "action": action})
        | days.map(lambda number: {"days": number, "action": action})
        | days.map(
            lambda number: {"days": number, "since": "sinceImagePulled", "action": "transition"}
        )
        | st.integers(90, 96).map(
            lambda number: {
                "days": number,
                "since": "sinceImageTransitioned",
                "storage_class": "archive",
            }
        )
    )
    return rule(priority, **chosen)


def is_valid(text: str) -> bool:
    try:
        parse(text)
    except InvalidParameter:
        return False
    return True


@st.composite
def repositories(draw: st.DrawFn) -> list[Image]:
    """Draw images, of which some are indexes of others and some refer to subjects."""
    # Half days, so that some images are just as old as a rule says.
    ago = st.integers(0, 14).map(lambda halves: NOW - halves * DAY // 2)
    long_ago = st.integers(178, 194).map(lambda halves: NOW - halves * DAY // 2)
    names = draw(st.permutations(range(draw(st.integers(1, 9)))))
    images: list[Image] = []
    for number in names:
        # Whatever is older in this list may be referred to: there are no circles.
        others = [each.id for each in images]
        some = st.lists(st.sampled_from(others), unique=True, max_size=2) if others else st.just([])
        images.append(
            Image(
                id=number,
                digest=str(number),
                tags=tuple(sorted(draw(st.sets(st.sampled_from(TAGS), max_size=2)))),
                pushed_at=draw(ago | long_ago),
                storage_class=draw(st.sampled_from([*StorageClass, StorageClass.STANDARD])),
                last_pulled_at=draw(st.none() | ago),
                archived_at=draw(st.none() | ago | long_ago),
                activated_at=draw(st.none() | ago),
                parents=tuple(draw(some)),
                subject=draw(st.none() | st.sampled_from(others)) if others else None,
            )
        )
    awaited = {other for each in images for other in (*each.parents, each.subject)}
    return [replace(each, is_awaited=each.id in awaited) for each in images]


@settings(max_examples=150)
@given(text=policies(), images=repositories(), data=st.data())
def test_the_evaluation_agrees_with_one_that_thinks_slowly(
    text: str, images: list[Image], data: st.DataObject
) -> None:
    ordinary = youngest_first(each for each in images if each.subject is None)
    referrers = data.draw(st.permutations([each for each in images if each.subject is not None]))
    positions = data.draw(st.lists(st.integers(0, 9), min_size=9, max_size=9))
    shown = list(ordinary)
    for position, referrer in zip(positions, referrers, strict=False):
        shown.insert(position, referrer)

    verdicts = list(evaluate(parse(text), shown, NOW))

    assert {
        verdict.image.id: (verdict.rule.action.lower(), verdict.rule.priority)
        for verdict in verdicts
        if not verdict.is_protected
    } == outcomes(text, images, NOW)
    # Each image is judged once, after those that it waited for.
    order = [verdict.image.id for verdict in verdicts]
    assert len(order) == len(set(order))
    for verdict in verdicts:
        if not verdict.is_protected:
            before = order[: order.index(verdict.image.id)]
            assert {*verdict.image.parents, verdict.image.subject} & set(order) <= set(before)


@settings(max_examples=50)
@given(text=policies(), images=repositories())
def test_once_all_counts_are_full_an_image_is_judged_by_itself(
    text: str, images: list[Image]
) -> None:
    whole, cut = Marking(parse(text), NOW), Marking(parse(text), NOW)
    rest = youngest_first(images)
    while rest and not cut.is_full:
        youngest = rest.pop(0)
        assert whole.mark(youngest) == cut.mark(youngest)
    expected = {each.id: whole.mark(each) for each in rest}
    assert {each.id: cut.mark(each) for each in reversed(rest)} == expected
