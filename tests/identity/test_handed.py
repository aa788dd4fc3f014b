"""Whose tokens are believed, handed from one process to another: the same in every respect that counts."""

from pdp.identity.tokens.handed import read_token_trust, write_token_trust
from pdp.identity.tokens.issuer import TokenTrust
from pdp.identity.tokens.jwks import KeySet, key_set
from tests.identity.tokens import (
    ISSUER,
    NOW,
    bundle,
    claims,
    ec_key,
    ed_key,
    issuer,
    rsa_key,
    svid_claims,
    token,
    trust,
    verify_text,
)

KEYS = {"ES256": ec_key(), "RS256": rsa_key(), "EdDSA": ed_key(), "PS256": rsa_key(2048, 1)}


def everybody() -> TokenTrust:
    jwks = [key.named(name, alg=name) for name, key in KEYS.items()]
    corp = issuer(*jwks, {"kty": "oops", "kid": "strange"}, leeway=3000, max_lifetime=3_600_000)
    return trust(corp, bundle(ec_key().named("svid")))


def test_it_is_the_same_afterwards() -> None:
    before = everybody()

    after = read_token_trust(write_token_trust(before))

    assert after == before
    assert after.digest == before.digest
    assert after.issuers[ISSUER].keys.ignored == before.issuers[ISSUER].keys.ignored


def test_it_verifies_the_same_tokens() -> None:
    after = read_token_trust(write_token_trust(everybody()))

    for name, key in KEYS.items():
        found = verify_text(token({"alg": name, "kid": name}, claims(), key), after, NOW)
        assert found.user is not None
    workload = token({"alg": "ES256", "kid": "svid"}, svid_claims(), ec_key())
    assert verify_text(workload, after, NOW).principal is not None


def test_an_issuer_without_keys_has_none_afterwards_and_says_why() -> None:
    before = trust(issuer(keys=KeySet(keys=(), fault="they have not been fetched yet")))

    after = read_token_trust(write_token_trust(before))

    assert after.issuers[ISSUER].keys.fault == "they have not been fetched yet"
    assert after.issuers[ISSUER].keys.keys == ()


def test_nobody_is_nobody() -> None:
    assert read_token_trust(write_token_trust(TokenTrust())) == TokenTrust()
    assert TokenTrust().digest == ""
    assert trust(issuer(keys=key_set({"keys": []}))).digest != ""
