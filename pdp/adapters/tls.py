"""TLS for the decision listeners, as it is at the moment: our certificate, and whom it lets in.

TLS only gates: the context pools the roots of every trust domain, and intermediates that lead to
them, so a chain that passes it may still lead to the wrong domain's root. A caller exists only
once `pdp.identity.x509` has verified its chain again, to the roots of its own trust domain.

Certificate and roots are replaced while connections are open. Handshakes begin with what is in
force then; what becomes of connections that were there before is the business of each listener.
"""

import os
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import Any, Final, final

from cryptography.hazmat.primitives.serialization import Encoding

from pdp.identity.trust import TrustStore
from pdp.identity.twins import pooled

__all__ = [
    "Credential",
    "ServerCredentialError",
    "ServerTls",
    "TlsState",
    "pool",
    "read_credential",
    "server_context",
]

_IN_WORDS: Final = {
    "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
    "KEY_TYPE_MISMATCH": "the key is not that of the certificate",
    "EE_KEY_TOO_SMALL": "the key is too small",
    "CA_MD_TOO_WEAK": "the certificate is signed with a digest that is too weak",
}


class ServerCredentialError(Exception):
    """Our own certificate or key cannot be used; the message says which and why."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Our certificate chain and its private key, PEM, as they were read. Not shown: one is a secret.

    Raises:
        ServerCredentialError: They cannot be used, or do not belong together.
    """

    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        self.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def load_into(self, context: ssl.SSLContext) -> None:
        """Let a context present this."""
        with _as_file(self.chain) as chain, _as_file(self.key) as key:
            try:
                context.load_cert_chain(chain, key, password=_no_password)
            except OSError as error:
                raise ServerCredentialError(_why(error)) from error


def read_credential(certificate: Path, key: Path) -> Credential:
    """What two files hold.

    Raises:
        ServerCredentialError: One cannot be read, or they cannot be used.
    """
    try:
        chain, secret = certificate.read_bytes(), key.read_bytes()
    except OSError as error:
        raise ServerCredentialError(f"{error.filename}: cannot be read: {error.strerror}") from error
    try:
        return Credential(chain=chain, key=secret)
    except ServerCredentialError as error:
        msg = f"{certificate} and {key} cannot be used as our certificate and key: {error}"
        raise ServerCredentialError(msg) from error


def server_context(credential: Credential, trust: TrustStore) -> ssl.SSLContext:
    """A context that demands a client certificate and never resumes a session.

    TLS 1.3 only: under 1.2 a session that was resumed from the server's cache would outlive the
    root that vouched for it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["http/1.1"])
    credential.load_into(context)
    for each in pooled(credential.chain, trust, datetime.now(UTC)):
        # One by one: what OpenSSL did not read would keep out all others (`pdp.identity.certificates`).
        with suppress(ssl.SSLError):
            context.load_verify_locations(cadata=each.public_bytes(Encoding.DER))
    return context


def pool(credential: Credential, trust: TrustStore) -> bytes:
    """What `server_context` pools, PEM, for a library that sees one pool."""
    certificates = pooled(credential.chain, trust, datetime.now(UTC))
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


# -- what is in force ----------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TlsState:
    """What is in force at one moment.

    Attributes:
        credential: What we present.
        trust: The roots that callers are verified to.
        context: What handshakes over HTTP begin with.
        pooled: The roots in `context`; others than `trust` only where OpenSSL did not take those.
    """

    credential: Credential
    trust: TrustStore
    context: ssl.SSLContext
    pooled: TrustStore


@final
class ServerTls:
    """Our certificate and the roots of callers, replaced whole while connections are open.

    Attributes:
        current: What is in force. One reference: reading it needs no lock.
    """

    def __init__(self, credential: Credential, trust: TrustStore) -> None:
        self.current = TlsState(
            credential=credential, trust=trust, context=server_context(credential, trust), pooled=trust
        )
        self._lock = Lock()
        self._told: list[Callable[[], None]] = []

    def trust(self) -> TrustStore:
        """The roots that callers are verified to."""
        return self.current.trust

    def on_trust(self, told: Callable[[], None]) -> None:
        """Let somebody be told of each change of trust, from the thread that makes it."""
        with self._lock:
            self._told.append(told)

    def replace_credential(self, credential: Credential) -> None:
        """Present another certificate from the next handshake on; open connections go on."""
        with self._lock:
            trust = self.current.trust
            context = server_context(credential, trust)
            self.current = replace(self.current, credential=credential, context=context, pooled=trust)

    def replace_trust(self, trust: TrustStore) -> None:
        """Verify callers to other roots, from now on."""
        with self._lock:
            # INVARIANT: first. Even if OpenSSL should fail below, no caller is verified to the old roots.
            self.current = replace(self.current, trust=trust)
            told = tuple(self._told)
            try:
                context = server_context(self.current.credential, trust)
                self.current = replace(self.current, context=context, pooled=trust)
            finally:
                for each in told:
                    each()


# -- the ways of OpenSSL -------------------------------------------------------------------


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A name under which OpenSSL can read this: it reads files only, and those on disk may have changed.

    It is a file of this process without a name in any directory; where the system has them, in memory only.
    """
    with closing(_anonymous()) as file:
        file.write(content)
        file.flush()
        file.seek(0)
        yield f"/dev/fd/{file.fileno()}"


def _anonymous() -> Any:
    if sys.platform == "linux":
        return open(os.memfd_create("pdp", os.MFD_CLOEXEC), "w+b")  # noqa: PTH123 -- closed by `_as_file`
    return TemporaryFile()


def _no_password() -> bytes:
    """For OpenSSL, which would ask for one at the terminal: a service has none."""
    return b""


def _why(error: OSError) -> str:
    if not isinstance(error, ssl.SSLError):
        return error.strerror or "input or output failed"
    return _IN_WORDS.get(error.reason or "", "one of them is not PEM, or the key is encrypted")
