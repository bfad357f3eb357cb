from __future__ import annotations

import json

from longshore.access.policy.documents import Grammar, parse
from longshore.access.policy.evaluation import Kind, Policies, Request, Source, Subject, decide
from longshore.access.policy.explanation import Part, explain

MINE = "111111111111"
ARN = f"arn:aws:ecr:eu-west-1:{MINE}:repository/app"
USER = Subject(Kind.USER, MINE, f"arn:aws:iam::{MINE}:user/ann")
REQUEST = Request(
    "ecr:PutImage", ARN, MINE, {"aws:sourceip": ("192.0.2.1",), "aws:tagkeys": ("a", "b")}
)


def source(name, *statements, grammar=Grammar.IDENTITY):
    document = {"Version": "2012-10-17", "Statement": statements}
    return Source(name, parse(json.dumps(document), grammar))


def allow(**changes):
    return {"Effect": "Allow", "Action": "ecr:*", "Resource": "*", **changes}


OWN = source(
    "the inline policy 'push' of the user 'ann'",
    allow(Sid="Reading", Action=["ecr:Get*", "ecr:List*"]),
    allow(Sid="Elsewhere", Resource="arn:aws:ecr:*:*:repository/${aws:username}/*"),
    allow(
        Effect="Deny",
        Condition={
            "NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "::1"]},
            "StringEquals": {"aws:PrincipalTag/team": "red"},
            "ForAnyValue:StringLike": {"aws:TagKeys": "a*"},
        },
    ),
    allow(Sid="Pushing"),
)
BOUNDARY = source("the managed policy arn:aws:iam::aws:policy/All", allow())
SESSION = source("the session policy", allow())
REPOSITORY = source(
    "the repository policy",
    {"Effect": "Allow", "Principal": {"AWS": MINE}, "Action": "ecr:PutImage"},
    {"Effect": "Deny", "NotPrincipal": {"AWS": [MINE, USER.arn]}, "NotAction": "ecr:PutImage"},
    {
        "Effect": "Allow",
        "Principal": {"Service": "ecr.amazonaws.com"},
        "Action": "ecr:*",
        "NotResource": ARN,
    },
    grammar=Grammar.REPOSITORY,
)
ALL = (Policies((OWN,), BOUNDARY, (SESSION,)), [REPOSITORY])


def test_every_statement_that_was_looked_at_tells_why_it_does_not_match():
    explanation = explain(USER, *ALL, REQUEST)

    assert [(look.part, look.statement.number, look.misses) for look in explanation.looks] == [
        (Part.IDENTITY, 1, ("Action doesn't cover ecr:PutImage: ecr:Get*, ecr:List*",)),
        (
            *(Part.IDENTITY, 2),
            (f"Resource doesn't cover {ARN}: arn:aws:ecr:*:*:repository/${{aws:username}}/*",),
        ),
        (
            *(Part.IDENTITY, 3),
            (
                (
                    "Condition NotIpAddress aws:SourceIp: the request has 192.0.2.1, "
                    "the policy asks for 192.0.2.0/24, ::1"
                ),
                (
                    "Condition StringEquals aws:PrincipalTag/team: the request has no value for "
                    "it, the policy asks for red"
                ),
            ),
        ),
        (Part.IDENTITY, 4, ()),
        (Part.BOUNDARY, 1, ()),
        (Part.SESSION, 1, ()),
        (Part.RESOURCE, 1, ()),
        (
            *(Part.RESOURCE, 2),
            (
                f"NotPrincipal leaves out {USER.arn}",
                "NotAction leaves out ecr:PutImage: ecr:PutImage",
            ),
        ),
        (
            *(Part.RESOURCE, 3),
            (f"Principal doesn't cover {USER.arn}", f"NotResource leaves out {ARN}: {ARN}"),
        ),
    ]
    assert [look.statement.number for look in explanation.matched] == [4, 1, 1, 1]


def test_the_statement_that_decided_is_marked():
    explanation = explain(USER, *ALL, REQUEST)
    [deciding] = [look for look in explanation.looks if look.decided]

    assert explanation.decision == decide(USER, *ALL, REQUEST)
    assert (deciding.source, deciding.statement.sid) == (OWN, "Pushing")


def test_a_statement_that_only_trusts_the_account_says_so():
    explanation = explain(USER, Policies(), [REPOSITORY], REQUEST)

    assert not explanation.decision.allowed
    assert [look.leaves_choice for look in explanation.looks] == [True, False, False]
    assert "match, and leaves the choice to the account's own policies" in explanation.as_text()


def test_condition_keys_that_the_request_lacks_are_told():
    assert explain(USER, *ALL, REQUEST).missing == ("aws:PrincipalTag/team", "aws:username")
    other = Request("ecr:GetX", ARN, MINE, {})
    assert explain(USER, *ALL, other).missing == (
        *("aws:PrincipalTag/team", "aws:SourceIp", "aws:TagKeys", "aws:username"),
    )


def test_an_explanation_reads_well():
    policies = Policies((source("the group's policy", allow(Sid="No", Effect="Deny"), allow()),))

    assert explain(USER, policies, [], REQUEST).as_text() == (
        "Refused.\n"
        f"User: {USER.arn} is not authorized to perform: ecr:PutImage on resource: {ARN} "
        "with an explicit deny in an identity-based policy\n"
        "\n"
        "the group's policy (identity-based policy)\n"
        "  statement 1 (No), Deny: match, and this decided\n"
        "  statement 2, Allow: match\n"
    )
    assert explain(USER, *ALL, REQUEST).as_text().startswith("Allowed.\n")
    assert (
        "\n    - Action doesn't cover ecr:PutImage: ecr:Get*"
        in explain(USER, *ALL, REQUEST).as_text()
    )
    assert "Condition keys that the request lacks: aws:Pr" in explain(USER, *ALL, REQUEST).as_text()
    assert "no policy that has a say" in explain(USER, Policies(), [], REQUEST).as_text()


def test_an_explanation_is_json_too():
    explanation = json.loads(json.dumps(explain(USER, *ALL, REQUEST).as_json()))
    nothing = explain(USER, Policies(), [], REQUEST).as_json()

    assert explanation["decision"] == "allowed"
    assert explanation["decidedBy"] == {"policy": OWN.name, "statement": 4, "sid": "Pushing"}
    assert explanation["principal"] == USER.arn
    assert explanation["missingContextKeys"] == ["aws:PrincipalTag/team", "aws:username"]
    assert explanation["statements"][0] == {
        "policy": OWN.name,
        "kind": "identity-based policy",
        "statement": 1,
        "sid": "Reading",
        "effect": "Allow",
        "matched": False,
        "decided": False,
        "leavesChoiceToAccount": False,
        "why": ["Action doesn't cover ecr:PutImage: ecr:Get*, ecr:List*"],
    }
    assert nothing["decision"] == "implicitDeny"
    assert nothing["decidedBy"] is None
    assert nothing["sentence"].endswith("no identity-based policy allows the ecr:PutImage action")
