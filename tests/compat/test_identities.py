"""The AWS CLI and boto3 as people and roles with few permissions, on both databases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from longshore.identity import access_keys, inline_policies, users
from longshore.identity.kinds import Kind
from longshore.server import open_context
from longshore.settings import load
from tests.compat.support.programs import ProgramFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.compat.support.programs import Shell
    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat

ACCOUNT, OTHER_ACCOUNT = "000000000000", "111122223333"

# Sets up a user who may read one repository and be one role; all of it is what administrators type.
SETTING = """\
eval "$(longshore env)"
aws ecr create-repository --repository-name people/app
aws iam create-user --user-name {name} --path /ci/ --tags Key=team,Value=a
aws iam create-policy --policy-name {name}-pull --policy-document '{pull}' \
  --query Policy.Arn --output text >arn
aws iam create-group --group-name {name}-group
aws iam attach-group-policy --group-name {name}-group --policy-arn "$(cat arn)"
aws iam add-user-to-group --group-name {name}-group --user-name {name}
aws iam create-role --role-name {name}-role --assume-role-policy-document '{trust}'
aws iam put-role-policy --role-name {name}-role --policy-name push --policy-document '{push}'
aws iam create-access-key --user-name {name} >key.json
aws iam list-users --path-prefix /ci/ --query 'Users[].UserName' --output text >users
aws iam get-policy --policy-arn "$(cat arn)" --query Policy.AttachmentCount --output text >count
aws iam simulate-principal-policy --policy-source-arn arn:aws:iam::000000000000:user/ci/{name} \
  --action-names ecr:DescribeImages ecr:PutImage \
  --resource-arns arn:aws:ecr:us-east-1:000000000000:repository/people/app \
  --query 'EvaluationResults[].EvalDecision' --output text >decisions
"""

TIDYING = """\
eval "$(longshore env)"
aws iam remove-user-from-group --group-name {name}-group --user-name {name}
aws iam detach-group-policy --group-name {name}-group --policy-arn "$(cat arn)"
aws iam delete-group --group-name {name}-group
aws iam delete-policy --policy-arn "$(cat arn)"
aws iam delete-access-key --user-name {name} --access-key-id {key}
aws iam delete-user --user-name {name}
aws iam delete-role-policy --role-name {name}-role --policy-name push
aws iam delete-role --role-name {name}-role
aws ecr delete-repository --repository-name people/app
"""


def policy(action: str, resource: str = "*", **elements: Any) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **elements}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(*principals: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": list(principals)},
        "Action": "sts:AssumeRole",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def variables(credentials: Mapping[str, str]) -> dict[str, str]:
    """Return what makes the AWS CLI use credentials that IAM or STS gave."""
    names = {
        "AccessKeyId": "AWS_ACCESS_KEY_ID",
        "SecretAccessKey": "AWS_SECRET_ACCESS_KEY",
        "SessionToken": "AWS_SESSION_TOKEN",
    }
    return {names[key]: value for key, value in credentials.items() if key in names}


def aws(shell: Shell, *arguments: str) -> Any:
    """Run the AWS CLI and return what it prints."""
    printed = shell.run("aws", *arguments, "--output", "json")
    return json.loads(printed) if printed.strip() else None


def refusal(shell: Shell, *arguments: str) -> str:
    """Run the AWS CLI and return what it says when it is refused."""
    with pytest.raises(ProgramFailed) as caught:
        aws(shell, *arguments)
    return str(caught.value)


def endpoints(server: Longshore) -> dict[str, str]:
    """Return what points the AWS CLI at the server, without anybody's credentials."""
    return {name: value for name, value in server.credentials.items() if "KEY" not in name}


def test_a_restricted_user_and_the_role_that_they_may_be(server: Longshore) -> None:
    administrator = server.shell
    user = f"arn:aws:iam::{ACCOUNT}:user/ci/ann"
    setting = SETTING.format(
        name="ann",
        pull=policy("ecr:Describe*", f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/people/*"),
        push=policy("ecr:*"),
        trust=trust(ACCOUNT),
    )
    administrator.run("bash", "-euo", "pipefail", "-c", setting)
    home = administrator.home
    assert (home / "users").read_text().split() == ["ann"]
    assert (home / "count").read_text().split() == ["1"]
    assert (home / "decisions").read_text().split() == ["allowed", "implicitDeny"]
    key = json.loads((home / "key.json").read_text())["AccessKey"]
    ann = administrator.given({**endpoints(server), **variables(key)})

    assert aws(ann, "sts", "get-caller-identity")["Arn"] == user
    aws(ann, "ecr", "describe-images", "--repository-name", "people/app")
    assert (
        f"(AccessDeniedException) when calling the CreateRepository operation: User: {user} is "
        "not authorized to perform: ecr:CreateRepository on resource: "
        f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/people/b because no identity-based policy "
        "allows the ecr:CreateRepository action"
    ) in refusal(ann, "ecr", "create-repository", "--repository-name", "people/b")
    assert f"(AccessDenied) when calling the ListUsers operation: User: {user}" in refusal(
        ann, "iam", "list-users"
    )

    # The role trusts the account: the user's own policies decide, from the very next request on.
    role = f"arn:aws:iam::{ACCOUNT}:role/ann-role"
    assume = ("sts", "assume-role", "--role-arn", role, "--role-session-name", "build")
    assert "because no identity-based policy allows the sts:AssumeRole" in refusal(ann, *assume)
    put = ("iam", "put-user-policy", "--user-name", "ann", "--policy-name", "be")
    aws(admin(server), *put, "--policy-document", policy("sts:AssumeRole", role))
    session = aws(ann, *assume)["Credentials"]
    builder = administrator.given({**endpoints(server), **variables(session)})
    assumed = f"arn:aws:sts::{ACCOUNT}:assumed-role/ann-role/build"
    assert aws(builder, "sts", "get-caller-identity")["Arn"] == assumed
    aws(builder, "ecr", "create-repository", "--repository-name", "people/b")
    aws(builder, "ecr", "delete-repository", "--repository-name", "people/b")
    assert f"(AccessDenied) when calling the GetRole operation: User: {assumed}" in refusal(
        builder, "iam", "get-role", "--role-name", "ann-role"
    )

    aws(admin(server), "iam", "delete-user-policy", "--user-name", "ann", "--policy-name", "be")
    assert "(AccessDenied)" in refusal(ann, *assume)
    tidying = TIDYING.format(name="ann", key=key["AccessKeyId"])
    administrator.run("bash", "-euo", "pipefail", "-c", tidying)
    assert "(InvalidClientTokenId)" in refusal(ann, "sts", "get-caller-identity")
    assert "(UnrecognizedClientException)" in refusal(builder, "ecr", "describe-repositories")


def test_a_session_of_one_s_own(server: Longshore) -> None:
    session = aws(admin(server), "sts", "get-session-token", "--duration-seconds", "900")
    shell = server.shell.given({**endpoints(server), **variables(session["Credentials"])})
    assert aws(shell, "sts", "get-caller-identity")["Arn"].endswith(":user/administrator")
    aws(shell, "ecr", "describe-registry")


def test_a_user_of_another_account(server: Longshore) -> None:
    """boto3: it takes the permission of both accounts to reach a repository or a role."""
    key_id, secret = invite_stranger(server)
    stranger = f"arn:aws:iam::{OTHER_ACCOUNT}:user/stranger"

    def client(service: str, *credentials: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload] # one of two
            endpoint_url=f"http://{server.address}",
            region_name="us-east-1",
            aws_access_key_id=credentials[0],
            aws_secret_access_key=credentials[1],
            aws_session_token=credentials[2] if len(credentials) == 3 else None,
        )

    repository = server.create_repository("shared")
    ecr = client("ecr", key_id, secret)
    theirs = {"registryId": ACCOUNT, "repositoryName": repository}
    with pytest.raises(ClientError, match="because no resource-based policy allows"):
        ecr.list_images(**theirs)
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": stranger},
        "Action": "ecr:ListImages",
    }
    server.ecr.set_repository_policy(
        repositoryName=repository,
        policyText=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    assert ecr.list_images(**theirs)["imageIds"] == []
    with pytest.raises(ClientError, match="AccessDenied"):
        ecr.describe_images(**theirs)

    iam = client(
        "iam",
        server.credentials["AWS_ACCESS_KEY_ID"],
        server.credentials["AWS_SECRET_ACCESS_KEY"],
    )
    iam.create_role(RoleName="for-strangers", AssumeRolePolicyDocument=trust(stranger))
    role = f"arn:aws:iam::{ACCOUNT}:role/for-strangers"
    assumed = client("sts", key_id, secret).assume_role(RoleArn=role, RoleSessionName="visit")
    session = assumed["Credentials"]
    visitor = client(
        "sts", session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]
    )
    assert visitor.get_caller_identity()["Account"] == ACCOUNT
    iam.delete_role(RoleName="for-strangers")
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        visitor.get_caller_identity()


def admin(server: Longshore) -> Shell:
    """Return a shell with the administrator's credentials."""
    return server.shell.given(server.credentials)


def invite_stranger(server: Longshore) -> tuple[str, str]:
    """Create a user of another account who may do everything there, and return their key."""
    given = {
        name.removeprefix("LONGSHORE_").lower(): value
        for name, value in server.shell.variables.items()
        if name.startswith("LONGSHORE_")
    }
    context = open_context(load(given, None))
    try:
        users.create(context, OTHER_ACCOUNT, "stranger")
        inline_policies.put(
            context, OTHER_ACCOUNT, Kind.USER, "stranger", "all", document=policy("*")
        )
        key, _ = access_keys.create(context, OTHER_ACCOUNT, "stranger")
    finally:
        context.database.close()
    return key.id, key.secret
