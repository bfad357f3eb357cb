from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from longshore.access.openid.key_sets import LARGEST_KEY_SET, KeySet, MalformedKeySet
from tests.support.identity_provider import SigningKey, key_set

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


def parsed(*entries: object) -> KeySet:
    return KeySet.parse(json.dumps({"keys": entries}))


def test_a_set_gives_the_key_that_is_named(rsa_key: SigningKey, ec_key: SigningKey) -> None:
    keys = KeySet.parse(key_set(rsa_key, ec_key))
    [found] = keys.find("rsa", "RS256")
    assert found.public == rsa_key.private.public_key()
    [found] = keys.find("ec", "ES256")
    assert found.public == ec_key.private.public_key()
    assert keys.find("other", "RS256") == ()


def test_a_key_is_good_for_the_algorithms_of_its_kind_alone(
    rsa_key: SigningKey, ec_key: SigningKey
) -> None:
    keys = KeySet.parse(key_set(rsa_key, ec_key))
    assert keys.find("rsa", "ES256") == keys.find("ec", "RS256") == keys.find("ec", "ES384") == ()
    # And for the one that it declares, if it does.
    assert keys.find("rsa", "RS512") == ()
    undeclared = rsa_key.published()
    del undeclared["alg"]
    assert len(parsed(undeclared).find("rsa", "RS512")) == 1


def test_without_a_name_there_must_be_no_choice(rsa_key: SigningKey, ec_key: SigningKey) -> None:
    assert len(KeySet.parse(key_set(rsa_key, ec_key)).find(None, "RS256")) == 1
    assert parsed(rsa_key.published(), rsa_key.published(kid="b")).find(None, "RS256") == ()


def test_keys_of_one_name_are_told_apart_by_their_kind(
    rsa_key: SigningKey, ec_key: SigningKey
) -> None:
    keys = parsed(rsa_key.published(kid="k"), ec_key.published(kid="k"))
    assert len(keys.find("k", "RS256")) == len(keys.find("k", "ES256")) == 1


def test_keys_that_cannot_be_used_are_left_out(rsa_key: SigningKey) -> None:
    weak = SigningKey.make("weak", bits=1024)
    useless: list[Any] = [
        weak.published(),
        rsa_key.published(kid="encrypts", use="enc"),
        rsa_key.published(kid="wraps", key_ops=["wrapKey"]),
        rsa_key.published(kid="strange", key_ops="verify"),
        rsa_key.published(kid="none", alg="none"),
        rsa_key.published(kid="pss", alg="PS256"),
        rsa_key.published(kid="hmac", alg="HS256"),
        rsa_key.published(kid="list", alg=["RS256"]),
        rsa_key.published(kid=1),
        rsa_key.published(kid="even", e="Ag"),
        rsa_key.published(kid="slow", e="_" * 300),
        rsa_key.published(kid="no text", n=1),
        rsa_key.published(kid="empty", n=""),
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "edwards"},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43, "kid": "off the curve"},
        {"kty": "EC", "crv": "P-256", "x": 1, "y": 2, "kid": "numbers"},
        {"kty": "RSA", "kid": "nothing"},
        {"kty": []},
        None,
        "key",
    ]
    assert [key.id for key in parsed(*useless, rsa_key.published()).keys] == ["rsa"]
    with pytest.raises(MalformedKeySet, match="no key to verify signatures with"):
        parsed(*useless)


def test_a_set_that_gives_private_keys_away_is_refused(rsa_key: SigningKey) -> None:
    private: RSAPrivateKey = rsa_key.private  # type: ignore[assignment] # it is one
    entry = RSAAlgorithm.to_jwk(private, as_dict=True)
    with pytest.raises(MalformedKeySet, match="make new keys"):
        parsed(rsa_key.published(), entry)
    with pytest.raises(MalformedKeySet, match="make new keys"):
        parsed({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "isn't JSON"),
        ("[" * 10_000, "isn't JSON"),
        ("[]", 'the list "keys"'),
        ("{}", 'the list "keys"'),
        ('{"keys": {}}', 'the list "keys"'),
        ('{"keys": []}', "no key"),
        (json.dumps({"keys": [{}] * 101}), "at most 100 keys"),
        (" " * (LARGEST_KEY_SET + 1), "at most"),
        (b"\xff", "isn't JSON"),
    ],
    ids=range(9),
)
def test_what_is_no_key_set_is_refused(text: str | bytes, reason: str) -> None:
    with pytest.raises(MalformedKeySet, match=reason):
        KeySet.parse(text)


@given(
    entries=st.lists(
        st.dictionaries(
            st.sampled_from(["kty", "n", "e", "crv", "x", "y", "kid", "alg", "use", "key_ops"]),
            st.sampled_from(["RSA", "EC", "P-256", "AQAB", "sig", "", 1, None, [], {}, "é", 1e300]),
        ),
        max_size=3,
    )
)
def test_no_entry_does_more_than_being_left_out(entries: list[dict[str, Any]]) -> None:
    with pytest.raises(MalformedKeySet, match="no key"):
        parsed(*entries)
