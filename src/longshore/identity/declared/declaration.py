"""What a file of identities declares."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

from longshore.identity.declared.yaml_reader import InvalidFile, Value, read
from longshore.names import is_account

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_VERSION = 1
_KEY_ID = re.compile(r"[A-Z0-9]{16,128}")
_SECRET = re.compile(r"[\x21-\x7e]{16,128}")
# What sessions have; a long-term key of this form would never be looked for.
_TEMPORARY = "ASIA"


@dataclass(frozen=True, slots=True)
class DeclaredKey:
    """An access key, which its user brings along."""

    line: int
    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeclaredPolicy:
    """A managed policy."""

    line: int
    name: str
    document: str
    path: str = "/"
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeclaredIdentity:
    """What users, groups and roles have in common; a group has no boundary and no tags.

    Attributes:
        line: where it is declared.
        policies: names or ARNs of managed policies.
        inline_policies: documents, by name.
        boundary: name or ARN of a managed policy.
    """

    line: int
    name: str
    path: str = "/"
    policies: tuple[str, ...] = ()
    inline_policies: Mapping[str, str] = field(default_factory=dict)
    boundary: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeclaredUser(DeclaredIdentity):
    """A user, with groups and keys."""

    groups: tuple[str, ...] = ()
    keys: tuple[DeclaredKey, ...] = ()


@dataclass(frozen=True, slots=True)
class DeclaredRole(DeclaredIdentity):
    """A role, with the policy of who may take it."""

    trust_policy: str = ""
    description: str = ""
    max_session_seconds: int = 3_600


@dataclass(frozen=True, slots=True)
class DeclaredProvider:
    """An OpenID Connect provider."""

    line: int
    issuer: str
    client_ids: tuple[str, ...]
    key_set: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeclaredAccount:
    """All that is declared of an account."""

    id: str
    policies: tuple[DeclaredPolicy, ...]
    groups: tuple[DeclaredIdentity, ...]
    users: tuple[DeclaredUser, ...]
    roles: tuple[DeclaredRole, ...]
    providers: tuple[DeclaredProvider, ...]


def read_declaration(
    file: Path, environment: Mapping[str, str] = os.environ
) -> tuple[DeclaredAccount, ...]:
    """Read a file of identities, and the variables and files that it names.

    Raises:
        OSError: it can't be read.
        InvalidFile: it, or something that it names, can't be used.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidFile(None, "the file isn't text in UTF-8") from None
    return _Reader(file.parent, environment).declaration(read(text))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads declarations; paths in them are relative to `directory`."""

    directory: Path
    environment: Mapping[str, str]

    def declaration(self, value: Value) -> tuple[DeclaredAccount, ...]:
        members = value.members({"version", "accounts"})
        if "version" not in members or members["version"].document() != _VERSION:
            raise InvalidFile(
                members["version"].line if "version" in members else None,
                f"this is no file of identities that this server knows. Write: version: {_VERSION}",
            )
        accounts = members["accounts"].entries() if "accounts" in members else {}
        return tuple(self.account(name, each) for name, each in accounts.items())

    def account(self, name: str, value: Value) -> DeclaredAccount:
        if not is_account(name):
            raise value.refusal(f"{name!r} is no account: write twelve digits, in quotes")
        members = value.members({"policies", "groups", "users", "roles", "providers"})

        def each(kind: str, word: str) -> list[tuple[str, Value]]:
            found = members[kind].entries() if kind in members else {}
            return [(key, Value(one.node, f"the {word} {key}")) for key, one in found.items()]

        return DeclaredAccount(
            name,
            tuple(_policy(*one) for one in each("policies", "policy")),
            tuple(_group(*one) for one in each("groups", "group")),
            tuple(self.user(*one) for one in each("users", "user")),
            tuple(_role(*one) for one in each("roles", "role")),
            tuple(self.provider(*one) for one in each("providers", "provider")),
        )

    def user(self, name: str, value: Value) -> DeclaredUser:
        members = value.members({*_OF_ALL, "boundary", "tags", "groups", "keys"})
        keys = members["keys"].items() if "keys" in members else []
        return DeclaredUser(
            **_common(name, value, members),
            groups=_texts(members, "groups"),
            keys=tuple(self.key(Value(key.node, f"a key of the user {name}")) for key in keys),
        )

    def key(self, value: Value) -> DeclaredKey:
        members = value.members({"id", "secret"})
        for name in ("id", "secret"):
            if name not in members:
                raise value.refusal(f"{value.name} lacks its {name}")
        key_id = self.secret(members["id"]) if members["id"].is_mapping else members["id"].text()
        if _KEY_ID.fullmatch(key_id) is None or key_id.startswith(_TEMPORARY):
            raise members["id"].refusal(
                "the id of a key has 16 to 128 capitals and digits, and doesn't begin with "
                f"{_TEMPORARY}"
            )
        if not members["secret"].is_mapping:
            raise members["secret"].refusal(
                "a secret doesn't belong in this file. Put it in a variable or in another file, "
                "and write: secret: {env: NAME} or secret: {file: PATH}"
            )
        secret = self.secret(members["secret"])
        if _SECRET.fullmatch(secret) is None:
            raise members["secret"].refusal("a secret has 16 to 128 characters, and no spaces")
        return DeclaredKey(value.line, key_id, secret)

    def secret(self, value: Value) -> str:
        """Return what a variable or a file holds."""
        members = value.members({"env", "file"})
        if len(members) != 1:
            raise value.refusal(f"{value.name} needs one of env and file")
        if "file" in members:
            return self.content(members["file"]).strip()
        variable = members["env"].text()
        if variable not in self.environment:
            raise value.refusal(f"the variable {variable} isn't set")
        return self.environment[variable]

    def content(self, value: Value) -> str:
        file = self.directory / value.text()
        try:
            return file.read_text(encoding="utf-8")
        except OSError as error:
            raise value.refusal(f"{file} can't be read: {error.strerror}") from error
        except ValueError as error:
            raise value.refusal(f"{file} isn't text in UTF-8") from error

    def provider(self, issuer: str, value: Value) -> DeclaredProvider:
        members = value.members({"client-ids", "keys-file", "tags"})
        return DeclaredProvider(
            value.line,
            issuer,
            _texts(members, "client-ids"),
            self.content(members["keys-file"]) if "keys-file" in members else None,
            _tags(members),
        )


_OF_ALL = frozenset({"path", "policies", "inline-policies"})


def _policy(name: str, value: Value) -> DeclaredPolicy:
    members = value.members({"path", "description", "document", "tags"})
    return DeclaredPolicy(
        value.line,
        name,
        _document(_needed(members, "document", value)),
        _text(members, "path", "/"),
        _text(members, "description", ""),
        _tags(members),
    )


def _group(name: str, value: Value) -> DeclaredIdentity:
    return DeclaredIdentity(**_common(name, value, value.members(_OF_ALL)))


def _role(name: str, value: Value) -> DeclaredRole:
    own = {"boundary", "tags", "trust", "description", "max-session-seconds"}
    members = value.members({*_OF_ALL, *own})
    seconds = members.get("max-session-seconds")
    return DeclaredRole(
        **_common(name, value, members),
        trust_policy=_document(_needed(members, "trust", value)),
        description=_text(members, "description", ""),
        max_session_seconds=3_600 if seconds is None else seconds.number(),
    )


class _Common(TypedDict):
    """What users, groups and roles have in common."""

    line: int
    name: str
    path: str
    policies: tuple[str, ...]
    inline_policies: Mapping[str, str]
    boundary: str | None
    tags: Mapping[str, str]


def _common(name: str, value: Value, members: Mapping[str, Value]) -> _Common:
    inline = members["inline-policies"].entries() if "inline-policies" in members else {}
    return {
        "line": value.line,
        "name": name,
        "path": _text(members, "path", "/"),
        "policies": _texts(members, "policies"),
        "inline_policies": {each: _document(document) for each, document in inline.items()},
        "boundary": members["boundary"].text() if "boundary" in members else None,
        "tags": _tags(members),
    }


def _needed(members: Mapping[str, Value], name: str, whole: Value) -> Value:
    if name not in members:
        raise whole.refusal(f"{whole.name} lacks its {name}")
    return members[name]


def _document(value: Value) -> str:
    if not value.is_mapping:
        raise value.refusal(f"{value.name} must be a policy, written as YAML: Version, Statement …")
    return json.dumps(value.document(), indent=2)


def _text(members: Mapping[str, Value], name: str, default: str) -> str:
    return members[name].text() if name in members else default


def _texts(members: Mapping[str, Value], name: str) -> tuple[str, ...]:
    return tuple(each.text() for each in members[name].texts()) if name in members else ()


def _tags(members: Mapping[str, Value]) -> dict[str, str]:
    tags = members["tags"].entries() if "tags" in members else {}
    return {key: value.text() for key, value in tags.items()}
