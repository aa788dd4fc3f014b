"""What arrives on the decision listener: bytes over real TLS, at the running service.

A second parser, h11, says which requests stand in the bytes. The service may refuse more than it
does, and may never answer what it does not find: a decision about a request that two parsers read
differently is how requests are smuggled.
"""

import json
import random
import re
import shutil
import socket
import ssl
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from tests.e2e.running import Pki, Service, make_policies, question
from tests.fuzz.corpora import questions
from tests.fuzz.engine import Target
from tests.fuzz.exchange import Answered, Found, exchange, over_tls, replies_in, requests_in
from tests.fuzz.mutate import ODD_BYTES, Mutator

__all__ = ["TARGETS", "change_request", "close", "judged", "make_request", "resident"]

_DECISIONS: Final = {b"/v1/decide", b"/decide", b"/v1/decide/batch", b"/decide/batch"}
_MOST_GROWTH: Final = 64 * 1024  # KiB that the service may grow by while it is fuzzed
_EVERY: Final = 100  # inputs between two looks at whether all is well


@dataclass(slots=True)
class _Running:
    service: Service
    context: ssl.SSLContext
    resident: int
    count: int = 0


@cache
def _running() -> _Running:
    folder = Path(mkdtemp(prefix="pdp-fuzz-"))
    (folder / "pki").mkdir()
    pki = Pki(folder / "pki")
    service = Service(pki, make_policies(folder / "policies"))
    for _ in range(50):  # what is made once
        assert service.send(question()).status == 200
    return _Running(service, pki.context(), resident(service))


def close() -> None:
    """End the service, if there is one; it has to end as it should."""
    if _running.cache_info().currsize:
        running = _running()
        _running.cache_clear()
        try:
            _look_after(running)
            assert running.service.stop() == 0, running.service.log
        finally:
            running.service.stop()
            shutil.rmtree(running.service.policies.parent)


def resident(service: Service) -> int:
    """KiB of memory that the process holds."""
    status = Path(f"/proc/{service.process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None, "the service has ended"
    return int(found[1])


def _look_after(running: _Running) -> None:
    """It answers as before, nothing is in its log, and it has not grown."""
    running.service.assert_still_answers()
    assert resident(running.service) < running.resident + _MOST_GROWTH


# -- what must hold ---------------------------------------------------------------------


def _http(data: bytes) -> Hashable:
    """A precise answer to each request that two parsers find, an error and the end of it else; never 5xx."""
    running = _running()
    outcome = judged(data, lambda: over_tls(running.service, running.context))
    running.count += 1
    if running.count % _EVERY == 0:
        _look_after(running)
    return outcome


def judged(
    data: bytes, connect: Callable[[], socket.socket], may_ask: Callable[[Found], bool] = lambda _: True
) -> Hashable:
    """Send bytes and hold what comes back against what a second parser finds in them.

    Args:
        data: What is sent.
        connect: Makes a connection to the service.
        may_ask: Whether a request, as h11 reads it, comes from somebody who is answered.
    """
    found, then = requests_in(data)
    rng = random.Random(len(data))
    received, closed = exchange(connect(), data, rng, 1 if found else 0)
    replies = replies_in(received)
    decisions = 0
    for number, reply in enumerate(replies):
        assert reply.status in {200, 400, 403, 404, 405, 408, 413, 415, 431}, reply
        if reply.status != 200:
            assert _is_error(reply), reply
            continue
        # What is not about a body may be answered before all of that has arrived.
        if _decides(reply):
            assert number < len(found), f"answered, though there is no request: {str(reply)[:500]}"
            assert may_ask(found[number]), f"answered, though nobody may ask: {found[number]}"
            decisions += 1
            _require_asked(found[number], reply)
    if then == "error" and not replies:
        assert closed or not found, "no word about what is no request"
    return tuple(reply.status for reply in replies[:4]), min(decisions, 2), then, closed, _code(replies)


def _is_error(reply: Answered) -> bool:
    if not reply.body:
        return True  # to HEAD
    error = json.loads(reply.body)
    return set(error) == {"error"} and set(error["error"]) == {"code", "message"}


def _decides(reply: Answered) -> bool:
    if reply.headers.get("content-type") != "application/json" or not reply.body:
        return False
    return bool({"decision", "answers"} & set(json.loads(reply.body)))


def _code(replies: list[Answered]) -> str:
    last = replies[-1] if replies else None
    return json.loads(last.body)["error"]["code"] if last and last.status != 200 and last.body else ""


def _require_asked(request: Found, reply: Answered) -> None:
    """A decision is about the question that stands in the request."""
    assert request.method == b"POST"
    absolute = re.fullmatch(
        rb"[a-z][a-z0-9+.-]*://[^/?#]*(/.*)", request.path, re.IGNORECASE
    )  # RFC 9112, 3.2.2
    path = absolute[1] if absolute else request.path
    assert re.split(rb"[?#]", path)[0] in _DECISIONS
    asked, answer = json.loads(request.body), json.loads(reply.body)
    batch = b"batch" in request.path
    pairs = zip(asked["questions"], answer["answers"], strict=True) if batch else [(asked, answer)]
    for one, got in pairs:
        if "decision" in got and got["region"] is not None:
            service, method = got["region"]["service"], got["region"]["method"]
            assert service == one.get("service", service)
            assert method in {None, one["method"]}


# -- inputs ----------------------------------------------------------------------------


def make_request(
    body: bytes, *headers: str, line: str = "POST /v1/decide HTTP/1.1", length: bool = True
) -> bytes:
    lines = [line, "host: pdp", "content-type: application/json", *headers]
    if length:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _chunked(body: bytes, *headers: str) -> bytes:
    chunks = b"%x\r\n%b\r\n%x;a=b\r\n%b\r\n0\r\nx-a: b\r\n\r\n" % (5, body[:5], len(body) - 5, body[5:])
    return make_request(b"", "transfer-encoding: chunked", *headers, length=False) + chunks


_BODY: Final = json.dumps(question()).encode()
_OTHER: Final = json.dumps(question(path="/v1/items/locked")).encode()
_BATCH: Final = json.dumps({"questions": [question(), question(method="PUT")]}).encode()
_INSIDE: Final = make_request(_BODY)

_SEEDS: Final = (
    make_request(_BODY),
    make_request(_BODY, "connection: close") + make_request(_OTHER),
    make_request(_BODY) + make_request(_OTHER) + make_request(_BODY, "connection: close"),
    make_request(_BATCH, line="POST /v1/decide/batch HTTP/1.1"),
    _chunked(_BODY),
    _chunked(_BODY) + make_request(_OTHER),
    make_request(_BODY, "transfer-encoding: chunked"),  # both: CL.TE and TE.CL
    make_request(b"0\r\n\r\n" + _INSIDE, "transfer-encoding: chunked"),
    make_request(_INSIDE, "content-length: 0"),
    make_request(_BODY, "Content-Length: 7", "content-length : 8"),
    make_request(_BODY, "transfer-encoding: chunked, identity", "transfer-encoding: xchunked"),
    _chunked(_BODY, "transfer-encoding: x"),
    make_request(_BODY, "x-a: b\r\n c", "x_b: c", "x-c:\td "),
    make_request(_BODY, "expect: 100-continue"),
    make_request(_BODY, "upgrade: h2c", "connection: upgrade, http2-settings"),
    make_request(_BODY, line="POST /v1/decide?x=1 HTTP/1.1"),
    make_request(_BODY, line="POST https://pdp/v1/decide HTTP/1.1"),
    make_request(_BODY, line="POST /v1/%64ecide HTTP/1.1"),
    make_request(_BODY, line="POST /v1/decide HTTP/1.0"),
    make_request(b"", line="GET /openapi.json HTTP/1.1", length=False),
    make_request(b"", line="GET /v1/revisions HTTP/1.1", length=False),
    make_request(b"", line="HEAD /v1/decide HTTP/1.1", length=False),
    make_request(b"", line="OPTIONS * HTTP/1.1", length=False),
    make_request(b"", line="CONNECT pdp:443 HTTP/1.1", length=False),
    make_request(_BODY, "content-encoding: gzip"),
    make_request(_BODY, *(f"x-{n}: {n}" for n in range(99))),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /\r\n",
    *(make_request(json.dumps(asked).encode()) for asked in questions()[:20]),
)
_EXTRA: Final = (
    b"Transfer-Encoding: chunked\r\n", b"Content-Length: 10\r\n", b"Content-Length: +5\r\n",
    b"Content-Length: 0x10\r\n", b"Content-Length: 5, 5\r\n", b"\r\n\r\n", b"\n\n", b"\r\r", b"\n", b"\r",
    b"Transfer-Encoding:\x0bchunked\r\n", b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n", b"0;x\n\n",
    b"ffffffffffffffff\r\n", b"ffffffffffffffff1\r\n", b"-1\r\n", b"HTTP/1.1", b"HTTP/0.9", b"HTTP/1.1.1",
    b"Host: a\r\nHost: b\r\n", b"Connection: keep-alive\r\n", b"Connection: close\r\n", b"X: \0\r\n",
    b"Trailer: content-length\r\n", b" HTTP/1.1\r\n", b"Content-Type: text/plain\r\n", _INSIDE,
)  # fmt: skip

_BYTES: Final = Mutator(
    _SEEDS, rb"[\w-]+:? ?|\r\n|[^\s\w]", (*ODD_BYTES, *_EXTRA), extra=_EXTRA, largest=200_000
)


def change_request(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """In whole lines, or in bytes."""
    if rng.random() < 0.6:
        return _BYTES(rng, data, other)
    lines, lent = data.split(b"\r\n"), other.split(b"\r\n")
    for _ in range(min(4, 1 + int(rng.expovariate(1.5)))):
        at = rng.randrange(len(lines))
        match rng.randint(0, 3):
            case 0:
                lines.insert(at, rng.choice(lines))
            case 1 if len(lines) > 1:
                del lines[at]
            case 2:
                lines.insert(at, rng.choice(lent))
            case _:
                lines.insert(at, rng.choice(_EXTRA).strip(b"\r\n"))
    return b"\r\n".join(lines)


TARGETS: Final = (
    Target(
        name="http",
        seeds=_SEEDS,
        mutate=change_request,
        check=_http,
        examples=300,
        seconds=10,
        weight=4,
        finish=close,
    ),
)
