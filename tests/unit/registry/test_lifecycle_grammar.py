from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.errors import InvalidParameter
from longshore.registry.lifecycle_grammar import normal_form, parse
from longshore.registry.lifecycle_rules import Action, CountType, Rule, StorageClass, TagStatus
from tests.support.lifecycle import policy, rule

WRAPPER = "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: '{}'"
UNREADABLE = "Lifecycle policy parsing failure: Could not map policyString into LifecyclePolicy"

ALL = rule(9, more_than=1)
UNTAGGED = rule(1, status="untagged", days=1)
PROD = rule(1, prefixes=["prod"], more_than=1)
ARCHIVED = rule(1, status="any", days=90, since="sinceImageTransitioned", storage_class="archive")
PULLED = rule(1, days=30, since="sinceImagePulled", action="transition")


def refusal_of(text: str) -> str:
    with pytest.raises(InvalidParameter) as refused:
        parse(text)
    before, after = WRAPPER.split("{}")
    message = refused.value.message
    assert message.startswith(before)
    assert message.endswith(after)
    return message.removeprefix(before).removesuffix(after)


def changed(member: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a rule with one member changed, or taken out by `...`."""
    member = deepcopy(member)
    *way, last = path.split(".")
    place = member
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return member


def number(priority: int, member: dict[str, Any]) -> dict[str, Any]:
    return changed(member, "rulePriority", priority)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rules",
        "[]",
        '"rules"',
        "null",
        "{",
        '{"rules": [], "rules": []}',
        "[" * 100_000,
        '{"rules": NaN}',
        '{"rules": "\\ud800"}',
        '{"rules": "\ud800"}',
        policy(rule(2**31, more_than=1)),
        policy(rule(1, more_than=2**31)),
        policy(changed(PULLED, "action.targetStorageClass", ...)),
    ],
    ids=repr,
)
def test_what_cannot_be_mapped_is_no_policy(text: str) -> None:
    assert refusal_of(text) == UNREADABLE


ENUM = 'instance value ("{}") not found in enum (possible values: [{}])'
TYPE = 'instance type ({}) does not match any allowed primitive type (allowed: ["{}"])'
UNKNOWN = 'object instance has properties which are not allowed by the schema: (["{}"])'
MISSING = "object has missing required properties ([{}])"
TOO_LOW = "numeric instance is lower than the required minimum (minimum: 1, found: {})"
NO_FORM = "instance failed to match exactly one schema (matched 0 out of {})"

BROKEN_SCHEMA: list[tuple[object, str]] = [
    # the policy
    ({}, MISSING.format('"rules"')),
    ({"rules": [ALL], "Version": "1"}, UNKNOWN.format("Version")),
    ({"Rules": [ALL]}, UNKNOWN.format("Rules") + "\n" + MISSING.format('"rules"')),
    ({"rules": None}, TYPE.format("null", "array")),
    ({"rules": {}}, TYPE.format("object", "array")),
    (
        {"rules": []},
        "array is too short: must have at least 1 elements but instance has 0 elements",
    ),
    (
        {"rules": [rule(n, prefixes=[f"p{n}"], more_than=1) for n in range(1, 52)]},
        "array is too long: must have at most 50 elements but instance has 51 elements",
    ),
    # a rule
    ({"rules": ["expire"]}, TYPE.format("string", "object")),
    ({"rules": [1]}, TYPE.format("integer", "object")),
    ({"rules": [[]]}, TYPE.format("array", "object")),
    ({"rules": [{}]}, MISSING.format('"action","rulePriority","selection"')),
    ([changed(ALL, "rulePriority", ...)], MISSING.format('"rulePriority"')),
    ([changed(ALL, "rulePriority", 0)], TOO_LOW.format(0)),
    ([changed(ALL, "rulePriority", -1)], TOO_LOW.format(-1)),
    ([changed(ALL, "rulePriority", "1")], TYPE.format("string", "integer")),
    ([changed(ALL, "rulePriority", 1.5)], TYPE.format("number", "integer")),
    ([changed(ALL, "rulePriority", True)], TYPE.format("boolean", "integer")),
    ([changed(ALL, "description", None)], TYPE.format("null", "string")),
    ([changed(ALL, "priority", 1)], UNKNOWN.format("priority")),
    ([changed(ALL, "selection", ...)], MISSING.format('"selection"')),
    ([changed(ALL, "action", ...)], MISSING.format('"action"')),
    ([changed(ALL, "action", "expire")], TYPE.format("string", "object")),
    # its selection
    ([changed(ALL, "selection", {})], MISSING.format('"countNumber","countType","tagStatus"')),
    ([changed(ALL, "selection.tagStatus", ...)], MISSING.format('"tagStatus"')),
    ([changed(ALL, "selection.countType", ...)], MISSING.format('"countType"')),
    ([changed(ALL, "selection.countNumber", ...)], MISSING.format('"countNumber"')),
    ([changed(ALL, "selection.tagStatus", "ANY")], ENUM.format("ANY", '"any","tagged","untagged"')),
    ([changed(ALL, "selection.tagStatus", "x")], ENUM.format("x", '"any","tagged","untagged"')),
    ([changed(ALL, "selection.tagList", [])], UNKNOWN.format("tagList")),
    ([changed(ALL, "selection.countType", "imageCount")], NO_FORM.format(4)),
    ([changed(ALL, "selection.countType", None)], TYPE.format("null", "string")),
    ([changed(ALL, "selection.countUnit", "days")], NO_FORM.format(4)),
    ([changed(ALL, "selection.countUnit", None)], NO_FORM.format(4)),
    ([changed(ALL, "selection.countUnit", "null")], NO_FORM.format(4)),
    ([changed(UNTAGGED, "selection.countUnit", ...)], NO_FORM.format(4)),
    ([changed(PULLED, "selection.countUnit", ...)], NO_FORM.format(4)),
    ([changed(ARCHIVED, "selection.countUnit", ...)], NO_FORM.format(4)),
    ([changed(ARCHIVED, "selection.storageClass", ...)], NO_FORM.format(4)),
    ([changed(UNTAGGED, "selection.countUnit", "weeks")], ENUM.format("weeks", '"days"')),
    ([changed(UNTAGGED, "selection.countUnit", None)], TYPE.format("null", "string")),
    ([changed(ALL, "selection.countNumber", 0)], TOO_LOW.format(0)),
    ([changed(ALL, "selection.countNumber", "1")], TYPE.format("string", "integer")),
    (
        [changed(ALL, "selection.storageClass", "STANDARD")],
        ENUM.format("STANDARD", '"archive","standard"'),
    ),
    ([changed(PROD, "selection.tagPrefixList", "prod")], TYPE.format("string", "array")),
    ([changed(PROD, "selection.tagPrefixList", [1])], TYPE.format("integer", "string")),
    ([changed(PROD, "selection.tagPatternList", None)], TYPE.format("null", "array")),
    # its action
    ([changed(ALL, "action", {})], MISSING.format('"type"')),
    ([changed(ALL, "action.type", "delete")], ENUM.format("delete", '"expire","transition"')),
    ([changed(ALL, "action.after", 1)], UNKNOWN.format("after")),
    ([changed(ALL, "action.targetStorageClass", "archive")], NO_FORM.format(2)),
    ([changed(ALL, "action.targetStorageClass", None)], NO_FORM.format(2)),
    ([changed(PULLED, "action.targetStorageClass", "ice")], ENUM.format("ice", '"archive"')),
    # several at once
    (
        [changed(changed(PROD, "selection.tagPatternList", None), "selection.tagPrefixList", None)],
        f"{TYPE.format('null', 'array')}\n{TYPE.format('null', 'array')}",
    ),
    ([{}, {}], "\n".join([MISSING.format('"action","rulePriority","selection"')] * 2)),
    # it looks no further than the first thing that is wrong
    (
        [number(0, ALL), changed(ALL, "selection.tagStatus", "x")],
        TOO_LOW.format(0),
    ),
]


@pytest.mark.parametrize(("document", "sentences"), BROKEN_SCHEMA, ids=str)
def test_what_breaks_the_schema_is_said_in_the_words_of_ecrs_validator(
    document: object, sentences: str
) -> None:
    text = json.dumps({"rules": document} if isinstance(document, list) else document)
    assert refusal_of(text) == f"Lifecycle policy validation failure: {sentences}\n"


STANDARD_ONLY = (
    "SINCE_IMAGE_PUSHED, SINCE_IMAGE_PULLED and IMAGE_COUNT_MORE_THAN support the "
    "STANDARD storage class only"
)
INVALID: list[tuple[list[dict[str, Any]], str]] = [
    # tags
    (
        [rule(1, status="tagged", more_than=1)],
        "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.",
    ),
    (
        [rule(1, prefixes=[], more_than=1)],
        "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.",
    ),
    (
        [rule(1, prefixes=["a"], patterns=["b"], more_than=1)],
        "If policy has a tagged rule, it must specify only one of tagPrefixList or tagPatternList",
    ),
    (
        [rule(1, status="untagged", prefixes=["a"], more_than=1)],
        "Cannot specify tagPrefixList with tagStatus untagged",
    ),
    (
        [rule(1, status="any", patterns=["a"], more_than=1)],
        "Cannot specify tagPatternList with tagStatus any",
    ),
    (
        [rule(1, status="any", prefixes=[], more_than=1)],
        "Cannot specify tagPrefixList with tagStatus any",
    ),
    ([rule(1, patterns=["a*b*c*d*e*"], more_than=1)], "Invalid tag pattern provided"),
    ([rule(1, patterns=["prod", ""], more_than=1)], "Invalid tag pattern provided"),
    ([rule(1, prefixes=["prod", ""], more_than=1)], "Invalid tag prefix provided"),
    # storage classes
    ([rule(1, more_than=1, storage_class="archive")], STANDARD_ONLY),
    ([rule(1, days=1, storage_class="archive")], STANDARD_ONLY),
    ([changed(PULLED, "selection.storageClass", "archive")], STANDARD_ONLY),
    (
        [changed(ARCHIVED, "selection.storageClass", "standard")],
        "SINCE_IMAGE_TRANSITIONED supports the ARCHIVE storage class only",
    ),
    (
        [changed(PULLED, "action", {"type": "expire"})],
        "SINCE_IMAGE_PULLED supports the TRANSITION action only",
    ),
    (
        [changed(ARCHIVED, "action", PULLED["action"])],
        "SINCE_IMAGE_TRANSITIONED supports the EXPIRE action only",
    ),
    (
        [changed(ARCHIVED, "selection.countNumber", 89)],
        "SINCE_IMAGE_TRANSITIONED supports a countNumber of at least 90 days only",
    ),
    # rules among each other
    ([PROD, number(1, ALL)], "Duplicate priority in multiple rules"),
    (
        [UNTAGGED, number(2, UNTAGGED)],
        "Only one rule can select Untagged images per storage class",
    ),
    ([number(1, ALL), number(2, ALL)], "Only one rule can specify tagStatus=ANY per storage class"),
    (
        [number(1, ALL), number(2, PROD)],
        "Rule for tagStatus=ANY must have the lowest priority per storage class",
    ),
    (
        [
            rule(1, prefixes=["a", "b"], more_than=1),
            rule(2, prefixes=["b", "a", "a"], days=2),
        ],
        "Only one rule can select images by the same tagPrefixList per storage class",
    ),
    (
        [rule(1, patterns=["a*"], more_than=1), rule(2, patterns=["a*"], days=2)],
        "Only one rule can select images by the same tagPatternList per storage class",
    ),
]


@pytest.mark.parametrize(("rules", "sentence"), INVALID, ids=str)
def test_rules_that_contradict_themselves_are_refused(
    rules: list[dict[str, Any]], sentence: str
) -> None:
    assert refusal_of(policy(*rules)) == f"Lifecycle policy validation failure: {sentence}"


VALID: list[list[dict[str, Any]]] = [
    [ALL],
    [UNTAGGED],
    [PROD, number(2, UNTAGGED), ALL],
    # Numbers may have gaps and stand in any order; what counts is who is last.
    [number(100, ALL), number(7, PROD)],
    # What may be there once may be there once in each storage class.
    [number(3, ALL), number(1, ARCHIVED)],
    [
        number(1, UNTAGGED),
        number(2, changed(ARCHIVED, "selection.tagStatus", "untagged")),
    ],
    [
        rule(1, prefixes=["a"], more_than=1),
        rule(
            2,
            prefixes=["a"],
            days=90,
            since="sinceImageTransitioned",
            storage_class="archive",
        ),
        rule(3, patterns=["a"], more_than=1),
        rule(4, prefixes=["a", "b"], more_than=1),
    ],
    [rule(1, patterns=["*test*1*2*3", "test*1*2*3*"], days=1)],
    [PULLED],
    [rule(1, days=5, action="transition", storage_class="standard")],
    [rule(1, more_than=5, action="transition", description="")],
    [rule(1, more_than=2**31 - 1)],
    [rule(n, prefixes=[f"p{n}"], more_than=1) for n in range(1, 51)],
]


@pytest.mark.parametrize("rules", VALID, ids=str)
def test_good_policies_are_read_and_come_by_priority(rules: list[dict[str, Any]]) -> None:
    read = parse(policy(*rules))
    assert [each.priority for each in read] == sorted(each["rulePriority"] for each in rules)


def test_a_rule_is_read_whole() -> None:
    whole = rule(
        3,
        patterns=["prod*", "*-linux"],
        days=30,
        since="sinceImagePulled",
        storage_class="standard",
        action="transition",
        description="what nobody pulls",
    )
    assert parse(policy(whole, number(2, ARCHIVED))) == (
        Rule(
            priority=2,
            tag_status=TagStatus.ANY,
            count_type=CountType.SINCE_IMAGE_TRANSITIONED,
            count_number=90,
            storage_class=StorageClass.ARCHIVE,
        ),
        Rule(
            priority=3,
            tag_status=TagStatus.TAGGED,
            tag_patterns=("prod*", "*-linux"),
            count_type=CountType.SINCE_IMAGE_PULLED,
            count_number=30,
            action=Action.TRANSITION,
            description="what nobody pulls",
        ),
    )


def test_the_normal_form_is_compact_with_rules_by_priority_and_members_in_ecrs_order() -> None:
    text = """
    { "rules": [
        { "action": { "targetStorageClass": "archive", "type": "transition" },
          "selection": { "countUnit": "days", "countNumber": 30, "countType": "sinceImagePulled",
                         "storageClass": "standard", "tagStatus": "any" },
          "rulePriority": 20 },
        { "selection": { "countNumber": 3, "countType": "imageCountMoreThan",
                         "tagPrefixList": ["b", "a"], "tagStatus": "tagged" },
          "action": { "type": "expire" }, "description": "größer \\"x\\"", "rulePriority": 10 }
    ] }
    """
    assert normal_form(text) == (
        '{"rules":[{"rulePriority":10,"description":"größer \\"x\\"",'
        '"selection":{"tagStatus":"tagged","tagPrefixList":["b","a"],'
        '"countType":"imageCountMoreThan","countNumber":3},"action":{"type":"expire"}},'
        '{"rulePriority":20,"selection":{"tagStatus":"any","storageClass":"standard",'
        '"countType":"sinceImagePulled","countUnit":"days","countNumber":30},'
        '"action":{"type":"transition","targetStorageClass":"archive"}}]}'
    )


@pytest.mark.parametrize("rules", VALID, ids=str)
def test_the_normal_form_means_the_same_and_is_its_own_normal_form(
    rules: list[dict[str, Any]],
) -> None:
    text = policy(*reversed(rules))
    assert parse(normal_form(text)) == parse(text)
    assert normal_form(normal_form(text)) == normal_form(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["rules", "rulePriority", "selection", "action", "type", "countType", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
PATHS = ["rulePriority", "description", "selection", "action", "action.type"] + [
    f"selection.{name}"
    for name in ("tagStatus", "tagPrefixList", "storageClass", "countType", "countUnit")
]


@given(path=st.sampled_from(PATHS), value=JSON, whole=JSON)
def test_no_document_is_too_strange_to_be_answered(path: str, value: Any, whole: Any) -> None:
    for document in (whole, {"rules": whole}, {"rules": [changed(PROD, path, value)]}):
        try:
            rules = parse(json.dumps(document))
        except InvalidParameter:
            continue
        assert rules
