"""Clients that mean no good, all at once."""

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from tests.e2e.running import question, request_bytes, until
from tests.faults.stage import Stage
from tests.faults.trial import Done, Fault, Trial

__all__ = ["FLOOD", "IN_FLIGHT"]

#: How many questions each worker takes at a time on these stages.
IN_FLIGHT = 64
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what is closed is reset
_HELLO = bytes.fromhex("16030100c8010000c40303")  # of a handshake, and then nothing


def flood(trial: Trial) -> Done:
    stage, many = trial.stage, trial.effort.floods
    with ExitStack() as held:
        for kind in (half_open, half_greeted, slow, reset, waiting):
            stop = threading.Event()
            thread = threading.Thread(target=_repeat, args=(kind, stage, many, stop), daemon=True)
            thread.start()
            held.callback(thread.join, 30)
            held.callback(stop.set)
        until(lambda: _shed(stage) > 0, 30)
        trial.steady()
        ended = time.monotonic()
    notes = f"{many} of each kind; {_shed(stage):.0f} batches or questions turned away"
    return Done(ended, notes, codes=frozenset({"overloaded"}))


def _repeat(
    kind: Callable[[Stage, int, ExitStack], None],
    stage: Stage,
    many: int,
    stop: threading.Event,
) -> None:
    """Have so many clients of a kind, and others after a second, until told to stop."""
    while not stop.is_set():
        with ExitStack() as opened:
            for number in range(many):
                if stop.is_set():
                    break
                with suppress(OSError):
                    kind(stage, number, opened)
            stop.wait(1)


def _plain(stage: Stage, opened: ExitStack) -> socket.socket:
    return opened.enter_context(socket.create_connection(("127.0.0.1", stage.service.port), 5))


def _greeted(stage: Stage, opened: ExitStack) -> ssl.SSLSocket:
    return opened.enter_context(stage.service.tls())


def half_open(stage: Stage, _: int, opened: ExitStack) -> None:
    """A connection on which nothing is ever said."""
    _plain(stage, opened)


def half_greeted(stage: Stage, _: int, opened: ExitStack) -> None:
    """A handshake that stops in its first message."""
    _plain(stage, opened).sendall(_HELLO)


def slow(stage: Stage, number: int, opened: ExitStack) -> None:
    """A request that comes a few bytes at a time."""
    if number < 20:
        _greeted(stage, opened).sendall(b"POST /v1/decide HTTP/1.1\r\nhost: p")


def reset(stage: Stage, number: int, opened: ExitStack) -> None:
    """A question, and the connection is reset before its answer."""
    del opened
    if number >= 20:
        return
    body = json.dumps(question()).encode()
    with stage.service.tls() as sock:
        sock.sendall(request_bytes(body, f"content-length: {len(body)}"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def waiting(stage: Stage, number: int, opened: ExitStack) -> None:
    """Questions that wait for a revision that never comes: they are in flight meanwhile."""
    body = json.dumps({"questions": [question(at_least="never")] * IN_FLIGHT}).encode()
    if number < 12:
        sock = _greeted(stage, opened)
        asked = request_bytes(body, f"content-length: {len(body)}", line="POST /v1/decide/batch HTTP/1.1")
        sock.sendall(asked)


def _shed(stage: Stage) -> float:
    return stage.metrics().get('pdp_questions_shed_total{why="in_flight"}', 0)


FLOOD = Fault("a flood of bad clients", flood)
