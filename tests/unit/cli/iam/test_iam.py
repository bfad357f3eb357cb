from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from longshore.cli.commands import app
from longshore.errors import UnrecognizedClient
from longshore.identity import (
    access_keys,
    groups,
    managed_policies,
    openid_providers,
    policy_versions,
    robot_tokens,
    roles,
    users,
)
from longshore.registry.key_uses import KeyUse
from tests.support.identity_provider import SigningKey, key_set
from tests.support.policies import allow, trust
from tests.unit.cli.iam.conftest import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.cli.iam.conftest import Registry

POWER_USER = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPowerUser"


def own(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:policy/{name}"


def test_a_user_is_made_shown_listed_and_deleted(registry: Registry) -> None:
    made = registry.iam("user", "create", "alice", "--path", "/team/", "--tag", "cost=1=2")
    assert f"arn:      arn:aws:iam::{ACCOUNT}:user/team/alice\n" in made
    shown = registry.told("user", "show", "alice")
    found = users.get(registry.context, ACCOUNT, "alice")
    assert (shown["id"], shown["arn"]) == (found.id, found.arn)
    assert shown["tags"] == found.tags == {"cost": "1=2"}
    head, first, second = registry.iam("user", "list").splitlines()
    assert head.split() == ["name", "path", "id", "created"]
    assert first.split()[0] == "administrator"
    assert second.split()[:3] == ["alice", "/team/", found.id]
    assert registry.iam("user", "delete", "alice") == "The user alice is deleted\n"
    assert registry.refused("user", "show", "alice") == (
        "longshore: The user with name alice cannot be found.\n"
    )


def test_policies_are_attached_by_name_or_by_arn(registry: Registry) -> None:
    registry.iam("user", "create", "alice")
    registry.iam("policy", "create", "pull", registry.file("p.json", allow("ecr:BatchGetImage")))
    for named in ("pull", "AmazonEC2ContainerRegistryPowerUser", POWER_USER):
        registry.iam("user", "attach", "alice", named)
    registry.iam("user", "put-policy", "alice", "mine", registry.file("i.json", allow("ecr:*")))
    shown = registry.told("user", "show", "alice")
    assert sorted(shown["policies"]) == sorted([own("pull"), POWER_USER])
    assert shown["inline policies"] == {"mine": json.loads(allow("ecr:*"))}
    registry.iam("user", "detach", "alice", "pull")
    registry.iam("user", "delete-policy", "alice", "mine")
    shown = registry.told("user", "show", "alice")
    assert (shown["policies"], shown["inline policies"]) == ([POWER_USER], {})
    refusal = registry.refused("user", "attach", "alice", "nothing")
    assert refusal.startswith("longshore: There is no policy nothing in the account")


def test_a_document_comes_from_standard_input_too(registry: Registry) -> None:
    words = ["iam", "policy", "create", "pull", "-", "--data", str(registry.data)]
    result = CliRunner().invoke(app, words, input=allow("ecr:BatchGetImage"))
    assert result.exit_code == 0, result.output
    assert registry.told("policy", "show", "pull")["document"] == json.loads(
        allow("ecr:BatchGetImage")
    )


def test_a_key_shows_its_secret_once(registry: Registry) -> None:
    registry.iam("user", "create", "alice")
    printed = registry.iam("key", "create", "--user", "alice")
    lines = dict(line.split("=", 1) for line in printed.splitlines())
    found = access_keys.find(registry.context, lines["AWS_ACCESS_KEY_ID"])
    assert found.secret == lines["AWS_SECRET_ACCESS_KEY"]
    assert found.principal.name == "alice"
    root = registry.told("key", "create", "--root")
    assert access_keys.find(registry.context, root["id"]).secret == root["secret"]
    for listed in (
        registry.iam("key", "list", "--user", "alice"),
        registry.iam("user", "show", "alice"),
        registry.iam("key", "list", "--root"),
    ):
        assert found.secret not in listed
        assert root["secret"] not in listed
    for words in (["key", "create"], ["key", "create", "--user", "alice", "--root"]):
        assert "Say whose key" in registry.refused(*words)


def test_a_key_is_switched_off_and_on_and_deleted(registry: Registry) -> None:
    registry.iam("user", "create", "alice")
    key_id = registry.told("key", "create", "--user", "alice")["id"]
    registry.iam("key", "disable", key_id, "--user", "alice")
    with pytest.raises(UnrecognizedClient):
        access_keys.find(registry.context, key_id)
    [listed] = registry.told("key", "list", "--user", "alice")
    assert (listed["id"], listed["status"]) == (key_id, "inactive")
    registry.iam("key", "enable", key_id, "--user", "alice")
    access_keys.find(registry.context, key_id)
    registry.iam("key", "delete", key_id, "--user", "alice")
    assert "cannot be found" in registry.refused("key", "delete", key_id, "--user", "alice")


def test_a_listing_tells_when_a_key_was_used_last(registry: Registry) -> None:
    registry.iam("user", "create", "alice")
    used, _ = access_keys.create(registry.context, ACCOUNT, "alice")
    unused, _ = access_keys.create(registry.context, ACCOUNT, "alice")
    registry.context.key_uses.note(used.id, KeyUse(1_700_000_000_999, "ecr", "eu-west-1"))
    registry.context.key_uses.write(registry.context)

    listed = {each["id"]: each for each in registry.told("key", "list", "--user", "alice")}
    members = ("last used", "service", "region")
    assert [listed[used.id][name] for name in members] == [
        "2023-11-14T22:13:20Z",
        "ecr",
        "eu-west-1",
    ]
    assert [listed[unused.id][name] for name in members] == [None, None, None]
    head, *rows = registry.iam("key", "list", "--user", "alice").splitlines()
    assert head.endswith("created               last used")
    ends = {row.split()[0]: row.split()[-1] for row in rows}
    assert ends == {used.id: "2023-11-14T22:13:20Z", unused.id: "-"}


def test_a_group_has_members_and_policies(registry: Registry) -> None:
    registry.iam("user", "create", "alice")
    registry.iam("group", "create", "team")
    registry.iam("group", "add", "team", "alice")
    registry.iam("group", "attach", "team", POWER_USER)
    shown = registry.told("group", "show", "team")
    assert (shown["members"], shown["policies"]) == (["alice"], [POWER_USER])
    assert registry.told("user", "show", "alice")["groups"] == ["team"]
    assert "members:          alice\n" in registry.iam("group", "show", "team")
    assert "must remove users" in registry.refused("group", "delete", "team")
    registry.iam("group", "remove", "team", "alice")
    assert groups.get(registry.context, ACCOUNT, "team").users.items == ()
    registry.iam("group", "detach", "team", POWER_USER)
    registry.iam("group", "delete", "team")


def test_a_role_is_made_with_whom_it_trusts(registry: Registry) -> None:
    document = registry.file("trust.json", trust(ACCOUNT))
    registry.iam(
        *("role", "create", "ci", "--trust", document, "--max-session", "2h"),
        *("--description", "for CI", "--boundary", POWER_USER),
    )
    found = roles.get(registry.context, ACCOUNT, "ci")
    assert (found.max_session_seconds, found.description) == (7200, "for CI")
    shown = registry.told("role", "show", "ci")
    assert (shown["longest session"], shown["boundary"]) == ("2 h", POWER_USER)
    assert shown["trust policy"] == json.loads(trust(ACCOUNT))
    other = trust("111122223333")
    registry.iam("role", "set-trust", "ci", registry.file("other.json", other))
    assert roles.get(registry.context, ACCOUNT, "ci").trust_policy == other
    registry.iam("role", "set-boundary", "ci", "--none")
    assert roles.get(registry.context, ACCOUNT, "ci").identity.boundary is None
    registry.iam("role", "set-boundary", "ci", "AmazonEC2ContainerRegistryPowerUser")
    assert roles.get(registry.context, ACCOUNT, "ci").identity.boundary == POWER_USER
    assert "Name a policy" in registry.refused("role", "set-boundary", "ci")
    registry.iam("role", "delete", "ci")


def test_a_policy_gets_new_versions_and_loses_old_ones(registry: Registry) -> None:
    for number in range(8):
        file = registry.file("p.json", allow(f"ecr:Action{number}"))
        registry.iam("policy", *(["create"] if number == 0 else ["update"]), "mine", file)
    shown = registry.told("policy", "show", "mine")
    assert (shown["version"], shown["document"]) == ("v8", json.loads(allow("ecr:Action7")))
    assert shown["other versions"] == ["v7", "v6", "v5", "v4"]
    assert [row["name"] for row in registry.told("policy", "list")] == ["mine"]
    assert POWER_USER in {row["arn"] for row in registry.told("policy", "list", "--aws")}
    assert registry.told("policy", "show", POWER_USER)["version"]
    registry.iam("policy", "delete", "mine")
    assert registry.told("policy", "list") == []


def test_a_policy_that_somebody_has_keeps_all_its_versions(registry: Registry) -> None:
    registry.iam("policy", "create", "mine", registry.file("a.json", allow("ecr:A")))
    registry.iam("policy", "update", "mine", registry.file("b.json", allow("ecr:B")))
    registry.iam("user", "create", "alice", "--boundary", "mine")
    assert "attached to entities" in registry.refused("policy", "delete", "mine")
    assert len(policy_versions.list_all(registry.context, ACCOUNT, own("mine"))) == 2


def test_a_provider_is_made_known_and_forgotten(registry: Registry) -> None:
    url = "https://ci.example"
    registry.iam("provider", "create", url, "--client-id", "a", "--client-id", "b")
    [listed] = registry.told("provider", "list")
    assert (listed["url"], listed["client ids"], listed["keys"]) == (url, ["a", "b"], "fetched")
    keys = key_set(SigningKey.make("k", "ES256"))
    registry.iam("provider", "set-keys", url, registry.file("keys.json", keys))
    assert registry.told("provider", "show", "ci.example")["keys"] == "stored"
    [found] = openid_providers.list_all(registry.context, ACCOUNT)
    assert found.key_set == keys
    registry.iam("provider", "set-keys", url, "--fetch")
    assert registry.told("provider", "show", found.arn)["keys"] == "fetched"
    assert "Name a file" in registry.refused("provider", "set-keys", url)
    registry.iam("provider", "delete", url)
    assert "not found" in registry.refused("provider", "show", url)


def test_a_user_goes_with_everything_by_force_alone(registry: Registry) -> None:
    registry.iam("user", "create", "alice")
    registry.iam("group", "create", "team")
    registry.iam("group", "add", "team", "alice")
    registry.iam("user", "attach", "alice", POWER_USER)
    registry.iam("user", "put-policy", "alice", "x", registry.file("p.json", allow("*")))
    registry.iam("key", "create", "--user", "alice")
    _, password = robot_tokens.create(registry.context, ACCOUNT, "alice", allow("*"))
    refusal = registry.refused("user", "delete", "alice")
    assert refusal.startswith("longshore: Cannot delete entity, must ")
    assert refusal.endswith(" first. To delete the user with whatever it has, say --force.\n")
    assert robot_tokens.authenticate(registry.context, password, "alice").name == "alice"
    registry.iam("user", "delete", "alice", "--force")
    with pytest.raises(UnrecognizedClient):
        robot_tokens.authenticate(registry.context, password, "alice")
    assert groups.get(registry.context, ACCOUNT, "team").users.items == ()
    refusal = registry.refused("user", "delete", "administrator", "--force")
    assert refusal == "longshore: The administrator of the server cannot be deleted.\n"
    assert registry.told("user", "show", "administrator")["keys"]


def test_accounts_are_told_apart(registry: Registry) -> None:
    registry.iam("user", "create", "alice", "--account", "111122223333")
    assert "cannot be found" in registry.refused("user", "show", "alice")
    shown = registry.told("user", "show", "alice", "--account", "111122223333")
    assert shown["arn"] == "arn:aws:iam::111122223333:user/alice"
    assert "twelve digits" in registry.refused("user", "list", "--account", "1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["user", "create", "a b"], "must contain only alphanumeric"),
        (["user", "create", "administrator"], "already exists"),
        (["user", "create", "x", "--tag", "novalue"], "write KEY=VALUE"),
        (["user", "put-policy", "administrator", "x", "nosuchfile"], "No such file"),
        (["role", "create", "x"], "Missing option '--trust'"),
        (["provider", "create", "http://x", "--client-id", "a"], "Invalid Open ID Connect"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(
    registry: Registry, words: list[str], message: str
) -> None:
    assert message in registry.refused(*words)


def test_listings_go_on_where_a_page_ends(registry: Registry) -> None:
    with registry.context.database.write() as tx:
        inside = registry.context.within(tx)
        for number in range(120):
            users.create(inside, ACCOUNT, f"user{number:03}")
            managed_policies.create(inside, ACCOUNT, f"policy{number:03}", allow("*"))
    assert len(registry.told("user", "list")) == 121
    assert len(registry.told("policy", "list")) == 120
    registry.iam("user", "attach", "user000", "policy119")
