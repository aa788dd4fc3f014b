"""Steady load over many connections, with what each answer said and when."""

import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from tests.e2e.running import Service, question, send

__all__ = ["Answered", "Hammer", "Lost"]


class Answered(NamedTuple):
    """An answer; `asked` and `heard` are seconds of one clock."""

    connection: int
    asked: float
    heard: float
    status: int
    body: dict[str, Any]

    @property
    def revision(self) -> str:
        return self.body.get("revision", "")


class Lost(NamedTuple):
    """A question whose connection ended before its answer."""

    connection: int
    asked: float
    heard: float
    why: str


@dataclass
class Hammer:
    """Asks the same question over so many connections, each opened again when it ends."""

    service: Service
    connections: int = 16
    pause: float = 0.002

    def __post_init__(self) -> None:
        self.answered: list[Answered] = []
        self.lost: list[Lost] = []
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,), daemon=True)
            for number in range(self.connections)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(30)

    def has(self, true: Callable[[Answered], bool]) -> bool:
        """Whether some answer until now is so."""
        return any(true(each) for each in tuple(self.answered))

    def _ask(self, number: int) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._end.is_set():
            connection = connection or self.service.connect()
            asked = time.monotonic()
            try:
                reply = send(connection, question())
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(Lost(number, asked, time.monotonic(), repr(error)))
                connection.close()
                connection = None
                time.sleep(0.05)
            else:
                self.answered.append(Answered(number, asked, time.monotonic(), reply.status, reply.json))
            time.sleep(self.pause)
        if connection is not None:
            connection.close()

    def assert_never_backwards(self, revisions: list[str]) -> None:
        """No question that was asked after an answer with a version is answered with an older one.

        Args:
            revisions: Every revision that was published, in order.
        """
        places = {revision: place for place, revision in enumerate(revisions)}
        heard = sorted((each.heard, places[each.revision]) for each in self.answered if each.status == 200)
        asked = sorted((each.asked, places[each.revision]) for each in self.answered if each.status == 200)
        newest, at = 0, 0
        for moment, place in asked:
            while at < len(heard) and heard[at][0] < moment:
                newest = max(newest, heard[at][1])
                at += 1
            assert place >= newest, f"answered with {revisions[place]} after {revisions[newest]} was seen"
