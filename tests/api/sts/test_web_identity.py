"""A CI job takes a role with nothing but the token of its provider, through boto3."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from longshore.identity import inline_policies, openid_providers, roles
from longshore.identity.kinds import Kind
from tests.support.identity_provider import SigningKey, key_set
from tests.support.policies import allow, document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_sts import STSClient

    from tests.support.server import RunningServer

ACCOUNT = "000000000000"
ISSUER = "https://token.actions.example"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ci"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.example"
SUBJECT = "repo:octo/app:ref:refs/heads/main"


@pytest.fixture(scope="module")
def signing() -> SigningKey:
    return SigningKey.make("k", "ES256")


@pytest.fixture
def sts(server: RunningServer, signing: SigningKey) -> Iterator[STSClient]:
    context = server.context
    openid_providers.create(context, ACCOUNT, ISSUER, ["registry"], key_set=key_set(signing))
    trust = document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": PROVIDER},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    "token.actions.example:sub": SUBJECT,
                    "token.actions.example:aud": "registry",
                }
            },
        }
    )
    roles.create(context, ACCOUNT, "ci", trust)
    inline_policies.put(
        context, ACCOUNT, Kind.ROLE, "ci", "push", document=allow("ecr:DescribeRegistry")
    )
    yield boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=f"http://{server.address}",
        config=Config(signature_version=UNSIGNED, retries={"max_attempts": 0}),
    )
    inline_policies.remove(context, ACCOUNT, Kind.ROLE, "ci", "push")
    roles.remove(context, ACCOUNT, "ci")
    openid_providers.remove(context, ACCOUNT, PROVIDER)


def token(key: SigningKey, **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": SUBJECT, "aud": "registry", "iat": now, "exp": now + 600}
    return key.sign(claims | changes)


def test_a_job_without_secrets_takes_a_role(
    server: RunningServer, sts: STSClient, signing: SigningKey
) -> None:
    assumed = sts.assume_role_with_web_identity(
        RoleArn=ROLE, RoleSessionName="job-7", WebIdentityToken=token(signing)
    )
    assert assumed["SubjectFromWebIdentityToken"] == SUBJECT
    assert (assumed["Audience"], assumed["Provider"]) == ("registry", PROVIDER)
    session_arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/job-7"
    assert assumed["AssumedRoleUser"]["Arn"] == session_arn
    credentials = assumed["Credentials"]
    ecr = boto3.client(
        "ecr",
        region_name="us-east-1",
        endpoint_url=f"http://{server.address}",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    assert ecr.describe_registry()["registryId"] == ACCOUNT
    with pytest.raises(ClientError, match="AccessDenied"):
        ecr.describe_repositories()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sub": "repo:octo/app:pull_request"}, "AccessDenied"),
        ({"aud": "another"}, "InvalidIdentityToken"),
        ({"iss": "https://evil.example"}, "InvalidIdentityToken"),
        ({"exp": 1}, "ExpiredTokenException"),
    ],
)
def test_other_tokens_take_nothing(
    sts: STSClient, signing: SigningKey, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(ClientError) as refusal:
        sts.assume_role_with_web_identity(
            RoleArn=ROLE, RoleSessionName="job", WebIdentityToken=token(signing, **changes)
        )
    assert refusal.value.response["Error"]["Code"] == code


def test_a_forged_token_takes_nothing(sts: STSClient) -> None:
    with pytest.raises(ClientError, match="InvalidIdentityToken"):
        sts.assume_role_with_web_identity(
            RoleArn=ROLE,
            RoleSessionName="job",
            WebIdentityToken=token(SigningKey.make("k", "ES256")),
        )
