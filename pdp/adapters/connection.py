"""One HTTP connection: who is at its other end.

uvicorn does not show applications the peer's certificate. This subclass of its protocol verifies
the chain once, when the connection is made, and hands every request on it the caller, or why
there is none. No request reaches a handler without one of the two.
"""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from pdp.identity.caller import Caller
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.identity.trust import TrustStore
from pdp.identity.x509 import verify_caller
from pdp.vocabulary import Millis

__all__ = ["CALLER", "authenticated", "protocol_class"]

#: Where a request's state holds its caller, or the reason why it has none.
CALLER: Final = "pdp.caller"
_Identified: TypeAlias = Caller | UntrustedCertificateError


def protocol_class(trust: Callable[[], TrustStore], clock: Callable[[], Millis]) -> type[HttpToolsProtocol]:
    """The protocol class for a listener whose callers are verified against `trust()`."""

    class CallerProtocol(HttpToolsProtocol):
        def __init__(
            self,
            config: Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            super().__init__(config, server_state, dict(app_state), _loop)

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            moment = datetime.fromtimestamp(clock() / 1000, UTC)
            self.app_state[CALLER] = authenticated(transport, trust(), moment)

    return CallerProtocol


def authenticated(transport: asyncio.BaseTransport, trust: TrustStore, now: datetime) -> _Identified:
    """The caller at the other end of a connection, or why it cannot be told."""
    tls = transport.get_extra_info("ssl_object")
    leaf = tls.getpeercert(binary_form=True) if tls is not None else None
    if leaf is None:
        return UntrustedCertificateError(Refusal.MALFORMED, "the connection has no client certificate")
    try:
        return verify_caller(leaf, _intermediates(tls), trust, now)
    except UntrustedCertificateError as error:
        return error


def _intermediates(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates that the peer sent after its own.

    Public as `SSLObject.get_unverified_chain` from Python 3.13; before, the method stands on the
    object inside and yields certificates that encode themselves. None on a resumed session, which
    `pdp.adapters.tls` does not allow.
    """
    inside: Any = getattr(tls, "_sslobj", tls)
    chain = inside.get_unverified_chain() or ()
    return tuple(
        cert if isinstance(cert, bytes) else ssl.PEM_cert_to_DER_cert(cert.public_bytes())
        for cert in chain[1:]
    )
