"""The text of lifecycle policies: its grammar, what is said of a wrong one, its normal form.

The grammar is the ECR user guide's ("Lifecycle policy properties"). The sentences are ECR's where
they are known; the others follow their style.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from longshore.documents import MalformedDocument, read_object
from longshore.errors import InvalidParameter
from longshore.registry.json_schemas import Array, Form, Integer, Object, Text, complaints
from longshore.registry.lifecycle_rules import Action, CountType, Rule, StorageClass, TagStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MOST_RULES: Final = 50
MOST_WILDCARDS: Final = 4
# Less isn't worth the archive's while: ECR bills an archived image for as long.
SHORTEST_ARCHIVE_DAYS: Final = 90

_MAX_DEPTH: Final = 8
_LARGEST_NUMBER: Final = 2**31 - 1

_SELECTION: Final = Object(
    members={
        "tagStatus": Text(("any", "tagged", "untagged")),
        "tagPrefixList": Array(Text()),
        "tagPatternList": Array(Text()),
        "storageClass": Text(("archive", "standard")),
        "countType": Text(),
        "countUnit": Text(("days",)),
        "countNumber": Integer(minimum=1),
    },
    required=frozenset({"tagStatus", "countType", "countNumber"}),
    told_by="countType",
    forms={
        CountType.IMAGE_COUNT_MORE_THAN: Form(forbids=frozenset({"countUnit"})),
        CountType.SINCE_IMAGE_PUSHED: Form(needs=frozenset({"countUnit"})),
        CountType.SINCE_IMAGE_PULLED: Form(needs=frozenset({"countUnit"})),
        CountType.SINCE_IMAGE_TRANSITIONED: Form(needs=frozenset({"countUnit", "storageClass"})),
    },
)
_ACTION: Final = Object(
    members={
        "type": Text(("expire", "transition")),
        "targetStorageClass": Text(("archive",)),
    },
    required=frozenset({"type"}),
    told_by="type",
    forms={"expire": Form(forbids=frozenset({"targetStorageClass"})), "transition": Form()},
)
_RULE: Final = Object(
    members={
        "rulePriority": Integer(minimum=1),
        "description": Text(),
        "selection": _SELECTION,
        "action": _ACTION,
    },
    required=frozenset({"rulePriority", "selection", "action"}),
)
_POLICY: Final = Object(
    members={"rules": Array(_RULE, least=1, most=MOST_RULES)}, required=frozenset({"rules"})
)

# In which order ECR shows the members of an object.
_ORDER: Final = {
    name: position
    for position, name in enumerate(
        (
            "rules",
            "rulePriority",
            "description",
            "selection",
            "action",
            "tagStatus",
            "tagPrefixList",
            "tagPatternList",
            "storageClass",
            "countType",
            "countUnit",
            "countNumber",
            "type",
            "targetStorageClass",
        )
    )
}


def parse(text: str) -> tuple[Rule, ...]:
    """Read a lifecycle policy; the rules come by priority.

    Raises:
        InvalidParameter: it isn't one. The sentence says what is wrong with it.
    """
    document = _read(text)
    if broken := complaints(_POLICY, document):
        # ECR ends each of them with a line break.
        raise _invalid("".join(f"{sentence}\n" for sentence in broken))
    members: list[dict[str, Any]] = document["rules"]
    _check_sizes(members)
    for member in members:
        for sentence in _wrong_with(member):
            raise _invalid(sentence)
    rules = sorted(map(_rule, members), key=lambda rule: rule.priority)
    for sentence in _wrong_among(rules):
        raise _invalid(sentence)
    return tuple(rules)


def normal_form(text: str) -> str:
    """Return a valid policy as ECR shows it: compact, rules by priority, members in order."""
    document = _read(text)
    document["rules"].sort(key=lambda rule: rule["rulePriority"])
    return json.dumps(_ordered(document), separators=(",", ":"), ensure_ascii=False)


def _read(text: str) -> dict[str, Any]:
    try:
        return read_object(text.encode(), max_depth=_MAX_DEPTH)
    except (MalformedDocument, UnicodeEncodeError):
        raise _unreadable() from None


def _ordered(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value, key=_ORDER.__getitem__)}
    if isinstance(value, list):
        return [_ordered(each) for each in value]
    return value


def _check_sizes(members: Iterable[Mapping[str, Any]]) -> None:
    for member in members:
        numbers = (member["rulePriority"], member["selection"]["countNumber"])
        if max(numbers) > _LARGEST_NUMBER:
            raise _unreadable()


def _rule(member: Mapping[str, Any]) -> Rule:
    selection, action = member["selection"], member["action"]
    return Rule(
        priority=member["rulePriority"],
        description=member.get("description"),
        tag_status=TagStatus(selection["tagStatus"].upper()),
        tag_prefixes=tuple(selection.get("tagPrefixList", ())),
        tag_patterns=tuple(selection.get("tagPatternList", ())),
        storage_class=StorageClass(selection.get("storageClass", "standard").upper()),
        count_type=CountType(selection["countType"]),
        count_number=selection["countNumber"],
        action=Action(action["type"].upper()),
    )


def _wrong_with(member: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with one rule."""
    if member["action"] == {"type": "transition"}:
        raise _unreadable()
    yield from _wrong_with_tags(member["selection"])
    yield from _wrong_with_action(_rule(member))


def _wrong_with_tags(selection: Mapping[str, Any]) -> Iterator[str]:
    status = selection["tagStatus"]
    prefixes, patterns = selection.get("tagPrefixList"), selection.get("tagPatternList")
    if status == "tagged":
        if not prefixes and not patterns:
            yield "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED."
        if prefixes is not None and patterns is not None:
            yield (
                "If policy has a tagged rule, it must specify only one of tagPrefixList "
                "or tagPatternList"
            )
    else:
        for name in ("tagPrefixList", "tagPatternList"):
            if name in selection:
                yield f"Cannot specify {name} with tagStatus {status}"
    # Nobody means all tags by an empty one.
    if not all(prefixes or ()):
        yield "Invalid tag prefix provided"
    if any(not pattern or pattern.count("*") > MOST_WILDCARDS for pattern in patterns or ()):
        yield "Invalid tag pattern provided"


def _wrong_with_action(rule: Rule) -> Iterator[str]:
    is_transitioned = rule.count_type is CountType.SINCE_IMAGE_TRANSITIONED
    if rule.storage_class is StorageClass.ARCHIVE and not is_transitioned:
        yield (
            "SINCE_IMAGE_PUSHED, SINCE_IMAGE_PULLED and IMAGE_COUNT_MORE_THAN support the "
            "STANDARD storage class only"
        )
    if rule.storage_class is StorageClass.STANDARD and is_transitioned:
        yield "SINCE_IMAGE_TRANSITIONED supports the ARCHIVE storage class only"
    if rule.count_type is CountType.SINCE_IMAGE_PULLED and rule.action is not Action.TRANSITION:
        yield "SINCE_IMAGE_PULLED supports the TRANSITION action only"
    if is_transitioned and rule.action is not Action.EXPIRE:
        yield "SINCE_IMAGE_TRANSITIONED supports the EXPIRE action only"
    if is_transitioned and rule.count_number < SHORTEST_ARCHIVE_DAYS:
        yield (
            "SINCE_IMAGE_TRANSITIONED supports a countNumber of at least "
            f"{SHORTEST_ARCHIVE_DAYS} days only"
        )


def _wrong_among(rules: Iterable[Rule]) -> Iterator[str]:
    """Say what is wrong with the rules of a policy together; they come by priority."""
    rules = list(rules)
    if _repeats(rule.priority for rule in rules):
        yield "Duplicate priority in multiple rules"
    for storage_class in StorageClass:
        those = [rule for rule in rules if rule.storage_class is storage_class]
        statuses = [rule.tag_status for rule in those]
        if statuses.count(TagStatus.UNTAGGED) > 1:
            yield "Only one rule can select Untagged images per storage class"
        if statuses.count(TagStatus.ANY) > 1:
            yield "Only one rule can specify tagStatus=ANY per storage class"
        if TagStatus.ANY in statuses[:-1]:
            yield "Rule for tagStatus=ANY must have the lowest priority per storage class"
        tagged = [rule for rule in those if rule.tag_status is TagStatus.TAGGED]
        for name, lists in (
            ("tagPrefixList", [frozenset(rule.tag_prefixes) for rule in tagged]),
            ("tagPatternList", [frozenset(rule.tag_patterns) for rule in tagged]),
        ):
            if _repeats(each for each in lists if each):
                yield f"Only one rule can select images by the same {name} per storage class"


def _repeats(values: Iterable[object]) -> bool:
    return any(count > 1 for count in Counter(values).values())


def _invalid(sentence: str) -> InvalidParameter:
    return InvalidParameter.at(
        "LifecyclePolicyText", f"Lifecycle policy validation failure: {sentence}"
    )


def _unreadable() -> InvalidParameter:
    return InvalidParameter.at(
        "LifecyclePolicyText",
        "Lifecycle policy parsing failure: Could not map policyString into LifecyclePolicy",
    )
