from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from longshore.identity import (
    access_keys,
    attachments,
    groups,
    identities,
    inline_policies,
    managed_policies,
    openid_providers,
    policy_versions,
    robot_tokens,
    roles,
    users,
)
from longshore.identity.declared.yaml_reader import InvalidFile
from longshore.identity.errors import NoSuchEntity
from longshore.identity.kinds import Kind
from longshore.metadata import schema
from tests.docs import pages
from tests.support.identities import ACCOUNT
from tests.support.policies import allow, trust

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from tests.unit.identity.declared.conftest import File

READ_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"
POWER_USER = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPowerUser"
DOCUMENT = "{Version: 2012-10-17, Statement: {Effect: Allow, Action: '%s', Resource: '*'}}"
TRUST = (
    "{Version: 2012-10-17, Statement: {Effect: Allow, Principal: {AWS: '%s'}, "
    "Action: sts:AssumeRole}}"
)
NOBODY = f"arn:aws:iam::{ACCOUNT}:user/nobody"
SECRETS = {"DEPLOYER_KEY_ID": "AKIAFROMVARIABLE2345", "DEPLOYER_SECRET": "a-secret-from-a-variable"}


def attached(context: Context, kind: Kind, name: str) -> list[str]:
    return [each.arn for each in attachments.list_all(context, ACCOUNT, kind, name).items]


def everything(context: Context) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows about identities, to see whether anything changed."""
    tables = [
        *(schema.identities, schema.roles, schema.group_members, schema.inline_policies),
        *(schema.managed_policies, schema.managed_policy_versions, schema.attachments),
        *(schema.access_keys, schema.openid_providers, schema.declared_entities),
    ]
    with context.database.read() as tx:
        return {
            table.name: sorted(map(tuple, tx.execute(select(table))), key=repr) for table in tables
        }


def test_the_example_of_the_documentation_can_be_applied(file: File) -> None:
    [example] = pages.blocks(pages.read("docs/identities-file.md"), "yaml")
    file.environment.update(SECRETS)
    (file.path.parent / "deployer.secret").write_text("a-secret-from-a-file\n")
    context = file.context
    assert {change.verb for change in file.apply(example)} == {"create"}
    before = everything(context)

    assert file.apply(example) == []
    assert everything(context) == before

    alice = users.get(context, ACCOUNT, "alice")
    assert (alice.arn, alice.tags) == (
        f"arn:aws:iam::{ACCOUNT}:user/people/alice",
        {"team": "containers"},
    )
    memberships = groups.list_of_user(context, ACCOUNT, "alice").items
    assert [group.name for group in memberships] == ["developers", "readers"]
    assert attached(context, Kind.GROUP, "developers") == [POWER_USER]
    assert inline_policies.list_all(context, ACCOUNT, Kind.GROUP, "developers").items == (
        "keep-tags",
    )
    deployer = users.get(context, ACCOUNT, "deployer")
    assert deployer.boundary == f"arn:aws:iam::{ACCOUNT}:policy/boundaries/only-team"
    for key_id, secret in (
        ("AKIAFROMVARIABLE2345", "a-secret-from-a-variable"),
        ("AKIAEXAMPLE234567ABC", "a-secret-from-a-file"),
    ):
        found = access_keys.find(context, key_id)
        assert (found.secret, found.principal.name) == (secret, "deployer")
    ci = roles.get(context, ACCOUNT, "ci")
    assert (ci.description, ci.max_session_seconds) == ("Pushing from CI", 7200)
    assert "token.actions.githubusercontent.com:sub" in ci.trust_policy
    [provider] = openid_providers.list_all(context, ACCOUNT)
    assert (provider.client_ids, provider.tags) == (("registry",), {"owner": "platform"})

    deleted = file.apply("version: 1")
    assert {change.verb for change in deleted} == {"delete"}
    assert {name: rows for name, rows in everything(context).items() if rows} == {}


def test_what_is_no_longer_declared_goes_and_what_was_made_otherwise_stays(file: File) -> None:
    context = file.context
    users.create(context, ACCOUNT, "mine")
    managed_policies.create(context, ACCOUNT, "mine", allow("ecr:*"))
    file.declare(
        f"users: {{a: {{}}, b: {{}}}}\npolicies: {{p: {{document: {DOCUMENT % 'ecr:*'}}}}}"
    )
    robot_tokens.create(context, ACCOUNT, "b", allow("*"))
    access_keys.create(
        context,
        ACCOUNT,
        "b",
    )
    assert file.declare("users: {a: {}}") == ["delete user b", "delete policy p"]
    assert [user.name for user in users.list_all(context, ACCOUNT).items] == ["a", "mine"]
    assert file.declare() == ["delete user a"]
    assert [user.name for user in users.list_all(context, ACCOUNT).items] == ["mine"]
    managed_policies.get(context, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:policy/mine")


@pytest.mark.parametrize(
    ("account", "what"),
    [
        ("users: {mine: {}}", "user mine"),
        ("groups: {mine: {}}", "group mine"),
        (f"roles: {{mine: {{trust: {TRUST % ACCOUNT}}}}}", "role mine"),
        (f"policies: {{mine: {{document: {DOCUMENT % '*'}}}}}", "policy mine"),
        ("providers: {'https://mine': {client-ids: [a]}}", "provider https://mine"),
    ],
)
def test_a_name_that_something_else_has_is_refused(file: File, account: str, what: str) -> None:
    context = file.context
    users.create(context, ACCOUNT, "mine")
    groups.create(context, ACCOUNT, "mine")
    roles.create(context, ACCOUNT, "mine", trust(ACCOUNT))
    managed_policies.create(context, ACCOUNT, "mine", allow("ecr:*"))
    openid_providers.create(context, ACCOUNT, "https://mine")
    before = everything(context)
    with pytest.raises(InvalidFile, match=f"line 4: the {what} of the account .* there already"):
        file.declare(account)
    assert everything(context) == before


def test_what_was_changed_otherwise_is_changed_back(file: File) -> None:
    context = file.context
    inline = DOCUMENT % "*"
    declared = f"""
groups: {{g: {{}}, h: {{}}}}
policies: {{p: {{document: {DOCUMENT % "ecr:*"}, description: what for}}}}
users: {{u: {{groups: [g], policies: [p], tags: {{a: b}}, inline-policies: {{i: {inline}}}}}}}
roles: {{r: {{trust: {TRUST % ACCOUNT}}}}}
providers: {{"https://x": {{client-ids: [a]}}}}
"""
    file.declare(declared)
    arn = f"arn:aws:iam::{ACCOUNT}:policy/p"
    groups.discard(context, ACCOUNT, "g", "u")
    groups.add(context, ACCOUNT, "h", "u")
    attachments.detach(context, ACCOUNT, Kind.USER, "u", arn)
    attachments.attach(context, ACCOUNT, Kind.USER, "u", READ_ONLY)
    identities.tag(context, ACCOUNT, Kind.USER, "u", [("a", "c")])
    inline_policies.put(context, ACCOUNT, Kind.USER, "u", "i", document=allow("x:y"))
    inline_policies.put(context, ACCOUNT, Kind.USER, "u", "j", document=allow("x:y"))
    users.rename(context, ACCOUNT, "u", new_path="/elsewhere/")
    policy_versions.create(context, ACCOUNT, arn, allow("x:y"), is_default=True)
    roles.change(context, ACCOUNT, "r", description="changed", max_session_seconds=7200)
    openid_providers.change(
        context, ACCOUNT, "arn:aws:iam::000000000000:oidc-provider/x", client_ids=["b"]
    )

    assert file.declare(declared, dry_run=True) == file.declare(declared)
    assert file.declare(declared) == []
    assert attached(context, Kind.USER, "u") == [arn]
    user = users.get(context, ACCOUNT, "u")
    assert (user.path, user.tags) == ("/", {"a": "b"})
    assert inline_policies.list_all(context, ACCOUNT, Kind.USER, "u").items == ("i",)
    assert [g.name for g in groups.list_of_user(context, ACCOUNT, "u").items] == ["g"]
    assert roles.get(context, ACCOUNT, "r").description == ""


def test_changes_are_told_in_words(file: File) -> None:
    file.declare("users: {u: {policies: [AmazonEC2ContainerRegistryReadOnly]}}")
    assert file.declare(
        "users: {u: {path: /p/, policies: [AmazonEC2ContainerRegistryPowerUser]}}"
    ) == [f"change user u the path /p/ without {READ_ONLY} with {POWER_USER}"]


def test_nothing_is_changed_by_a_dry_run(file: File) -> None:
    before = everything(file.context)
    assert file.declare("users: {u: {}}", dry_run=True) == ["create user u"]
    assert everything(file.context) == before
    file.declare("users: {u: {}}")
    before = everything(file.context)
    assert file.declare(dry_run=True) == ["delete user u"]
    assert everything(file.context) == before


def test_a_mistake_anywhere_changes_nothing(file: File) -> None:
    before = everything(file.context)
    for wrong, message in (
        (
            "users: {u: {}, v: {policies: [nosuch]}}",
            "line 4: the user v: There is no policy nosuch",
        ),
        ("users: {u: {groups: [nosuch]}}", "the user u: The group with name nosuch"),
        ("users: {u: {}, U: {}}", "the user U: User with name U already exists"),
        ("users: {'a b': {}}", "the user a b: The specified value"),
        ("users: {u: {boundary: nosuch}}", "There is no policy nosuch"),
        (
            f"users: {{u: {{}}}}\nroles: {{r: {{trust: {TRUST % NOBODY}}}}}",
            "line 5: the role r: Invalid principal",
        ),
        (
            "users: {u: {}}\npolicies: {p: {document: {Version: 2012-10-17}}}",
            "line 5: the policy p:",
        ),
        ("providers: {'http://x': {client-ids: [a]}}", "the provider http://x: Invalid Open ID"),
    ):
        with pytest.raises(InvalidFile, match=message):
            file.declare(wrong)
        assert everything(file.context) == before


def test_roles_may_trust_one_another(file: File) -> None:
    one, other = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in "ab")
    declared = f"roles: {{a: {{trust: {TRUST % other}}}, b: {{trust: {TRUST % one}}}}}"
    assert file.declare(declared) == ["create role a", "create role b"]
    assert other in roles.get(file.context, ACCOUNT, "a").trust_policy
    assert file.declare(declared) == []


def test_a_role_trusts_whoever_was_made_anew(file: File) -> None:
    trust_of_u = TRUST % f"arn:aws:iam::{ACCOUNT}:user/u"
    declared = f"users: {{u: {{}}}}\nroles: {{r: {{trust: {trust_of_u}}}}}"
    file.declare(declared)
    users.remove(file.context, ACCOUNT, "u")
    changes = ["create user u", "change role r another trust policy"]
    assert sorted(file.declare(declared)) == sorted(changes)
    user = users.get(file.context, ACCOUNT, "u")
    bound = roles.get(file.context, ACCOUNT, "r").trust_bindings
    assert bound == {user.arn: user.id}
    assert file.declare(declared) == []


def test_accounts_may_trust_one_another(file: File) -> None:
    text = f"""
version: 1
accounts:
  "000000000000":
    roles: {{r: {{trust: {TRUST % "arn:aws:iam::111122223333:user/far"}}}}}
  "111122223333":
    users: {{far: {{}}}}
"""
    assert [change.account for change in file.apply(text)] == ["000000000000", "111122223333"]
    assert file.apply(text) == []


def test_a_policy_that_somebody_else_has_cannot_go(file: File) -> None:
    file.declare(f"policies: {{p: {{document: {DOCUMENT % '*'}}}}}")
    users.create(file.context, ACCOUNT, "mine")
    arn = f"arn:aws:iam::{ACCOUNT}:policy/p"
    attachments.attach(file.context, ACCOUNT, Kind.USER, "mine", arn)
    with pytest.raises(InvalidFile, match=r"the policy p of the account .*isn't declared any more"):
        file.declare()
    attachments.detach(file.context, ACCOUNT, Kind.USER, "mine", arn)
    assert file.declare() == ["delete policy p"]


def test_a_policy_goes_together_with_the_last_who_have_it(file: File) -> None:
    file.declare(
        f"policies: {{p: {{document: {DOCUMENT % '*'}}}}}\n"
        "users: {u: {policies: [p]}, v: {boundary: p}}"
    )
    assert file.declare("users: {v: {}}") == [
        "delete user u",
        "change user v the boundary none",
        "delete policy p",
    ]


def test_what_was_deleted_otherwise_is_made_again_or_forgotten(file: File) -> None:
    file.declare("users: {u: {}, v: {}}")
    for name in "uv":
        users.remove(file.context, ACCOUNT, name)
    assert file.declare("users: {u: {}}") == ["create user u"]
    # Whoever has the name now isn't who the file made.
    users.create(file.context, ACCOUNT, "v")
    assert file.declare("users: {u: {}}") == []
    with pytest.raises(InvalidFile, match="there already"):
        file.declare("users: {u: {}, v: {}}")


def test_keys_come_change_and_go_and_others_stay(file: File) -> None:
    context, key_id = file.context, "AKIAEXAMPLE234567ABC"
    declared = f"users: {{u: {{keys: [{{id: {key_id}, secret: {{env: S}}}}]}}}}"
    file.environment["S"] = "the first secret".replace(" ", "-")
    assert file.declare(declared) == ["create user u"]
    mine, _ = access_keys.create(context, ACCOUNT, "u")
    file.environment["S"] = "the-second-secret"
    [change] = file.declare(declared)
    assert change == f"change user u another secret of the key {key_id}"
    assert access_keys.find(context, key_id).secret == "the-second-secret"
    access_keys.set_active(context, ACCOUNT, "u", key_id, active=False)
    assert file.declare(declared) == []
    [listed] = [each for each in access_keys.list_all(context, ACCOUNT, "u") if each.id == key_id]
    assert not listed.active
    assert file.declare("users: {u: {}}") == [f"change user u without the key {key_id}"]
    assert [each.id for each in access_keys.list_all(context, ACCOUNT, "u")] == [mine.id]


def test_a_key_of_somebody_else_is_left_alone(file: File) -> None:
    context = file.context
    file.declare("users: {u: {}}")
    users.create(context, ACCOUNT, "mine")
    other, _ = access_keys.create(context, ACCOUNT, "mine")
    own, _ = access_keys.create(context, ACCOUNT, "u")
    file.environment["S"] = "a-secret-of-some-length"
    for key_id, message in ((other.id, "belongs to somebody else"), (own.id, "there already")):
        with pytest.raises(InvalidFile, match=message):
            file.declare(f"users: {{u: {{keys: [{{id: {key_id}, secret: {{env: S}}}}]}}}}")
    assert access_keys.find(context, own.id).secret == own.secret
    keys = ", ".join(f"{{id: AKIAEXAMPLE{n}34567ABC, secret: {{env: S}}}}" for n in (2, 3))
    with pytest.raises(InvalidFile, match="AccessKeysPerUser: 2"):
        file.declare(f"users: {{u: {{keys: [{keys}]}}}}")


def test_the_path_of_a_policy_stays(file: File) -> None:
    file.declare(f"policies: {{p: {{document: {DOCUMENT % '*'}}}}}")
    with pytest.raises(InvalidFile, match="which is part of its ARN and can't change"):
        file.declare(f"policies: {{p: {{path: /x/, document: {DOCUMENT % '*'}}}}}")


def test_a_declared_user_that_was_renamed_goes_and_comes_anew(file: File) -> None:
    file.declare("users: {u: {}}")
    users.rename(file.context, ACCOUNT, "u", new_name="w")
    assert file.declare("users: {u: {}}") == ["delete user w", "create user u"]
    with pytest.raises(NoSuchEntity):
        users.get(file.context, ACCOUNT, "w")
