"""A partner: another trust domain, with real roots and keys, that publishes its bundle for itself."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.identity.mint import Party, authority, leaf
from tests.identity.publishing import Publisher, publishing
from tests.identity.tokens import Key, number

PARTNER = "partner.example"
ENDPOINT = f"spiffe://{PARTNER}/bundle-server"
SPAN = {"start": datetime.now(UTC) - timedelta(days=1), "end": datetime.now(UTC) + timedelta(days=1)}
_SIZES = {"secp256r1": ("P-256", 32), "secp384r1": ("P-384", 48), "secp521r1": ("P-521", 66)}


def now() -> datetime:
    return datetime.now(UTC)


def root(name: str = "partner root", **more: Any) -> Party:
    return authority(name, **{**SPAN, **more})


def root_entry(party: Party, **more: Any) -> dict[str, Any]:
    """A root as a bundle has it: SPIFFE X509-SVID, section 6."""
    public = party.certificate.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        said = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        crv, size = _SIZES[public.curve.name]
        point = public.public_numbers()
        said = {"kty": "EC", "crv": crv, "x": number(point.x, size), "y": number(point.y, size)}
    entry = {"use": "x509-svid", **said, "x5c": [base64.b64encode(party.der).decode()], **more}
    return {name: value for name, value in entry.items() if value is not None}


def key_entry(key: Key, kid: str = "k", **more: Any) -> dict[str, Any]:
    return key.named(kid, use="jwt-svid", **more)


def document(*entries: Any, **more: Any) -> bytes:
    """A bundle document; `sequence` and `hint` by their short names, None leaves one out."""
    short = {"sequence": "spiffe_sequence", "hint": "spiffe_refresh_hint"}
    said = {"keys": list(entries), **{short.get(name, name): value for name, value in more.items()}}
    return json.dumps({name: value for name, value in said.items() if value is not None}).encode()


def write_pair(file: Path, party: Party, *above: Party) -> Path:
    """A certificate, those above it and its key, in one file."""
    key = party.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(b"".join(each.pem for each in (party, *above)) + key)
    return file


@contextmanager
def endpoint(folder: Path, server: Party, *above: Party) -> Iterator[Publisher]:
    """A bundle endpoint that has this certificate, until the end of the block."""
    with publishing(folder, pair_file=write_pair(folder / "endpoint.pem", server, *above)) as publisher:
        yield publisher


def server_of(issuer: Party, spiffe_id: str = ENDPOINT, **more: Any) -> Party:
    """The certificate of a bundle endpoint: no DNS name, and no address."""
    return leaf(issuer, **{"uris": (spiffe_id,), **SPAN, **more})
