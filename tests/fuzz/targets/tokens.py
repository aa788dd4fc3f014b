"""What is shown of somebody, and what issuers publish: tokens, properly signed or not, and key sets."""

import base64
import json
from collections.abc import Hashable
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from pdp.diagnostics import escape
from pdp.identity.tokens.issuer import TokenTrust
from pdp.identity.tokens.jwks import KeySetError, KeySetKind, read_key_set
from pdp.identity.tokens.jwt import VerifiedToken
from pdp.identity.tokens.refusal import RefusedTokenError
from tests.fuzz.engine import Target, wording
from tests.fuzz.mutate import ODD_TEXT, Mutator
from tests.identity.tokens import (
    AUDIENCE,
    DOMAIN,
    ISSUER,
    NOW,
    SECONDS,
    Key,
    b64,
    bundle,
    claims,
    encoded,
    issuer,
    number,
    svid_claims,
    trust,
    verify_text,
)

__all__ = ["TARGETS"]


def _ed_key() -> Key:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    return Key(private, {"kty": "OKP", "crv": "Ed25519", "x": b64(private.public_key().public_bytes_raw())})


def _ec_key() -> Key:
    private = ec.derive_private_key(11, ec.SECP256R1())
    numbers = private.public_key().public_numbers()
    return Key(private, {"kty": "EC", "crv": "P-256", "x": number(numbers.x, 32), "y": number(numbers.y, 32)})


# Of keys that are the same in every run: an input that failed is to fail again.
_ED: Final = _ed_key()
_EC: Final = _ec_key()
_TRUST: Final[TokenTrust] = trust(issuer(_ED.named("a"), leeway=5000), bundle(_EC.named("a"), leeway=5000))
_USER: Final = json.dumps({"alg": "EdDSA", "kid": "a", "typ": "JWT"})
_WORKLOAD: Final = json.dumps({"alg": "ES256", "kid": "a"})
_BREAK: Final = "\n\n"


def _twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, if no member of it stands twice."""
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def _second_reading(part: str) -> dict[str, Any]:
    value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), object_pairs_hook=_twice)
    assert isinstance(value, dict)
    return value


def _require(text: str, found: VerifiedToken) -> None:
    """The rules of RFC 7519 and of JWT-SVID, from the text."""
    head, body, signature = text.split(".")
    assert all(
        b64(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) == part
        for part in (head, body, signature)
    )
    header, said = _second_reading(head), _second_reading(body)
    assert header["alg"] == found.algorithm
    assert header.get("kid", "a") == "a"
    assert not {"crit", "jwk", "jku", "x5u", "x5c", "b64", "zip", "enc", "cty"} & header.keys()
    assert AUDIENCE in ([said["aud"]] if isinstance(said["aud"], str) else said["aud"])
    for name in ("exp", "nbf", "iat"):
        assert name not in said or type(said[name]) in {int, float}
    assert said["exp"] + 5 > SECONDS
    assert said.get("nbf", 0) - 5 <= SECONDS
    assert said.get("iat", 0) - 5 <= SECONDS
    assert said["sub"] == found.subject
    if found.principal is None:
        assert (said["iss"], header["alg"]) == (ISSUER, "EdDSA")
    else:
        assert (found.principal.id, header["alg"], header["kid"]) == (said["sub"], "ES256", "a")
        assert said["sub"].startswith(f"spiffe://{DOMAIN}/")
        assert header.keys() <= {"alg", "kid", "typ"}


def _verified(text: str) -> VerifiedToken | RefusedTokenError:
    try:
        return verify_text(text, _TRUST, NOW)
    except RefusedTokenError as error:
        assert error.message == escape(error.message)
        assert error.message
        return error


# -- tokens as they are shown ----------------------------------------------------------


def _signed(header: str, body: str) -> str:
    key, algorithm = (_EC, "ES256") if '"ES256"' in header else (_ED, "EdDSA")
    text = encoded(header, body)
    return f"{text}.{b64(key.sign(algorithm, text.encode()))}"


_GOOD: Final = (
    _signed(_USER, json.dumps(claims())),
    _signed(_USER, json.dumps(claims(groups=["a", "b"], scope="x y"))),
    _signed(_WORKLOAD, json.dumps(svid_claims())),
)


def _token(text: str) -> Hashable:
    """Nobody but the issuer makes a token: accepted is one that the issuer made, and no other."""
    found = _verified(text)
    if isinstance(found, RefusedTokenError):
        return found.code, wording(found.message)
    assert text in _GOOD
    return "accepted"


# -- tokens that an issuer signed, whatever they say -----------------------------------


def _said(text: str) -> Hashable:
    """Header and claims, properly signed: accepted only where a second reader finds the rules kept."""
    header, _, body = text.partition(_BREAK)
    token = _signed(header, body)
    found = _verified(token)
    if isinstance(found, RefusedTokenError):
        return found.code, wording(found.message)
    _require(token, found)
    return "accepted", found.principal is None, frozenset(type(value) for value in found.attributes.values())


_SAID: Final = (
    _BREAK.join([_USER, json.dumps(claims(groups=["a"], scope="x y", email_verified=True, level=1))]),
    _BREAK.join([_WORKLOAD, json.dumps(svid_claims())]),
    _BREAK.join(['{"alg":"EdDSA","x5t":"x","typ":"at+jwt"}', json.dumps(claims(aud=["x", AUDIENCE],
    exp=SECONDS + 0.5))]),
    _BREAK.join(['{"alg":"EdDSA","crit":["b64"],"b64":false,"jwk":{}}', json.dumps(claims(exp="x"))]),
)  # fmt: skip
_WORDS_OF_TOKENS: Final = (
    '"crit":[],', '"b64":true,', '"jwk":{},', '"x5c":[],', '"jku":"x",', '"alg":"none"', '"ES256"',
    '"EdDSA"', '"HS256"',
    '"kid":"a",', '"nbf":', '"iat":', '"exp":', "true", "null", "1e3", str(SECONDS), str(SECONDS + 4),
    str(SECONDS - 4),
    "\\u0061", "\\u0000", "\\ud800", f'"{AUDIENCE}"', f"spiffe://{DOMAIN}/a", f"spiffe://{DOMAIN}",
)  # fmt: skip


# -- key sets --------------------------------------------------------------------------


def _key_set(text: str) -> Hashable:
    """A key set: what is in it is a key of the size and form that a second reader finds, or ignored."""
    outcomes: list[Hashable] = []
    for kind in KeySetKind:
        try:
            found = read_key_set(text.encode("utf-8", "surrogatepass"), kind)
        except KeySetError as error:
            assert str(error) == escape(str(error))
            outcomes.append(wording(str(error)))
            continue
        entries = json.loads(text, object_pairs_hook=_twice)["keys"]
        assert not any({"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & entry.keys() for entry in entries)
        good = [
            entry
            for number, entry in enumerate(entries, 1)
            if number not in {each.number for each in found.ignored}
        ]
        assert len({json.dumps(entry, sort_keys=True) for entry in good}) >= len(found.keys)
        for entry in good:
            _require_key(entry, kind)
        outcomes += [len(found.keys), *sorted({wording(each.why) for each in found.ignored})]
    return tuple(outcomes)


def _require_key(entry: dict[str, Any], kind: KeySetKind) -> None:
    names = {"RSA": "ne", "EC": "xy"}.get(entry["kty"], "x")
    sizes = {name: len(base64.urlsafe_b64decode(entry[name] + "==")) for name in names}
    match entry["kty"]:
        case "RSA":
            assert 256 <= sizes["n"] <= 1024
            assert 1 <= sizes["e"] <= 4
        case "EC":
            assert {"P-256": 32, "P-384": 48, "P-521": 66}[entry["crv"]] == sizes["x"] == sizes["y"]
        case kty:
            assert (kty, entry["crv"], sizes["x"]) == ("OKP", "Ed25519", 32)
    said = entry.get("use", "sig" if kind is KeySetKind.ISSUER else "jwt-svid")
    assert said == ("sig" if kind is KeySetKind.ISSUER else "jwt-svid")
    assert kind is not KeySetKind.BUNDLE or "use" in entry  # an agent may leave it out
    assert "verify" in entry.get("key_ops", ["verify"])


_MODULUS: Final = number(2**2047 + 1)
_KEYS: Final = (
    json.dumps({"keys": [_EC.named("a", use="sig", alg="ES256"), _ED.named("b", key_ops=["verify"])]}),
    json.dumps({"keys": [_EC.named("a", use="jwt-svid"), _EC.named("b", use="x509-svid", x5c=["x"])],
    "spiffe_sequence": 1}),
    json.dumps({"keys": [{"kty": "RSA", "n": _MODULUS, "e": "AQAB", "kid": "c"}, {"kty": "oct", "k": "AA"}]}),
)  # fmt: skip
_WORDS_OF_KEYS: Final = (
    '"use":"sig",', '"use":"enc",', '"use":"jwt-svid",', '"kid":"a",', '"alg":"ES256",', '"alg":"RS256",',
    '"kty":"RSA",',
    '"key_ops":["verify"],', '"key_ops":["sign"],', '"d":"AA",', '"crv":"P-384",', '"e":"AQ",', "null",
    "[]", "{}",
)  # fmt: skip

_JSON_WORDS: Final = r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[\w.+-]+'

TARGETS: Final = (
    Target(
        name="tokens",
        seeds=_GOOD,
        mutate=Mutator(_GOOD, r"[\w-]+|\.", ODD_TEXT, largest=40_000),
        check=_token,
        examples=1500,
    ),
    Target(
        name="claims",
        seeds=_SAID,
        mutate=Mutator(_SAID, _JSON_WORDS, ODD_TEXT, extra=_WORDS_OF_TOKENS, largest=20_000),
        check=_said,
        examples=2500,
    ),
    Target(
        name="key-sets",
        seeds=_KEYS,
        mutate=Mutator(_KEYS, _JSON_WORDS, ODD_TEXT, extra=_WORDS_OF_KEYS, largest=40_000),
        check=_key_set,
        examples=1500,
    ),
)
