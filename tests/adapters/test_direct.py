"""Which requests go the short way, and which the long one; `tests/e2e` tests that both come to the same.

The protocol is the real one, on a real socket; behind it stands an application that only says it was reached.
"""

import asyncio
import json

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from pdp.adapters.direct import directly
from pdp.adapters.local import Local, local_protocol_class
from pdp.adapters.questions import Answerer, Questions
from pdp.identity.local import named_caller
from pdp.limits import MAX_BODY_BYTES, MAX_HEAD_BYTES
from tests.docs.application import ASKED, ERRORS, PROXY, service

BODY = json.dumps(ASKED).encode()
SHORT, LONG = "short", "long"
HOST = "host: localhost"
JSON = "content-type: application/json"


async def long_way(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def replies(*sent: bytes, answering: Questions | None = None) -> bytes:
    """What comes back for so many pieces, a moment apart, until the connection is silent."""
    loop = asyncio.get_running_loop()
    local = Local(caller=named_caller(PROXY), identity=None, uids=None, hosts=frozenset({b"localhost"}))
    protocol = directly(local_protocol_class(local, 60), answering or Questions(service(ERRORS)))
    config = uvicorn.Config(long_way, log_config=None, ws="none", lifespan="off")
    config.load()
    server = await loop.create_server(lambda: protocol(config, ServerState(), {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for piece in sent:
        writer.write(piece)
        await asyncio.sleep(0.02)
    found = b""
    try:
        while data := await asyncio.wait_for(reader.read(65536), 0.3):
            found += data
    except TimeoutError:
        pass
    writer.close()
    server.close()
    return found


def asked(*lines: str, first: str = "POST /v1/decide HTTP/1.1", body: bytes = BODY) -> bytes:
    return "\r\n".join([first, *lines, "", ""]).encode() + body


def ways(found: bytes) -> list[str]:
    return [LONG if status == b"418" else SHORT for status in _statuses(found)]


def _statuses(found: bytes) -> list[bytes]:
    return [piece[:3] for piece in found.split(b"HTTP/1.1 ")[1:]]


LENGTH = f"content-length: {len(BODY)}"
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize(
    ("sent", "way"),
    [
        (asked(HOST, JSON, LENGTH), SHORT),
        (asked(HOST, JSON, LENGTH, first="POST /decide HTTP/1.1"), SHORT),
        (asked(HOST, JSON, LENGTH, first="POST /v1/decide?x HTTP/1.1"), LONG),
        (asked(HOST, JSON, LENGTH, first="PUT /v1/decide HTTP/1.1"), LONG),
        (asked(HOST, JSON, LENGTH, first="POST /v1/decide/batch HTTP/1.1"), LONG),
        (asked(HOST, f"{JSON}; charset=utf-8", LENGTH), LONG),
        (asked(HOST, JSON, JSON, LENGTH), LONG),
        (asked(HOST, "content-type: text/plain", JSON, LENGTH), LONG),
        (asked(HOST, LENGTH), LONG),
        (asked(HOST, JSON, "content-encoding: gzip", LENGTH), LONG),
        (asked(HOST, JSON, "expect: 100-continue", LENGTH), LONG),
        (asked(HOST, JSON, "upgrade: h2c", "connection: upgrade", LENGTH), LONG),
        (asked(HOST, JSON, f"content-length: {MAX_BODY_BYTES + 1}"), LONG),
        (asked(HOST, JSON, "transfer-encoding: chunked", body=CHUNKED), LONG),
        (asked("host: elsewhere", JSON, LENGTH), LONG),
        (asked(HOST, first="GET /v1/forward-auth/edge HTTP/1.1", body=b""), SHORT),
        (asked(HOST, "content-length: 0", first="PUT /v1/ext-authz/edge/a HTTP/1.1", body=b""), SHORT),
        (asked(HOST, LENGTH, first="POST /v1/ext-authz/edge/a HTTP/1.1"), LONG),
        (asked(HOST, first="GET /metrics HTTP/1.1", body=b""), LONG),
    ],
)  # fmt: skip
def test_way(sent: bytes, way: str) -> None:
    assert ways(asyncio.run(replies(sent))) == [way]


def test_a_request_in_pieces_is_one_request() -> None:
    whole = asked(HOST, JSON, LENGTH)

    found = asyncio.run(replies(whole[:30], whole[30:-40], whole[-40:-20], whole[-20:]))

    assert ways(found) == [SHORT]
    assert b'"decision":' in found


def test_pipelined_requests_are_answered_in_order() -> None:
    other = asked(HOST, JSON, LENGTH, first="POST /v1/decide?x HTTP/1.1")
    whole = asked(HOST, JSON, LENGTH)

    # Behind one that has not been answered yet nothing is taken ahead.
    assert ways(asyncio.run(replies(whole + whole + other + whole))) == [SHORT, SHORT, LONG, LONG]


@pytest.mark.parametrize(
    ("version", "said", "connection"),
    [
        ("1.1", (), None),
        ("1.1", ("connection: close",), b"close"),
        ("1.0", (), b"close"),
        ("1.0", ("connection: keep-alive",), b"keep-alive"),
    ],
)
def test_connection_is_kept_as_asked(version: str, said: tuple[str, ...], connection: bytes | None) -> None:
    sent = asked(HOST, JSON, LENGTH, *said, first=f"POST /v1/decide HTTP/{version}")

    found = asyncio.run(replies(sent, sent))

    lines = [line.partition(b": ")[2] for line in found.split(b"\r\n") if line.startswith(b"connection: ")]
    assert set(lines) == ({connection} if connection else set())
    assert len(_statuses(found)) == (1 if connection == b"close" else 2)


def test_behind_the_last_answer_nothing_more_is_answered() -> None:
    last = asked(HOST, JSON, LENGTH, "connection: close")

    assert ways(asyncio.run(replies(last + asked(HOST, JSON, LENGTH)))) == [SHORT]


def test_a_head_is_bounded_also_behind_another_request() -> None:
    """Of the piece in which it begins nobody has counted what is its own."""
    large = f"x-padding: {'x' * MAX_HEAD_BYTES}"
    head, body = asked(HOST, JSON, LENGTH), asked(HOST, JSON, large, LENGTH)

    found = asyncio.run(replies(head + body[:-200], body[-200:]))

    assert _statuses(found) == [b"200", b"431"]


@pytest.mark.parametrize("method", ["again", "answerer"])
def test_a_defect_is_an_error_and_the_end(
    method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    answering = Questions(service(ERRORS))
    monkeypatch.setattr(Questions, method, fail)
    monkeypatch.setattr(answering, "_decide", Answerer(answering._decide.answer, fail))
    sent = asked(HOST, JSON, LENGTH)

    found = asyncio.run(replies(sent, sent, answering=answering))

    assert _statuses(found) == [b"500"]
    assert b"secret" not in found
    assert "secret" in caplog.text
