"""The listener for those who administer: mTLS to roots of its own, on an address of its own."""

import socket
from collections.abc import Callable
from ssl import SSLContext
from typing import final

from starlette.types import ASGIApp

from pdp.adapters.beside import BesideListener
from pdp.adapters.connection import protocol_class
from pdp.adapters.tls import ServerTls
from pdp.limits import DEFAULT_CONNECTION_SECONDS, MAX_ADMIN_CONNECTIONS
from pdp.service.known_callers import KnownCallers
from pdp.vocabulary import Millis

__all__ = ["AdminListener"]


@final
class AdminListener(BesideListener):
    """Answers those who administer."""

    def __init__(
        self,
        listener: socket.socket,
        app: ASGIApp,
        *,
        tls: ServerTls,
        presented: ServerTls,
        clock: Callable[[], Millis],
        say: Callable[[str], None],
    ) -> None:
        """Listen on a bound socket.

        Args:
            listener: The socket.
            app: What answers.
            tls: Has the roots of those who administer.
            presented: Has the certificate that is presented, which may be renewed.
            clock: The wall clock.
            say: Told where it listens, once it does.
        """
        self._tls, self._presented = tls, presented
        super().__init__(
            listener,
            app,
            protocol=protocol_class(KnownCallers(tls.trust, clock), DEFAULT_CONNECTION_SECONDS),
            connections=MAX_ADMIN_CONNECTIONS,
            told=lambda address: say(f"the quarantine is administered on {address}, over mTLS"),
            context=self._context,
        )

    def _context(self) -> SSLContext:
        """What a handshake begins with: the certificate of the moment, and our own roots."""
        credential = self._presented.current.credential
        if credential is not self._tls.current.credential:
            self._tls.replace_credential(credential)
        return self._tls.current.context
