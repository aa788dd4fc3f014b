"""Server-sent events, as the service writes them: a comment is a sign of life, and so counts.

https://html.spec.whatwg.org/multipage/server-sent-events.html, without what a client in a browser needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from pdp_client.errors import UnreadableAnswerError
from pdp_client.limits import MAX_EVENT_BYTES

__all__ = ["Event", "EventReader"]


@dataclass(frozen=True)
class Event:
    """One event; a comment alone has no name."""

    name: str
    data: str


@final
class EventReader:
    """Turns bytes into events, however they are cut."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that are complete now.

        Raises:
            UnreadableAnswerError: One is too long, or is not text.
        """
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        if len(self._rest) > MAX_EVENT_BYTES or any(len(block) > MAX_EVENT_BYTES for block in blocks):
            raise UnreadableAnswerError("an event of the stream of revisions is too long")
        for block in blocks:
            yield _event(block)


def _event(block: bytes) -> Event:
    try:
        lines = block.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise UnreadableAnswerError("an event of the stream of revisions is not text") from error
    name, data = "", []
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
    return Event(name, "\n".join(data))
