from __future__ import annotations

import pytest

from longshore.api.aws.constraints import ConstraintCompiler, Violation
from longshore.api.aws.model import Shape


def read(description):
    return {name: Shape.read(name, shape) for name, shape in description.items()}


SHAPES = read(
    {
        "Free": {"type": "string"},
        "Name": {"type": "string", "min": 2, "max": 4, "pattern": "[a-z]+"},
        "Count": {"type": "integer", "min": 1, "max": 9},
        "Colour": {"type": "string", "enum": ["RED", "GREEN"]},
        "Blob": {"type": "blob", "max": 3},
        "Part": {
            "type": "structure",
            "members": {"Name": {"shape": "Name"}, "note": {"shape": "Free"}},
            "required": ["Name"],
        },
        "Parts": {"type": "list", "member": {"shape": "Part"}, "max": 20},
        "Names": {"type": "list", "member": {"shape": "Name"}, "min": 1},
        "FreeList": {"type": "list", "member": {"shape": "Free"}},
        "Lists": {"type": "list", "member": {"shape": "Names"}},
        "Map": {
            "type": "map",
            "key": {"shape": "Name"},
            "value": {"shape": "Count"},
            "max": 2,
        },
        "FreeMap": {"type": "map", "key": {"shape": "Free"}, "value": {"shape": "Free"}},
        "Maps": {"type": "map", "key": {"shape": "Free"}, "value": {"shape": "Part"}},
        "Empty": {"type": "structure", "members": {"note": {"shape": "Free"}}},
    }
)


def found(shape: str, value: object) -> list[Violation]:
    check = ConstraintCompiler(SHAPES).compile(shape)
    violations: list[Violation] = []
    if check is not None:
        check(value, "at", violations)
    return violations


def told(shape: str, value: object) -> list[tuple[str, str]]:
    return [(violation.path, violation.constraint.sentence) for violation in found(shape, value)]


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ("Free", ""),
        ("Name", "ab"),
        ("Name", "abcd"),
        ("Count", 1),
        ("Count", 9),
        ("Colour", "RED"),
        ("Blob", b"abc"),
        ("Part", {"Name": "ab"}),
        ("Parts", []),
        ("Parts", [{"Name": "ab"}] * 20),
        ("Lists", [["ab"], ["cd"]]),
        ("Map", {"ab": 1}),
        ("FreeMap", {"": ""}),
        ("Empty", {}),
        ("Empty", {"note": "x"}),
    ],
)
def test_what_keeps_the_constraints_passes(shape, value):
    assert found(shape, value) == []


@pytest.mark.parametrize(
    ("shape", "value", "violations"),
    [
        ("Name", "a", [("at", "Member must have length greater than or equal to 2")]),
        ("Name", "abcde", [("at", "Member must have length less than or equal to 4")]),
        ("Name", "A" * 5, [("at", "Member must have length less than or equal to 4")]),
        ("Name", "ab\n", [("at", "Member must satisfy regular expression pattern: [a-z]+")]),
        (
            "Name",
            "A",
            [
                ("at", "Member must have length greater than or equal to 2"),
                ("at", "Member must satisfy regular expression pattern: [a-z]+"),
            ],
        ),
        ("Count", 0, [("at", "Member must have value greater than or equal to 1")]),
        ("Count", 10, [("at", "Member must have value less than or equal to 9")]),
        ("Colour", "BLUE", [("at", "Member must satisfy enum value set: [RED, GREEN]")]),
        ("Blob", b"abcd", [("at", "Member must have length less than or equal to 3")]),
        ("Part", {}, [("at.name", "Member must not be null")]),
        ("Part", {"Name": None}, [("at.name", "Member must not be null")]),
        ("Parts", [{}] * 21, [("at", "Member must have length less than or equal to 20")]),
        ("Parts", [{"Name": "ab"}, {}], [("at.2.member.name", "Member must not be null")]),
        ("Parts", [None], [("at.1.member", "Member must not be null")]),
        ("Names", [], [("at", "Member must have length greater than or equal to 1")]),
        ("Names", ["ab", "c"], [("at", "Member must have length greater than or equal to 2")]),
        ("FreeList", [None], [("at", "Member must not be null")]),
        (
            "Lists",
            [["ab"], []],
            [("at.2.member", "Member must have length greater than or equal to 1")],
        ),
        ("Map", {"ab": 0}, [("at.ab.member", "Member must have value greater than or equal to 1")]),
        ("Map", {"a": 1}, [("at", "Member must have length greater than or equal to 2")]),
        (
            "Map",
            {"ab": 1, "cd": 1, "ef": 1},
            [("at", "Member must have length less than or equal to 2")],
        ),
        ("Maps", {"x": {}}, [("at.x.member.name", "Member must not be null")]),
    ],
)
def test_what_breaks_a_constraint_is_told_with_its_path(shape, value, violations):
    assert told(shape, value) == violations


def test_a_scalar_in_a_list_is_told_of_with_all_the_constraints_of_the_members():
    (violation,) = found("Names", ["ab", "c"])
    assert violation.value == ["ab", "c"]
    assert violation.shape == "Name"
    assert [constraint.sentence for constraint in violation.among] == [
        "Member must have length less than or equal to 4",
        "Member must have length greater than or equal to 2",
        "Member must satisfy regular expression pattern: [a-z]+",
    ]


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ("Parts", [{}] * 20),
        ("Lists", [[]] * 100),
        ("Maps", {key: {} for key in "abcdefghijklmnop"}),
    ],
)
def test_no_more_is_told_than_an_answer_can_hold(shape, value):
    assert len(found(shape, value)) == 10


@pytest.mark.parametrize(
    ("values", "printed"),
    [
        (
            ["MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"],
            "[IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]",
        ),
        (["MUTABLE", "IMMUTABLE"], "[IMMUTABLE, MUTABLE]"),
        (
            ["CREATE_ON_PUSH", "PULL_THROUGH_CACHE", "REPLICATION"],
            "[REPLICATION, PULL_THROUGH_CACHE, CREATE_ON_PUSH]",
        ),
    ],
)
def test_the_values_of_an_enum_are_printed_in_the_order_that_ecr_has(values, printed):
    shapes = read({"Enum": {"type": "string", "enum": values}})
    violations: list[Violation] = []
    check = ConstraintCompiler(shapes).compile("Enum")
    assert check is not None
    check("?", "at", violations)
    assert violations[0].constraint.sentence == f"Member must satisfy enum value set: {printed}"


def test_every_value_of_a_long_enum_is_printed():
    values = [f"VALUE_{number}" for number in range(20)]
    check = ConstraintCompiler(read({"Enum": {"type": "string", "enum": values}})).compile("Enum")
    violations: list[Violation] = []
    assert check is not None
    check("?", "at", violations)
    assert sorted(str(violations[0].constraint.bound).split(", ")) == sorted(values)
