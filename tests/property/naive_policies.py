"""Policies decided once more: straight from the JSON, without compiling, caching or cleverness.

It is slow and takes its input for sound. What it shares with the real evaluation is the IAM User
Guide, and nothing else.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from longshore.access.policy.evaluation import Request, Subject

Document: TypeAlias = dict[str, Any]

_ANY, _ONE = object(), object()


def decide(
    *,
    subject: Subject,
    identity: list[str],
    boundary: str | None,
    session: list[str] | None,
    resource: list[str],
    request: Request,
) -> str:
    """Return `allowed`, `explicitDeny` or `implicitDeny`."""
    own = [identity, [boundary] if boundary else [], session or []]
    if any(_says("Deny", text, request) for texts in own for text in texts):
        return "explicitDeny"
    ways = {way for text in resource for way in _ways(text, subject, request)}
    if "denied" in ways:
        return "explicitDeny"
    if subject.kind in {"service", "anonymous", "federated"}:
        return "allowed" if ways & {"itself", "anybody"} else "implicitDeny"

    def within(*ceilings: str) -> bool:
        inside = {
            "boundary": boundary is None or _says("Allow", boundary, request),
            "session": session is None or any(_says("Allow", text, request) for text in session),
        }
        return all(inside[name] for name in ceilings)

    entitled = subject.is_operator or subject.kind == "root"
    entitled = entitled or any(_says("Allow", text, request) for text in identity)
    grants = []
    if subject.account == request.resource_account:
        grants.append(entitled and within("boundary", "session"))
        if "itself" in ways:
            grants.append(subject.kind == "role" or within("session"))
        if "anybody" in ways or "role" in ways:
            grants.append(within("boundary", "session"))
    elif ways or subject.is_operator:
        grants.append(entitled and within("boundary", "session"))
    return "allowed" if any(grants) else "implicitDeny"


def _statements(text: str) -> list[tuple[Document, bool]]:
    document = json.loads(text)
    statements = _list(document["Statement"])
    return [(statement, document.get("Version") == "2012-10-17") for statement in statements]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _says(effect: str, text: str, request: Request) -> bool:
    return any(
        statement["Effect"] == effect and _matches(statement, request, modern)
        for statement, modern in _statements(text)
    )


def _ways(text: str, subject: Subject, request: Request) -> set[str]:
    """Tell in what ways a policy of the resource reaches the subject."""
    ways: set[str] = set()
    for statement, modern in _statements(text):
        if _matches(statement, request, modern):
            if statement["Effect"] == "Deny":
                ways |= {"denied"} if _denies(statement, subject) else set()
            else:
                ways |= _reaches(statement, subject)
    return ways


def _identities(subject: Subject) -> dict[str, str]:
    """Return everything that stands for the subject, and in what way."""
    match subject.kind:
        case "service":
            return {f"Service {subject.service}": "itself", "AWS *": "anybody"}
        case "anonymous":
            return {"AWS *": "anybody"}
        case "federated":
            return {f"Federated {subject.arn}": "itself"}
        case "root":
            return {f"AWS {subject.account}": "itself", "AWS *": "anybody"}
    return {
        f"AWS {subject.arn}": "itself",
        f"AWS {subject.role_arn}": "role",
        f"AWS {subject.account}": "account",
        "AWS *": "anybody",
    }


def _named(principal: Any) -> set[str]:
    kinds = {"AWS": "*"} if principal == "*" else principal
    names = {f"{kind} {name}" for kind, value in kinds.items() for name in _list(value)}
    return {re.sub(r"arn:aws:iam::([0-9]+):root", r"\1", name) for name in names}


def _reaches(statement: Document, subject: Subject) -> set[str]:
    identities = _identities(subject)
    if "Principal" in statement:
        return {identities[name] for name in _named(statement["Principal"]) & identities.keys()}
    left_out = _named(statement["NotPrincipal"]) & identities.keys()
    return {"anybody"} if subject.kind in {"root", "user", "role"} and not left_out else set()


def _denies(statement: Document, subject: Subject) -> bool:
    identities = _identities(subject)
    account = f"AWS {subject.account}"
    if "Principal" in statement:
        return bool(_named(statement["Principal"]) & {*identities, account, "AWS *"})
    left_out = _named(statement["NotPrincipal"])
    needed = {name for name, way in identities.items() if way != "anybody"} - {"AWS None"}
    return not ("AWS *" in left_out or (needed and needed <= left_out))


def _matches(statement: Document, request: Request, modern: bool) -> bool:
    return (
        _action_matches(statement, request)
        and _resource_matches(statement, request, modern)
        and all(
            _holds(
                operator,
                key,
                _list(asked),
                request,
                modern=modern,
                allows=statement["Effect"] == "Allow",
            )
            for operator, block in statement.get("Condition", {}).items()
            for key, asked in block.items()
        )
    )


def _action_matches(statement: Document, request: Request) -> bool:
    negated = "NotAction" in statement
    texts = _list(statement["NotAction" if negated else "Action"])
    found = any(_glob(_signs(text.lower()), request.action.lower()) for text in texts)
    return found != negated


def _resource_matches(statement: Document, request: Request, modern: bool) -> bool:
    negated = "NotResource" in statement
    if not negated and "Resource" not in statement:
        return True
    found = False
    for text in _list(statement["NotResource" if negated else "Resource"]):
        signs = _filled(text, request, modern)
        if signs is None:
            found = found or (negated and statement["Effect"] == "Allow")
        else:
            found = found or signs == [_ANY] or _arn(signs, request.resource)
    return found != negated


def _signs(text: str) -> list[Any]:
    return [{"*": _ANY, "?": _ONE}.get(character, character) for character in text]


def _filled(text: str, request: Request, modern: bool, wild: bool = True) -> list[Any] | None:
    """Return the characters and wildcards of a text, with values in place of variables."""
    signs: list[Any] = []
    while text:
        found = re.match(r"\$\{([^}]*)\}", text)
        if not (modern and found):
            signs += _signs(text[0]) if wild else text[0]
            text = text[1:]
            continue
        text = text[found.end() :]
        name, _, default = found[1].partition(",")
        values = request.context.get(name.strip().lower(), ())
        if found[1] in {"*", "?", "$"}:
            signs += found[1]
        elif len(values) == 1:
            signs += values[0]
        elif not values and default:
            signs += default.strip().strip("'")
        else:
            return None
    return signs


def _glob(signs: list[Any], text: str) -> bool:
    if not signs:
        return not text
    first, rest = signs[0], signs[1:]
    if first is _ANY:
        return _glob(rest, text) or (bool(text) and _glob(signs, text[1:]))
    return bool(text) and (first is _ONE or first == text[0]) and _glob(rest, text[1:])


def _arn(signs: list[Any], text: str) -> bool:
    parts: list[list[Any]] = [[]]
    for sign in signs:
        if sign == ":" and len(parts) < 6:
            parts.append([])
        else:
            parts[-1].append(sign)
    fields = text.split(":", 5)
    return len(fields) == 6 and all(map(_glob, parts + [[_ANY]] * (6 - len(parts)), fields))


def _holds(
    operator: str, key: str, asked: list[Any], request: Request, *, modern: bool, allows: bool
) -> bool:
    values = list(request.context.get(key.lower(), ()))
    if operator == "Null":
        return ("true" if not values else "false") in [str(value).lower() for value in asked]
    quantifier, _, name = operator.rpartition(":")
    optional, name = name.endswith("IfExists"), name.removesuffix("IfExists")
    negated, name = "Not" in name, name.replace("Not", "")
    if not values:
        if optional:
            return True
        return quantifier == "ForAllValues" or (negated and quantifier == "")

    def fits(value: str) -> bool:
        for each in asked:
            text = str(each).lower() if isinstance(each, bool) else str(each)
            if _compares(name, text, value, request, modern, unknown=negated and allows):
                return True
        return False

    fitting = [fits(value) for value in values]
    match quantifier:
        case "ForAllValues":
            return not any(fitting) if negated else all(fitting)
        case "ForAnyValue":
            return not all(fitting) if negated else any(fitting)
    return not any(fitting) if negated else any(fitting)


def _compares(
    name: str, asked: str, value: str, request: Request, modern: bool, *, unknown: bool
) -> bool:
    if name.startswith(("String", "Arn")):
        wild = name in {"StringLike", "ArnEquals", "ArnLike"}
        signs = _filled(asked, request, modern, wild)
        return unknown if signs is None else _signs_fit(name, signs, value)
    if name == "Bool":
        return asked.lower() == value.lower()
    if name == "BinaryEquals":
        return base64.b64decode(asked) == base64.b64decode(value)
    if name == "IpAddress":
        address, _, bits = asked.partition("/")
        return _bits(address, int(bits or 32)) == _bits(value, int(bits or 32))
    read = _seconds if name.startswith("Date") else Fraction
    left, right = read(value), read(asked)
    return {
        "Equals": left == right,
        "LessThan": left < right,
        "LessThanEquals": left <= right,
        "GreaterThan": left > right,
        "GreaterThanEquals": left >= right,
    }[name.removeprefix("Date").removeprefix("Numeric")]


def _signs_fit(name: str, signs: list[Any], value: str) -> bool:
    if name == "StringEqualsIgnoreCase":
        return "".join(signs).lower() == value.lower()
    return _arn(signs, value) if name.startswith("Arn") else _glob(signs, value)


def _bits(address: str, count: int) -> str:
    return "".join(f"{int(part):08b}" for part in address.split("."))[:count]


def _seconds(text: str) -> Fraction:
    if "T" not in text:
        return Fraction(text)
    return Fraction(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp())
