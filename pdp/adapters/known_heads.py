"""Heads of requests that came before, byte for byte, and what the parser made of them.

A client sends the same head over and over, with another body behind it. Between two requests a parser is in
one state, and what it makes of a head depends on nothing else: the same bytes come to the same again. So they
need not be parsed again. Nothing is read here by another rule than the parser's: what is kept is what it
said, and whatever differs by a byte is parsed.

Who asks is not kept. That is the connection's business at every request: `pdp.adapters.connection`, `.local`.
"""

from collections import OrderedDict
from typing import Final, NamedTuple, final

from pdp.adapters.questions import Answerer
from pdp.adapters.replies import Head
from pdp.limits import MAX_KNOWN_HEAD_BYTES, MAX_KNOWN_HEADS

__all__ = ["KnownHead", "KnownHeads"]

_END: Final = b"\r\n\r\n"
#: Headers whose values are not kept beyond their request.
_SECRETS: Final = frozenset({b"authorization", b"cookie", b"proxy-authorization"})


class KnownHead(NamedTuple):
    """What a head came to.

    Attributes:
        head: What stands in it.
        answerer: What answers such a request.
        length: How many bytes of body follow it.
    """

    head: Head
    answerer: Answerer
    length: int


@final
class KnownHeads:
    """Heads of a listener's requests in HTTP/1.1 that state their body's length, and keep the connection.

    The one that came first is let go when there is no more room. For one thread, that of the event loop.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, KnownHead] = OrderedDict()

    def find(self, data: bytes) -> tuple[KnownHead, bytes] | None:
        """The head and the body of one whole request, if its head is known; None if it has to be parsed.

        Args:
            data: All that was received since the request before.
        """
        end = data.find(_END, 0, MAX_KNOWN_HEAD_BYTES) + len(_END)
        known = self._known.get(data[:end])
        if known is None or len(data) - end != known.length:
            return None
        return known, data[end:]

    def learn(self, data: bytes, head: Head, body: bytes, answerer: Answerer) -> None:
        """Keep a head, if it and the body that the parser found behind it are all that there is.

        Args:
            data: The piece in which the parser found the request, which it began and ended in.
            head: What it said of the head.
            body: What it said of the body.
            answerer: What answers it.
        """
        end = data.find(_END, 0, MAX_KNOWN_HEAD_BYTES) + len(_END)
        if end < len(_END) or data[end:] != body or not body:
            return
        if not _SECRETS.isdisjoint([name for name, _ in head.headers]):
            return
        kept = head._replace(headers=tuple(head.headers))  # the parser's list may grow
        self._known[data[:end]] = KnownHead(kept, answerer, len(body))
        if len(self._known) > MAX_KNOWN_HEADS:
            self._known.popitem(last=False)
