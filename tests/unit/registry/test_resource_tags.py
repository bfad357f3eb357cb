from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from longshore.errors import InvalidTagParameter, TooManyTags
from longshore.registry import repositories
from longshore.registry.limits import Limits
from tests.support.pushing import REGISTRY, REPOSITORY, create_repository
from tests.support.threads import at_once, outcome

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository

pytestmark = pytest.mark.usefixtures("repository")


def tags_of(context: Context, repository: str = REPOSITORY) -> dict[str, str]:
    return repositories.tags_of(context, REGISTRY, repository)


def tag(context: Context, tags: dict[str, str]) -> None:
    repositories.tag(context, REGISTRY, REPOSITORY, tags)


def untag(context: Context, *keys: str) -> None:
    repositories.untag(context, REGISTRY, REPOSITORY, keys)


def test_a_new_repository_has_no_tags(context: Context) -> None:
    assert tags_of(context) == {}


def test_tags_are_set_and_the_others_stay(context: Context) -> None:
    tag(context, {"a": "1", "b": "2"})
    tag(context, {"b": "two", "c": ""})
    tag(context, {})
    assert tags_of(context) == {"a": "1", "b": "two", "c": ""}


def test_keys_differ_in_space(context: Context) -> None:
    tags = {"key": "1", "key ": "3", " key": "4", "ключ": "5", "k%": "6", "k_": "7"}
    tag(context, tags)
    untag(context, "k_")
    del tags["k_"]
    assert tags_of(context) == tags


def test_tags_come_in_the_order_of_their_keys(context: Context) -> None:
    tag(context, {"b": "", "a": "", "C": "", "_": "", "é": ""})
    assert list(tags_of(context)) == ["C", "_", "a", "b", "é"]


def test_keys_and_values_may_be_as_long_as_ecr_has_them(context: Context) -> None:
    longest = {"é" * 128: "ü" * 256}
    tag(context, longest)
    assert tags_of(context) == longest


def test_a_tag_is_removed_and_one_that_is_not_there_is_no_error(context: Context) -> None:
    tag(context, {"a": "1", "b": "2"})
    untag(context, "a", "no such key")
    untag(context)
    assert tags_of(context) == {"b": "2"}


def test_tags_belong_to_one_repository(context: Context) -> None:
    create_repository(context, "other", tags={"a": "other"})
    tag(context, {"a": "1"})
    untag(context, "a")
    assert tags_of(context, "other") == {"a": "other"}


@pytest.mark.parametrize("key", ["aws:", "aws:team", "AWS:team", "Aws:x"])
def test_only_aws_itself_sets_keys_of_its_own(context: Context, key: str) -> None:
    with pytest.raises(InvalidTagParameter) as refusal:
        tag(context, {"good": "1", key: "2"})
    assert refusal.value.message == (
        "Tag parameters are invalid: keys that begin with 'aws:' are reserved"
    )
    assert tags_of(context) == {}


@pytest.mark.parametrize("tags", [{"team": "red", "Team": "blue"}, {"TEAM": "blue"}])
def test_no_two_keys_differ_in_case_only(context: Context, tags: dict[str, str]) -> None:
    tag(context, {"team": "green"} if len(tags) == 1 else {})
    before = tags_of(context)
    with pytest.raises(
        InvalidTagParameter, match=r"^Tag parameters are invalid: the keys .* differ"
    ):
        tag(context, tags)
    assert tags_of(context) == before
    untag(context, "team")
    tag(context, {"Team": "blue"})
    assert tags_of(context) == {"Team": "blue"}


@pytest.mark.parametrize("key", ["aws", "awsx:", "my aws:", "aws-team"])
def test_other_keys_are_free(context: Context, key: str) -> None:
    tag(context, {key: ""})
    assert tags_of(context) == {key: ""}


def test_a_repository_has_at_most_fifty_tags(context: Context) -> None:
    fifty = {f"key {number:02}": "" for number in range(50)}
    tag(context, fifty)
    with pytest.raises(TooManyTags) as refusal:
        tag(context, {"key 49": "changed", "one more": ""})
    assert refusal.value.message == ("A repository may have at most 50 tags; this would make it 51")
    assert tags_of(context) == fifty
    tag(context, {"key 49": "changed"})
    assert tags_of(context) == fifty | {"key 49": "changed"}


def test_tags_set_at_the_same_time_do_not_exceed_the_limit(context: Context) -> None:
    small = replace(context, limits=Limits(resource_tags_per_repository=3))
    outcomes = at_once([outcome(partial(tag, small, {f"key {number}": ""})) for number in range(8)])
    assert sorted(outcomes) == ["TooManyTags"] * 5 + ["done"] * 3
    assert len(tags_of(context)) == 3


def test_the_same_tag_set_at_the_same_time_is_set_once(
    context: Context, repository: Repository
) -> None:
    outcomes = at_once([outcome(partial(tag, context, {"a": str(number)})) for number in range(8)])
    assert outcomes == ["done"] * 8
    assert tags_of(context).keys() == {"a"}
    assert repository.name == REPOSITORY
