"""A head that came before is not parsed again, and nobody can tell by the answers.

Two listeners are sent the same bytes in the same pieces, and one of them parses everything: what they write
has to be the same, but for what is new in each answer. The protocol is the real one; beneath it, what is
written is kept.
"""

import asyncio
import json
import re
import socket
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from hypothesis import given, note
from hypothesis import strategies as st
from uvicorn.server import ServerState

from pdp.adapters import answering
from pdp.adapters.app import build_app
from pdp.adapters.bounded import BoundedProtocol
from pdp.adapters.direct import DirectProtocol, directly
from pdp.adapters.known_heads import KnownHeads
from pdp.adapters.local import Local, local_protocol_class
from pdp.adapters.questions import Answerer, Questions
from pdp.adapters.replies import Head
from pdp.identity.local import named_caller
from pdp.limits import MAX_KNOWN_HEAD_BYTES, MAX_KNOWN_HEADS
from pdp.service.errors import NotPermittedError
from tests.adapters.test_direct import BODY, CHUNKED, HOST, JSON, LENGTH, asked, replies
from tests.docs.application import ASKED, ERRORS, PROXY, WEB, service

LOCAL = Local(caller=named_caller(PROXY), identity=None, uids=None, hosts=frozenset({b"localhost"}))
PLAIN = asked(HOST, JSON, LENGTH)
DENIED = PLAIN.replace(b"/v1/charges", b"/v2/charges")
assert len(DENIED) == len(PLAIN)
LATE = json.dumps({**ASKED, "at_least": "never"}).encode()
WAITING = asked(HOST, JSON, f"content-length: {len(LATE)}", body=LATE)


def wait_shortly(patched: pytest.MonkeyPatch) -> None:
    """For a revision that nobody will see."""
    patched.setattr(answering, "AT_LEAST_WAIT_SECONDS", 0.001)
    patched.setattr(answering, "_POLL_SECONDS", 0.0)


class Recording(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False
        self._socket = socket.socket()  # of which it is asked whose it is

    def write(self, data: Any) -> None:
        if not self.closed:  # as real ones do
            self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket if name == "socket" else default


OLD = asked(HOST, "connection: keep-alive", JSON, LENGTH, first="POST /v1/decide HTTP/1.0")


class Unknowing:
    """Knows no head."""

    def find(self, _: bytes) -> None:
        return None

    def learn(self, *_: object) -> None:
        pass


class Listener:
    """One service, and connections to it."""

    def __init__(self, *, knowing: bool, local: Local = LOCAL) -> None:
        self.service = service(ERRORS)
        self.questions = Questions(self.service)
        made = directly(local_protocol_class(local, 60), self.questions)
        assert issubclass(made, DirectProtocol)
        if not knowing:
            made.heads = Unknowing()  # type: ignore[assignment]
        self.protocol = made
        self.config = uvicorn.Config(
            build_app(self.service, questions=self.questions), log_config=None, ws="none", lifespan="off"
        )
        self.config.load()

    def connect(self) -> tuple[BoundedProtocol, Recording]:
        """A new connection."""
        made, transport = self.protocol(self.config, ServerState(), {}), Recording()
        made.connection_made(transport)
        return made, transport

    @property
    def heads(self) -> KnownHeads:
        found: KnownHeads = self.protocol.heads  # type: ignore[attr-defined]
        return found


async def answered(connection: BoundedProtocol) -> None:
    """What waits comes to its end."""
    deadline = time.monotonic() + 10
    while connection.answering and not (connection._arriving or connection.transport.is_closing()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0)


NEW = re.compile(rb'"decision_id":"[^"]*"')


async def written(listener: Listener, pieces: Sequence[bytes], hasty: int = 0) -> bytes:
    """What comes back on one connection; before each `hasty`th piece an answer is not waited for."""
    made, transport = listener.connect()
    for number, piece in enumerate(pieces, 1):
        if transport.closed:
            break
        made.data_received(piece)
        if hasty == 0 or number % hasty:
            await answered(made)
    await answered(made)
    closed = transport.closed
    made.connection_lost(None)
    transport._socket.close()
    return NEW.sub(b"", b"".join(transport.written)) + (b"closed" if closed else b"open")


MESSAGES = [
    PLAIN,
    DENIED,
    asked(HOST, JSON, f"content-length: {len(BODY) + 1}", body=BODY + b" "),
    asked(HOST, JSON, f"content-length: {len(BODY) - 1}", body=BODY[:-1]),
    asked(HOST, JSON, "content-length: 2", body=b"[]"),
    asked(HOST, JSON, "content-length: 0", body=b""),
    asked(HOST, JSON, LENGTH, "connection: close"),
    asked(HOST, JSON, LENGTH, "connection: keep-alive"),
    asked(HOST, JSON, LENGTH, first="POST /v1/decide HTTP/1.0"),
    asked(HOST, JSON, LENGTH, "connection: keep-alive", first="POST /v1/decide HTTP/1.0"),
    asked(HOST, JSON, LENGTH, first="POST /v1/decide?x HTTP/1.1"),
    asked(HOST, JSON, LENGTH, "origin: https://elsewhere.example"),
    asked("host: elsewhere", JSON, LENGTH),
    asked(JSON, LENGTH),
    asked(HOST, JSON, LENGTH, LENGTH),
    asked(HOST, JSON, "transfer-encoding: chunked", body=CHUNKED),
    asked(HOST, JSON, "transfer-encoding: chunked", body=CHUNKED[:-2] + b"host: evil\r\n\r\n"),
    asked(HOST, JSON, LENGTH, "expect: 100-continue"),
    asked(HOST, JSON, LENGTH, "authorization: Bearer x"),
    asked(HOST, first="GET /metrics HTTP/1.1", body=b""),
    asked(HOST, JSON, "content-length: 4", body=b"\r\n\r\n"),
    PLAIN.replace(b"\r\n", b"\n"),
    PLAIN.replace(b"\r\n\r\n", b"\n\n"),
    b"\r\n" + PLAIN,
    b"\r\n\r\n" + PLAIN,
    PLAIN + b"\r\n",
    b"\r\n",
    b"GARBAGE\r\n\r\n",
    PLAIN[:40],
    WAITING,
]


@st.composite
def pieces(draw: st.DrawFn) -> list[bytes]:
    """Messages one after the other, cut anywhere, some of them together."""
    sent = b""
    cuts = set()
    for message in draw(st.lists(st.sampled_from(MESSAGES) | st.just(PLAIN), min_size=1, max_size=6)):
        sent += message
        cuts.add(len(sent))
        if draw(st.integers(0, 3)) == 0:
            cuts.add(draw(st.integers(0, len(sent))))
        if draw(st.integers(0, 3)) == 0:
            cuts.discard(len(sent))
    edges = sorted({0, len(sent)} | cuts)
    return [sent[a:b] for a, b in pairwise(edges)]


@given(st.lists(pieces(), min_size=1, max_size=3), st.integers(0, 2))
def test_a_listener_that_parses_everything_writes_the_same(
    connections: list[list[bytes]], hasty: int
) -> None:
    async def compare() -> None:
        knowing, parsing = Listener(knowing=True), Listener(knowing=False)
        for sent in [[PLAIN], *connections, *connections]:  # the second time many heads are known
            note(repr(sent))
            assert await written(knowing, sent, hasty) == await written(parsing, sent, hasty)

    with pytest.MonkeyPatch.context() as patched:
        wait_shortly(patched)
        asyncio.run(compare())


def feeds(pieces_: Sequence[bytes], listener: Listener, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each piece, whether the parser was fed it."""
    fed: list[bytes] = []
    original = BoundedProtocol.data_received

    def feed(self: BoundedProtocol, data: bytes) -> None:
        fed.append(data)
        original(self, data)

    monkeypatch.setattr(BoundedProtocol, "data_received", feed)

    async def send() -> list[bool]:
        made, transport = listener.connect()
        found = []
        for piece in pieces_:
            before = len(fed)
            made.data_received(piece)
            found.append(len(fed) > before)
            await answered(made)
        made.connection_lost(None)
        transport._socket.close()
        return found

    return asyncio.run(send())


def with_length(length: str, *more: str) -> bytes:
    return asked(HOST, JSON, f"content-length: {length}", *more)


@pytest.mark.parametrize(
    ("sent", "parsed"),
    [
        ([PLAIN, PLAIN, PLAIN], [True, False, False]),
        ([PLAIN, DENIED, PLAIN], [True, False, False]),
        ([PLAIN, PLAIN[:-1], PLAIN[-1:], PLAIN], [True, True, True, False]),
        ([PLAIN, PLAIN + PLAIN[:10], PLAIN[10:], PLAIN], [True, True, True, False]),
        ([PLAIN, PLAIN + PLAIN, PLAIN], [True, True, False]),
        ([PLAIN[:20], PLAIN[20:], PLAIN, PLAIN], [True, True, True, False]),
        ([PLAIN[:20], PLAIN[20:], PLAIN[20:]], [True, True, True]),
        ([PLAIN + PLAIN, PLAIN, PLAIN], [True, True, False]),
        ([PLAIN, PLAIN + PLAIN[:20], PLAIN], [True, True, True]),
        ([PLAIN, b"\r\n", PLAIN], [True, True, True]),
        ([PLAIN, asked(HOST.upper(), JSON, LENGTH), PLAIN], [True, True, False]),
        ([with_length(f"0{len(BODY)}"), PLAIN, with_length(f"0{len(BODY)}")], [True, True, False]),
        ([with_length(f"{len(BODY)}", "authorization: Bearer x")] * 3, [True, True, True]),
        ([with_length(f"{len(BODY)}", "Cookie: x")] * 3, [True, True, True]),
        ([with_length(f"{len(BODY)}", f"x: {'x' * MAX_KNOWN_HEAD_BYTES}")] * 3, [True, True, True]),
        ([asked(HOST, JSON, LENGTH, first="POST /v1/decide?x HTTP/1.1")] * 3, [True, True, True]),
        ([OLD, OLD], [True, True]),
        ([asked(HOST, JSON, "transfer-encoding: chunked", body=CHUNKED)] * 2, [True, True]),
        ([WAITING, WAITING], [True, True]),
    ],
)  # fmt: skip
def test_what_is_parsed(sent: list[bytes], parsed: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    wait_shortly(monkeypatch)

    assert feeds(sent, Listener(knowing=True), monkeypatch) == parsed


def test_what_waits_is_begun_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_shortly(monkeypatch)
    listener = Listener(knowing=True)
    begun = []
    answer = listener.questions._decide.answer

    def counting(*asked_: Any) -> Any:
        begun.append(1)
        return answer(*asked_)

    again = listener.questions._decide.again
    monkeypatch.setattr(listener.questions, "_decide", Answerer(counting, again))

    assert feeds([WAITING, WAITING, PLAIN], listener, monkeypatch) == [True, True, True]
    assert len(begun) == 3


def test_heads_are_known_to_all_connections_of_a_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(knowing=True)

    assert feeds([PLAIN], listener, monkeypatch) == [True]
    assert feeds([PLAIN], listener, monkeypatch) == [False]
    assert feeds([PLAIN], Listener(knowing=True), monkeypatch) == [True]


def test_a_head_does_not_say_who_asks() -> None:
    """Whose connection it is does, also for a head that is known."""
    head = (HOST, JSON, LENGTH)
    mine = "x-forwarded-client-cert: By=spiffe://prod.example.org/ns/mesh/sa/pdp;URI={}"
    local = Local(
        caller=None, identity="spiffe://prod.example.org/ns/mesh/sa/pdp", uids=None, hosts=LOCAL.hosts
    )
    listener = Listener(knowing=True, local=local)
    by_proxy, by_web = asked(*head, mine.format(PROXY)), asked(*head, mine.format(WEB))

    async def go() -> list[bytes]:
        made, transport = listener.connect()
        for piece in (by_proxy, by_web, by_proxy, PLAIN, by_web, by_proxy, by_proxy):
            made.data_received(piece)
            await answered(made)
        made.connection_lost(None)
        transport._socket.close()
        return re.findall(rb"HTTP/1.1 (\d+)", b"".join(transport.written))

    assert asyncio.run(go()) == [b"200", b"403", b"200", b"403", b"403", b"200", b"200"]


def test_behind_an_answer_that_waits_or_is_not_read_nothing_is_taken_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait_shortly(monkeypatch)
    listener = Listener(knowing=True)

    async def go(*, reads: bool) -> list[bytes]:
        made, transport = listener.connect()
        made.data_received(PLAIN)
        if reads:
            made.data_received(WAITING)
        else:
            made.pause_writing()
        made.data_received(PLAIN)
        before = len(transport.written)
        made.resume_writing()
        await answered(made)
        made.connection_lost(None)
        transport._socket.close()
        assert before == 1
        return re.findall(rb"HTTP/1.1 (\d+)", b"".join(transport.written))

    assert asyncio.run(go(reads=True)) == [b"200", b"503", b"200"]
    assert asyncio.run(go(reads=False)) == [b"200", b"200"]


NEW_HEAD = asked(HOST, JSON, LENGTH, "x: y")


@pytest.mark.parametrize(
    ("sent", "calls", "status"),
    [
        *((WAITING, calls, b"403" if calls < 3 else b"503") for calls in range(6)),
        *((PLAIN, calls, b"403" if calls < 3 else b"200") for calls in range(5)),
        *((NEW_HEAD, calls, b"403" if calls < 4 else b"200") for calls in range(6)),
    ],
)
def test_who_is_not_trusted_any_more_is_refused(
    sent: bytes, calls: int, status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many calls, whichever of them that is; and what was begun answers nothing else."""
    wait_shortly(monkeypatch)
    listener = Listener(knowing=True)
    left = [100]

    def asks() -> object:
        left[0] -= 1
        return LOCAL.caller if left[0] >= 0 else NotPermittedError("gone", "not any more")

    monkeypatch.setattr(listener.protocol, "asker", lambda _: asks)

    async def go() -> list[bytes]:
        made, transport = listener.connect()
        for piece in (PLAIN, WAITING):
            made.data_received(piece)
            await answered(made)
        left[0] = calls
        made.data_received(sent)
        await answered(made)
        left[0] = 100
        made.data_received(PLAIN)
        made.connection_lost(None)
        transport._socket.close()
        return re.findall(rb"HTTP/1.1 (\d+)", b"".join(transport.written))

    was, waited, refused, again = asyncio.run(go())
    assert (was, waited, again) == (b"200", b"503", b"200")
    assert refused == status


def test_an_old_connection_ends_with_an_answer_to_a_known_head_too() -> None:
    listener = Listener(knowing=True)

    async def go() -> tuple[bytes, bool]:
        made, transport = listener.connect()
        made.data_received(PLAIN)
        made._grow_old(60)
        made.data_received(PLAIN)
        made.data_received(PLAIN)
        closed = transport.closed
        made.connection_lost(None)
        transport._socket.close()
        return b"".join(transport.written), closed

    written_, closed = asyncio.run(go())

    assert re.findall(rb"HTTP/1.1 (\d+)|(connection: close)", written_) == [
        (b"200", b""),
        (b"200", b""),
        (b"", b"connection: close"),
    ]
    assert closed


def test_a_defect_behind_a_known_head_is_an_error_and_the_end(caplog: pytest.LogCaptureFixture) -> None:
    questions = Questions(service(ERRORS))
    asked_before = []

    def again(*_: object) -> None:
        asked_before.append(1)
        if len(asked_before) > 1:
            raise RuntimeError("secret")

    questions._decide = Answerer(questions._decide.answer, again)

    found = asyncio.run(replies(PLAIN, PLAIN, PLAIN, answering=questions))

    assert re.findall(rb"HTTP/1.1 (\d+)", found) == [b"200", b"500"]
    assert len(asked_before) == 2
    assert b"secret" not in found
    assert "secret" in caplog.text


# -- the heads themselves --------------------------------------------------------------


async def _answer(*_: object) -> Any:
    raise AssertionError


ANSWERER = Answerer(_answer)


def test_heads_are_bounded_and_the_first_goes() -> None:
    heads = KnownHeads()
    sent = [b"POST /%d HTTP/1.1\r\n\r\nx" % number for number in range(MAX_KNOWN_HEADS + 1)]
    for data in sent:
        heads.learn(data, Head("POST", b"/", []), b"x", ANSWERER)

    assert heads.find(sent[0]) is None
    assert all(heads.find(data) is not None for data in sent[1:])


def test_what_the_parser_keeps_on_changing_is_not_kept() -> None:
    heads, headers = KnownHeads(), [(b"host", b"a")]
    heads.learn(b"a\r\n\r\nx", Head("POST", b"/", headers), b"x", ANSWERER)
    headers.append((b"host", b"b"))

    found = heads.find(b"a\r\n\r\ny")

    assert found is not None
    assert found[0].head.headers == ((b"host", b"a"),)
    assert found[1] == b"y"


@pytest.mark.parametrize("data", [b"", b"x", b"a\r\n\r\n", b"a\r\n\r\nxy", b"\r\na\r\n\r\nx", b"A\r\n\r\nx"])
def test_whatever_differs_is_not_known(data: bytes) -> None:
    heads = KnownHeads()
    heads.learn(b"a\r\n\r\nx", Head("POST", b"/", []), b"x", ANSWERER)

    assert heads.find(data) is None


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"abcx", b"x"),
        (b"a\r\n\r\nxy", b"x"),
        (b"a\r\n\r\nxy", b"y"),
        (b"a\r\n\r\n", b""),
        (b"a\n\nb\r\n\r\nc", b"b\r\n\r\nc"),
    ],
)  # fmt: skip
def test_what_the_parser_found_has_to_be_all_there_is(data: bytes, body: bytes) -> None:
    heads = KnownHeads()
    heads.learn(data, Head("POST", b"/", []), body, ANSWERER)

    assert heads.find(data) is None
