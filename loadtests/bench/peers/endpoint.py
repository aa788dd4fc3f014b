"""A peer that answers over HTTP: how it is started, what is sent to it, and what its answers say.

How to write rules for it is left to each peer's module, and asking it under load to `closed_loop` and
`open_loop`.
"""

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from loadtests.bench.peers.rules import Question

__all__ = ["Endpoint", "HttpPeer", "NotMeasured", "cross_check", "free_port", "running", "until_it_answers"]

HOST: Final = "127.0.0.1"
_POLL: Final = 0.1
#: Who remembers answers does so by then, and its memory was asked, too.
_CHECKS: Final = 3


class NotMeasured(Exception):  # noqa: N818 - it is no error: it stands in the table
    """Why something is not measured."""


@dataclass(frozen=True)
class Endpoint:
    """Where a peer answers.

    Attributes:
        name: Its name in the table.
        port: On loopback.
        pid: The process that answers.
        target: The path that is asked.
        ask: A question as the body of a request.
        read: Whether an answer allows, of a question; None for a constant, which says nothing.
    """

    name: str
    port: int
    pid: int
    target: str
    ask: Callable[[Question], Any]
    read: Callable[[Any, Question], bool] | None

    def processor_seconds(self) -> float:
        """Time on any processor that its process has taken, in all of its threads."""
        # The name, in brackets, may hold anything; the times are fields 14 and 15 of proc(5).
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def body(self, question: Question) -> bytes:
        """The body that is sent."""
        return msgspec.json.encode(self.ask(question))

    def requests(self, questions: Sequence[Question]) -> list[bytes]:
        """Whole requests, as they go over the wire."""
        bodies = map(self.body, questions)
        head = (
            f"POST {self.target} HTTP/1.1\r\nHost: {HOST}:{self.port}\r\nContent-Type: application/json\r\n"
        )
        return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]


class HttpPeer(Protocol):
    """One variant of a peer: its name, and how it is started with so many rules until `held` ends."""

    name: str

    def missing(self) -> str | None:
        """What it needs and is not there."""
        ...

    def serve(self, folder: Path, rules: int, held: ExitStack) -> Endpoint:
        """Begin it, in a folder of its own; it may not answer yet."""
        ...


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        return int(taken.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program until the end of the block; what it says goes into a file."""
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)


def until_it_answers(endpoint: Endpoint, question: Question, limit: float) -> float:
    """Wait until a question is answered with 200, so many seconds at most; how long it took."""
    began = time.perf_counter()
    while time.perf_counter() - began < limit:
        try:
            connection = http.client.HTTPConnection(HOST, endpoint.port, timeout=limit)
            if _post(connection, endpoint, question)[0] == 200:
                return time.perf_counter() - began
        except OSError:
            pass
        time.sleep(_POLL)
    raise NotMeasured(f"not ready {limit:.0f} s after its start")


def cross_check(endpoint: Endpoint, questions: Sequence[Question]) -> None:
    """Ask everything over one connection, some times: one wrong answer ends the benchmark."""
    connection = http.client.HTTPConnection(HOST, endpoint.port, timeout=60)
    for question in (*questions,) * _CHECKS:
        status, body = _post(connection, endpoint, question)
        assert status == 200, (endpoint.name, question, status, body)
        if endpoint.read is not None:
            allowed = endpoint.read(msgspec.json.decode(body), question)
            assert allowed == question.allowed, (endpoint.name, question, body)
    connection.close()


def _post(
    connection: http.client.HTTPConnection, endpoint: Endpoint, question: Question
) -> tuple[int, bytes]:
    connection.request("POST", endpoint.target, endpoint.body(question), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    return reply.status, reply.read()
