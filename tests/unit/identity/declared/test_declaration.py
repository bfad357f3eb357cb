from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.identity.declared.declaration import read_declaration
from longshore.identity.declared.yaml_reader import InvalidFile

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.identity.declared.declaration import DeclaredAccount

KEY = "users: {u: {keys: [{id: AKIAEXAMPLE234567ABC, secret: %s}]}}"
SECRET = "a-secret-of-some-length"


def declared(tmp_path: Path, account: str, **environment: str) -> DeclaredAccount:
    file = tmp_path / "identities.yaml"
    file.write_text(f'version: 1\naccounts: {{"000000000000": {{{account}}}}}')
    [read] = read_declaration(file, environment)
    return read


def test_nothing_has_to_be_declared(tmp_path: Path) -> None:
    read = declared(tmp_path, "users: , groups: ")
    assert (read.users, read.groups, read.roles, read.policies, read.providers) == ((),) * 5
    (tmp_path / "empty.yaml").write_text("version: 1")
    assert read_declaration(tmp_path / "empty.yaml", {}) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accounts: {}", "Write: version: 1"),
        ("version: 2", "line 1: this is no file of identities that this server knows"),
        ("version: '1'", "this is no file of identities"),
        ("version: 1\nusers: {}", "line 2: 'users' is no member of the file"),
        ("version: 1\naccounts: {000000000000: {}}", "put 000000000000 in quotes"),
        ('version: 1\naccounts: {"1": {}}', "'1' is no account"),
        ('version: 1\naccounts:\n  "000000000000": [a]', "line 3: 000000000000 must be a mapping"),
    ],
)
def test_the_frame_of_the_file_is_checked(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(InvalidFile, match=message):
        read_declaration(tmp_path / "file", {})


@pytest.mark.parametrize(
    ("account", "message"),
    [
        ("user: {}", "'user' is no member of 000000000000"),
        ("users: {u: {polices: []}}", "'polices' is no member of the user u. Those there are: bo"),
        ("users: {u: {path: [a]}}", "path must be a text"),
        ("users: {u: {policies: a}}", "policies must be a list"),
        ("users: {u: {policies: [a, a]}}", "policies has 'a' twice"),
        ("users: {u: {tags: {a: 1}}}", "a must be a text: put 1 in quotes"),
        ("users: {u: {}, u: {}}", "users has 'u' twice"),
        ("groups: {g: {boundary: x}}", "'boundary' is no member of the group g"),
        ("roles: {r: {}}", "the role r lacks its trust"),
        ("roles: {r: {trust: '{}'}}", "trust must be a policy"),
        ("roles: {r: {trust: {}, max-session-seconds: 1h}}", "must be a whole number"),
        ("policies: {p: {}}", "the policy p lacks its document"),
        ("providers: {'https://x': {keys-file: missing}}", "missing can't be read: No such file"),
        ("users: {u: {keys: [{id: AKIAEXAMPLE234567ABC}]}}", "lacks its secret"),
        (KEY % SECRET, "a secret doesn't belong in this file"),
        (KEY % "{env: MISSING}", "the variable MISSING isn't set"),
        (KEY % "{file: missing}", "missing can't be read"),
        (KEY % "{file: .}", "can't be read: Is a directory"),
        (KEY % "{}", "needs one of env and file"),
        (KEY % "{env: SHORT}", "a secret has 16 to 128 characters"),
        (KEY % "{env: SECRET, file: x}", "needs one of env and file"),
        ((KEY % "{env: SECRET}").replace("AKIA", "ASIA"), "the id of a key has"),
        ((KEY % "{env: SECRET}").replace("AKIA", "akia"), "the id of a key has"),
    ],
)
def test_what_cannot_be_declared_is_refused(tmp_path: Path, account: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message) as refusal:
        declared(tmp_path, account, SECRET=SECRET, SHORT="short")
    assert str(refusal.value).startswith("line 2: ")
    assert SECRET not in str(refusal.value)


def test_secrets_come_from_variables_and_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    for source in ("{env: SECRET}", "{file: secret}"):
        [user] = declared(tmp_path, KEY % source, SECRET=SECRET).users
        [key] = user.keys
        assert (key.id, key.secret) == ("AKIAEXAMPLE234567ABC", SECRET)
        assert SECRET not in repr(user)
    [user] = declared(
        tmp_path,
        "users: {u: {keys: [{id: {env: ID}, secret: {file: secret}}]}}",
        ID="B" * 20,
    ).users
    assert user.keys[0].id == "B" * 20


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidFile, match="isn't text in UTF-8"):
        read_declaration(tmp_path / "file", {})
    with pytest.raises(FileNotFoundError):
        read_declaration(tmp_path / "missing", {})
