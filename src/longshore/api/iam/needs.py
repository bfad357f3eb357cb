"""What operations of IAM need: for each, the resources that its IAM action is done to.

Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Identity
and Access Management". What doesn't exist is asked for under the ARN that it would have without a
path.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from longshore.api.iam.descriptions import pairs
from longshore.api.iam.names import user_name
from longshore.identity import (
    access_keys,
    identities,
    managed_policies,
    openid_providers,
    operators,
)
from longshore.identity.authorization import Need
from longshore.identity.condition_keys import of_tags
from longshore.identity.errors import InvalidInput, NoSuchEntity
from longshore.identity.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from longshore.api.aws.calls import Call
    from longshore.identity.identities import Identity

Values: TypeAlias = "dict[str, tuple[str, ...]]"


def nothing(_action: str, _call: Call, _request: object) -> Iterable[Need]:
    """Whoever is who they say may do it."""
    return ()


def on_everything(action: str, _call: Call, _request: object) -> Iterable[Need]:
    """The action knows no resources."""
    yield Need(action)


def to_list(kind: str, action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action is done to all of a kind below a path."""
    path = request.get("PathPrefix", "/")
    yield Need(action, f"arn:aws:iam::{call.caller.account}:{kind}{path}")


def to_create(kind: Kind, action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action makes a user, a group or a role; with tags, it needs permission to tag, too."""
    path, name = request.get("Path", "/"), request[f"{kind.title}Name"]
    arn = f"arn:aws:iam::{call.caller.account}:{kind.value}{path}{name}"
    tags = pairs(request.get("Tags", ()))
    values = _values_of_request(request)
    yield Need(action, arn, values=values)
    if tags:
        yield Need(f"iam:Tag{kind.title}", arn, values=values)


def on(kind: Kind, action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action is done to the user, the group or the role that the request names."""
    yield _on_identity(kind, request[f"{kind.title}Name"], action, call, request)


def on_membership(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action is done to a group, and changes what the user may do whom the request names."""
    need = _on_identity(Kind.GROUP, request["GroupName"], action, call, request)
    member = _find(Kind.USER, request["UserName"], call)
    changes_operator = member is not None and member.is_operator
    yield replace(need, only_for_operator=need.only_for_operator or changes_operator)


def on_user(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action is done to the user that the request names, or else to whoever sends it."""
    name = user_name(call, request)
    if name is None:
        yield Need(action, call.caller.arn)
    else:
        yield _on_identity(Kind.USER, name, action, call, request)


def on_user_of_key(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action is done to the user whose access key the request names."""
    key_id = request["AccessKeyId"]
    # Who may not see it learns neither whose it is nor whether it is there.
    called = f"access key {key_id}"
    try:
        owner = access_keys.get(call.context, call.caller.account, key_id).user
    except NoSuchEntity:
        yield Need(action, called=called)
        return
    if owner is None:
        yield Need(action, f"arn:aws:iam::{call.caller.account}:root", called=called)
    else:
        need = _on_identity(Kind.USER, owner, action, call, request)
        yield replace(need, called=called)


def to_rename(kind: Kind, action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action is done to a user or a group under the old name and under the new one."""
    name = request[f"{kind.title}Name"]
    old = _on_identity(kind, name, action, call, request)
    yield old
    found = _find(kind, name, call)
    path = request.get("NewPath", "/" if found is None else found.path)
    new_name = request.get(f"New{kind.title}Name", name)
    arn = f"arn:aws:iam::{call.caller.account}:{kind.value}{path}{new_name}"
    if arn != old.resource:
        yield Need(action, arn, values=old.values)


def to_create_policy(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action makes a managed policy; with tags, it needs permission to tag, too."""
    path, name = request.get("Path", "/"), request["PolicyName"]
    arn = f"arn:aws:iam::{call.caller.account}:policy{path}{name}"
    values = _values_of_request(request)
    yield Need(action, arn, values=values)
    if request.get("Tags"):
        yield Need("iam:TagPolicy", arn, values=values)


def on_policy(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action is done to the managed policy that the request names."""
    arn = request["PolicyArn"]
    try:
        tags = managed_policies.get(call.context, call.caller.account, arn).tags
    except (NoSuchEntity, InvalidInput):
        tags = {}
    values = _values_of_tags(tags) | _values_of_request(request)
    changes_operator = False
    if not _only_reads(action):
        with call.context.database.read() as tx:
            changes_operator = operators.is_bound_by(tx, arn)
    yield Need(action, arn, values=values, only_for_operator=changes_operator)


def on_source(action: str, _call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action is done to the user, the group or the role that the request names by its ARN."""
    yield Need(action, request["PolicySourceArn"])


def to_create_provider(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action makes an OpenID Connect provider; with tags, it needs permission to tag, too."""
    url = request["Url"].removeprefix("https://")
    arn = f"arn:aws:iam::{call.caller.account}:oidc-provider/{url}"
    values = _values_of_request(request)
    yield Need(action, arn, values=values)
    if request.get("Tags"):
        yield Need("iam:TagOpenIDConnectProvider", arn, values=values)


def on_provider(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action is done to the OpenID Connect provider that the request names."""
    arn = request["OpenIDConnectProviderArn"]
    try:
        tags = openid_providers.get(call.context, call.caller.account, arn).tags
    except (NoSuchEntity, InvalidInput):
        tags = {}
    yield Need(action, arn, values=_values_of_tags(tags) | _values_of_request(request))


def _on_identity(
    kind: Kind, name: str, action: str, call: Call, request: Mapping[str, Any]
) -> Need:
    found = _find(kind, name, call)
    values = _values_of_request(request)
    pathless = f"arn:aws:iam::{call.caller.account}:{kind.value}/{name}"
    if found is None:
        return Need(action, pathless, values=values)
    changes_operator = False
    if not _only_reads(action):
        with call.context.database.read() as tx:
            changes_operator = operators.has_say(tx, found)
    # Who may change permissions may be bound to those whom a boundary holds.
    boundary = {} if found.boundary is None else {"iam:permissionsboundary": (found.boundary,)}
    return Need(
        action,
        found.arn,
        values=_values_of_tags(found.tags) | boundary | values,
        # Who may not see it learns neither its path nor whether it is there.
        called=pathless,
        only_for_operator=changes_operator,
    )


def _only_reads(action: str) -> bool:
    return action.startswith(("iam:Get", "iam:List", "iam:Simulate"))


def _find(kind: Kind, name: str, call: Call) -> Identity | None:
    with call.context.database.read() as tx:
        try:
            return identities.find(tx, call.caller.account, kind, name)
        except NoSuchEntity:
            return None


def _values_of_request(request: Mapping[str, Any]) -> Values:
    values: Values = {}
    if (boundary := request.get("PermissionsBoundary")) is not None:
        values["iam:permissionsboundary"] = (boundary,)
    if (policy := request.get("PolicyArn")) is not None:
        values["iam:policyarn"] = (policy,)
    tags = dict(pairs(request.get("Tags", ())))
    values |= of_tags("aws:requesttag/", tags)
    if keys := (*tags, *request.get("TagKeys", ())):
        values["aws:tagkeys"] = keys
    return values


def _values_of_tags(tags: Mapping[str, str]) -> Values:
    return {**of_tags("aws:resourcetag/", tags), **of_tags("iam:resourcetag/", tags)}
