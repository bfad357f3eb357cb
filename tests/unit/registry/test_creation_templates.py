from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore.errors import (
    InvalidParameter,
    LimitExceeded,
    NotBuiltYet,
    RepositoryAlreadyExists,
    TemplateAlreadyExists,
    TemplateNotFound,
)
from longshore.names import Registry
from longshore.registry import (
    creation_templates,
    lifecycle_policies,
    repositories,
    repository_policies,
)
from longshore.registry.creation_templates import ROOT, Changes, Scenario
from longshore.registry.lifecycle_grammar import normal_form
from longshore.registry.limits import Limits
from longshore.registry.mutability import Mode, TagMutability
from longshore.registry.repositories import Encryption
from tests.support.pushing import ACCOUNT, REGISTRY
from tests.support.threads import at_once, outcome

if TYPE_CHECKING:
    from collections.abc import Collection

    from longshore.registry.context import Context
    from longshore.registry.creation_templates import CreationTemplate
    from tests.support.clock import FakeClock

PUSH, REPLICATION = Scenario.CREATE_ON_PUSH, Scenario.REPLICATION
POLICY = '{\n  "Version" : "2012-10-17"\n}'
LIFECYCLE = """{"rules": [{
    "action": {"type": "expire"},
    "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1},
    "rulePriority": 1
}]}"""
ROLE = f"arn:aws:iam::{ACCOUNT}:role/path/creator"
EVERYTHING = Changes(
    description="a description",
    encryption=Encryption(),
    tags={"team": "a", "b": ""},
    mode=Mode.IMMUTABLE_WITH_EXCLUSION,
    exclusions=("dev*", "*-rc"),
    repository_policy=POLICY,
    lifecycle_policy=LIFECYCLE,
    applied_for=(PUSH, REPLICATION),
    role_arn=ROLE,
)


def create(context: Context, prefix: str, *applied_for: Scenario, **changes: Any) -> None:
    chosen = Changes(applied_for=applied_for or (PUSH,), **changes)
    creation_templates.create(context, REGISTRY, prefix, chosen)


def listed(context: Context, *prefixes: str, registry: Registry = REGISTRY) -> list[str]:
    found = creation_templates.list_all(context, registry, prefixes, None, 100)
    return [template.prefix for template in found.items]


def test_a_template_has_what_was_chosen_and_else_defaults(
    context: Context, clock: FakeClock
) -> None:
    made = creation_templates.create(context, REGISTRY, "prod", EVERYTHING)
    plain = creation_templates.create(context, REGISTRY, "dev", Changes())

    assert made.tags == {"team": "a", "b": ""}
    assert made.mutability == TagMutability(Mode.IMMUTABLE_WITH_EXCLUSION, ("dev*", "*-rc"))
    assert (made.repository_policy, made.role_arn) == (POLICY, ROLE)
    # As it was written; the repository shows it in its normal form.
    assert made.lifecycle_policy == LIFECYCLE
    assert made.applied_for == (PUSH, REPLICATION)
    assert made.created_at == made.updated_at == clock()
    assert plain.mutability == TagMutability()
    assert (plain.encryption, plain.tags, plain.applied_for) == (Encryption(), {}, ())
    found = creation_templates.list_all(context, REGISTRY, (), None, 10)
    assert found.items == (plain, made)


def test_a_change_leaves_what_it_does_not_name(context: Context, clock: FakeClock) -> None:
    made = creation_templates.create(context, REGISTRY, "prod", EVERYTHING)
    clock.advance(1_000)
    later = replace(made, updated_at=clock())
    for changes, expected in (
        (Changes(), {}),
        (Changes(description=""), {"description": ""}),
        (Changes(tags={}), {"tags": {}}),
        (Changes(repository_policy=""), {"repository_policy": ""}),
        (Changes(lifecycle_policy=""), {"lifecycle_policy": ""}),
        (Changes(role_arn=""), {"role_arn": ""}),
        (Changes(applied_for=()), {"applied_for": ()}),
        (Changes(applied_for=(REPLICATION,)), {"applied_for": (REPLICATION,)}),
        (
            # The other mode excludes the same tags, unless others are named.
            Changes(mode=Mode.MUTABLE_WITH_EXCLUSION),
            {"mutability": TagMutability(Mode.MUTABLE_WITH_EXCLUSION, ("dev*", "*-rc"))},
        ),
        (
            Changes(exclusions=("x",)),
            {"mutability": TagMutability(Mode.MUTABLE_WITH_EXCLUSION, ("x",))},
        ),
        (Changes(mode=Mode.IMMUTABLE), {"mutability": TagMutability(Mode.IMMUTABLE)}),
    ):
        later = replace(later, **expected)
        assert creation_templates.change(context, REGISTRY, "prod/", changes) == later
        assert creation_templates.list_all(context, REGISTRY, (), None, 1).items == (later,)


def test_what_a_template_may_not_say(context: Context) -> None:
    for changes, refusal, words in (
        (Changes(encryption=Encryption("KMS")), NotBuiltYet, "Encryption with KMS is not built"),
        (Changes(encryption=Encryption(kms_key="x")), InvalidParameter, "should not be set for"),
        (Changes(tags={"aws:x": ""}), InvalidParameter, "at 'resourceTags'.*'aws:' are reserved"),
        (Changes(tags={str(n): "" for n in range(51)}), InvalidParameter, "would make it 51"),
        (Changes(mode=Mode.MUTABLE, exclusions=("a",)), InvalidParameter, "not allowed when"),
        (Changes(exclusions=("a",)), InvalidParameter, "not allowed when"),
        (Changes(mode=Mode.MUTABLE_WITH_EXCLUSION), InvalidParameter, "can't be null"),
        (Changes(lifecycle_policy="{}"), InvalidParameter, "Lifecycle policy validation failure"),
        (Changes(role_arn="creator"), InvalidParameter, "'customRoleArn'.*'Invalid ARN'"),
        (Changes(role_arn=ROLE.replace("role/", "user/")), InvalidParameter, "Invalid ARN"),
        (Changes(role_arn=ROLE.replace(ACCOUNT, "1" * 12)), InvalidParameter, "same account"),
    ):
        with pytest.raises(refusal, match=words):
            creation_templates.create(context, REGISTRY, "prod", changes)
    assert listed(context) == []
    create(context, "prod")
    before = creation_templates.list_all(context, REGISTRY, (), None, 1)
    with pytest.raises(InvalidParameter):
        creation_templates.change(
            context, REGISTRY, "prod", Changes(description="x", exclusions=("a",))
        )
    assert creation_templates.list_all(context, REGISTRY, (), None, 1) == before


def test_prefixes_clash_whether_or_not_they_end_in_a_slash(context: Context) -> None:
    create(context, "prod/")
    for prefix in ("prod", "prod/"):
        with pytest.raises(TemplateAlreadyExists) as refusal:
            create(context, prefix)
        assert refusal.value.message == (
            f"The repository creation template with the prefix '{prefix}' already exists in the "
            f"registry with id '{ACCOUNT}'"
        )
    # Neither another one's beginning, nor the same letters in another case.
    for prefix in ("pro", "prod/a", ROOT, "root"):
        create(context, prefix)
    assert listed(context) == [ROOT, "pro", "prod/", "prod/a", "root"]
    assert listed(context, "prod", "prod/a/", "no/such", ROOT) == [ROOT, "prod/", "prod/a"]

    creation_templates.remove(context, REGISTRY, "prod")
    for act in (
        lambda: creation_templates.remove(context, REGISTRY, "prod"),
        lambda: creation_templates.change(context, REGISTRY, "prod", Changes()),
    ):
        with pytest.raises(TemplateNotFound) as missing:
            act()
        assert missing.value.message == (
            "The repository creation template with the prefix 'prod' does not exist in the "
            f"registry with id '{ACCOUNT}'"
        )


def test_a_template_is_one_registry_s(context: Context) -> None:
    create(context, ROOT)
    for registry in (Registry(ACCOUNT, "us-east-1"), Registry("1" * 12, REGISTRY.region)):
        assert listed(context, registry=registry) == []
        assert creation_templates.find_for(context, registry, "a", PUSH) is None


def test_a_prefix_is_taken_once_by_many_at_the_same_time(context: Context) -> None:
    outcomes = at_once([outcome(lambda: create(context, "prod"))] * 8)

    assert sorted(outcomes) == ["TemplateAlreadyExists"] * 7 + ["done"]


def test_there_are_so_many_templates_and_no_more(context: Context) -> None:
    small = replace(context, limits=Limits(creation_templates_per_registry=2))
    create(small, "a")
    create(small, "b")

    with pytest.raises(LimitExceeded, match="already has 2 repository creation templates"):
        create(small, "c")
    # That it is there is told first.
    with pytest.raises(TemplateAlreadyExists):
        create(small, "a")
    assert listed(small) == ["a", "b"]


def test_a_listing_comes_in_slices(context: Context) -> None:
    for prefix in ("b", "a/b", ROOT, "a-b", "a"):
        create(context, prefix)
    seen: list[str] = []
    after = None
    while len(seen) < 5:
        found = creation_templates.list_all(context, REGISTRY, (), after, 2)
        seen += [template.prefix for template in found.items]
        after = found.next
    assert (seen, after) == ([ROOT, "a", "a-b", "a/b", "b"], None)


# --- Which template counts ------------------------------------------------------------------------


def naive(
    templates: Collection[tuple[str, Collection[Scenario]]], name: str, scenario: Scenario
) -> str | None:
    """Return the prefix that counts, as the user guide says it in words."""
    fitting = [
        prefix
        for prefix, applied_for in templates
        if scenario in applied_for
        and (prefix == ROOT or name.startswith(prefix if prefix.endswith("/") else f"{prefix}/"))
    ]
    lengths = {prefix: 0 if prefix == ROOT else len(prefix.rstrip("/")) for prefix in fitting}
    return max(fitting, key=lambda prefix: lengths[prefix], default=None)


def test_the_longest_prefix_counts_that_is_applied_for_it(context: Context) -> None:
    create(context, ROOT)
    create(context, "prod", PUSH, REPLICATION)
    create(context, "prod/team/", REPLICATION)
    create(context, "prod/team/deep")
    for name, on_push, replicated in (
        ("prod/a", "prod", "prod"),
        ("prod", ROOT, None),
        ("production/a", ROOT, None),
        ("prod/team", "prod", "prod"),
        # A longer one that isn't applied for it doesn't stand in the way.
        ("prod/team/a", "prod", "prod/team/"),
        ("prod/team/deep/a/b", "prod/team/deep", "prod/team/"),
        ("prod-a/b", ROOT, None),
        ("a", ROOT, None),
    ):
        for scenario, expected in ((PUSH, on_push), (REPLICATION, replicated)):
            found = creation_templates.find_for(context, REGISTRY, name, scenario)
            assert (found and found.prefix) == expected, (name, scenario)


words = st.sampled_from(["a", "b", "ab", "a-b"])
paths = st.lists(words, min_size=1, max_size=4).map("/".join)
prefixes = st.one_of(st.just(ROOT), paths, paths.map("{}/".format))
applied = st.sets(st.sampled_from(list(Scenario)))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(prefixes, applied), max_size=6, unique_by=lambda each: each[0].rstrip("/")),
    st.lists(paths, min_size=1, max_size=3),
)
def test_the_choice_is_that_of_the_user_guide(
    context: Context,
    templates: list[tuple[str, set[Scenario]]],
    names: list[str],
) -> None:
    made: list[CreationTemplate] = [
        creation_templates.create(
            context, REGISTRY, prefix, Changes(applied_for=tuple(applied_for))
        )
        for prefix, applied_for in templates
    ]
    try:
        for name in names:
            for scenario in Scenario:
                found = creation_templates.find_for(context, REGISTRY, name, scenario)
                assert (found and found.prefix) == naive(templates, name, scenario)
    finally:
        for template in made:
            creation_templates.remove(context, REGISTRY, template.prefix)


# --- What is created by it ------------------------------------------------------------------------


def test_a_repository_gets_every_setting(context: Context) -> None:
    template = creation_templates.create(context, REGISTRY, "prod", EVERYTHING)

    made = creation_templates.create_repository(context, "prod/app", template)

    assert repositories.describe(context, REGISTRY, ["prod/app"]) == [made]
    assert made.mutability == template.mutability
    assert made.encryption_type == "AES256"
    assert repositories.tags_of(context, REGISTRY, "prod/app") == {"team": "a", "b": ""}
    assert repository_policies.get(context, REGISTRY, "prod/app").text == POLICY
    assert lifecycle_policies.get(context, REGISTRY, "prod/app").text == normal_form(LIFECYCLE)


def test_a_repository_is_created_whole_or_not_at_all(context: Context) -> None:
    template = creation_templates.create(context, REGISTRY, "prod", EVERYTHING)
    small = replace(context, limits=Limits(repositories_per_registry=1))
    creation_templates.create_repository(small, "prod/app", template)

    with pytest.raises(LimitExceeded):
        creation_templates.create_repository(small, "prod/other", template)
    with pytest.raises(RepositoryAlreadyExists):
        creation_templates.create_repository(context, "prod/app", template)
    assert [each.name for each in repositories.list_all(context, REGISTRY, None, 9).items] == [
        "prod/app"
    ]
