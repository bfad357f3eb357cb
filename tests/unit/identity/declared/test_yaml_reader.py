from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.identity.declared.yaml_reader import InvalidFile, Value, read


def test_a_value_knows_its_line() -> None:
    members = read("a: 1\nb:\n\n  c: [x,\n      y]\n").entries()
    assert (members["a"].line, members["b"].line) == (1, 2)
    assert members["b"].entries()["c"].line == 4
    assert [item.line for item in members["b"].entries()["c"].items()] == [4, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("a: b: c", "line 1: it can't be read as YAML"),
        ("a: 1\n\tb: 2", "line 2: it can't be read as YAML"),
        ("a: [1", "it can't be read as YAML"),
        ("a: 1\n---\nb: 2", "it can't be read as YAML"),
        ("a: \0", "it can't be read as YAML"),
        ("a: &x [1]\nb: *x", "line 2: \\*x is an alias"),
        ("a: &x\n  b: *x", "line 2: \\*x is an alias"),
        ("[" * 50_000, "it can't be read as YAML"),
        (" " * (4 * 1024 * 1024 + 1), "larger than"),
    ],
    ids=range(11),
)
def test_what_is_no_yaml_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        read(text)


def test_members_are_known_and_come_once() -> None:
    whole = read("a: 1\nb: 2\n")
    assert whole.members({"a", "b", "c"}).keys() == {"a", "b"}
    with pytest.raises(InvalidFile, match=r"line 2: 'b' is no member of the file.*: a, c$"):
        whole.members({"a", "c"})
    with pytest.raises(InvalidFile, match="line 3: the file has 'a' twice"):
        read("a: 1\nb: 2\na: 3\n").entries()
    for text in ("[1]", "text", "12"):
        with pytest.raises(InvalidFile, match="must be a mapping"):
            read(text).entries()
    with pytest.raises(InvalidFile, match="put 1 in quotes"):
        read("1: x").entries()


def test_nothing_is_an_empty_mapping_and_an_empty_list() -> None:
    [nothing] = read("a:\n").entries().values()
    assert (nothing.entries(), nothing.items()) == ({}, [])


@pytest.mark.parametrize(
    "text", ["yes", "No", "on", "true", "~", "null", "1", "0x7", "1.5", "2020-01-01"]
)
def test_a_text_that_yaml_takes_for_something_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidFile, match="must be a text"):
        read(text).text()
    assert read(f'"{text}"').text() == text


def test_lists_of_texts_have_no_item_twice() -> None:
    assert [item.text() for item in read("[a, b]").texts()] == ["a", "b"]
    with pytest.raises(InvalidFile, match="line 3: the file has 'a' twice"):
        read("- a\n- b\n- a\n").texts()
    for text in ("a", "a: b"):
        with pytest.raises(InvalidFile, match="must be a list"):
            read(text).texts()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2012-10-17", "2012-10-17"),
        ("true", True),
        ("False", False),
        ("12", 12),
        ("-1", -1),
        ("{a: [b, 1]}", {"a": ["b", 1]}),
        ("'012'", "012"),
    ],
)
def test_documents_are_what_they_look_like(text: str, meant: object) -> None:
    assert read(text).document() == meant


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "off",
        "012",
        "000000000000",
        "0x10",
        "1_000",
        "1:30",
        "1.5",
        ".inf",
        "null",
        "~",
        "!!binary AA==",
        "!!python/name:os.system x",
        "!x y",
    ],
)
def test_what_nobody_can_be_sure_of_is_refused(text: str) -> None:
    with pytest.raises(InvalidFile, match="put it in quotes"):
        read(text).document()


def test_a_number_is_one() -> None:
    assert read("3600").number() == 3600
    for text in ("true", "'1'", "[1]"):
        with pytest.raises(InvalidFile, match="must be a whole number"):
            read(text).number()


_documents = st.recursive(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9)
    | st.integers(-9, 9)
    | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(document=_documents)
def test_json_is_yaml_that_means_the_same(document: object) -> None:
    assert read(json.dumps(document)).document() == document


@given(text=st.text("ab:-[]{}&*!|>'\"\n #1,?", max_size=30))
def test_no_text_does_more_than_being_refused(text: str) -> None:
    try:
        value: Value = read(text)
        value.document()
    except InvalidFile:
        pass
