"""The public keys of identity providers, as JSON Web Key Sets (RFC 7517)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

if TYPE_CHECKING:
    from collections.abc import Mapping

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey

LARGEST_KEY_SET = 256 * 1024

_RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512"})
# By curve, as RFC 7518 pairs them (section 3.4).
_EC_ALGORITHMS = {
    "secp256r1": frozenset({"ES256"}),
    "secp384r1": frozenset({"ES384"}),
    "secp521r1": frozenset({"ES512"}),
}
ALGORITHMS = _RSA_ALGORITHMS.union(*_EC_ALGORITHMS.values())

# What is shorter is weak; what is longer only takes time.
_RSA_BITS = range(2048, 8192 + 1)
_LARGEST_RSA_EXPONENT = 2**32
_MOST_KEYS = 100
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class MalformedKeySet(ValueError):
    """The text is no key set that tokens could be verified with; the message says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of a provider.

    Attributes:
        id: its name within the set (`kid`), if it has one.
        algorithms: those that a token signed with it may name.
        public: the key.
    """

    id: str | None
    algorithms: frozenset[str]
    public: PublicKey


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one provider that signatures of tokens can be verified with."""

    keys: tuple[Key, ...]

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Read a key set; keys of other kinds and for other uses are left out (RFC 7517, 5).

        Raises:
            MalformedKeySet: it isn't one, no key in it is of use, or it gives private keys away.
        """
        if len(text) > LARGEST_KEY_SET:
            raise MalformedKeySet(f"a key set has at most {LARGEST_KEY_SET} bytes")
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise MalformedKeySet("it isn't JSON") from None
        entries = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(entries, list):
            raise MalformedKeySet('a key set is a JSON object with the list "keys"')
        if len(entries) > _MOST_KEYS:
            raise MalformedKeySet(f"a key set has at most {_MOST_KEYS} keys")
        keys = tuple(key for entry in entries if (key := _key(entry)) is not None)
        if not keys:
            raise MalformedKeySet(
                "it has no key to verify signatures with: an RSA key of at least "
                f"{_RSA_BITS.start} bits or an EC key on P-256, P-384 or P-521"
            )
        return cls(keys)

    def find(self, key_id: str | None, algorithm: str) -> tuple[Key, ...]:
        """Return the keys that a token with this `kid` and this `alg` may be signed with.

        A token may name no key where the set has only one that it could be (OpenID Connect Core,
        10.1).
        """
        suitable = tuple(key for key in self.keys if algorithm in key.algorithms)
        if key_id is not None:
            return tuple(key for key in suitable if key.id == key_id)
        return suitable if len(suitable) == 1 else ()


def _key(entry: object) -> Key | None:
    """Read one key, or None if it isn't one that verifies signatures of tokens."""
    if not isinstance(entry, dict):
        return None
    if not _PRIVATE_MEMBERS.isdisjoint(entry):
        raise MalformedKeySet(
            "it holds a private or a secret key. Anybody who has seen it can sign tokens: "
            "make new keys, and publish their public halves only"
        )
    key_id, declared = entry.get("kid"), entry.get("alg")
    is_named_well = key_id is None or isinstance(key_id, str)
    if not is_named_well or not _is_for_verifying(entry):
        return None
    public = _public_key(entry)
    algorithms = frozenset[str]() if public is None else _algorithms_of(public)
    if declared is not None:
        algorithms &= {declared} if isinstance(declared, str) else set()
    return Key(key_id, algorithms, public) if public is not None and algorithms else None


def _is_for_verifying(entry: Mapping[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    )


def _public_key(entry: dict[str, Any]) -> PublicKey | None:
    """Read a key's numbers, or None if they are none."""
    # Not at the top: it takes longer to load than a command may take, and few need it.
    from jwt.algorithms import ECAlgorithm, RSAAlgorithm  # noqa: PLC0415
    from jwt.exceptions import InvalidKeyError  # noqa: PLC0415

    try:
        match entry.get("kty"):
            case "RSA":
                public: object = RSAAlgorithm.from_jwk(entry)
            case "EC":
                public = ECAlgorithm.from_jwk(entry)
            case _:
                return None
    except (InvalidKeyError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return public if isinstance(public, RSAPublicKey | EllipticCurvePublicKey) else None


def _algorithms_of(public: PublicKey) -> frozenset[str]:
    if isinstance(public, EllipticCurvePublicKey):
        return _EC_ALGORITHMS.get(public.curve.name, frozenset())
    is_sound = public.key_size in _RSA_BITS and public.public_numbers().e <= _LARGEST_RSA_EXPONENT
    return _RSA_ALGORITHMS if is_sound else frozenset()
