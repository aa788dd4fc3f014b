"""Real keys and real tokens, right or wrong in any one respect, for the tests of this layer.

Signatures are made with `cryptography` and not with the library that verifies them.
"""

import base64
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile, TokenTrust
from pdp.identity.tokens.jwks import KeySetKind, key_set
from pdp.identity.tokens.jws import parse_compact
from pdp.identity.tokens.jwt import VerifiedToken, issuer_of, verify_token
from pdp.identity.tokens.signature import ALGORITHMS, JWT_SVID_ALGORITHMS
from pdp.vocabulary import Millis

NOW = 1_800_000_000_000  # milliseconds: 2027-01-15T08:00:00Z
SECONDS = NOW // 1000
ISSUER = "https://login.example.com"
AUDIENCE = "https://pdp.example.com"
DOMAIN = "prod.example.org"
WEB = f"spiffe://{DOMAIN}/ns/shop/sa/web"
USER = "alice"

_HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
_CURVES = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
_SIZES = {"P-256": 32, "P-384": 48, "P-521": 66}


def b64(data: bytes | str) -> str:
    octets = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def number(value: int, size: int = 0) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8))


@dataclass(frozen=True)
class Key:
    """A key pair; `jwk` is what may be known of it."""

    private: Any
    jwk: dict[str, Any]

    def named(self, kid: str, **more: Any) -> dict[str, Any]:
        return {**self.jwk, "kid": kid, **more}

    def sign(self, algorithm: str, data: bytes) -> bytes:
        """As RFC 7518 sections 3.3 to 3.5 and RFC 8037 section 3.1 have it."""
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(data)
        digest = _HASHES[algorithm[2:]]()
        if algorithm[:2] == "RS":
            return self.private.sign(data, padding.PKCS1v15(), digest)
        if algorithm[:2] == "PS":
            pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
            return self.private.sign(data, pss, digest)
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(digest)))
        size = _SIZES[self.jwk["crv"]]
        return r.to_bytes(size) + s.to_bytes(size)


@cache
def rsa_key(bits: int = 2048, which: int = 0) -> Key:  # noqa: ARG001 - each another one
    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    numbers = private.public_key().public_numbers()
    return Key(private, {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)})


@cache
def ec_key(crv: str = "P-256", which: int = 0) -> Key:  # noqa: ARG001 - each another one
    private = ec.generate_private_key(_CURVES[crv]())
    numbers = private.public_key().public_numbers()
    x, y = number(numbers.x, _SIZES[crv]), number(numbers.y, _SIZES[crv])
    return Key(private, {"kty": "EC", "crv": crv, "x": x, "y": y})


@cache
def ed_key(which: int = 0) -> Key:  # noqa: ARG001 - each another one
    private = ed25519.Ed25519PrivateKey.generate()
    return Key(private, {"kty": "OKP", "crv": "Ed25519", "x": b64(private.public_key().public_bytes_raw())})


def key_for(algorithm: str, which: int = 0) -> Key:
    """A key that an algorithm takes."""
    needs = ALGORITHMS[algorithm]
    if needs.kty == "RSA":
        return rsa_key(which=which)
    return ec_key(needs.crv, which) if needs.kty == "EC" else ed_key(which)


# -- tokens ----------------------------------------------------------------------------


def encoded(header: object, claims: object) -> str:
    return ".".join(b64(part if isinstance(part, str) else json.dumps(part)) for part in (header, claims))


def token(header: object, claims: object, key: Key, *, algorithm: str | None = None) -> str:
    """A token, signed; header and claims are objects, or the very text."""
    text = encoded(header, claims)
    named = algorithm or (header["alg"] if isinstance(header, dict) else "ES256")
    return f"{text}.{b64(key.sign(named, text.encode()))}"


def claims(**more: Any) -> dict[str, Any]:
    """Of a user, good in every respect; None leaves one out."""
    good = {
        "iss": ISSUER, "sub": USER, "aud": AUDIENCE, "exp": SECONDS + 300, "iat": SECONDS - 10,
        "nbf": SECONDS - 10,
    }  # fmt: skip
    return {name: value for name, value in (good | more).items() if value is not None}


def svid_claims(**more: Any) -> dict[str, Any]:
    """Of a workload, the same."""
    good = {"sub": WEB, "aud": [AUDIENCE], "exp": SECONDS + 300, "iat": SECONDS - 10}
    return {name: value for name, value in (good | more).items() if value is not None}


def issuer(*jwks: dict[str, Any], **more: Any) -> TokenIssuer:
    given = {
        "profile": TokenProfile.OIDC, "name": ISSUER, "audiences": frozenset({AUDIENCE}),
        "algorithms": frozenset(ALGORITHMS), "keys": key_set({"keys": list(jwks)}),
    } | more  # fmt: skip
    return TokenIssuer(**given)


def bundle(*jwks: dict[str, Any], **more: Any) -> TokenIssuer:
    entries = [{"use": "jwt-svid", **each} for each in jwks]
    given = {
        "profile": TokenProfile.SPIFFE, "name": DOMAIN, "audiences": frozenset({AUDIENCE}),
        "algorithms": JWT_SVID_ALGORITHMS, "keys": key_set({"keys": entries}, KeySetKind.BUNDLE),
    } | more  # fmt: skip
    return TokenIssuer(**given)


def trust(*issuers: TokenIssuer) -> TokenTrust:
    return TokenTrust(
        clusters={each.name: each for each in issuers if each.profile is TokenProfile.KUBERNETES},
        issuers={each.name: each for each in issuers if each.profile is TokenProfile.OIDC},
        bundles={each.name: each for each in issuers if each.profile is TokenProfile.SPIFFE},
    )


def verify_text(text: str, by: TokenTrust, now: Millis) -> VerifiedToken:
    """What a token proves at an instant, as a service finds it that remembers none."""
    parsed = parse_compact(text)
    return verify_token(parsed, issuer_of(parsed.claims.get("sub"), parsed.claims.get("iss"), by), now)
