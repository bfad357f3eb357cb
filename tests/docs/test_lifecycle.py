"""The examples of the page on lifecycle policies, evaluated."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from longshore.clock import DAY
from longshore.registry.lifecycle_grammar import normal_form, parse
from longshore.registry.lifecycle_rules import Image, evaluate
from tests.docs import pages

PAGE = "docs/lifecycle.md"
NOW = 1_700_000_000_000

_EXAMPLE = re.compile(r"^### (?P<title>[^\n]+)\n(?P<text>.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_ROW = re.compile(
    r"^\| (?P<name>[A-Z])(?:, an? (?P<kind>index|signature) of (?P<other>[A-Z]))? "
    r"\|(?P<tags>[^|]*)\| (?P<days>\d+) "
    r"\| (?P<outcome>stays|expires by rule (?P<rule>\d+))[^|]*\|$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Example:
    title: str
    policy: str
    rows: list[re.Match[str]]

    def __str__(self) -> str:
        return self.title


def examples() -> list[Example]:
    text = pages.section(pages.read(PAGE), "Examples")
    found = []
    for match in _EXAMPLE.finditer(text):
        [policy] = pages.blocks(match["text"], "json")
        rows = list(_ROW.finditer(match["text"]))
        # Every line of the table but the two of its head.
        assert len(rows) == len(re.findall(r"^\|", match["text"], re.MULTILINE)) - 2
        found.append(Example(match["title"], policy, rows))
    return found


def image(row: re.Match[str], rows: list[re.Match[str]]) -> Image:
    indexes = [each for each in rows if each["kind"] == "index" and each["other"] == row["name"]]
    return Image(
        id=ord(row["name"]),
        digest=row["name"],
        tags=tuple(sorted(re.findall(r"`([^`]+)`", row["tags"]))),
        pushed_at=NOW - int(row["days"]) * DAY,
        parents=tuple(ord(index["name"]) for index in indexes),
        subject=ord(row["other"]) if row["kind"] == "signature" else None,
        is_awaited=True,
    )


def test_there_are_examples() -> None:
    assert len(examples()) == 4


@pytest.mark.parametrize("example", examples(), ids=str)
def test_an_example_comes_out_as_it_is_told(example: Example) -> None:
    images = [image(row, example.rows) for row in example.rows]
    images.sort(key=lambda image: (image.active_since, image.id), reverse=True)
    told = {
        row["name"]: int(row["rule"]) for row in example.rows if row["outcome"].startswith("exp")
    }
    verdicts = evaluate(parse(example.policy), images, NOW)
    assert {
        verdict.image.digest: verdict.rule.priority
        for verdict in verdicts
        if not verdict.is_protected
    } == told


def test_the_policy_of_the_beginning_is_one() -> None:
    [block] = [block for block in pages.blocks(pages.read(PAGE), "sh") if "POLICY" in block]
    [policy] = re.findall(r"<<'POLICY'\n(.*?)\nPOLICY\n", block, re.DOTALL)
    assert [rule.description for rule in parse(normal_form(policy))] == [
        "untagged images go after a week",
        "of all others, a hundred stay",
    ]
