"""Places for connections: so many at a time, and a share of them for each one who connects.

Beyond that the oldest connection that is not being answered makes room. So whoever holds connections and
asks nothing keeps nobody out, neither others nor themselves. Whose a connection is, is another's business.
"""

import asyncio
from http import HTTPStatus
from typing import Protocol, final

from pdp.adapters.bounded import BoundedProtocol

__all__ = ["PlacedProtocol", "Places"]


class _Connection(Protocol):
    @property
    def answering(self) -> bool:
        """Whether a request on it waits for its answer."""

    def cut_off(self) -> None:
        """End it."""


@final
class Places:
    """Who has a place. For one event loop."""

    def __init__(self, *, most: int, of_one: int) -> None:
        """So many places, and so many of them for one."""
        self._most, self._of_one = most, of_one
        self._taken: dict[_Connection, str] = {}  # the oldest first

    def take(self, connection: _Connection, whose: str) -> bool:
        """Give a connection a place; False if there is none, and none can be made."""
        own = [each for each, of in self._taken.items() if of == whose]
        if len(own) >= self._of_one and not self._make_room(own):
            return False
        if len(self._taken) >= self._most and not self._make_room([*self._taken]):
            return False
        self._taken[connection] = whose
        return True

    def leave(self, connection: _Connection) -> None:
        """Take back its place, if it has one."""
        self._taken.pop(connection, None)

    def _make_room(self, among: list[_Connection]) -> bool:
        idle = next((each for each in among if not each.answering), None)
        if idle is None:
            return False
        self.leave(idle)
        idle.cut_off()
        return True


class PlacedProtocol(BoundedProtocol):
    """A connection that has a place, or is refused."""

    #: Where it has its place; set by whoever makes the class.
    places: Places
    #: What it is told where there is none: status, code and message; None for nothing.
    full: tuple[HTTPStatus, str, str] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by asyncio: take a place."""
        super().connection_made(transport)
        if self.places.take(self, self._whose()):
            return
        if self.full is None:
            self.cut_off()
        else:
            self._refuse(self.full)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio: leave it to others."""
        self.places.leave(self)
        super().connection_lost(exc)

    def _whose(self) -> str:
        """Of whose share its place is."""
        return ""
