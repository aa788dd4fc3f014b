"""A token proves something only where every rule of its standard is kept."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import UnsupportedAlgorithmError
from joserfc.jwk import ECKey

from pdp.compiler.attributes import BUILT_IN
from pdp.identity.tokens import signature
from pdp.identity.tokens.attributes import claim_attributes
from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile, TokenTrust
from pdp.identity.tokens.jwks import KeySet, key_set
from pdp.identity.tokens.jws import parse_compact
from pdp.identity.tokens.jwt import VerifiedToken, verify_token
from pdp.identity.tokens.refusal import RefusedTokenError
from pdp.identity.tokens.signature import ALGORITHMS, JWT_SVID_ALGORITHMS, signature_holds
from pdp.lang.ast import AttributeType
from pdp.limits import MAX_AUDIENCES, MAX_SUBJECT_CHARS
from pdp.vocabulary import User
from tests.identity.tokens import (
    AUDIENCE,
    DOMAIN,
    ISSUER,
    NOW,
    SECONDS,
    USER,
    WEB,
    b64,
    bundle,
    claims,
    ec_key,
    ed_key,
    encoded,
    issuer,
    key_for,
    rsa_key,
    svid_claims,
    token,
    trust,
    verify_text,
)

KEY, HEADER = ec_key(), {"alg": "ES256", "kid": "a", "typ": "JWT"}
CORP = trust(issuer(KEY.named("a")))
PROD = trust(bundle(KEY.named("a")))
LEEWAY = trust(issuer(KEY.named("a"), leeway=30_000))
GOOD = token(HEADER, claims(), KEY)
SVID = token(HEADER, svid_claims(), KEY)


def refused(text: str, by: TokenTrust = CORP, now: int = NOW) -> str:
    with pytest.raises(RefusedTokenError) as caught:
        verify_text(text, by, now)
    message = caught.value.message
    assert message[:1].islower() or message.startswith("`"), message
    assert not message.endswith(".")
    return caught.value.code.value


def of_user(**more: Any) -> str:
    return token(HEADER, claims(**more), KEY)


def of_workload(**more: Any) -> str:
    return token(HEADER, svid_claims(**more), KEY)


# -- what a token proves ---------------------------------------------------------------


def test_a_token_of_an_issuer_proves_a_user() -> None:
    text = of_user(groups=["sre", "dev"], scope="reports:read openid", azp="web", x=1)

    found = verify_text(text, CORP, NOW)

    assert found.user == User(issuer=ISSUER, subject=USER, groups=("sre", "dev"))
    assert found.principal is None
    assert (found.subject, found.audiences) == (USER, (AUDIENCE,))
    assert (found.key_id, found.algorithm, found.issuer.name) == ("a", "ES256", ISSUER)
    assert (found.times.expires, found.times.issued) == (NOW + 300_000, NOW - 10_000)
    assert found.attributes["scope"] == ("reports:read", "openid")


def test_a_jwt_svid_proves_a_workload() -> None:
    found = verify_text(SVID, PROD, NOW)

    assert found.principal is not None
    assert (found.principal.id, found.user) == (WEB, None)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_verifies_its_own_signatures_and_no_others(algorithm: str) -> None:
    key, header = key_for(algorithm), {"alg": algorithm, "kid": "a"}
    by = trust(issuer(key.named("a")))
    text = token(header, claims(), key)

    assert verify_text(text, by, NOW).algorithm == algorithm
    assert refused(token(header, claims(), key_for(algorithm, 1)), by) == "signature"
    assert refused(text, trust(issuer(key_for(algorithm, 1).named("a")))) == "signature"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_jwt_svid_is_of_the_algorithms_of_its_standard(algorithm: str) -> None:
    key = key_for(algorithm)
    text = token({"alg": algorithm, "kid": "a"}, svid_claims(), key)
    by = trust(bundle(key.named("a")))

    if algorithm in JWT_SVID_ALGORITHMS:
        assert verify_text(text, by, NOW).subject == WEB
    else:
        assert refused(text, by) == "algorithm"


def test_what_another_library_signs_verifies() -> None:
    private = ECKey.generate_key("P-256")
    text = jws.serialize_compact(HEADER, json.dumps(claims()), private)
    by = trust(issuer(private.as_dict(private=False) | {"kid": "a"}))

    assert verify_text(text, by, NOW).subject == USER


# -- signatures ------------------------------------------------------------------------


def resigned(signature: bytes) -> str:
    return f"{encoded(HEADER, claims())}.{b64(signature)}"


RAW = KEY.sign("ES256", encoded(HEADER, claims()).encode())
R, S = int.from_bytes(RAW[:32]), int.from_bytes(RAW[32:])
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize(
    "signature",
    [
        encode_dss_signature(R, S),
        b"\0" * 64,
        b"\xff" * 64,
        R.to_bytes(32) + b"\0" * 32,
        b"\0" * 32 + S.to_bytes(32),
        S.to_bytes(32) + R.to_bytes(32),
        (R + 1).to_bytes(32) + S.to_bytes(32),
        N.to_bytes(32) + N.to_bytes(32),
        N.to_bytes(32) + b"\0" * 32,
        b"\0" * 31 + b"\x01" + N.to_bytes(32),
        R.to_bytes(33) + S.to_bytes(33),
        R.to_bytes(32) + S.to_bytes(32) + b"\0",
        b"\0" + R.to_bytes(32) + S.to_bytes(32),
        (R.to_bytes(32) + S.to_bytes(32))[:-1],
        R.to_bytes(48) + S.to_bytes(48),
        R.to_bytes(32),
        b"\0",
        b"x" * 1000,
        b"",
    ],
    ids=map(str, range(19)),
)
def test_a_signature_is_the_two_numbers_in_full(signature: bytes) -> None:
    assert verify_text(resigned(R.to_bytes(32) + S.to_bytes(32)), CORP, NOW)
    assert refused(resigned(signature)) == ("signature" if signature else "unsigned")


@pytest.mark.parametrize(
    ("algorithm", "other"),
    [("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "RS512"), ("RS512", "RS256"), ("PS384", "PS256")],
)
def test_a_signature_by_another_algorithm_of_the_same_key_is_none(algorithm: str, other: str) -> None:
    text = token({"alg": algorithm, "kid": "a"}, claims(), rsa_key(), algorithm=other)

    assert refused(text, trust(issuer(rsa_key().named("a")))) == "signature"


def test_a_salt_of_another_length_is_refused() -> None:
    """RFC 7518 section 3.5: as long as the digest."""
    text = encoded({"alg": "PS256", "kid": "a"}, claims())
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=20)
    signature = rsa_key().private.sign(text.encode(), pss, hashes.SHA256())

    assert refused(f"{text}.{b64(signature)}", trust(issuer(rsa_key().named("a")))) == "signature"


def test_a_signature_with_zeros_before_it_is_refused() -> None:
    text = encoded({"alg": "RS256", "kid": "a"}, claims())
    signature = rsa_key().sign("RS256", text.encode())
    by = trust(issuer(rsa_key().named("a")))

    assert verify_text(f"{text}.{b64(signature)}", by, NOW)
    assert refused(f"{text}.{b64(bytes(1) + signature)}", by) == "signature"
    assert refused(f"{text}.{b64(signature[:-1])}", by) == "signature"


def test_what_was_signed_cannot_be_exchanged() -> None:
    one, other = of_user(sub="alice").split("."), of_user(sub="root").split(".")

    assert refused(".".join([one[0], other[1], one[2]])) == "signature"
    assert refused(".".join([b64(json.dumps(HEADER | {"x": 1})), one[1], one[2]])) == "signature"


@settings(max_examples=400, deadline=None)
@given(at=st.integers(0, len(GOOD) - 1), char=st.sampled_from("ABCxyz019-_.=+/ \n\u00e9"))
def test_no_token_with_one_character_changed_is_accepted(at: int, char: str) -> None:
    changed = GOOD[:at] + char + GOOD[at + 1 :]

    if changed != GOOD:
        refused(changed)


@settings(max_examples=200, deadline=None)
@given(
    at=st.integers(0, len(GOOD)), more=st.text("ABCxyz019-_.=", min_size=1, max_size=4), cut=st.integers(0, 4)
)
def test_no_token_that_is_longer_or_shorter_is_accepted(at: int, more: str, cut: int) -> None:
    refused(GOOD[:at] + more + GOOD[at:])
    if at < len(GOOD) and cut:
        refused(GOOD[:at] + GOOD[at + cut :])


# -- algorithms and keys ---------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "none",
        "None",
        "NONE",
        "nOnE",
        "HS256",
        "HS384",
        "HS512",
        "ES256K",
        "Ed448",
        "es256",
        "dir",
        "RSA-OAEP",
        "A128KW",
        " ES256",
        "ES256\n",
    ],
)
def test_what_is_no_algorithm_of_ours_is_refused(name: str) -> None:
    for profile, made in ((CORP, claims()), (PROD, svid_claims())):
        assert refused(token({"alg": name, "kid": "a"}, made, KEY, algorithm="ES256"), profile) == "algorithm"
    assert refused(f"{encoded({'alg': name, 'kid': 'a'}, claims())}.AA") == "algorithm"


@pytest.mark.parametrize("form", ["der", "pem", "jwk", "n", "point"])
@pytest.mark.parametrize("key", [rsa_key(), KEY])
def test_a_public_key_is_no_secret_to_sign_with(key: Any, form: str) -> None:
    public = key.private.public_key()
    secret = {
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(key.jwk).encode(),
        "n": key.jwk.get("n", "").encode(),
        "point": key.jwk.get("x", "").encode(),
    }[form]
    text = encoded({"alg": "HS256", "kid": "a"}, claims())
    signature = hmac.digest(secret, text.encode(), hashlib.sha256)

    assert refused(f"{text}.{b64(signature)}", trust(issuer(key.named("a")))) == "algorithm"


@pytest.mark.parametrize("named", ALGORITHMS)
@pytest.mark.parametrize("held", ALGORITHMS)
def test_a_key_is_for_the_algorithms_that_take_it(named: str, held: str) -> None:
    text = token({"alg": named, "kid": "a"}, claims(), key_for(named))
    by = trust(issuer(key_for(held).named("a")))

    if ALGORITHMS[named] == ALGORITHMS[held]:
        assert verify_text(text, by, NOW).algorithm == named
    else:
        assert refused(text, by) == "unsuitable_key"


def test_a_key_that_names_its_algorithm_is_for_no_other() -> None:
    by = trust(issuer(rsa_key().named("a", alg="RS256")))

    assert verify_text(token({"alg": "RS256", "kid": "a"}, claims(), rsa_key()), by, NOW)
    assert refused(token({"alg": "PS256", "kid": "a"}, claims(), rsa_key()), by) == "unsuitable_key"


def test_an_issuer_may_accept_less() -> None:
    key = rsa_key()
    by = trust(issuer(key.named("a"), algorithms=frozenset({"RS256"})))

    assert verify_text(token({"alg": "RS256", "kid": "a"}, claims(), key), by, NOW)
    assert refused(token({"alg": "RS512", "kid": "a"}, claims(), key), by) == "algorithm"


def test_a_key_that_is_for_something_else_verifies_nothing() -> None:
    for more in ({"use": "enc"}, {"key_ops": ["sign"]}, {"alg": "ECDH-ES"}):
        assert refused(GOOD, trust(issuer(KEY.named("a", **more)))) == "unsuitable_key"


def test_the_key_is_the_one_that_is_named() -> None:
    by = trust(issuer(ec_key(which=1).named("a"), KEY.named("b")))

    assert refused(GOOD, by) == "signature"
    assert verify_text(token(HEADER | {"kid": "b"}, claims(), KEY), by, NOW).key_id == "b"
    assert refused(token(HEADER | {"kid": "c"}, claims(), KEY), by) == "unknown_key"
    assert refused(token(HEADER | {"kid": "A"}, claims(), KEY), by) == "unknown_key"


def test_a_token_that_names_no_key_is_by_the_only_one() -> None:
    unnamed = token({"alg": "ES256"}, claims(), KEY)

    assert verify_text(unnamed, trust(issuer(KEY.named("a"))), NOW)
    assert verify_text(unnamed, trust(issuer(KEY.jwk)), NOW).key_id is None
    assert verify_text(unnamed, trust(issuer(KEY.jwk, rsa_key().jwk)), NOW)
    assert refused(unnamed, trust(issuer(KEY.named("a"), ec_key(which=1).named("b")))) == "no_key_id"
    assert refused(unnamed, trust(issuer(rsa_key().jwk))) == "unknown_key"
    assert refused(unnamed, trust(issuer())) == "unknown_key"
    assert refused(GOOD, trust(issuer(KEY.jwk))) == "unknown_key"


def test_keys_of_one_name_are_tried_all() -> None:
    """While keys are renewed, two replicas may call theirs the same: no good token is refused for it."""
    by = trust(issuer(ec_key(which=1).named("a"), rsa_key().named("a"), KEY.named("a")))

    assert verify_text(GOOD, by, NOW)
    assert refused(token(HEADER, claims(), ec_key(which=2)), by) == "signature"


def test_keys_are_their_issuers_alone() -> None:
    """RFC 8725 section 3.8: the same `kid` at another issuer is another key."""
    other = issuer(ec_key(which=1).named("a"), name="https://other.example.com")
    both = trust(issuer(KEY.named("a")), other, bundle(ec_key(which=2).named("a")))

    assert verify_text(GOOD, both, NOW).issuer.name == ISSUER
    for which in (1, 2):
        assert refused(token(HEADER, claims(), ec_key(which=which)), both) == "signature"
    assert refused(token(HEADER, claims(iss=other.name), KEY), both) == "signature"
    assert refused(token(HEADER, svid_claims(), KEY), both) == "signature"
    assert refused(token(HEADER, svid_claims(iss=ISSUER), KEY), both) == "signature"


def test_a_set_that_was_emptied_or_is_broken_verifies_nothing() -> None:
    assert refused(GOOD, trust(issuer())) == "unknown_key"
    assert refused(GOOD, trust(issuer(keys=KeySet(keys=(), fault="it is not JSON")))) == "key_set"


@pytest.mark.parametrize("name", ["jwk", "x5c", "jku", "x5u"])
@pytest.mark.parametrize("kid", [True, False])
def test_a_key_in_the_token_is_never_believed(name: str, kid: bool) -> None:  # noqa: FBT001 - a parameter
    theirs = ec_key(which=7)
    value = {
        "jwk": theirs.jwk,
        "x5c": ["MIIB"],
        "jku": "https://evil.example/",
        "x5u": "https://evil.example/",
    }[name]
    header = {"alg": "ES256", name: value} | ({"kid": "a"} if kid else {})

    for key in (theirs, KEY):
        assert refused(token(header, claims(), key)) == "embedded_key"


@pytest.mark.parametrize(
    "kid", ["../a", "a\0", "a' or '1'='1", "/dev/null", "\u202ea", "a" * 256, "file:///x"]
)
def test_a_key_id_is_a_name_and_nothing_else(kid: str) -> None:
    assert refused(token({"alg": "ES256", "kid": kid}, claims(), KEY)) in {"unknown_key", "malformed"}


# -- types -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "user", "workload"),
    [
        ("JWT", True, True), ("JOSE", True, True), ("jwt", True, False), ("at+jwt", True, False),
        ("AT+JWT", True, False), ("application/at+jwt", True, False), ("application/jwt", True, False),
        ("dpop+jwt", False, False), ("logout+jwt", False, False), ("secevent+jwt", False, False),
        ("id_token", False, False), ("JWT ", False, False), ("JWE", False, False), ("text/jwt", False, False),
    ],
)  # fmt: skip
def test_tokens_that_prove_something_else_are_refused(type_: str, user: bool, workload: bool) -> None:  # noqa: FBT001 - parameters
    header = HEADER | {"typ": type_}

    for accepted, by, made in ((user, CORP, claims()), (workload, PROD, svid_claims())):
        text = token(header, made, KEY)
        if accepted:
            assert verify_text(text, by, NOW)
        else:
            assert refused(text, by) == "type"


def test_the_header_of_a_jwt_svid_has_three_members_and_that_of_others_any() -> None:
    for more in ({"x5t": "x"}, {"nonce": "x"}, {"iss": ISSUER}):
        assert verify_text(token(HEADER | more, claims(), KEY), CORP, NOW)
        assert refused(token(HEADER | more, svid_claims(), KEY), PROD) == "header"
    assert refused(token({"alg": "ES256"}, svid_claims(), KEY), PROD) == "no_key_id"
    assert verify_text(token({"alg": "ES256", "kid": "a"}, svid_claims(), KEY), PROD, NOW)


# -- claims ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp"])
def test_these_claims_are_there(name: str) -> None:
    assert refused(of_user(**{name: None})) == "missing_claim"
    if name != "iss":
        by_whom = {"sub": "missing_claim"}.get(name, "missing_claim")
        assert refused(of_workload(**{name: None}), PROD) == by_whom


@pytest.mark.parametrize(
    "value",
    [f"{ISSUER}/", "https://LOGIN.example.com", "http://login.example.com", "login.example.com", f" {ISSUER}",
     f"{ISSUER}#", f"{ISSUER}:443", "https://evil.example", ""],
)  # fmt: skip
def test_an_issuer_is_compared_as_it_stands(value: str) -> None:
    assert refused(of_user(iss=value)) == "unknown_issuer"


@pytest.mark.parametrize("value", [1, True, [], [ISSUER], {}, {"iss": ISSUER}])
def test_an_issuer_is_a_text(value: object) -> None:
    assert refused(of_user(iss=value)) == "invalid_claim"


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value",
    [
        "1800000300",
        "",
        True,
        False,
        [],
        {},
        [1],
        -1,
        -0.5,
        253402300800,
        9223372036854775807,
        1e300,
        1.8e12,
        "2027-01-15",
    ],
)
def test_times_are_numbers_within_the_calendar(name: str, value: object) -> None:
    for by, made in ((CORP, claims), (PROD, svid_claims)):
        assert refused(token(HEADER, made(**{name: value}), KEY), by) == "invalid_claim"


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["null", "NaN", "Infinity", "1e999", "99999999999999999999", "0x1", "01"])
def test_what_is_no_number_of_json_is_refused(name: str, value: str) -> None:
    text = json.dumps(claims() | {name: "?"}).replace('"?"', value)

    assert refused(token(HEADER, text, KEY)) == ("invalid_claim" if value == "null" else "malformed")


@pytest.mark.parametrize(
    "value",
    [AUDIENCE, [AUDIENCE], ["x", AUDIENCE], [AUDIENCE, AUDIENCE], ["x"] * (MAX_AUDIENCES - 1) + [AUDIENCE]],
)
def test_we_are_among_the_audiences(value: object) -> None:
    for by, made in ((CORP, claims), (PROD, svid_claims)):
        assert AUDIENCE in verify_text(token(HEADER, made(aud=value), KEY), by, NOW).audiences


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("x", "audience"), (f"{AUDIENCE}/", "audience"), (AUDIENCE.upper(), "audience"), (f"{AUDIENCE} x",
        "audience"),
        (["x", "y"], "audience"), ([f"x,{AUDIENCE}"], "audience"), (AUDIENCE[:-1], "audience"),
        ("", "invalid_claim"), ([], "invalid_claim"), ([""], "invalid_claim"), ([AUDIENCE, ""],
        "invalid_claim"),
        ([AUDIENCE, 1], "invalid_claim"), ([AUDIENCE, None], "invalid_claim"), ([[AUDIENCE]],
        "invalid_claim"),
        ({AUDIENCE: 1}, "invalid_claim"), (1, "invalid_claim"), (True, "invalid_claim"),
        ([AUDIENCE] * (MAX_AUDIENCES + 1), "invalid_claim"),
    ],
)  # fmt: skip
def test_a_token_for_somebody_else_is_refused(value: object, code: str) -> None:
    for by, made in ((CORP, claims), (PROD, svid_claims)):
        assert refused(token(HEADER, made(aud=value), KEY), by) == code


def test_an_issuer_may_have_several_audiences() -> None:
    by = trust(issuer(KEY.named("a"), audiences=frozenset({"one", "two"})))

    assert verify_text(of_user(aud="two"), by, NOW).audiences == ("two",)
    assert refused(of_user(aud="three"), by) == "audience"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "invalid_claim"), (1, "invalid_claim"), ([], "invalid_claim"), (True, "invalid_claim"), ({},
        "invalid_claim"),
        ("x" * (MAX_SUBJECT_CHARS + 1), "subject"), ("a\nb", "subject"), ("a\x1b[31m", "subject"),
        ("a\u202eb", "subject"),
        ("a\u200bb", "subject"),
    ],
)  # fmt: skip
def test_a_user_has_a_name_that_can_be_seen(value: object, code: str) -> None:
    assert refused(of_user(sub=value)) == code


@pytest.mark.parametrize(
    "value", ["x" * MAX_SUBJECT_CHARS, "auth0|1", "\u00e9ric", "a b", "spiffe://other.example/x", "anonymous"]
)
def test_the_name_of_a_user_is_the_issuers_business(value: str) -> None:
    found = verify_text(of_user(sub=value), CORP, NOW)

    assert found.user is not None
    assert (found.user.subject, found.principal) == (value, None)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (f"spiffe://{DOMAIN}", "subject"),
        (f"spiffe://{DOMAIN}/", "missing_claim"),
        ("spiffe://other.example.org/a", "unknown_trust_domain"),
        (f"spiffe://{DOMAIN.upper()}/a", "missing_claim"),
        (f"SPIFFE://{DOMAIN}/a", "missing_claim"),
        (f"spiffe://{DOMAIN}/a/../b", "missing_claim"),
        (f"spiffe://{DOMAIN}/a?b", "missing_claim"),
        (f"spiffe://{DOMAIN}/%61", "missing_claim"),
        (f"spiffe://{DOMAIN}.evil.example/a", "unknown_trust_domain"),
        (f"spiffe://a@{DOMAIN}/a", "missing_claim"),
        (f"{DOMAIN}/ns/a", "missing_claim"),
        ("alice", "missing_claim"),
        ([WEB], "missing_claim"),
        (1, "missing_claim"),
    ],
)
def test_a_workload_is_a_spiffe_id_of_the_trust_domain_whose_keys_they_are(value: object, code: str) -> None:
    """One that is none is a user's, whose issuer the token does not name."""
    assert refused(of_workload(sub=value), PROD) == code


def test_two_trust_domains_do_not_vouch_for_each_other() -> None:
    other = bundle(ec_key(which=1).named("a"), name="other.example.org")
    both = trust(bundle(KEY.named("a")), other)

    assert verify_text(SVID, both, NOW)
    assert refused(token(HEADER, svid_claims(), ec_key(which=1)), both) == "signature"
    assert refused(of_workload(sub="spiffe://other.example.org/a"), both) == "signature"


def test_a_token_is_verified_by_its_own_issuer_whoever_chose_it() -> None:
    """`issuer_of` chooses by the same claims; verification does not rest on that."""
    other = of_workload(sub="spiffe://other.example.org/a")
    for text, by, code in (
        (other, bundle(KEY.named("a")), "subject"),
        (of_workload(sub=1), bundle(KEY.named("a")), "invalid_claim"),
        (of_user(iss="https://other.example.com"), issuer(KEY.named("a")), "unknown_issuer"),
        (of_user(iss=None), issuer(KEY.named("a")), "unknown_issuer"),
    ):
        with pytest.raises(RefusedTokenError) as caught:
            verify_token(parse_compact(text), by, NOW)
        assert caught.value.code.value == code


def test_what_looks_like_a_jwt_svid_is_never_tried_as_a_users() -> None:
    both = trust(issuer(KEY.named("a")), bundle(ec_key(which=1).named("a")))

    assert refused(of_user(sub=WEB), both) == "signature"
    found = verify_text(of_user(sub="spiffe://other.example.org/x"), both, NOW)
    assert (found.user is None, found.principal) == (False, None)


def test_without_anybody_to_believe_nothing_is_believed() -> None:
    assert refused(GOOD, TokenTrust()) == "no_issuers"
    assert refused(GOOD, PROD) == "unknown_issuer"
    assert refused(SVID, CORP) == "unknown_trust_domain"


# -- times -----------------------------------------------------------------------------


@pytest.mark.parametrize(("by", "leeway"), [(CORP, 0), (LEEWAY, 30_000)])
def test_a_token_holds_until_it_expires(by: TokenTrust, leeway: int) -> None:
    end = NOW + 300_000 + leeway

    assert verify_text(GOOD, by, end - 1)
    assert refused(GOOD, by, end) == "expired"
    assert refused(GOOD, by, end + 10**12) == "expired"


@pytest.mark.parametrize(("by", "leeway"), [(CORP, 0), (LEEWAY, 30_000)])
@pytest.mark.parametrize(("name", "code"), [("nbf", "not_yet_valid"), ("iat", "issued_in_future")])
def test_a_token_holds_from_when_it_begins(name: str, code: str, by: TokenTrust, leeway: int) -> None:
    text = of_user(**{"nbf": None, "iat": None, name: SECONDS + 100})

    assert verify_text(text, by, NOW + 100_000 - leeway)
    assert refused(text, by, NOW + 100_000 - leeway - 1) == code


def test_a_fraction_of_a_second_counts() -> None:
    text = of_user(exp=SECONDS + 0.25)

    assert verify_text(text, CORP, NOW + 249)
    assert refused(text, CORP, NOW + 250) == "expired"


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize("by", [CORP, LEEWAY])
def test_a_token_that_ends_before_it_begins_never_holds(name: str, by: TokenTrust) -> None:
    for later in (0, 10):
        text = of_user(**{"nbf": None, "iat": None, name: SECONDS + later, "exp": SECONDS})
        for now in range(NOW - 40_000, NOW + 40_000, 5_000):
            assert refused(text, by, now) == "invalid_claim"


def test_the_lifetime_of_tokens_may_be_bounded() -> None:
    by = trust(issuer(KEY.named("a"), max_lifetime=310_000))

    assert verify_text(GOOD, by, NOW)
    assert refused(of_user(exp=SECONDS + 301), by) == "lifetime"
    assert refused(of_user(iat=None), by) == "missing_claim"


# -- configurations --------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {"audiences": frozenset()}, {"audiences": frozenset({""})}, {"audiences": frozenset({"a", ""})},
        {"algorithms": frozenset()}, {"algorithms": frozenset({"none"})}, {"algorithms": frozenset({"HS256",
        "ES256"})},
        {"leeway": -1}, {"leeway": 60_001}, {"max_lifetime": 0}, {"max_lifetime": -1}, {"name": ""},
        {"profile": TokenProfile.SPIFFE, "algorithms": frozenset({"EdDSA"})},
    ],
)  # fmt: skip
def test_there_is_no_issuer_that_accepts_too_much(more: dict) -> None:
    with pytest.raises(ValueError, match=r"."):
        issuer(KEY.named("a"), **more)
    assert issuer(KEY.named("a"), leeway=60_000)


def test_everybody_stands_where_they_belong() -> None:
    one, other = issuer(KEY.named("a")), bundle(KEY.named("a"))
    for wrong in ({"issuers": {"x": one}}, {"issuers": {DOMAIN: other}}, {"bundles": {ISSUER: one}}):
        with pytest.raises(ValueError, match="belong"):
            TokenTrust(**wrong)
    with pytest.raises(ValueError, match="trust domain"):
        TokenTrust(bundles={"A/b": bundle(KEY.named("a"), name="A/b")})


def test_a_configuration_is_known_by_all_that_it_says() -> None:
    one = issuer(KEY.named("a"))
    others: list[TokenIssuer] = [
        issuer(KEY.named("a"), name="x"), issuer(KEY.named("a"), audiences=frozenset({"x"})),
        issuer(KEY.named("b")),
        issuer(KEY.named("a"), algorithms=frozenset({"ES256"})), issuer(KEY.named("a"), leeway=1), issuer(),
        issuer(KEY.named("a"), max_lifetime=1), bundle(KEY.named("a"), name=ISSUER),
    ]  # fmt: skip

    assert one.id == issuer(KEY.named("a")).id
    assert len({one.id, *(each.id for each in others)}) == len(others) + 1


# -- claims as attributes --------------------------------------------------------------


def test_claims_become_typed_attributes() -> None:
    given = {
        "sub": "alice", "aud": "x", "scope": "a b", "groups": ["g"], "roles": [], "email_verified": True,
        "level": 3,
        "department": "eng", "flags": ["x", "y"], "admin": False, "preferred-name": "a", "amr": ["pwd"],
    }  # fmt: skip

    assert claim_attributes(given) == given | {
        "aud": ("x",), "scope": ("a", "b"), "groups": ("g",), "roles": (), "flags": ("x", "y"),
        "amr": ("pwd",),
    }  # fmt: skip


def test_claims_without_a_type_or_with_another_are_left_out() -> None:
    wrong = {
        "groups": "sre", "roles": {"a": 1}, "email_verified": "true", "azp": ["x"], "sub": 1, "email": True,
        "address": {"country": "x"}, "height": 1.5, "nothing": None, "mixed": ["a", 1],
        "https://x.example/roles": ["a"],
        "a.b": "x", "": "x", "a b": "x", "aud": 1, "scope": 1,
    }  # fmt: skip

    assert claim_attributes(wrong) == {}
    assert claim_attributes({"scope": ""}) == {"scope": ()}


@given(
    given=st.dictionaries(
        st.sampled_from([*"ab", *(name.partition(".")[2] for name in BUILT_IN)]),
        st.text(max_size=3)
        | st.integers(-3, 3)
        | st.booleans()
        | st.lists(st.text(max_size=2), max_size=2)
        | st.none()
        | st.floats(0, 1),
    )
)
def test_attributes_have_the_types_of_the_language(given: dict) -> None:
    types = {AttributeType.STRING: str, AttributeType.STRINGS: tuple, AttributeType.BOOL: bool}
    for name, value in claim_attributes(given).items():
        for family in ("user", "principal"):
            expected = BUILT_IN.get(f"{family}.{name}")
            assert expected is None or type(value) is types[expected]


# -- round trips -----------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    algorithm=st.sampled_from(sorted(ALGORITHMS)),
    more=st.dictionaries(
        st.sampled_from(["scope", "groups", "email", "x", "\u00e9", "azp"]),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
        | st.lists(st.sampled_from("abc"), max_size=3) | st.booleans() | st.integers(-(2**63), 2**63 - 1),
        max_size=4,
    ).filter(lambda more: isinstance(more.get("groups", []), list)),
    sub=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20),
)  # fmt: skip
def test_what_is_signed_verifies_with_what_it_says(algorithm: str, more: dict, sub: str) -> None:
    key = key_for(algorithm)
    text = token({"alg": algorithm, "kid": "k"}, claims(sub=sub, **more), key)

    found: VerifiedToken = verify_text(text, trust(issuer(key.named("k"))), NOW)

    assert found.subject == sub
    assert found.attributes == claim_attributes(claims(sub=sub, **more))


@pytest.mark.parametrize("groups", ["contractors", ["contractors", 7], {"a": 1}, None, 7, True, [["a"]]])
def test_groups_that_cannot_be_read_are_not_taken_for_none(groups: object) -> None:
    """A deny of a group would not hold for whoever has a strange list of them."""
    given = {**claims(), "groups": groups}

    assert refused(token(HEADER, given, KEY)) == "invalid_claim"


def test_groups_are_read_however_many_claims_stand_before_them() -> None:
    many = {f"claim-{number}": number for number in range(400)}
    text = token({"alg": "ES256", "kid": "a"}, {**many, **claims(groups=["a"])}, KEY)

    found = verify_text(text, trust(issuer(KEY.named("a"))), NOW)

    assert found.user is not None
    assert found.user.groups == ("a",)
    assert "claim-399" in found.unreadable


def test_claims_that_cannot_be_read_are_known_by_name() -> None:
    given = {
        "scope": 7,
        "level": 2.5,
        "who": {"a": 1},
        "team": "blue",
        "a.b": 3,
        "x" * 65: 3,
        "mixed": ["a", 1],
    }

    found = verify_text(token(HEADER, claims(**given), KEY), trust(issuer(KEY.named("a"))), NOW)

    assert found.unreadable == {"scope", "level", "who", "mixed"}


def test_two_readers_that_disagree_refuse() -> None:
    """The library reads the token again: what it finds has to be what we have found."""
    read = parse_compact(GOOD)
    (key,) = key_set({"keys": [KEY.named("a")]}).keys
    assert signature_holds(read, key.key)

    class Other:
        text, algorithm, payload, header = read.text, read.algorithm, b"{}", read.header

    with pytest.raises(ValueError, match="two readers"):
        signature_holds(Other(), key.key)  # type: ignore[arg-type]


def test_what_the_library_reads_otherwise_is_told_from_a_wrong_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def disagrees(*_: object) -> bool:
        raise ValueError("two readers find two tokens in it")

    monkeypatch.setattr("pdp.identity.tokens.signing_key.signature_holds", disagrees)

    assert refused(GOOD) == "header"


def test_the_library_is_given_one_algorithm_at_a_time() -> None:
    for name, registry in signature._REGISTRIES.items():
        assert registry.get_alg(name).name == name
        for other in ("none", "HS256", *(ALGORITHMS.keys() - {name})):
            with pytest.raises(UnsupportedAlgorithmError):
                registry.get_alg(other)


def test_no_warning_is_given_of_an_algorithm_that_is_deprecated_by_name_alone() -> None:
    assert verify_text(
        token({"alg": "EdDSA", "kid": "a"}, claims(), ed_key()), trust(issuer(ed_key().named("a"))), NOW
    )


def test_a_long_header_and_a_long_signature_are_read() -> None:
    """The library's own bounds are 512 and 1024 characters: below what a key of 8192 bits signs."""
    header = HEADER | {"x": "y" * 2000}
    by = trust(issuer(KEY.named("a")))

    assert verify_text(token(header, claims(), KEY), by, NOW)
    assert verify_text(
        token({"alg": "RS256", "kid": "a"}, claims(), rsa_key(8192)),
        trust(issuer(rsa_key(8192).named("a"))),
        NOW,
    )
