from __future__ import annotations

import pytest

from longshore.documents import (
    MalformedDocument,
    as_kind,
    optional,
    path,
    quoted,
    read_object,
    refuse_lookalikes,
    required,
)


def test_a_document_is_read():
    content = '{"a": [1, -2.5, true, null, "é\\ud83d\\udc33"], "b": {}}'.encode()

    assert read_object(content, max_depth=2) == {"a": [1, -2.5, True, None, "é🐳"], "b": {}}


@pytest.mark.parametrize(
    ("content", "depth"),
    [
        (b"{}", 1),
        (b'{"a": {"b": []}}', 3),
        (b'{"a": [[]], "b": [[], [], {"c": 1}]}', 3),
        (b'{"[[[": "{{{"}', 1),
        (rb'{"a\"[[[": "\\", "b": [], "c\\": ["\\\""]}', 2),
    ],
)
def test_the_depth_of_a_document_is_told_exactly(content, depth):
    read_object(content, max_depth=depth)
    with pytest.raises(MalformedDocument, match="deeper than"):
        read_object(content, max_depth=depth - 1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[]", "the document isn't an object"),
        (b"\xff", "isn't UTF-8 at byte 0"),
        (b'{"a": \xed\xa0\xbd}', "isn't UTF-8 at byte 6"),
        (b'{"a"}', "isn't JSON: .* at line 1, column 5"),
        (b'{"a": 1, "a": 1}', "the member 'a' stands twice in one object"),
        (b'{"a": "\\ud83d"}', "half of a surrogate pair"),
        (b'{"a": ["\\uDC33\\uD83D"]}', "half of a surrogate pair"),
        (b'{"a": Infinity}', "Infinity isn't a number"),
        (b'{"a": -' + b"1" * 100 + b"}", "more than 100 digits"),
        (b'{"a": ]]]]]', "isn't JSON"),
    ],
)
def test_a_document_is_refused(content, reason):
    with pytest.raises(MalformedDocument, match=reason):
        read_object(content, max_depth=8)


def test_a_backslash_before_an_escape_is_no_half_of_a_pair():
    assert read_object(rb'{"a": "\\ud83d"}', max_depth=1) == {"a": "\\ud83d"}


def test_a_member_is_read_by_its_kind():
    members = {"text": "a", "number": 1, "nothing": None, "yes": True}

    assert required(members, "text", str) == "a"
    assert optional(members, "number", int) == 1
    assert optional(members, "nothing", int) is None
    assert optional(members, "other", int) is None
    for name, reason in {
        "nothing": "x.nothing is missing",
        "other": "x.other is missing",
        "text": "x.text isn't an integer",
        "yes": "x.yes isn't an integer",
    }.items():
        with pytest.raises(MalformedDocument, match=reason):
            required(members, name, int, "x")


def test_a_value_of_another_kind_is_refused():
    with pytest.raises(MalformedDocument, match="here isn't an array"):
        as_kind(list, {}, "here")


def test_a_lookalike_is_refused_and_anything_else_is_not():
    refuse_lookalikes({"size": 1, "sizes": 2, "Other": 3, "other": 4}, {"size"}, "here")
    with pytest.raises(MalformedDocument, match="here has 'siZe', which many read as 'size'"):
        refuse_lookalikes({"siZe": 1}, {"size"}, "here")


def test_what_a_stranger_wrote_is_quoted_short_and_printable():
    assert quoted("a\n\ud83d") == r"'a\n\ud83d'"
    assert len(quoted("\x00" * 1_000)) < 600
    assert path("", "a") == "a"
    assert path("b[0]", "a") == "b[0].a"
