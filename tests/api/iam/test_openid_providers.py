"""OpenID Connect providers through boto3, as Terraform's resource manages them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.api.people import ACCOUNT
from tests.api.queries import refused

if TYPE_CHECKING:
    from tests.support.server import RunningServer

ARN = f"arn:aws:iam::{ACCOUNT}:oidc-provider/ci.example/path"
PRINT = "ab" * 20


def test_a_provider_from_beginning_to_end(plain_server: RunningServer) -> None:
    iam = plain_server.iam
    made = iam.create_open_id_connect_provider(
        Url="https://ci.example/path",
        ClientIDList=["sts.amazonaws.com"],
        ThumbprintList=[PRINT],
        Tags=[{"Key": "team", "Value": "a"}],
    )
    assert made["OpenIDConnectProviderArn"] == ARN
    assert made["Tags"] == [{"Key": "team", "Value": "a"}]
    with refused("EntityAlreadyExists"):
        iam.create_open_id_connect_provider(Url="https://ci.example/path")
    listed = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert {"Arn": ARN} in listed

    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=ARN, ClientID="b")
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=ARN, ClientID="b")
    iam.remove_client_id_from_open_id_connect_provider(
        OpenIDConnectProviderArn=ARN, ClientID="sts.amazonaws.com"
    )
    iam.update_open_id_connect_provider_thumbprint(
        OpenIDConnectProviderArn=ARN, ThumbprintList=["cd" * 20]
    )
    iam.tag_open_id_connect_provider(
        OpenIDConnectProviderArn=ARN, Tags=[{"Key": "stage", "Value": "1"}]
    )
    iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=ARN, TagKeys=["team"])
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=ARN)
    assert found["Url"] == "ci.example/path"
    assert (found["ClientIDList"], found["ThumbprintList"]) == (["b"], ["cd" * 20])
    assert found["Tags"] == [{"Key": "stage", "Value": "1"}]
    tags = iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=ARN)
    assert tags["Tags"] == [{"Key": "stage", "Value": "1"}]

    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=ARN)
    missing = f"OpenIDConnect Provider not found for arn {ARN}"
    with refused("NoSuchEntity", missing):
        iam.get_open_id_connect_provider(OpenIDConnectProviderArn=ARN)
    with refused("NoSuchEntity", missing):
        iam.tag_open_id_connect_provider(
            OpenIDConnectProviderArn=ARN, Tags=[{"Key": "stage", "Value": "1"}]
        )


def test_a_url_that_names_no_provider_is_refused(plain_server: RunningServer) -> None:
    for url in ("http://ci.example", "ci.example", "https://ci.example?x=1", "https://"):
        with refused("ValidationError"):
            plain_server.iam.create_open_id_connect_provider(Url=url)
