"""TLS for the decision listener.

TLS only gates: the context pools the roots of every trust domain, so a chain that passes it may
still lead to the wrong domain's root. A caller exists only once `pdp.identity.x509` has verified
its chain again, to the roots of its own trust domain.
"""

import ssl
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from pdp.identity.trust import TrustStore

__all__ = ["ServerCredentialError", "server_context"]

_IN_WORDS: Final = {
    "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
    "KEY_TYPE_MISMATCH": "the key is not that of the certificate",
    "EE_KEY_TOO_SMALL": "the key is too small",
    "CA_MD_TOO_WEAK": "the certificate is signed with a digest that is too weak",
}


class ServerCredentialError(Exception):
    """Our own certificate or key cannot be used; the message says which and why."""


def server_context(certificate: Path, key: Path, trust: TrustStore) -> ssl.SSLContext:
    """A context that demands a client certificate and never resumes a session.

    TLS 1.3 only: under 1.2 a session that was resumed from the server's cache would outlive the
    root that vouched for it.

    Raises:
        ServerCredentialError: Certificate or key cannot be read, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["http/1.1"])
    for file in (certificate, key):
        _require_readable(file)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except OSError as error:
        why = _why(error) if isinstance(error, ssl.SSLError) else error.strerror
        msg = f"{certificate} and {key} cannot be used as our certificate and key: {why}"
        raise ServerCredentialError(msg) from error
    for roots in (*trust.domains.values(), trust.dns or ()):
        for root in roots:
            context.load_verify_locations(cadata=root.public_bytes(Encoding.DER))
    return context


def _require_readable(file: Path) -> None:
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise ServerCredentialError(f"{file}: cannot be read: {error.strerror}") from error


def _no_password() -> bytes:
    """For OpenSSL, which would ask for one at the terminal: a service has none."""
    return b""


def _why(error: ssl.SSLError) -> str:
    return _IN_WORDS.get(error.reason or "", "one of them is not PEM, or the key is encrypted")
