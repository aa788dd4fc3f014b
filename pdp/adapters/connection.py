"""Who is at the other end of a TLS connection.

uvicorn does not show applications the peer's certificate. This subclass of its protocol verifies
the chain when the connection is made, and again once trust has changed or what is known of it has
ended; every request on it is handed a way to ask for the caller, or why there is none. No request
reaches a handler without one of the two.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from uvicorn.config import Config
from uvicorn.server import ServerState

from pdp.adapters.bounded import BoundedProtocol
from pdp.identity.caller import Caller
from pdp.identity.peer import peer_chain
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.service.known_callers import KnownCallers

__all__ = ["CallerProtocol", "authenticated", "protocol_class"]

_Identified: TypeAlias = Caller | UntrustedCertificateError


class CallerProtocol(BoundedProtocol):
    """The same, with a caller at the other end, or nobody."""

    #: Who is known; set by `protocol_class`.
    known: KnownCallers

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._identified: _Identified = _NOBODY
        self._epoch: int | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by asyncio once TLS is there."""
        super().connection_made(transport)
        self.identified()

    def recheck(self) -> None:
        """Cut the connection off if nobody is at the other end, under the trust of the moment."""
        if not self._deaf and isinstance(self.identified(), UntrustedCertificateError):
            self.cut_off()

    def asker(self) -> Callable[[], _Identified]:
        """Of the connection: whoever asks one thing on it asks all."""
        return self.identified

    def identified(self) -> _Identified:
        """The caller, under the trust of the moment."""
        epoch, found = self.known.epoch, self._identified
        if epoch != self._epoch or (isinstance(found, Caller) and not self.known.holds(found)):
            self._identified = authenticated(self.transport, self.known)
            self._epoch = epoch
        return self._identified


_NOBODY: Final = UntrustedCertificateError(Refusal.MALFORMED, "the connection has no client certificate")


def protocol_class(known: KnownCallers, age_seconds: float) -> type[CallerProtocol]:
    """The protocol class of a listener: its callers, and how old their connections become."""

    class ListenerProtocol(CallerProtocol):
        pass

    ListenerProtocol.known, ListenerProtocol.age_seconds = known, age_seconds
    return ListenerProtocol


def authenticated(transport: asyncio.BaseTransport, known: KnownCallers) -> _Identified:
    """The caller at the other end of a connection, or why it cannot be told."""
    tls = transport.get_extra_info("ssl_object")
    chain = () if tls is None else peer_chain(tls)
    if not chain:
        return _NOBODY
    try:
        return known.find(chain, lambda: (chain[0], chain[1:]))
    except UntrustedCertificateError as error:
        return error
