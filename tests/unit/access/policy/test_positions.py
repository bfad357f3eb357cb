from __future__ import annotations

import json

import pytest

from longshore.access.policy.documents import Grammar, parse
from longshore.access.policy.positions import Position, Span, statement_spans

ONE = '{"Effect": "Allow", "Action": "a:b", "Resource": "*"}'


def cut(text: str, span: Span) -> str:
    lines = text.split("\n")
    start, end = (
        sum(len(line) + 1 for line in lines[: place.line - 1]) + place.column - 1
        for place in (span.start, span.end)
    )
    return text[start:end]


@pytest.mark.parametrize(
    "text",
    [
        f'{{"Statement":{ONE}}}',
        f'{{"Statement":[{ONE}]}}',
        f' {{ "Statement" :\n [ {ONE} ,\n{ONE}\n] , "Version" : "2012-10-17" }} ',
        f'{{"Version": "2012-10-17", "Id": "\\"Statement\\": [{{", "Statement":[{ONE},{ONE}]}}',
        f'{{"Statement": [\n\n\t{json.dumps(json.loads(ONE), indent=2)}]}}',
    ],
)
def test_the_statements_of_a_policy_are_found_in_its_text(text):
    statements = parse(text, Grammar.IDENTITY).statements
    spans = statement_spans(text)

    assert len(spans) == len(statements)
    assert all(json.loads(cut(text, span)) == json.loads(ONE) for span in spans)
    assert all(cut(text, span)[0] + cut(text, span)[-1] == "{}" for span in spans)


def test_lines_and_columns_are_counted_from_one():
    [span] = statement_spans('{"Statement":\n {"Effect":\n"Allow"}}')

    assert span == Span(Position(2, 2), Position(3, 9))
