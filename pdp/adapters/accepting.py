"""Accepting connections on one socket, alone or along with other processes.

Where several processes accept on one socket, whichever is quickest would take nearly all, and keep
them: connections live long. So one that has more than another waits a moment before it accepts. A
process that is stuck or gone takes nothing, and keeps nothing from the others.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from ssl import SSLContext
from typing import Final, Protocol, final

from pdp.limits import MAX_ARRIVAL_SECONDS

__all__ = ["Acceptor", "Balance"]

_YIELD_SECONDS: Final = 0.003  # for who has fewer connections
_OUT_OF_SECONDS: Final = 0.1  # between tries when there are no more descriptors, or no memory
_OUT_OF: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# Of the connection that would have been next: accept(2) has them handled as if there were none.
_GONE: Final = frozenset(
    {
        errno.ENETDOWN, errno.EPROTO, errno.ENOPROTOOPT, errno.EHOSTDOWN, errno.ENONET, errno.EHOSTUNREACH,
        errno.EOPNOTSUPP, errno.ENETUNREACH, errno.EPERM, errno.ETIMEDOUT,
    }
)  # fmt: skip
_LAST_HANDSHAKES_SECONDS: Final = 1.0  # of those that had come by the time that nothing more is accepted


class Balance(Protocol):
    """How many connections the processes have that share a socket."""

    def has(self, connections: int) -> bool:
        """Note how many we have; whether that is more than another one has."""


@final
class Acceptor:
    """Accepts connections and hands them to protocols. For one event loop."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        protocol: Callable[[], asyncio.Protocol],
        context: Callable[[], SSLContext | None],
        connections: Callable[[], int],
        most: int,
        balance: Balance | None = None,
    ) -> None:
        """Accept nothing yet.

        Args:
            listener: A bound socket.
            protocol: Makes the protocol of a connection.
            context: The TLS context for the next connection, or None for plaintext.
            connections: How many connections are open, those aside that are in their handshake.
            most: How many connections may be open; those beyond are closed at once.
            balance: Knows of the others who accept on the same socket, if there are any.
        """
        self._listener = listener
        self._protocol = protocol
        self._context = context
        self._connections = connections
        self._most = most
        self._balance = balance
        self._greeting: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._later: asyncio.TimerHandle | None = None
        self._backlog = 0
        self._ending = False

    @property
    def connections(self) -> int:
        """How many connections are open or in their handshake."""
        return self._connections() + len(self._greeting)

    def start(self, backlog: int) -> None:
        """Listen and accept."""
        self._backlog = backlog
        self._listener.setblocking(False)
        self._listener.listen(backlog)
        self._loop.add_reader(self._listener.fileno(), self._coming)

    async def finish(self) -> None:
        """Accept what has come, shake hands, and accept no more. The socket stays open."""
        self._stop()
        for _ in range(2):  # the second time those who came meanwhile
            for _ in range(self._backlog):
                if not self._accept():
                    break
            if self._greeting:
                await asyncio.wait(self._greeting, timeout=_LAST_HANDSHAKES_SECONDS)
        self.close()

    def close(self) -> None:
        """Accept no more, and drop the handshakes under way. The socket stays open."""
        self._stop()
        for greeting in self._greeting:
            greeting.cancel()

    def _stop(self) -> None:
        self._ending = True
        self._loop.remove_reader(self._listener.fileno())
        if self._later is not None:
            self._later.cancel()

    def note(self) -> None:
        """Tell the others how many connections we have; called now and then."""
        if self._balance is not None:
            self._balance.has(self.connections)

    def _coming(self) -> None:
        """A connection waits to be accepted."""
        if self._balance is not None and self._balance.has(self.connections):
            self._pause(_YIELD_SECONDS)
        else:
            self._accept()

    def _pause(self, seconds: float) -> None:
        if self._ending:
            return
        self._loop.remove_reader(self._listener.fileno())
        self._later = self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._loop.add_reader(self._listener.fileno(), self._coming)
        self._accept()

    def _accept(self) -> bool:
        """Accept one; whether there was one."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another one was quicker, or the peer has gone
        except OSError as error:
            if error.errno in _GONE:
                return False
            if error.errno not in _OUT_OF:
                raise
            if self._later is None or self._later.when() < self._loop.time():
                self._pause(_OUT_OF_SECONDS)
            return False
        if self.connections >= self._most:
            connection.close()
            return True
        connection.setblocking(False)
        task = self._loop.create_task(self._greet(connection))
        self._greeting.add(task)
        task.add_done_callback(self._greeting.discard)
        self.note()
        return True

    async def _greet(self, connection: socket.socket) -> None:
        """Shake hands; what is wrong is the peer's to learn."""
        context = self._context()
        with suppress(OSError):  # a handshake that fails or takes too long; the socket is closed then
            await self._loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=context,
                ssl_handshake_timeout=MAX_ARRIVAL_SECONDS if context is not None else None,
            )
