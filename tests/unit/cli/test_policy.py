from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from longshore import server
from longshore.access.policy.documents import Grammar
from longshore.identity import inline_policies, users
from longshore.identity.kinds import Kind
from longshore.names import Registry
from longshore.registry import policies, registry_policies, repository_policies
from longshore.settings import Settings
from tests.support.pushing import create_repository
from tests.unit.cli.test_commands import check_failed, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from click.testing import Result

    from longshore.registry.context import Context

ACCOUNT = "000000000000"
REGISTRY = Registry(ACCOUNT, "us-east-1")
ANN = f"arn:aws:iam::{ACCOUNT}:user/ann"
ARN = REGISTRY.repository_arn("demo/app")
PULL = {"action": "ecr:BatchGetImage", "resource": ARN}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a user and a repository."""
    server.prepare(Settings(data=tmp_path))
    return tmp_path


@pytest.fixture
def store(data: Path) -> Iterator[Context]:
    """What is in it."""
    context = server.open_context(Settings(data=data))
    users.create(context, ACCOUNT, "ann")
    create_repository(context, "demo/app", registry=REGISTRY, tags={"team": "a"})
    yield context
    context.database.close()


def allow(context: Context, **elements: Any) -> None:
    """Give the user a policy."""
    text = written({"Effect": "Allow", "Action": "ecr:Batch*", "Resource": "*"} | elements)
    inline_policies.put(context, ACCOUNT, Kind.USER, "ann", "pull", document=text)


def written(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def explain(data: Path, *words: str, principal: str = ANN, **options: str) -> Result:
    asked = [f"--{name}={value}" for name, value in {"principal": principal, **options}.items()]
    return run("policy", "explain", "--data", data, *asked, *words)


def test_what_is_allowed_is_explained(data: Path, store: Context) -> None:
    allow(store)

    result = explain(data, **PULL)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "Allowed.\n"
        f"User: {ANN} is authorized to perform: ecr:BatchGetImage on resource: {ARN} "
        "because an identity-based policy allows it\n"
        "\n"
        "the inline policy 'pull' of the user 'ann' (identity-based policy)\n"
        "  statement 1, Allow: match, and this decided\n"
    )


def test_what_is_refused_is_explained(data: Path, store: Context) -> None:
    allow(store, Action="ecr:PutImage")
    deny = written({"Effect": "Deny", "Principal": "*", "Action": "ecr:*"})
    document = policies.read(deny, Grammar.REPOSITORY)
    repository_policies.put(store, REGISTRY, "demo/app", document)

    result = explain(data, **PULL)

    assert result.exit_code == 0
    assert result.stdout.startswith("Refused.\n")
    assert "with an explicit deny in a resource-based policy\n" in result.stdout
    assert "Action doesn't cover ecr:BatchGetImage: ecr:PutImage\n" in result.stdout
    assert "the repository policy (resource-based policy)\n" in result.stdout


def test_the_same_for_programs(data: Path, store: Context) -> None:
    allow(store)

    explanation = json.loads(explain(data, output="json", **PULL).stdout)

    assert explanation["decision"] == "allowed"
    assert explanation["principal"] == ANN
    assert explanation["action"] == "ecr:BatchGetImage"
    [statement] = explanation["statements"]
    assert statement["decided"] is True


@pytest.mark.parametrize(
    ("key", "words", "decision"),
    [
        ({"aws:SourceIp": "192.0.2.0/24"}, ["--context", "aws:SourceIp=192.0.2.7"], "Allowed."),
        ({"aws:SourceIp": "192.0.2.0/24"}, ["--context", "AWS:sourceip=10.0.0.1"], "Refused."),
        ({"aws:SourceIp": "192.0.2.0/24"}, [], "Refused."),
        ({"ecr:ResourceTag/team": "a"}, [], "Allowed."),
        ({"ecr:ResourceTag/team": "a"}, ["--context", "ecr:ResourceTag/team=b"], "Refused."),
        ({"aws:username": "ann"}, [], "Allowed."),
    ],
)
def test_what_the_request_says_can_be_given(
    data: Path, store: Context, key: dict[str, str], words: list[str], decision: str
) -> None:
    operator = "IpAddress" if "aws:SourceIp" in key else "StringEquals"
    allow(store, Condition={operator: key})

    assert explain(data, *words, **PULL).stdout.partition("\n")[0] == decision


def test_a_key_may_have_several_values(data: Path, store: Context) -> None:
    allow(store, Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b=c"]}})
    given = ["--context", "aws:TagKeys=a", "--context", "aws:TagKeys=b=c"]

    assert explain(data, *given, **PULL).stdout.startswith("Allowed.")
    assert explain(data, *given, "--context", "aws:TagKeys=d", **PULL).stdout.startswith("Refused.")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("principal", "decision"),
    [
        (f"arn:aws:iam::{ACCOUNT}:root", "Allowed."),
        ("arn:aws:iam::111122223333:root", "Refused."),
        (f"arn:aws:iam::{ACCOUNT}:user/administrator", "Allowed."),
        (ANN, "Refused."),
        ("anonymous", "Refused."),
    ],
)
def test_everybody_can_be_asked_for(data: Path, principal: str, decision: str) -> None:
    assert explain(data, principal=principal, **PULL).stdout.partition("\n")[0] == decision


@pytest.mark.usefixtures("store")
def test_somebody_who_is_not_there(data: Path) -> None:
    absent = f"{ANN}x"

    result = explain(data, principal=absent, **PULL)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("longshore: ")
    assert "annx" in result.stderr


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("text", ["aws:SourceIp", "=192.0.2.7", ""])
def test_a_key_without_a_value(data: Path, text: str) -> None:
    check_failed(
        explain(data, "--context", text, **PULL),
        f"--context {text}: write KEY=VALUE, such as aws:SourceIp=192.0.2.7",
    )


FORM = "write SERVICE:NAME, such as ecr:BatchGetImage."
UNKNOWN = "Longshore knows no such action."
NO_NEAREST = "Most are named as operations of the API are, such as ecr:BatchGetImage."


@pytest.mark.parametrize(
    ("action", "message"),
    [
        *((text, FORM) for text in ("", "PutImage", "ecr:", ":PutImage", "ecr:*", "*", "ecr/Put")),
        ("ecr:PutImagee", f"{UNKNOWN} Did you mean ecr:PutImage?"),
        ("ECR:batchgetimages", f"{UNKNOWN} Did you mean ecr:BatchGetImage?"),
        ("iam:CreateUsr", f"{UNKNOWN} Did you mean iam:CreateUser?"),
        ("sts:AsumeRole", f"{UNKNOWN} Did you mean sts:AssumeRole?"),
        ("ecr:Foo", f"{UNKNOWN} {NO_NEAREST}"),
    ],
)
@pytest.mark.parametrize("principal", [f"arn:aws:iam::{ACCOUNT}:user/administrator", ANN])
def test_what_is_no_action_is_neither_allowed_nor_refused(
    data: Path, principal: str, action: str, message: str
) -> None:
    check_failed(
        explain(data, principal=principal, action=action, resource="demo/app"),
        f"--action {action}: {message}",
    )


@pytest.mark.parametrize(
    ("resource", "arn"),
    [
        ("demo/app", ARN),
        ("team/api", REGISTRY.repository_arn("team/api")),
        *((text, ARN) for text in ("", "**", "demo:1", "arn:aws:ecr", "arn:aws:ecr:::", "Demo")),
    ],
)
def test_what_is_no_resource_is_neither_allowed_nor_refused(
    data: Path, resource: str, arn: str
) -> None:
    check_failed(
        explain(data, action="ecr:PutImage", resource=resource),
        f"--resource {resource}: write an ARN, such as {arn}, or *.",
    )


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("ecr:PutImage", "*"),
        ("ecr:putimage", REGISTRY.repository_arn("*")),
        ("ecr:ReplicateImage", ARN),
        ("ecr:StartImageScan", ARN),
        ("sts:TagSession", f"arn:aws:iam::{ACCOUNT}:role/ci"),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/ci"),
        ("s3:GetObject", "arn:aws:s3:::bucket/key"),
        ("s3:Foo", "*"),
    ],
)
def test_every_action_that_there_is_can_be_asked_for(
    data: Path, action: str, resource: str
) -> None:
    administrator = f"arn:aws:iam::{ACCOUNT}:user/administrator"
    result = explain(data, principal=administrator, action=action, resource=resource)
    assert (result.exit_code, result.stdout.partition("\n")[0]) == (0, "Allowed.")


# --- longshore policy remove ----------------------------------------------------------------------


DENY_ALL = written({"Effect": "Deny", "Principal": "*", "Action": "ecr:*", "Resource": "*"})


def remove(data: Path, *words: str) -> Result:
    return run("policy", "remove", "--data", data, *words)


def test_a_policy_that_locks_everybody_out_can_be_taken_away(data: Path, store: Context) -> None:
    on_repository = policies.read(DENY_ALL, Grammar.REPOSITORY)
    on_registry = policies.read(DENY_ALL, Grammar.REGISTRY)
    repository_policies.put(store, REGISTRY, "demo/app", on_repository)
    registry_policies.put(store, REGISTRY, on_registry)
    administrator = f"arn:aws:iam::{ACCOUNT}:user/administrator"
    assert explain(data, principal=administrator, **PULL).stdout.startswith("Refused.")

    for words in ([], ["--repository", "demo/app"]):
        result = remove(data, *words)
        assert (result.exit_code, result.stderr) == (0, "")
        assert json.loads(result.stdout) == json.loads(DENY_ALL)

    assert explain(data, principal=administrator, **PULL).stdout.startswith("Allowed.")


NO_REGISTRY_POLICY = f"Registry policy does not exist in the registry with id '{ACCOUNT}'"
NO_REPOSITORY_POLICY = (
    "Repository policy does not exist for the repository with name 'demo/app' "
    f"in the registry with id '{ACCOUNT}'"
)
NO_REPOSITORY = (
    "The repository with name 'demo/app' does not exist in the registry with id '111122223333'"
)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], NO_REGISTRY_POLICY),
        (["--repository", "demo/app"], NO_REPOSITORY_POLICY),
        (["--repository", "demo/app", "--account", "111122223333"], NO_REPOSITORY),
    ],
)
def test_there_may_be_none_to_take_away(data: Path, words: list[str], message: str) -> None:
    check_failed(remove(data, *words), message)
