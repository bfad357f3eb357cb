"""How long a decision takes, in this process: `python -m bench.decisions`.

Each shape of policies is decided on many times, and the median of the repetitions is printed beside
what the same machine needs, at the same time, for a look-up in a dict and for hashing 1 KiB.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from longshore.access.policy.documents import Grammar, parse
from longshore.access.policy.evaluation import Kind, Policies, Request, Source, Subject, decide

if TYPE_CHECKING:
    from collections.abc import Callable

_ACCOUNT = "123456789012"
_ARN = f"arn:aws:ecr:eu-west-1:{_ACCOUNT}:repository"
_USER = Subject(Kind.USER, _ACCOUNT, f"arn:aws:iam::{_ACCOUNT}:user/ann")
_SESSION = Subject(
    Kind.ROLE,
    _ACCOUNT,
    f"arn:aws:sts::{_ACCOUNT}:assumed-role/ci/run",
    role_arn=f"arn:aws:iam::{_ACCOUNT}:role/ci",
)
# What a request knows of itself: some twenty condition keys.
_CONTEXT = {
    "aws:currenttime": ("2026-11-26T12:00:00Z",),
    "aws:epochtime": ("1795694400",),
    "aws:sourceip": ("192.0.2.17",),
    "aws:securetransport": ("true",),
    "aws:useragent": ("docker/28.0",),
    "aws:username": ("ann",),
    "aws:userid": ("AIDAEXAMPLE",),
    "aws:principalarn": (_USER.arn,),
    "aws:principalaccount": (_ACCOUNT,),
    "aws:principaltype": ("User",),
    "aws:principaltag/team": ("red",),
    "aws:resourceaccount": (_ACCOUNT,),
    "aws:resourcetag/team": ("red",),
    "ecr:resourcetag/team": ("red",),
    "aws:requestedregion": ("eu-west-1",),
}
_REQUEST = Request("ecr:BatchGetImage", f"{_ARN}/team/app", _ACCOUNT, _CONTEXT)
_ROUNDS = 1_000
_ROUND = 200.0  # microseconds, about

_Statement: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """Policies that are decided on.

    Attributes:
        name: what they are.
        subject: who asks.
        policies: theirs.
        resource_policies: those of the repository and the registry.
    """

    name: str
    subject: Subject
    policies: Policies
    resource_policies: tuple[Source, ...] = ()

    def decide(self) -> bool:
        """Decide once."""
        return decide(self.subject, self.policies, self.resource_policies, _REQUEST).allowed


def _source(grammar: Grammar, *statements: _Statement) -> Source:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return Source("a policy", parse(json.dumps(document), grammar))


def _allow(*actions: str, **elements: object) -> _Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **elements}


def _ten_statements(team: str) -> list[_Statement]:
    """Return what a team's policy typically says, in ten statements."""
    resource = f"{_ARN}/{team}/*"
    pull = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")
    return [
        _allow("ecr:GetAuthorizationToken"),
        _allow(*pull, Resource=f"{_ARN}/{team}/base"),
        _allow("ecr:PutImage", "ecr:InitiateLayerUpload", Resource=resource),
        _allow("ecr:UploadLayerPart", "ecr:CompleteLayerUpload", Resource=resource),
        _allow("ecr:Describe*", "ecr:List*", Resource=resource),
        _allow(
            *("ecr:Batch*", "ecr:Get*"),
            Resource=f"arn:aws:ecr:*:{_ACCOUNT}:repository/{team}/*",
            Condition={"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}},
        ),
        _allow("ecr:TagResource", Condition={"Null": {"aws:RequestTag/team": "false"}}),
        _allow("s3:GetObject", "s3:ListBucket"),
        {**_allow("ecr:Delete*", "ecr:BatchDelete*"), "Effect": "Deny"},
        {
            **_allow("ecr:*"),
            "Effect": "Deny",
            "Condition": {"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"]}},
        },
    ]


def shapes() -> list[Shape]:
    """Return the shapes that are measured."""
    everything = _source(Grammar.IDENTITY, _allow("*"))
    teams = tuple(_source(Grammar.IDENTITY, *_ten_statements(name)) for name in ("a", "b", "team"))
    repository = _source(
        Grammar.REPOSITORY,
        {
            "Effect": "Allow",
            "Principal": {"AWS": [_ACCOUNT, "210987654321"]},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        },
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "ecr:*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    )
    many = _source(
        Grammar.IDENTITY,
        *(_allow("ecr:BatchGetImage", Resource=f"{_ARN}/a/{number}") for number in range(1_000)),
        *(_allow(f"ecr:Other{number}") for number in range(4_000)),
        _allow("ecr:*"),
    )
    return [
        Shape("the administrator", _USER, Policies((everything,))),
        Shape("three policies of ten, and the repository's", _USER, Policies(teams), (repository,)),
        Shape(
            "a session with a boundary and a session policy",
            _SESSION,
            Policies(teams, everything, (everything,)),
            (repository,),
        ),
        Shape("a policy of 5,001 statements, 1,001 of them about it", _USER, Policies((many,))),
    ]


def _median(call: Callable[[], object]) -> float:
    """Return how long a call takes, in microseconds: the median of many rounds of calls.

    A round is short, so that few of them are interrupted by whatever else the machine does.
    """
    calls = max(1, round(_ROUND / _round(call, 100)))
    return statistics.median(_round(call, calls) for _ in range(_ROUNDS))


def _round(call: Callable[[], object], calls: int) -> float:
    begin = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return (time.perf_counter_ns() - begin) / calls / 1_000


def main() -> None:
    """Measure, and print."""
    known = {f"key {number}": number for number in range(1_000)}
    block = bytes(1_024)
    baselines = [
        ("baseline: an empty call", lambda: None),
        ("baseline: a look-up in a dict", lambda: known["key 500"]),
        ("baseline: sha256 of 1 KiB", lambda: hashlib.sha256(block).digest()),
    ]
    for name, call in baselines:
        click.echo(f"{_median(call):9.2f} µs  {name}")
    for shape in shapes():
        if not shape.decide():
            raise click.ClickException(f"{shape.name} should be allowed")
        click.echo(f"{_median(shape.decide):9.2f} µs  {shape.name}")


if __name__ == "__main__":
    main()
