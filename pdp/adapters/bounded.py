"""One HTTP connection, and how much of it is listened to: bounds on a request, and on the connection's age.

uvicorn bounds neither what a request may hold before a handler sees it nor how long it may take to
arrive. Both are bounded here, and what is refused so is refused in the shape of every other error. Who
is at the other end is the business of `pdp.adapters.connection` and `pdp.adapters.local`.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Final

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pdp.adapters.proxies.places import is_of_proxy
from pdp.adapters.refused import (
    ENDING,
    HEAD_TOO_LARGE,
    INTERNAL,
    NOT_HTTP,
    TOO_LARGE,
    TOO_SLOW,
    Refused,
    is_plain,
    refusal,
)
from pdp.adapters.replies import CALLER
from pdp.limits import (
    CONNECTION_JITTER,
    DEFAULT_CONNECTION_SECONDS,
    LAST_CHANCE_SECONDS,
    MAX_ARRIVAL_SECONDS,
    MAX_HEAD_BYTES,
    MAX_HEADER_LINES,
    MAX_MESSAGE_BYTES,
)

__all__ = ["LINGER_SECONDS", "BoundedProtocol", "defect", "target_of"]

#: Where a request's state holds its target, exactly as it arrived.
_TARGET: Final = "pdp.target"

_GOODBYE_SECONDS: Final = 1.0  # how long a peer with next to nothing left to read may take to close
_CUT_SECONDS: Final = 0.2  # what was written before may still leave
#: How long one may take to read its last answer, and then to close.
LINGER_SECONDS: Final = 5.0
_LAST_SECONDS: Final = 1  # once the service ends: a request may be on its way
_log: Final = logging.getLogger("pdp.http")


class _RefusedError(Exception):
    """Ends the parsing of a request from within a call-back of the parser."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds on what one request may take to arrive, and on its own age."""

    #: How old a connection becomes, give or take, in seconds.
    age_seconds: float = DEFAULT_CONNECTION_SECONDS

    @property
    def answering(self) -> bool:
        """Whether a request whose head is here waits for its answer."""
        return self.cycle is not None and not self.cycle.response_complete

    def asker(self) -> Callable[[], object]:
        """What tells who asks what arrived last, a caller or why there is none, whenever it is called.

        Here nobody can tell.
        """
        return _nobody

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by asyncio: begin to count."""
        super().connection_made(transport)
        # Not all at once, lest all that began together come back together.
        age = self.age_seconds * random.uniform(1 - CONNECTION_JITTER, 1 + CONNECTION_JITTER)  # noqa: S311
        self._old = False
        self._aging = self.loop.call_later(age, self._grow_old, LAST_CHANCE_SECONDS)
        self._arriving = False  # whether a request has begun and is not here whole
        self._in_head = True
        self._received = 0  # bytes of the request that is arriving
        self._latest = 0  # bytes that arrived last
        self._span = 0  # the same from where it began on, with what came before it in the same piece
        self._deaf = False  # after a refusal nothing is looked at
        self._refusal: Refused = NOT_HTTP
        self._arrival: asyncio.TimerHandle | None = None
        self._patience, self._impatience = MAX_ARRIVAL_SECONDS, TOO_SLOW
        # A connection that never asks anything is an idle one.
        self._be_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio: nothing is waited for any more."""
        self._arrived()
        self._aging.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: read on, within the bounds."""
        if self._deaf:
            return
        self._latest = len(data)
        self._received += self._latest
        self._span += self._latest
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade:
            pass  # what follows is another protocol's; the request was refused
        except HttpParserError as error:
            self._refuse(self._refusal_for(error))
            return
        if self._received > (MAX_HEAD_BYTES if self._in_head else MAX_MESSAGE_BYTES):
            self._refuse(HEAD_TOO_LARGE if self._in_head else TOO_LARGE)
        elif self._arriving and self._arrival is None and not self._deaf:
            self._arrival = self.loop.call_later(self._patience, self._refuse, self._impatience)

    def on_message_begin(self) -> None:
        """Called by the parser: a request begins. Most never need a scope: see `_begin`."""
        self._arriving = True
        self._span = self._latest
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Called by the parser: the head is here."""
        if self._deaf:
            raise _RefusedError
        if len(self.headers) > MAX_HEADER_LINES or (
            self._span > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES
        ):
            self._refusal = HEAD_TOO_LARGE
            raise _RefusedError
        version = self.parser.get_http_version()
        if not is_plain(version, self.headers):
            raise _RefusedError
        self._see(self.headers)
        self._begin()
        self._in_head = False

    def _see(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """See who asks, where a head tells it. Trailers come later, and are nobody's evidence."""

    def _refusal_for(self, error: HttpParserError) -> Refused:
        """What is said where the parser gave up, or one of its call-backs."""
        cause = error.__context__
        if not isinstance(error, HttpParserCallbackError) or isinstance(
            cause, _RefusedError | HttpParserError
        ):
            return self._refusal  # uvicorn has targets parsed in a call-back
        return defect(cause)

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _begin(self) -> None:
        """The head is here, and within its bounds: have it answered by the application."""
        target, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = target, headers, expects
        self.scope["state"][CALLER] = self.asker()
        # uvicorn takes the target apart, and drops what some servers would not.
        self.scope["state"][_TARGET] = target
        # Trailers are added to the list that the parser keeps: they are nobody's headers.
        self.scope["headers"] = list(headers)
        super().on_headers_complete()
        if self._old:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Called by the parser: the request is here."""
        self._arriving, self._in_head, self._received = False, True, 0
        self._arrived()
        self._complete()

    def _complete(self) -> None:
        """The request is here, and within its bounds."""
        super().on_message_complete()

    @property
    def _unanswered(self) -> bool:
        """Whether nothing was written of the answer to a request whose head is here, or of one before."""
        return not (self.cycle.response_started or self.pipeline)

    def _arrived(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _refuse(self, refused: Refused) -> None:
        """Answer what is arriving, unless it has an answer, and close; what came before it goes first."""
        if self._deaf:
            return
        self._deaf = True
        self._arrived()
        before = self.cycle if self._in_head else None
        if before is not None and not before.response_complete:
            before.keep_alive = False  # its answer is the last
            return
        if self._in_head or self._unanswered:
            self.transport.write(refusal(refused, by_proxy=is_of_proxy(getattr(self, "url", None) or b"")))
        if self.cycle is not None:
            self.cycle.disconnected = True  # what is still being worked out for it is not sent
            self.cycle.message_event.set()
        self.transport.close()
        self._abort_after(_GOODBYE_SECONDS)

    def _grow_old(self, seconds: int) -> None:
        """The next answer is the last. Who asks nothing more has a moment: a request may be on its way."""
        self._old = True
        self.timeout_keep_alive = min(self.timeout_keep_alive, seconds)
        if self.answering:
            self.cycle.keep_alive = False
        self._unset_keepalive_if_required()
        self._be_idle()

    def _be_idle(self) -> None:
        """Count from now how long nothing is asked. A timer that is set is not set anew: it looks at this."""
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_after(self.timeout_keep_alive)

    def _look_after(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Called by the clock: see whether nothing was asked for too long."""
        self.timeout_keep_alive_task = None
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if self._arriving or self.answering:
            left = self.timeout_keep_alive
        if left > 0:
            self._look_after(left)
            return
        super().timeout_keep_alive_handler()
        self._abort_after(_GOODBYE_SECONDS)

    def cut_off(self) -> None:
        """Read nothing more and answer nothing more: whoever is at the other end has no claim to it."""
        self._deaf = True
        self._arrived()
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
        self._abort_after(_CUT_SECONDS)

    def on_response_complete(self) -> None:
        """Called by uvicorn: the answer is written."""
        super().on_response_complete()
        self._idle_since = self.loop.time()
        if self.transport.is_closing():
            self._abort_after(LINGER_SECONDS)

    def shutdown(self) -> None:
        """Called by uvicorn when the service ends; it would close at once, whatever is on its way."""
        self._grow_old(_LAST_SECONDS)
        self._patience, self._impatience = _LAST_SECONDS, ENDING  # for what begins to arrive only now
        if self._in_head and self._arrival is not None:
            self._arrival.cancel()
            self._arrival = self.loop.call_later(self._patience, self._refuse, self._impatience)

    def _abort_after(self, seconds: float) -> None:
        """Whether or not the peer ever says goodbye: until it does, all it sends would be read."""
        self.loop.call_later(seconds, self.transport.abort)


def defect(error: BaseException | None) -> Refused:
    """What is said where a request failed by what should not have happened. It is logged."""
    _log.error("a request failed by a defect of pdp", exc_info=error)
    return INTERNAL


def _nobody() -> None:
    """The caller on a connection of which nobody can tell."""


def target_of(scope: Scope) -> bytes:
    """The target of a request (RFC 9112, section 3.2), as it arrived."""
    found = scope.get("state", {}).get(_TARGET)
    return found if isinstance(found, bytes) else scope["raw_path"]
