"""The listener for those who administer: mTLS to roots of its own, on an address of its own."""

import socket
from collections.abc import Callable
from http import HTTPStatus
from ssl import SSLContext
from typing import Final, final

from pdp.adapters.admin import AdminApp
from pdp.adapters.admin_body import FULL
from pdp.adapters.beside import BesideListener
from pdp.adapters.connection import CallerProtocol
from pdp.adapters.places import PlacedProtocol, Places
from pdp.adapters.tls import ServerTls
from pdp.limits import MAX_ADMIN_CONNECTIONS, MAX_ADMIN_CONNECTIONS_PER_CALLER
from pdp.service.known_callers import KnownCallers
from pdp.vocabulary import Millis

__all__ = ["AdminListener"]

_IDLE_SECONDS: Final = 30
_MOMENT_SECONDS: Final = 2  # for a question whose answer is no
_OTHERS: Final = ""  # whose connections those are of whoever may nothing, all together


class _AdminProtocol(PlacedProtocol, CallerProtocol):
    """A connection of somebody who administers, or of somebody who is told that they may not."""

    #: Who may connect; set for each listener.
    admin: AdminApp

    def _whose(self) -> str:
        caller = self.identified()
        if self.admin.admits(caller):
            return caller.id
        self._grow_old(_MOMENT_SECONDS)
        return _OTHERS


@final
class AdminListener(BesideListener):
    """Answers those who administer."""

    def __init__(
        self,
        listener: socket.socket,
        app: AdminApp,
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

        class ListenerProtocol(_AdminProtocol):
            known, admin = KnownCallers(tls.trust, clock), app
            places = Places(most=MAX_ADMIN_CONNECTIONS, of_one=MAX_ADMIN_CONNECTIONS_PER_CALLER)
            full = HTTPStatus(FULL.status), FULL.code, FULL.message

        super().__init__(
            listener,
            app,
            protocol=ListenerProtocol,
            idle_seconds=_IDLE_SECONDS,
            told=lambda address: say(f"the quarantine is administered on {address}, over mTLS"),
            context=self._context,
        )

    def _context(self) -> SSLContext:
        """What a handshake begins with: the certificate of the moment, and our own roots."""
        credential = self._presented.current.credential
        if credential is not self._tls.current.credential:
            self._tls.replace_credential(credential)
        return self._tls.current.context
