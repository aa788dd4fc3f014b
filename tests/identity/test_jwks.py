"""Key sets are read strictly: what is of no use is ignored with a reason, what is secret refuses the set."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.identity.tokens.jwks import KeySet, KeySetError, KeySetKind, key_set, read_key_set
from pdp.limits import (
    MAX_KEY_ID_CHARS,
    MAX_KEY_SET_KEYS,
    MAX_KEYS_TRIED,
    MAX_RSA_BITS,
    MAX_TRUST_FILE_BYTES,
    MIN_RSA_BITS,
)
from tests.identity.tokens import b64, ec_key, ed_key, number, rsa_key

EC = ec_key().named("a")
RSA = rsa_key().named("b")
ED = ed_key().named("c")
P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1


def only(entry: dict, kind: KeySetKind = KeySetKind.ISSUER) -> KeySet:
    return key_set({"keys": [entry]}, kind)


def why_ignored(entry: dict, kind: KeySetKind = KeySetKind.ISSUER) -> str:
    found = only(entry, kind)
    assert (len(found.keys), len(found.ignored)) == (0, 1), entry
    return found.ignored[0].why


def test_keys_are_read_with_what_they_are_for() -> None:
    found = key_set(
        {"keys": [EC, RSA, ED, ec_key("P-384").jwk, ec_key("P-521").named("e", alg="ES512", use="sig")]}
    )

    assert found.ignored == ()
    assert [(key.key_id, key.kty, sorted(key.algorithms)) for key in found.keys] == [
        ("a", "EC", ["ES256"]),
        ("b", "RSA", ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"]),
        ("c", "OKP", ["Ed25519", "EdDSA"]),
        (None, "EC", ["ES384"]),
        ("e", "EC", ["ES512"]),
    ]


def test_what_a_key_says_besides_is_not_looked_at() -> None:
    """RFC 7517 section 4: what is not understood is ignored; certificates are not what is believed."""
    more = {
        "x5c": ["MIIB"],
        "x5t": "x",
        "x5u": "https://evil.example",
        "exp": 1,
        "issuer": "x",
        "foo": {"bar": [None]},
    }

    assert len(only(EC | more).keys) == 1
    assert key_set({"keys": [EC], "foo": 1}).keys == key_set({"keys": [EC]}).keys


def test_an_empty_set_is_a_set_that_verifies_nothing() -> None:
    assert key_set({"keys": []}).keys == ()


def test_the_digest_is_of_the_keys_and_of_nothing_else() -> None:
    one = key_set({"keys": [EC, RSA]})

    assert one.digest == key_set({"keys": [RSA, EC | {"foo": 1}, RSA]}).digest
    others = [
        [EC],
        [RSA],
        [],
        [EC, RSA | {"alg": "RS256"}],
        [EC, RSA | {"kid": "x"}],
        [EC, ec_key(which=1).named("b")],
    ]
    assert len({one.digest, *(key_set({"keys": each}).digest for each in others)}) == len(others) + 1


# -- what is refused as a whole --------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "null", "[]", "{}", '{"keys":{}}', '{"keys":null}', '{"keys":"x"}', '{"keys":[1]}',
        '{"keys":[null]}',
        '{"keys":["x"]}', '{"keys":[[]]}', '{"keys":[],"keys":[]}', '{"keys":[{"kty":"EC","kty":"RSA"}]}',
        '{"keys":[]} x', '\ufeff{"keys":[]}', '{"keys":[NaN]}', '{"Keys":[]}', json.dumps(EC),
    ],
)  # fmt: skip
def test_what_is_no_key_set_is_refused(text: str) -> None:
    with pytest.raises(KeySetError) as caught:
        read_key_set(text.encode())
    assert str(caught.value)


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
@pytest.mark.parametrize("entry", [EC, RSA, ED, {"kty": "x"}, {}])
def test_a_secret_in_a_set_refuses_all_of_it(entry: dict, member: str) -> None:
    secret = "c2VjcmV0LW9mLW91cnM"

    with pytest.raises(KeySetError) as caught:
        key_set({"keys": [EC, entry | {member: secret}]})

    assert secret not in str(caught.value)
    assert "key 2" in str(caught.value)


def test_a_symmetric_key_refuses_all_of_it() -> None:
    for entry in ({"kty": "oct", "k": "c2VjcmV0"}, {"kty": "oct"}):
        with pytest.raises(KeySetError, match="symmetric"):
            key_set({"keys": [EC, entry]})


def test_a_set_has_bounds() -> None:
    many = [ec_key().named(f"k{n}") for n in range(MAX_KEY_SET_KEYS + 1)]
    alike = [ec_key(which=n).named("k") for n in range(MAX_KEYS_TRIED + 1)]

    assert len(key_set({"keys": many[:-1]}).keys) == MAX_KEY_SET_KEYS
    with pytest.raises(KeySetError, match="at most"):
        key_set({"keys": many})
    assert len(key_set({"keys": alike[:-1]}).keys) == MAX_KEYS_TRIED
    with pytest.raises(KeySetError, match="named `k`"):
        key_set({"keys": alike})
    padded = json.dumps({"keys": [EC]}).encode()
    assert read_key_set(padded + b" " * (MAX_TRUST_FILE_BYTES - len(padded))).keys
    with pytest.raises(KeySetError, match="bytes"):
        read_key_set(padded + b" " * (MAX_TRUST_FILE_BYTES + 1 - len(padded)))


# -- what is ignored -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({}, "no `kty`"),
        ({"kty": None}, "no `kty`"),
        ({"kty": 1}, "no text"),
        ({"kty": "ec"}, "`ec`"),
        ({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}, "`AKP`"),
        (EC | {"kid": ""}, "`kid`"),
        (EC | {"kid": 1}, "`kid`"),
        (EC | {"kid": None}, "`kid`"),
        (EC | {"kid": "x" * (MAX_KEY_ID_CHARS + 1)}, "`kid`"),
        (EC | {"use": "enc"}, "`enc`"),
        (EC | {"use": "SIG"}, "`SIG`"),
        (EC | {"use": ""}, "use"),
        (EC | {"use": None}, "use"),
        (EC | {"use": ["sig"]}, "use"),
        (EC | {"use": "jwt-svid"}, "`jwt-svid`"),
        (EC | {"key_ops": []}, "verify"),
        (EC | {"key_ops": ["sign"]}, "verify"),
        (EC | {"key_ops": ["encrypt"]}, "verify"),
        (EC | {"key_ops": ["verify", "verify"]}, "twice"),
        (EC | {"key_ops": ["verify", "encrypt"]}, "one purpose"),
        (EC | {"key_ops": "verify"}, "list"),
        (EC | {"key_ops": None}, "list"),
        (EC | {"key_ops": [1]}, "list"),
        (EC | {"alg": "RS256"}, "`RS256`"),
        (EC | {"alg": "ES384"}, "`ES384`"),
        (EC | {"alg": "ES256K"}, "`ES256K`"),
        (EC | {"alg": "HS256"}, "`HS256`"),
        (EC | {"alg": "none"}, "`none`"),
        (EC | {"alg": "es256"}, "`es256`"),
        (EC | {"alg": "ECDH-ES"}, "`ECDH-ES`"),
        (EC | {"alg": None}, "alg"),
        (EC | {"alg": ["ES256"]}, "alg"),
        (RSA | {"alg": "ES256"}, "`ES256`"),
        (RSA | {"alg": "RSA-OAEP"}, "`RSA-OAEP`"),
        (ED | {"alg": "ES256"}, "`ES256`"),
        (ED | {"alg": "Ed448"}, "`Ed448`"),
        (EC | {"crv": "P-384"}, "octets"),
        (EC | {"crv": "secp256k1"}, "`secp256k1`"),
        (EC | {"crv": "p-256"}, "`p-256`"),
        (EC | {"crv": None}, "crv"),
        ({key: value for key, value in EC.items() if key != "crv"}, "crv"),
        ({key: value for key, value in EC.items() if key != "x"}, "`x`"),
        ({key: value for key, value in EC.items() if key != "y"}, "`y`"),
        (EC | {"x": ""}, "`x`"),
        (EC | {"x": 1}, "`x`"),
        (EC | {"x": EC["x"] + "="}, "`x`"),
        (EC | {"x": EC["x"] + "\n"}, "`x`"),
        (EC | {"x": EC["x"] + "AAA"}, "octets"),
        (EC | {"y": EC["x"]}, "not a key"),
        (EC | {"x": b64(bytes(32)), "y": b64(bytes(32))}, "not a key"),
        (EC | {"x": number(P256, 32)}, "not a key"),
        (EC | {"x": number(P256 + 5, 32)}, "not a key"),
        (ED | {"crv": "Ed448"}, "`Ed448`"),
        (ED | {"crv": "X25519"}, "`X25519`"),
        (ED | {"x": b64(bytes(31))}, "octets"),
        (ED | {"x": b64(bytes(33))}, "octets"),
        (RSA | {"e": "AQ"}, "exponent"),
        (RSA | {"e": "Ag"}, "exponent"),
        (RSA | {"e": "AA"}, "zero octet"),
        (RSA | {"e": "AAEAAQ"}, "zero octet"),
        (RSA | {"e": b64(b"\x01\0\0\0\x01")}, "exponent"),
        (RSA | {"e": 65537}, "`e`"),
        (RSA | {"n": b64(b"\0" + base64.urlsafe_b64decode(RSA["n"] + "=="))}, "zero octet"),
        (RSA | {"n": number(2**2048 + 2)}, "even"),
        (RSA | {"n": number(2 ** (MIN_RSA_BITS - 1) - 1)}, "bits"),
        (RSA | {"n": number(2**MAX_RSA_BITS + 1)}, "bits"),
        (rsa_key(1024).named("b"), "1024 bits"),
        ({key: value for key, value in RSA.items() if key != "e"}, "`e`"),
        ({key: value for key, value in RSA.items() if key != "n"}, "`n`"),
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_used_is_ignored_and_the_others_are_not(entry: dict, why: str) -> None:
    assert why in why_ignored(entry)
    beside = key_set({"keys": [RSA | {"kid": "good"}, entry]})
    assert [key.key_id for key in beside.keys] == ["good"]
    assert beside.ignored[0].number == 2


def test_a_coordinate_is_written_in_full() -> None:
    """RFC 7518 section 6.2.1.2: a zero in front is not left out."""
    key = next(
        key
        for n in range(5000)
        if (key := ec_key(which=n + 1000)).private.public_key().public_numbers().x < 2**248
    )
    x = key.private.public_key().public_numbers().x

    assert len(only(key.jwk).keys) == 1
    assert "octets" in why_ignored(key.jwk | {"x": number(x)})
    assert "octets" in why_ignored(key.jwk | {"x": number(x, 33)})


def test_keys_of_the_least_and_the_greatest_size_are_used() -> None:
    assert only(rsa_key(MIN_RSA_BITS).jwk).keys
    # A modulus of that size takes minutes to make; any odd number of it will be read.
    assert only({"kty": "RSA", "n": number(2**MAX_RSA_BITS - 1), "e": "AQAB"}).keys
    assert only(RSA | {"e": "Aw"}).keys


# -- bundles ---------------------------------------------------------------------------


def test_of_a_bundle_the_keys_of_tokens_are_used() -> None:
    certificate = {
        "use": "x509-svid",
        "kty": "EC",
        "crv": "P-256",
        "x": EC["x"],
        "y": EC["y"],
        "x5c": ["MIIB"],
    }
    found = key_set(
        {"keys": [certificate, EC | {"use": "jwt-svid"}], "spiffe_sequence": 7, "spiffe_refresh_hint": 300},
        KeySetKind.BUNDLE,
    )

    assert [key.key_id for key in found.keys] == ["a"]
    assert [each.number for each in found.ignored] == [1]


@pytest.mark.parametrize(
    "entry",
    [
        EC,
        EC | {"use": "sig"},
        EC | {"use": "x509-svid"},
        EC | {"use": "wit-svid"},
        EC | {"use": 1},
        ec_key().jwk | {"use": "jwt-svid"},
    ],
)
def test_entries_of_a_bundle_say_their_use_and_their_name(entry: dict) -> None:
    assert why_ignored(entry, KeySetKind.BUNDLE)


@pytest.mark.parametrize("name", ["spiffe_sequence", "spiffe_refresh_hint"])
@pytest.mark.parametrize("value", ["1", 1.5, True, -1, None, []])
def test_counts_of_a_bundle_are_whole_numbers(name: str, value: object) -> None:
    with pytest.raises(KeySetError, match=name):
        key_set({"keys": [], name: value}, KeySetKind.BUNDLE)
    assert key_set({"keys": [], name: 0}, KeySetKind.BUNDLE).keys == ()


# -- laws ------------------------------------------------------------------------------

KEYS = [EC, RSA, ED, ec_key("P-384").named("d"), ec_key("P-521").named("e")]
ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.lists(st.text(max_size=3), max_size=2)
)


@given(
    entry=st.sampled_from(KEYS),
    more=st.dictionaries(
        st.sampled_from(["kty", "kid", "use", "key_ops", "alg", "crv", "x", "y", "n", "e"]),
        ODD | st.sampled_from(["sig", "RSA", "EC", "OKP", "ES256", "P-256", EC["x"], ["verify"]]),
        max_size=3,
    ),
)
def test_any_entry_is_a_key_or_ignored_and_a_key_is_what_it_says(entry: dict, more: dict) -> None:
    found = only(entry | more)

    assert len(found.keys) + len(found.ignored) == 1
    for key in found.keys:
        given = entry | more
        assert (key.key_id, key.kty) == (given["kid"], given["kty"])
        assert given.get("use", "sig") == "sig"
        assert given.get("alg", next(iter(key.algorithms))) in key.algorithms
        numbers = key.key.public_key.public_numbers() if key.kty != "OKP" else None
        if key.kty == "RSA":
            assert given["n"] == number(numbers.n)
            assert given["e"] == number(numbers.e)
