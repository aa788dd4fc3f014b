"""What an answer costs, in calls of Python functions: the same on every machine, however busy it is.

Microseconds are measured by `loadtests`. Here it is held that nobody puts work back in the way in passing: a
bound that is exceeded is a question to whoever did it. What C does is not counted, nor what the event loop
itself does.
"""

import asyncio
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from pdp.adapters.app import build_app
from pdp.adapters.bounded import BoundedProtocol
from pdp.adapters.direct import directly
from pdp.adapters.local import Local, local_protocol_class
from pdp.adapters.questions import Questions
from pdp.engine.decide import decide
from pdp.identity.local import named_caller
from pdp.principals import spiffe_principal
from pdp.vocabulary import Effect, Request
from tests.adapters.test_direct import HOST, JSON, LENGTH, asked
from tests.docs.application import ERRORS, PROXY, WEB, service
from tests.docs.sets import NOW

TIMES = 50
REQUEST = asked(HOST, JSON, LENGTH)
#: Of the event loop, and of what counts.
LEFT_OUT = ("/asyncio/", "/selectors.py", __file__)


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """The calls of this thread, by function."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and not any(part in frame.f_code.co_filename for part in LEFT_OUT):
            calls[f"{frame.f_code.co_filename.rpartition('/')[2]}: {frame.f_code.co_qualname}"] += 1

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def protocol(remembered: int, *, direct: bool) -> Callable[[], BoundedProtocol]:
    served = service(ERRORS)
    questions = Questions(served, remembered=remembered)
    local = Local(caller=named_caller(PROXY), identity=None, uids=None, hosts=frozenset({b"localhost"}))
    made = local_protocol_class(local, 60)
    if direct:
        made = directly(made, questions)
    config = uvicorn.Config(
        build_app(served, questions=questions), log_config=None, ws="none", lifespan="off"
    )
    config.load()
    return lambda: made(config, ServerState(), {})


async def calls_for_each(remembered: int, *, direct: bool) -> tuple[float, Counter[str]]:
    """Over a connection that is kept."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    transport, _ = await loop.connect_accepted_socket(protocol(remembered, direct=direct), theirs)

    async def ask() -> None:
        await loop.sock_sendall(ours, REQUEST)
        while b"max_age_ms" not in await loop.sock_recv(ours, 65536):
            pass

    for _ in range(3):  # what is made once is made
        await ask()
    with counted() as calls:
        for _ in range(TIMES):
            await ask()
    transport.close()
    ours.close()
    return calls.total() / TIMES, calls


@pytest.mark.parametrize(("remembered", "most"), [(100, 42), (0, 107)], ids=["remembered", "anew"])
def test_an_answer_the_short_way(remembered: int, most: int) -> None:
    found, calls = asyncio.run(calls_for_each(remembered, direct=True))

    assert found <= most, calls.most_common(60)


def test_the_short_way_is_a_small_part_of_the_long_one() -> None:
    short, _ = asyncio.run(calls_for_each(100, direct=True))
    long, _ = asyncio.run(calls_for_each(100, direct=False))

    assert 3 * short <= long


def test_a_decision() -> None:
    served = service(ERRORS)
    index = served.versions.current.snapshot.index
    request = Request(
        principal=spiffe_principal(WEB), service="payments", method="GET", path="/v1/a/b", now=NOW
    )
    assert decide(index, request).effect is Effect.ALLOW

    with counted() as calls:
        decide(index, request)

    assert calls.total() <= 8, calls
