"""The tables that are made from the code, and the one that is written by hand."""

from __future__ import annotations

import re
from dataclasses import asdict

import pytest

from longshore.api.aws.model import ServiceModel
from longshore.api.ecr.api import SERVICE
from longshore.api.ecr.operations import OPERATIONS
from longshore.api.iam import operations as iam
from longshore.registry.dialect import DIALECTS, Dialect
from tests.docs import generate, pages


@pytest.mark.parametrize("page", pages.page_names())
def test_the_tables_of_a_page_are_what_the_code_gives(page: str) -> None:
    text = pages.read(page)
    assert text == generate.rendered(text), "write it anew with: make docs"


def test_every_table_has_its_place() -> None:
    places = (name for page in pages.page_names() for name in generate.tables_in(pages.read(page)))
    assert sorted(places) == sorted(generate.TABLES)


def test_the_readme_counts_the_operations_right() -> None:
    count = f"{len(OPERATIONS)} of {len(ServiceModel.load(SERVICE).operations)} operations"
    assert count in pages.read("README.md")
    assert count in pages.read("CHANGELOG.md")
    assert f"{len(iam.OPERATIONS)} operations of IAM's" in pages.read("CHANGELOG.md")


def test_every_difference_of_the_dialects_is_told_as_it_is() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| .+ \| ([\w, ]+) \| ([\w, ]+) \|$",
        pages.section(pages.read("docs/compatibility.md"), "The two dialects"),
        flags=re.MULTILINE,
    )
    told = {name: (ecr, oci) for name, ecr, oci in rows}
    ecr, oci = (facts_of(DIALECTS[name]) for name in ("ecr", "oci"))
    assert told == {name: (ecr[name], oci[name]) for name in ecr if ecr[name] != oci[name]}
    assert len(rows) == len(told)


def facts_of(dialect: Dialect) -> dict[str, str]:
    facts = asdict(dialect)
    facts |= facts.pop("manifest_rules")
    del facts["name"]
    return {name: in_words(value) for name, value in facts.items()}


def in_words(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case frozenset():
            return ", ".join(sorted(value))
        case _:
            return str(value)
