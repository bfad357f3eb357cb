"""Condition operators: how a value of a request is held against the values of a policy.

IAM User Guide, "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import base64
import binascii
import operator
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from ipaddress import ip_network
from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from longshore.access.policy.malformed import MalformedPolicy
from longshore.access.policy.templates import Context, Template, Test, any_of
from longshore.access.policy.wildcards import Matcher, Tokens, Wild, arn_matcher, arn_parts, matcher
from longshore.documents import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_T = TypeVar("_T")
# How many bytes an address has there, its first address, and the mask, as numbers.
_Network: TypeAlias = tuple[int, int, int]

_NUMBER = re.compile(r"[+-]?[0-9]{1,100}(?:\.[0-9]{1,100})?")
_NETWORK = re.compile(r"[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?")
_ARN_PARTS: Final = 6
_MAPPED: Final = bytes(10) + b"\xff\xff"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_A_MICROSECOND: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Reading:
    """How the texts of a condition are read.

    Attributes:
        variables: `${…}` stands for a value of the request.
        unresolved: what a text counts as whose variable has no value there: True as matching.
    """

    variables: bool
    unresolved: bool


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator.

    Attributes:
        compile: makes the test of whether a value of the request is one of the policy's.
        negated: the operator asks for the opposite.
        has_variables: its values may hold variables.
    """

    compile: Callable[[Sequence[str], Reading], Test]
    negated: bool = False
    has_variables: bool = False


def templates(values: Sequence[str], reading: Reading, *, wildcards: bool) -> list[Template]:
    """Read the values of an operator on texts."""
    return [
        Template.parse(value, wildcards=wildcards, variables=reading.variables) for value in values
    ]


def _equal(values: Sequence[str], reading: Reading) -> Test:
    texts = templates(values, reading, wildcards=False)
    return any_of(texts, matcher, unresolved=reading.unresolved)


def _equal_but_for_case(values: Sequence[str], reading: Reading) -> Test:
    texts = templates([value.casefold() for value in values], reading, wildcards=False)
    test = any_of(texts, _folded_matcher, unresolved=reading.unresolved)
    return lambda value, context: test(value.casefold(), context)


def _folded_matcher(pattern: Tokens) -> Matcher:
    return matcher(
        tuple(token if isinstance(token, Wild) else token.casefold() for token in pattern)
    )


def _alike(values: Sequence[str], reading: Reading) -> Test:
    texts = templates(values, reading, wildcards=True)
    return any_of(texts, matcher, unresolved=reading.unresolved)


def _arns(values: Sequence[str], reading: Reading) -> Test:
    texts = templates(values, reading, wildcards=True)
    for value, text in zip(values, texts, strict=True):
        # With a variable there may be more parts than can be seen.
        parts = _ARN_PARTS if text.variables else len(arn_parts(text.resolve({}) or ()))
        if parts < _ARN_PARTS:
            raise MalformedPolicy(f"{quoted(value)} isn't an ARN: it has fewer than six parts")
    return any_of(texts, _whole_arn_matcher, unresolved=reading.unresolved)


def _whole_arn_matcher(pattern: Tokens) -> Matcher:
    if len(arn_parts(pattern)) < _ARN_PARTS:
        return lambda _: False
    return arn_matcher(pattern)


def _compared(
    read: Callable[[str], _T | None], relation: Callable[[_T, _T], bool], what: str
) -> Callable[[Sequence[str], Reading], Test]:
    """Make an operator that reads both sides and compares them."""

    def compiled(values: Sequence[str], _: Reading) -> Test:
        bounds = tuple(_known(read, value, what) for value in values)

        def test(value: str, _: Context) -> bool:
            found = read(value)
            return found is not None and any(relation(found, bound) for bound in bounds)

        return test

    return compiled


def _known(read: Callable[[str], _T | None], value: str, what: str) -> _T:
    found = read(value)
    if found is None:
        raise MalformedPolicy(f"{quoted(value)} isn't {what}")
    return found


def _read_number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _read_date(text: str) -> Decimal | None:
    """Read an ISO 8601 date as seconds since 1970, which may also be what stands there."""
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return since // _MICROSECOND * _A_MICROSECOND


def read_bool(text: str) -> bool | None:
    """Read `true` or `false`, in letters of either case."""
    return {"true": True, "false": False}.get(text.lower())


def _read_bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _read_address(text: str) -> bytes | None:
    """Return the bytes of an address: 4 or 16 of them."""
    try:
        if ":" in text:
            address = inet_pton(AF_INET6, text.partition("%")[0])  # without the zone
        else:
            address = inet_pton(AF_INET, text)
    except (OSError, ValueError):
        return None
    # The address of a client on IPv4 as a socket of IPv6 shows it.
    return address.removeprefix(_MAPPED)


def _network(text: str) -> _Network:
    try:
        if _NETWORK.fullmatch(text):
            network = ip_network(text, strict=False)
            first = network.network_address
            return len(first.packed), int(first), int(network.netmask)
    except ValueError:
        pass
    raise MalformedPolicy(f"{quoted(text)} isn't an address or a range of addresses")


def _in_networks(values: Sequence[str], _: Reading) -> Test:
    networks = tuple(map(_network, values))

    def test(value: str, _: Context) -> bool:
        address = _read_address(value)
        if address is None:
            return False
        size, number = len(address), int.from_bytes(address)
        return any(
            size == length and number & mask == network for length, network, mask in networks
        )

    return test


def _ordered(read: Callable[[str], Decimal | None], prefix: str, what: str) -> dict[str, Operator]:
    relations: dict[str, Callable[[Decimal, Decimal], bool]] = {
        "Equals": operator.eq,
        "LessThan": operator.lt,
        "LessThanEquals": operator.le,
        "GreaterThan": operator.gt,
        "GreaterThanEquals": operator.ge,
    }
    operators = {
        f"{prefix}{name}": Operator(_compared(read, relation, what))
        for name, relation in relations.items()
    }
    unequal = Operator(_compared(read, operator.eq, what), negated=True)
    return {**operators, f"{prefix}NotEquals": unequal}


OPERATORS: Final[dict[str, Operator]] = {
    "StringEquals": Operator(_equal, has_variables=True),
    "StringNotEquals": Operator(_equal, negated=True, has_variables=True),
    "StringEqualsIgnoreCase": Operator(_equal_but_for_case, has_variables=True),
    "StringNotEqualsIgnoreCase": Operator(_equal_but_for_case, negated=True, has_variables=True),
    "StringLike": Operator(_alike, has_variables=True),
    "StringNotLike": Operator(_alike, negated=True, has_variables=True),
    **_ordered(_read_number, "Numeric", "a number"),
    **_ordered(_read_date, "Date", "a date of ISO 8601, nor seconds since 1970"),
    "Bool": Operator(_compared(read_bool, operator.eq, "true or false")),
    "BinaryEquals": Operator(_compared(_read_bytes, operator.eq, "base64")),
    "IpAddress": Operator(_in_networks),
    "NotIpAddress": Operator(_in_networks, negated=True),
    "ArnEquals": Operator(_arns, has_variables=True),
    "ArnLike": Operator(_arns, has_variables=True),
    "ArnNotEquals": Operator(_arns, negated=True, has_variables=True),
    "ArnNotLike": Operator(_arns, negated=True, has_variables=True),
}
