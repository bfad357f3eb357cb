from __future__ import annotations

import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.api.aws.model import ServiceModel, Shape
from longshore.api.aws.patterns import _EQUIVALENTS, compile_pattern


def shapes_of_requests(model: ServiceModel) -> dict[str, Shape]:
    reached: dict[str, Shape] = {}
    ahead = [operation.input for operation in model.operations.values() if operation.input]
    while ahead:
        shape = model.shapes[ahead.pop()]
        if shape.name not in reached:
            reached[shape.name] = shape
            ahead += [*shape.members.values(), *filter(None, (shape.key, shape.element))]
    return reached


REQUESTS = [
    shape
    for service in ("ecr", "iam", "sts")
    for shape in shapes_of_requests(ServiceModel.load(service)).values()
]
PATTERNS = sorted({shape.pattern for shape in REQUESTS if shape.pattern})


@pytest.mark.parametrize(("pattern", "equivalent"), _EQUIVALENTS.items())
@given(data=st.data())
@settings(deadline=None, max_examples=300)
def test_an_equivalent_accepts_what_the_pattern_of_the_model_accepts(pattern, equivalent, data):
    original = re.compile(pattern, re.ASCII)
    text = data.draw(
        st.from_regex(original)
        | st.from_regex(equivalent, fullmatch=True)
        | st.text("ab*._-/ \n", max_size=12)
    )[:12]
    assert bool(original.fullmatch(text)) == bool(compile_pattern(pattern).fullmatch(text))


@pytest.mark.parametrize("pattern", _EQUIVALENTS)
def test_every_pattern_with_an_equivalent_is_still_in_the_model(pattern):
    assert pattern in PATTERNS


# Repeats every short piece of a text that matches, spoils the end, and wants it refused. A pattern
# on which the engine backtracks exponentially would not be done with this in a lifetime.
PUMP = """
import sys
from longshore.api.aws.patterns import compile_pattern
compiled = compile_pattern(sys.argv[1])
for text in sys.argv[2:]:
    for start in range(len(text)):
        for size in (1, 2, 3):
            piece = text[start:start + size]
            compiled.fullmatch(text[:start] + piece * (250 // len(piece)) + "\\x00")
"""


@pytest.mark.parametrize("pattern", PATTERNS)
@given(data=st.data())
@settings(deadline=None, max_examples=1, derandomize=True)
def test_no_pattern_takes_exponential_time_to_refuse(pattern, data):
    matching = st.from_regex(compile_pattern(pattern), fullmatch=True)
    texts = data.draw(st.lists(matching.filter(lambda text: "\x00" not in text), min_size=5))
    subprocess.run(
        [sys.executable, "-c", PUMP, pattern, *["a" * 10, *(text[:80] for text in texts)]],
        check=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("[0-9]{12}", "12345678901\u0662"),
        (r"^\d+$", "\u0662"),
        (r"^\w+$", "é"),
        ("^a$", "a\n"),
        ("[0-9]{12}", "123456789012\n"),
        ("[0-9]{12}", "x123456789012"),
    ],
)
def test_a_pattern_is_ascii_and_wants_the_whole_text(pattern, text):
    assert compile_pattern(pattern).fullmatch(text) is None


def test_words_of_all_scripts_are_what_unicode_says():
    fullmatch = compile_pattern(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*").fullmatch
    for character in map(chr, range(sys.maxunicode + 1)):
        is_word = unicodedata.category(character)[0] in "LZN" or character in "_.:/=+-@"
        assert bool(fullmatch(character)) == is_word, ascii(character)


def test_syntax_that_the_engine_does_not_know_is_told_of_at_once():
    with pytest.raises(re.error):
        compile_pattern(r"[\p{L}]+")
