from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from longshore.access.openid import tokens
from longshore.access.openid.key_sets import KeySet
from longshore.access.openid.tokens import LEEWAY, LONGEST_TOKEN, Claims, Provider, issuer_of
from longshore.clock import HOUR, SECOND
from longshore.errors import ExpiredIdentityToken, InvalidIdentityToken
from tests.support.identity_provider import SigningKey, encoded, key_set

if TYPE_CHECKING:
    from longshore.access.openid.key_sets import Key

ISSUER = "https://ci.example/auth"
NOW = 1_700_000_000_000
CLAIMS = {
    "iss": ISSUER,
    "sub": "repo:octo/app:ref:refs/heads/main",
    "aud": "sts.amazonaws.com",
    "iat": NOW // SECOND,
    "exp": (NOW + HOUR) // SECOND,
}


class Published:
    """The keys of providers as others publish them."""

    def __init__(self, *keys: SigningKey) -> None:
        self.key_set = KeySet.parse(key_set(*keys))
        self.asked: list[str] = []

    def find(self, issuer: str, key_id: str | None, algorithm: str) -> tuple[Key, ...]:
        self.asked.append(issuer)
        return self.key_set.find(key_id, algorithm)


def verify(
    token: str,
    key: SigningKey,
    *,
    now: int = NOW,
    client_ids: frozenset[str] = frozenset({"sts.amazonaws.com"}),
) -> Claims:
    provider = Provider(ISSUER, client_ids, key_set(key))
    return tokens.verify(token, provider, Nobody(), now)


class Nobody:
    """Nobody is to be asked."""

    def find(self, issuer: str, key_id: str | None, algorithm: str) -> tuple[Key, ...]:
        raise AssertionError(f"{issuer} was asked for {key_id} ({algorithm})")


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good token with some changed; those that are `...` are left out."""
    return {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"])
def test_a_token_that_its_provider_signed_is_believed(algorithm: str) -> None:
    key = SigningKey.make("k", algorithm)
    read = verify(key.sign(CLAIMS), key)
    assert read.issuer == ISSUER
    assert read.subject == CLAIMS["sub"]
    assert read.audiences == ("sts.amazonaws.com",)
    assert read.client_id == "sts.amazonaws.com"
    assert read.authorized_party is None
    assert (read.issued_at, read.expires_at) == (NOW, NOW + HOUR)
    assert read.values == CLAIMS


def test_keys_that_are_not_stored_are_asked_for(ec_key: SigningKey) -> None:
    published = Published(ec_key)
    provider = Provider(ISSUER, frozenset({"sts.amazonaws.com"}))
    assert tokens.verify(ec_key.sign(CLAIMS), provider, published, NOW).values == CLAIMS
    assert published.asked == [ISSUER]


def test_a_token_without_a_key_s_name_is_believed_where_there_is_one_key(
    ec_key: SigningKey,
) -> None:
    assert verify(jwt.encode(CLAIMS, ec_key.private, "ES256"), ec_key).values == CLAIMS


def test_nobody_else_s_signature_is_believed(ec_key: SigningKey, stranger: SigningKey) -> None:
    with pytest.raises(InvalidIdentityToken, match="signature can't be verified"):
        verify(stranger.sign(CLAIMS), ec_key)
    with pytest.raises(InvalidIdentityToken, match="no key such as"):
        verify(ec_key.sign(CLAIMS, kid="another"), ec_key)


def test_no_byte_of_a_token_can_be_changed(ec_key: SigningKey) -> None:
    token = ec_key.sign(CLAIMS)
    for position, letter in enumerate(token):
        changed = token[:position] + ("A" if letter != "A" else "B") + token[position + 1 :]
        try:
            read = verify(changed, ec_key)
        except (InvalidIdentityToken, ExpiredIdentityToken):
            continue
        # The last letter of a part has bits that stand for nothing.
        assert read.values == CLAIMS


def test_the_server_s_public_key_is_no_secret_to_sign_with(rsa_key: SigningKey) -> None:
    pem = rsa_key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, key_set(rsa_key).encode(), b"", b"x" * 64):
        text = f"{encoded({'alg': 'HS256', 'kid': 'rsa'})}.{encoded(CLAIMS)}"
        forged = encoded(hmac.digest(secret, text.encode(), "sha256"))
        with pytest.raises(InvalidIdentityToken, match="must be signed with one of"):
            verify(f"{text}.{forged}", rsa_key)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, 1, ["RS256"], "EdDSA"])
def test_no_other_algorithm_counts_even_beside_a_good_signature(
    rsa_key: SigningKey, algorithm: object
) -> None:
    _, payload, signature = rsa_key.sign(CLAIMS).split(".")
    for end in (signature, ""):
        with pytest.raises(InvalidIdentityToken):
            verify(f"{encoded({'alg': algorithm, 'kid': 'rsa'})}.{payload}.{end}", rsa_key)


@pytest.mark.parametrize("member", ["jwk", "jku", "x5c", "x5u", "crit", "b64", "zip", "enc"])
def test_a_token_that_brings_its_own_key_is_refused(
    rsa_key: SigningKey, stranger: SigningKey, member: str
) -> None:
    value: object = {"jwk": stranger.published(), "x5c": ["AAAA"]}.get(member, "https://evil")
    for signer in (rsa_key, stranger):
        header = {"alg": signer.algorithm, "kid": signer.id, member: value}
        with pytest.raises(InvalidIdentityToken, match=f"must not have the member '{member}'"):
            verify(f"{encoded(header)}.{encoded(CLAIMS)}.AAAA", rsa_key)


@pytest.mark.parametrize("key_id", [1, [], {}, "x" * 1025, False])
def test_a_key_s_name_is_a_short_text(ec_key: SigningKey, key_id: object) -> None:
    with pytest.raises(InvalidIdentityToken, match="'kid'"):
        verify(f"{encoded({'alg': 'ES256', 'kid': key_id})}.{encoded(CLAIMS)}.AAAA", ec_key)


@pytest.mark.parametrize("issuer", ["https://evil.example", ISSUER + "/", "http://ci.example/auth"])
def test_a_token_of_another_issuer_is_refused(ec_key: SigningKey, issuer: str) -> None:
    with pytest.raises(InvalidIdentityToken, match="isn't from the provider"):
        verify(ec_key.sign(claims(iss=issuer)), ec_key)


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "iat"])
@pytest.mark.parametrize("value", [..., None, "", [], {}, True, [1], [""]])
def test_a_token_has_all_the_claims_of_an_id_token(
    ec_key: SigningKey, name: str, value: object
) -> None:
    token = f"{encoded({'alg': 'ES256', 'kid': 'ec'})}.{encoded(claims(**{name: value}))}"
    signature = encoded(signed(token, ec_key))
    with pytest.raises(InvalidIdentityToken, match=f"Missing a required claim: {name}"):
        verify(f"{token}.{signature}", ec_key)


def signed(text: str, key: SigningKey) -> bytes:
    algorithm = jwt.algorithms.get_default_algorithms()[key.algorithm]
    return bytes(algorithm.sign(text.encode(), key.private))


def test_a_token_is_believed_until_its_end_and_a_minute_more(ec_key: SigningKey) -> None:
    token = ec_key.sign(CLAIMS)
    assert LEEWAY == 60 * SECOND
    verify(token, ec_key, now=NOW + HOUR + LEEWAY - 1)
    with pytest.raises(ExpiredIdentityToken, match=r"1700003660 must be before .* 1700003600"):
        verify(token, ec_key, now=NOW + HOUR + LEEWAY)


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_a_token_is_not_believed_before_its_time(ec_key: SigningKey, name: str) -> None:
    token = ec_key.sign(claims(**{name: (NOW + 10 * LEEWAY) // SECOND}))
    verify(token, ec_key, now=NOW + 9 * LEEWAY)
    with pytest.raises(InvalidIdentityToken, match="isn't valid yet"):
        verify(token, ec_key, now=NOW + 9 * LEEWAY - 1)


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_times_are_times(ec_key: SigningKey, name: str) -> None:
    for text in ("1e400", "NaN", "-Infinity", "1" + "0" * 20, '"1"', "null"):
        payload = json.dumps(claims(**{name: "TIME"})).replace('"TIME"', text).encode()
        token = f"{encoded({'alg': 'ES256', 'kid': 'ec'})}.{encoded(payload)}"
        with pytest.raises(InvalidIdentityToken):
            verify(f"{token}.{encoded(signed(token, ec_key))}", ec_key)


@pytest.mark.parametrize(
    ("given", "client_ids", "client_id"),
    [
        ({"aud": "a"}, {"a"}, "a"),
        ({"aud": "a"}, {"a", "b"}, "a"),
        ({"aud": ["a"]}, {"a"}, "a"),
        ({"aud": "a"}, {"b"}, None),
        ({"aud": "a"}, set(), None),
        ({"aud": "A"}, {"a"}, None),
        ({"aud": ["a", "b"]}, {"a", "b"}, None),
        ({"aud": ["a", "b"], "azp": "a"}, {"a"}, "a"),
        ({"aud": ["a", "b"], "azp": "b"}, {"a"}, None),
        ({"aud": ["a", "b"], "azp": "c"}, {"c"}, None),
        ({"aud": "a", "azp": "c"}, {"a", "c"}, "c"),
        ({"aud": "a", "azp": "c"}, {"a"}, None),
        ({"aud": "a", "azp": "c"}, {"c"}, None),
        ({"aud": "a", "azp": ""}, {"a", ""}, None),
        ({"aud": "a", "azp": ["a"]}, {"a"}, None),
    ],
)
def test_a_token_is_for_a_client_that_the_account_knows(
    ec_key: SigningKey, given: dict[str, Any], client_ids: set[str], client_id: str | None
) -> None:
    token = ec_key.sign(claims(**given))
    if client_id is None:
        with pytest.raises(InvalidIdentityToken, match=r"audience|azp"):
            verify(token, ec_key, client_ids=frozenset(client_ids))
    else:
        assert verify(token, ec_key, client_ids=frozenset(client_ids)).client_id == client_id


def test_claims_become_the_condition_keys_of_iam(ec_key: SigningKey) -> None:
    more = {"aud": ["a", "b"], "azp": "b", "Repository": "octo/app", "run": 7, "main": True}
    more |= {"amr": ["authenticated", "x"], "nested": {"a": 1}, "mixed": ["a", 1], "nothing": None}
    token = ec_key.sign(claims(**more))
    values = verify(token, ec_key, client_ids=frozenset("ab")).condition_values()
    prefix = "ci.example/auth:"
    assert {key.removeprefix(prefix): value for key, value in values.items()} == {
        "iss": (ISSUER,),
        "sub": (CLAIMS["sub"],),
        "aud": ("b",),
        "oaud": ("a", "b"),
        "azp": ("b",),
        "amr": ("authenticated", "x"),
        "repository": ("octo/app",),
        "run": ("7",),
        "main": ("true",),
        "iat": (str(CLAIMS["iat"]),),
        "exp": (str(CLAIMS["exp"]),),
    }


def test_no_claim_passes_for_the_subject(ec_key: SigningKey) -> None:
    more = {"SUB": "somebody else", "Aud": "another", "a:sub": "x", "actor": "me", "Actor": "you"}
    values = verify(ec_key.sign(claims(**more)), ec_key).condition_values()
    assert values["ci.example/auth:actor"] == ("me",)
    assert "ci.example/auth:a:sub" not in values
    assert values["ci.example/auth:sub"] == (CLAIMS["sub"],)
    assert values["ci.example/auth:aud"] == ("sts.amazonaws.com",)


def test_a_subject_is_not_endless(ec_key: SigningKey) -> None:
    verify(ec_key.sign(claims(sub="x" * 255)), ec_key)
    with pytest.raises(InvalidIdentityToken, match="more than 255"):
        verify(ec_key.sign(claims(sub="x" * 256)), ec_key)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{",
        b"[" * 9000,
        b'{"iss": "https://evil.example", "iss": "https://ci.example/auth"}',
    ],
    ids=range(7),
)
def test_claims_are_read_in_one_way_only(ec_key: SigningKey, payload: bytes) -> None:
    token = f"{encoded({'alg': 'ES256', 'kid': 'ec'})}.{encoded(payload)}"
    with pytest.raises(InvalidIdentityToken, match="not a valid JWT"):
        verify(f"{token}.{encoded(signed(token, ec_key))}", ec_key)


def test_a_token_is_not_endless(ec_key: SigningKey) -> None:
    with pytest.raises(InvalidIdentityToken, match="not a valid JWT"):
        verify(ec_key.sign(claims(padding="x" * LONGEST_TOKEN)), ec_key)


@given(token=st.text() | st.text("eyJ.A-_=", max_size=60))
def test_no_text_at_all_is_believed_by_accident(token: str) -> None:
    with pytest.raises(InvalidIdentityToken):
        issuer_of(token)


def test_a_refusal_does_not_repeat_the_token(ec_key: SigningKey, stranger: SigningKey) -> None:
    token = stranger.sign(CLAIMS)
    with pytest.raises(InvalidIdentityToken) as refusal:
        verify(token, ec_key)
    assert not any(part in str(refusal.value) for part in token.split("."))


def test_stored_keys_that_cannot_be_used_are_said_to_be(ec_key: SigningKey) -> None:
    provider = Provider(ISSUER, frozenset({"sts.amazonaws.com"}), "{}")
    with pytest.raises(InvalidIdentityToken, match="that are stored for the token's provider"):
        tokens.verify(ec_key.sign(CLAIMS), provider, Nobody(), NOW)
