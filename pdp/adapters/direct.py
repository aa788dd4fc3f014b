"""The short way from a request to its answer: no task, no routing, one write.

A request that is here whole, and whose answer waits for nothing, is answered within the call in which its
last byte arrived. What comes before is the same as for any other request: one parser, its bounds, its caller
(`pdp.adapters.bounded`, `.connection`, `.local`). What comes behind is the same, too: the coroutine that the
routes run (`pdp.adapters.questions`). Left out is what stands between the two in uvicorn, Starlette and
FastAPI, which takes several times as long as the answer.

Whatever is not plain goes the long way and comes to the same: an answer that has to wait (for a revision, for
keys, for room in the log), a request behind one that still waits, a client that does not read, a body in
chunks. With `http.direct = false` everything does.

A request whose head came before in the very same bytes is not parsed again (`pdp.adapters.known_heads`).
"""

import re
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final, TypeAlias

from starlette.types import Receive, Scope, Send

from pdp.adapters.begun import Begun
from pdp.adapters.bounded import LINGER_SECONDS, BoundedProtocol, defect
from pdp.adapters.known_heads import KnownHead, KnownHeads
from pdp.adapters.questions import Answerer, Questions
from pdp.adapters.replies import JSON_HEADERS, Head, Reply, StatusError, as_response, failed, require_caller
from pdp.identity.caller import Caller

__all__ = ["DirectProtocol", "directly"]

_Asker: TypeAlias = Callable[[], Caller]
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii") for status in HTTPStatus
}
# RFC 9110, section 5.5: what a header's value cannot hold. Ours never do; the long way refuses it.
_UNFIT: Final = re.compile(r"[^\t\x20-\x7e\xa0-\xff]")


class DirectProtocol(BoundedProtocol):
    """The same, answering at once what can be answered at once."""

    #: What answers, and the heads that came before; set for each listener.
    questions: Questions
    heads: KnownHeads

    _answerer: Answerer | None = None  # of the request that is arriving, if it goes the short way
    _begun: Begun[Reply] | None = None  # for the request that is about to be parsed
    _piece = b""  # what is being parsed

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: answer a request whose head is known, or read on."""
        if self._is_between_requests() and not self._is_kept_from_answering():
            found = self.heads.find(data)
            try:
                if found is not None and self._has_answered(*found):
                    return
            except Exception as error:  # noqa: BLE001 - whatever it was, it must not become a decision
                self._refuse(defect(error))
                return
        self._piece = data
        super().data_received(data)
        self._piece = b""

    def _has_answered(self, known: KnownHead, body: bytes) -> bool:
        """Whether a request was answered; if not, it is parsed, and takes its way from there."""
        self._see(known.head.headers)
        caller = partial(require_caller, self.asker())
        try:
            reply = _asked(known.answerer, known.head, body, caller)
        except StatusError:
            return False
        if isinstance(reply, Begun):
            self._begun = reply
            return False
        self._write(reply, keeps=True, is_new=True)
        return True

    def _is_between_requests(self) -> bool:
        """Whether nothing has begun to arrive, and the next request may be kept open behind."""
        return not (self._arriving or self._received or self._deaf or self._old)

    def _is_kept_from_answering(self) -> bool:
        busy = self.cycle is not None and not self.cycle.response_complete
        return busy or self.flow.write_paused or self.transport.is_closing()

    def _begin(self) -> None:
        """The head is here: choose the way."""
        self._head = Head(self.parser.get_method().decode("ascii"), self.url, self.headers)
        self._answerer = self._found()
        if self._answerer is None:
            super()._begin()

    def _found(self) -> Answerer | None:
        if self._is_kept_from_answering():
            return None
        answerer = self.questions.answerer(self._head)
        if answerer is not None:
            self._body: list[bytes] = []
            self._caller: _Asker = partial(require_caller, self.asker())
            try:
                self._caller()
            except StatusError:
                return None
        return answerer

    @property
    def _unanswered(self) -> bool:
        return self._answerer is not None or super()._unanswered

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        if self._answerer is None:
            super().on_body(body)
        else:
            self._body.append(body)

    def _complete(self) -> None:
        """All of the request is here: answer it."""
        answerer, self._answerer = self._answerer, None
        begun, self._begun = self._begun, None
        if answerer is None:
            super()._complete()
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        keeps = self.parser.should_keep_alive() and not self._old
        is_new = self.parser.get_http_version() == "1.1"
        if keeps and is_new and answerer.again is not None and self._span == self._latest:
            self.heads.learn(self._piece, self._head, body, answerer)
        try:
            reply = begun or _asked(answerer, self._head, body, self._caller)
        except StatusError as error:
            reply = failed(error)
        if isinstance(reply, Begun):
            self._go_on(reply)
        else:
            self._write(reply, keeps=keeps, is_new=is_new)

    def _write(self, reply: Reply, *, keeps: bool, is_new: bool) -> None:
        """Write an answer, and be idle again.

        Args:
            reply: What it is.
            keeps: Whether the request leaves the connection open.
            is_new: Whether it is one of HTTP/1.1, where that need not be said.
        """
        keeps = keeps and not reply.close
        said = b"" if keeps and is_new else _CONNECTION[keeps]
        self.transport.write(_written(reply, self.server_state.default_headers, said))
        self.server_state.total_requests += 1
        if keeps:
            self._be_idle()
        else:
            self._deaf = True  # what follows, perhaps in the same piece, is not asked of us any more
            self.transport.close()
            self._abort_after(LINGER_SECONDS)

    def _go_on(self, begun: Begun[Reply]) -> None:
        """What was begun needs a task: let uvicorn make one, as for any other request."""

        async def rest(scope: Scope, receive: Receive, send: Send) -> None:
            await as_response(await begun)(scope, receive, send)

        app, self.app = self.app, rest
        try:
            super()._begin()
        finally:
            self.app = app
        super()._complete()


def directly(protocol: type[BoundedProtocol], questions: Questions) -> type[BoundedProtocol]:
    """A protocol of connections as a listener has it, with the short way in it."""

    class ListenerProtocol(DirectProtocol, protocol):  # type: ignore[valid-type,misc]
        pass

    ListenerProtocol.questions, ListenerProtocol.heads = questions, KnownHeads()
    return ListenerProtocol


_CONNECTION: Final = {True: b"connection: keep-alive\r\n", False: b"connection: close\r\n"}


def _asked(answerer: Answerer, head: Head, body: bytes, caller: _Asker) -> Reply | Begun[Reply]:
    """The reply, or what was begun and needs a task.

    Raises:
        StatusError: Nobody asks.
    """
    if answerer.again is not None and (again := answerer.again(body, caller())) is not None:
        return again
    begun = Begun(answerer.answer(head, body, caller))
    reply = begun.result
    return begun if reply is None or not _is_fit(reply) else reply


def _is_fit(reply: Reply) -> bool:
    return reply.headers is JSON_HEADERS or not any(_UNFIT.search(value) for _, value in reply.headers)


def _written(reply: Reply, defaults: list[tuple[bytes, bytes]], connection: bytes) -> bytes:
    """A reply as HTTP/1.1 has it (RFC 9112, section 4)."""
    status, headers, body, _ = reply
    told = _JSON_LINES if headers is JSON_HEADERS else _lines(headers)
    said = b"".join([b"%b: %b\r\n" % each for each in defaults])
    return b"%b%b%b%bcontent-length: %d\r\n\r\n%b" % (
        _STATUS_LINES[status], said, told, connection, len(body), body,
    )  # fmt: skip


def _lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    return "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1")


_JSON_LINES: Final = _lines(JSON_HEADERS)
