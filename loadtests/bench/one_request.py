"""Where the time of one question over HTTP goes, in one process: from its bytes to those of its answer.

.venv/bin/python loadtests/bench/one_request.py [--shape path] [--rules 10000] [--rounds 7] [--json]

Connections are fed the bytes of 10 000 questions, and what they write is dropped: no socket, no TLS, no other
process. The works take turns; figures are medians of rounds, in microseconds and as ratios to a floor (split
the path, five look-ups, one tuple). A stage that stands alone is cheaper than within the whole, where others
have had the processor's caches in between.
"""

import argparse
import asyncio
import gc
import json
import socket
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, Final

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from loadtests.bench.workers import CALLER, WHO, in_pieces
from pdp.adapters.answering import Told, told
from pdp.adapters.begun import Begun
from pdp.adapters.direct import directly
from pdp.adapters.local import Local, local_protocol_class
from pdp.adapters.questions import Questions
from pdp.adapters.replies import Head
from pdp.adapters.schemas import Question, to_request
from pdp.adapters.strict_json import decode
from pdp.adapters.uvicorn_server import event_loops
from pdp.cli.bench_shapes import SHAPES
from pdp.engine.decide import decide
from pdp.identity.local import named_caller
from pdp.limits import MAX_BODY_BYTES
from pdp.service.decision_service import DecisionService
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.publish import Publisher

QUESTIONS: Final = 10_000
HEAD: Final = (
    b"POST /v1/decide HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b"
)
Work = tuple[str, Callable[[Any], object], Sequence[Any]]


class Dropping(asyncio.Transport):
    """A transport that nothing leaves."""

    def __init__(self) -> None:
        super().__init__()
        self._socket = socket.socket()  # of which it is asked whose it is

    def write(self, data: object) -> None:
        """Drop it."""

    def close(self) -> None:
        """Nobody waits for it."""

    def is_closing(self) -> bool:
        """It never is."""
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Nothing is known of it but that it has a socket."""
        return self._socket if name == "socket" else default


class ParserAlone(HttpToolsProtocol):
    """uvicorn's protocol, which answers a constant: what nobody gets below who uses it."""

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self.url, self.headers = b"", []

    def on_headers_complete(self) -> None:
        """Called by the parser."""

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


def serving(shape: str, rules: int) -> DecisionService:
    """The service over a shape."""
    texts = {**in_pieces(SHAPES[shape].files(rules)), "callers.policy": f"language 1\n{WHO}"}
    now, loader = _now(), Loader()
    first = loader.load(make_bundle({name: text.encode() for name, text in texts.items()}), now=now).snapshot
    assert first is not None
    return DecisionService(Publisher(loader, first, on_event=lambda _: None, now=now), clock=_now)


async def _nobody(_: object, __: object, ___: object) -> None:
    """An application that nothing comes to."""
    raise AssertionError("what is measured goes the short way")


def _now() -> int:
    return time.time_ns() // 1_000_000


def connection(protocol: type[HttpToolsProtocol]) -> Callable[[bytes], None]:
    """What feeds a connection."""
    config = uvicorn.Config(_nobody, log_config=None, ws="none", lifespan="off", proxy_headers=False)
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"Mon, 23 Nov 2026 00:00:00 GMT")]
    made = protocol(config, state, {}, asyncio.get_running_loop())
    made.connection_made(Dropping())
    return made.data_received


def whole(service: DecisionService, bodies: Sequence[bytes]) -> list[Work]:
    """From bytes to bytes."""
    local = Local(caller=named_caller(CALLER), identity=None, uids=None, hosts=frozenset({b"localhost"}))
    kept = local_protocol_class(local, 3600)
    requests = [HEAD % (len(body), body) for body in bodies]
    return [
        ("a constant, by uvicorn's protocol", connection(ParserAlone), requests),
        ("an answer that is remembered", connection(directly(kept, Questions(service))), requests),
        ("an answer anew", connection(directly(kept, Questions(service, remembered=0))), requests),
    ]


def stages(service: DecisionService, bodies: Sequence[bytes]) -> list[Work]:
    """The parts, each alone."""
    caller, published = named_caller(CALLER), service.versions.current
    index, now = published.snapshot.index, _now()
    remembering, forgetful = Questions(service), Questions(service, remembered=0)
    head = Head("POST", b"/v1/decide", [])
    questions = [decode(body, Question, max_bytes=MAX_BODY_BYTES) for body in bodies]
    requests = [to_request(question, index, frozenset(), now) for question in questions]
    rights = service.rights(caller, published, now)
    answered = [service.answer(caller, published, now, request) for request in requests]
    answers = [told(Told(each, explain=False)) for each in answered]
    return [
        (
            "remembered, without HTTP",
            lambda body: Begun(remembering.decide(head, body, lambda: caller)),
            bodies,
        ),
        ("anew, without HTTP", lambda body: Begun(forgetful.decide(head, body, lambda: caller)), bodies),
        ("  read the JSON", lambda body: decode(body, Question, max_bytes=MAX_BODY_BYTES), bodies),
        ("  check the question", lambda asked: to_request(asked, index, frozenset(), now), questions),
        ("  what the caller may ask", lambda asked: rights.permit(asked, index, explain=False), requests),
        ("  decide", lambda asked: decide(index, asked), requests),
        ("  shape the answer", lambda each: told(Told(each, explain=False)), answered),
        ("  write it as JSON", msgspec.json.Encoder().encode, answers),
    ]


def floor(rules: int) -> Work:
    """The least that any look-up costs."""
    tables = [{f"{table}/{n}": n for n in range(rules)} for table in range(5)]
    keys = [
        (f"/v1/r{n % rules}/x", *(f"{t}/{(n * 7919 + t) % rules}" for t in range(5)))
        for n in range(QUESTIONS)
    ]

    def look(key: tuple[str, ...]) -> tuple[object, ...]:
        path, a, b, c, d, e = key
        path.split("/")
        return tables[0].get(a), tables[1].get(b), tables[2].get(c), tables[3].get(d), tables[4].get(e)

    return "the floor", look, keys


def microseconds(run: Callable[[Any], object], items: Sequence[Any]) -> float:
    """The mean of one."""
    began = time.perf_counter_ns()
    for item in items:
        run(item)
    return (time.perf_counter_ns() - began) / len(items) / 1000


async def measure(shape: str, rules: int, rounds: int) -> dict[str, float]:
    """Medians of so many rounds, in microseconds."""
    service = serving(shape, rules)
    asked = SHAPES[shape].questions(rules, QUESTIONS, seed=rules)
    names = ("principal", "service", "method", "path")
    bodies = [json.dumps(dict(zip(names, each, strict=True))).encode() for each in asked]
    works = [floor(rules), *whole(service, bodies), *stages(service, bodies)]
    for _, run, items in works:
        for _ in range(2):  # an answer is remembered from the second time on
            microseconds(run, items)
    gc.collect()
    gc.freeze()
    found: dict[str, list[float]] = {name: [] for name, _, _ in works}
    for number in range(rounds):
        sys.stderr.write(f"\rround {number + 1} of {rounds} ")
        for name, run, items in works:
            found[name].append(microseconds(run, items))
    sys.stderr.write("\n")
    return {name: median(times) for name, times in found.items()}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="path")
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=event_loops()) as runner:
        found = runner.run(measure(options.shape, options.rules, options.rounds))
    if options.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    least = found["the floor"]
    sys.stdout.write("| what | us | / floor |\n|---|---|---|\n")
    for name, taken in found.items():
        shown = name.replace("  ", "&nbsp;&nbsp;")
        sys.stdout.write(f"| {shown} | {taken:.1f} | {taken / least:.0f} |\n")


if __name__ == "__main__":
    main()
