"""IAM operations on OpenID Connect providers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.api.iam import descriptions
from longshore.api.iam.listings import whole
from longshore.clock import as_datetime
from longshore.identity import openid_providers

if TYPE_CHECKING:
    from types_boto3_iam import type_defs as iam

    from longshore.api.aws.calls import Call, Output


def create_openid_connect_provider(
    call: Call, request: iam.CreateOpenIDConnectProviderRequestTypeDef
) -> Output:
    """CreateOpenIDConnectProvider."""
    provider = openid_providers.create(
        call.context,
        call.caller.account,
        request["Url"],
        request.get("ClientIDList", ()),
        thumbprints=request.get("ThumbprintList", ()),
        tags=descriptions.pairs(request.get("Tags", ())),
    )
    tags = {"Tags": descriptions.tags(provider.tags)} if provider.tags else {}
    return {"OpenIDConnectProviderArn": provider.arn, **tags}


def get_openid_connect_provider(
    call: Call, request: iam.GetOpenIDConnectProviderRequestTypeDef
) -> Output:
    """GetOpenIDConnectProvider."""
    arn = request["OpenIDConnectProviderArn"]
    provider = openid_providers.get(call.context, call.caller.account, arn)
    return {
        "Url": provider.url,
        "ClientIDList": provider.client_ids,
        "ThumbprintList": provider.thumbprints,
        "CreateDate": as_datetime(provider.created_at),
        "Tags": descriptions.tags(provider.tags),
    }


def list_openid_connect_providers(call: Call, _request: object) -> Output:
    """ListOpenIDConnectProviders."""
    found = openid_providers.list_all(call.context, call.caller.account)
    return {"OpenIDConnectProviderList": [{"Arn": provider.arn} for provider in found]}


def delete_openid_connect_provider(
    call: Call, request: iam.DeleteOpenIDConnectProviderRequestTypeDef
) -> Output:
    """DeleteOpenIDConnectProvider."""
    arn = request["OpenIDConnectProviderArn"]
    openid_providers.remove(call.context, call.caller.account, arn)
    return {}


def add_client_id(
    call: Call, request: iam.AddClientIDToOpenIDConnectProviderRequestTypeDef
) -> Output:
    """AddClientIDToOpenIDConnectProvider; one that is there stays."""
    openid_providers.add_client_id(
        call.context,
        call.caller.account,
        request["OpenIDConnectProviderArn"],
        request["ClientID"],
    )
    return {}


def remove_client_id(
    call: Call, request: iam.RemoveClientIDFromOpenIDConnectProviderRequestTypeDef
) -> Output:
    """RemoveClientIDFromOpenIDConnectProvider; one that isn't there isn't there."""
    openid_providers.remove_client_id(
        call.context,
        call.caller.account,
        request["OpenIDConnectProviderArn"],
        request["ClientID"],
    )
    return {}


def update_thumbprints(
    call: Call, request: iam.UpdateOpenIDConnectProviderThumbprintRequestTypeDef
) -> Output:
    """UpdateOpenIDConnectProviderThumbprint."""
    openid_providers.change(
        call.context,
        call.caller.account,
        request["OpenIDConnectProviderArn"],
        thumbprints=request["ThumbprintList"],
    )
    return {}


def tag_provider(call: Call, request: iam.TagOpenIDConnectProviderRequestTypeDef) -> Output:
    """TagOpenIDConnectProvider."""
    openid_providers.tag(
        call.context,
        call.caller.account,
        request["OpenIDConnectProviderArn"],
        descriptions.pairs(request["Tags"]),
    )
    return {}


def untag_provider(call: Call, request: iam.UntagOpenIDConnectProviderRequestTypeDef) -> Output:
    """UntagOpenIDConnectProvider."""
    openid_providers.untag(
        call.context,
        call.caller.account,
        request["OpenIDConnectProviderArn"],
        request["TagKeys"],
    )
    return {}


def list_provider_tags(
    call: Call, request: iam.ListOpenIDConnectProviderTagsRequestTypeDef
) -> Output:
    """ListOpenIDConnectProviderTags: there are fifty at most, so that there is no second page."""
    arn = request["OpenIDConnectProviderArn"]
    provider = openid_providers.get(call.context, call.caller.account, arn)
    return whole("Tags", descriptions.tags(provider.tags))
