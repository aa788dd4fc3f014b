"""Steady load over many connections, HTTPS and gRPC, that is held against the answers known beforehand.

One thread asks over HTTPS, in an event loop of its own, so that callers do not wait for each other;
one thread more for each connection of gRPC.
"""

import asyncio
import json
import random
import ssl
import threading
import time
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Self

import grpc

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from tests.e2e.grpc_calls import channel, from_answer, to_question
from tests.e2e.running import Pki
from tests.faults.published import BATCH, QUESTIONS, Expected

__all__ = ["AGAIN", "Answered", "Failed", "Load", "Missed"]

_PATIENCE = 20.0
_GRPC = "/pdp.v1.DecisionService/Decide"
#: As `docs/api.md` has it.
AGAIN = {
    "methodConfig": [
        {
            "name": [{"service": "pdp.v1.DecisionService"}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["CANCELLED"],
            },
        }
    ]
}
_LENGTH = b"content-length: "


class Answered(NamedTuple):
    """An answer; `asked` and `heard` are seconds of one clock."""

    caller: str
    asked: float
    heard: float
    revision: str
    right: bool
    ids: tuple[str, ...]
    body: Any  # of an answer that is not right


class Failed(NamedTuple):
    """An error status: no decision."""

    caller: str
    asked: float
    heard: float
    code: str


class Missed(NamedTuple):
    """No answer: the question was `lost` with its connection, or there was no connection at all."""

    caller: str
    asked: float
    heard: float
    lost: bool
    why: str

    @property
    def cancelled(self) -> bool:
        """Whether grpcio cancelled the call, as its server stopped: it had come, and nobody had seen it."""
        return self.caller == "grpc" and self.why.startswith("CANCELLED")


class _ClosedError(Exception):
    """The connection ended before the answer did."""


class Load:
    """Asks a mix of questions, over so many connections of each caller, each opened again when it ends."""

    def __init__(
        self,
        pki: Pki,
        expected: Expected,
        port: int,
        *,
        grpc_port: int | None = None,
        callers: Mapping[str, int],
        over_grpc: int = 2,
        pause: float = 0.03,
        once: Collection[str] = (),
    ) -> None:
        """Ask nobody yet.

        Args:
            pki: Certificates of the callers.
            expected: The right answers.
            port: Where HTTPS is answered.
            grpc_port: Where gRPC is, if it is asked.
            callers: How many connections each caller has.
            over_grpc: How many connections of gRPC there are; every other one asks again what was cancelled.
            pause: Seconds between an answer and the next question, more or less.
            once: Callers that open a connection for each question.
        """
        self.answered: list[Answered] = []
        self.failed: list[Failed] = []
        self.missed: list[Missed] = []
        self._pki, self._expected, self._port, self._grpc_port = pki, expected, port, grpc_port
        self._callers, self._pause, self._once = callers, pause, once
        self.only_once = 0 if grpc_port is None else (over_grpc + 1) // 2  # over gRPC
        self._contexts = {caller: pki.context(caller) for caller in callers}
        self._requests = [self._request(question) for question in [*QUESTIONS, BATCH]]
        self._end = threading.Event()
        self._threads = [threading.Thread(target=lambda: asyncio.run(self._ask_all()), daemon=True)]
        if grpc_port is not None:
            self._threads += [
                threading.Thread(target=self._ask_over_grpc, args=(n,), daemon=True) for n in range(over_grpc)
            ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(_PATIENCE + 10)

    def aim(self, port: int, grpc_port: int | None) -> None:
        """From now on, connections are opened here."""
        self._port, self._grpc_port = port, grpc_port

    @staticmethod
    def _request(body: dict[str, Any]) -> bytes:
        path = "/v1/decide/batch" if "questions" in body else "/v1/decide"
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: pdp\r\ncontent-type: application/json\r\n"
        return f"{head}content-length: {len(data)}\r\n\r\n".encode() + data

    # -- HTTPS -------------------------------------------------------------------------

    async def _ask_all(self) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # of transports that were cut off
        async with asyncio.TaskGroup() as group:
            for caller, connections in self._callers.items():
                for number in range(connections):
                    group.create_task(self._keep_asking(caller, random.Random(number)))

    async def _keep_asking(self, caller: str, dice: random.Random) -> None:
        while not self._end.is_set():
            began = time.monotonic()
            try:
                async with asyncio.timeout(_PATIENCE):
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", self._port, ssl=self._contexts[caller], server_hostname="127.0.0.1"
                    )
            except (OSError, TimeoutError) as error:
                self.missed.append(Missed(caller, began, time.monotonic(), lost=False, why=repr(error)))
                await asyncio.sleep(0.05)
                continue
            try:
                await self._ask_on(reader, writer, caller, dice)
            finally:
                writer.transport.abort()

    async def _ask_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, caller: str, dice: random.Random
    ) -> None:
        """Ask on one connection, as long as it is there."""
        again = True
        while again and not self._end.is_set():
            number = dice.randrange(len(self._requests))
            asked = time.monotonic()
            try:
                async with asyncio.timeout(_PATIENCE):
                    writer.write(self._requests[number])
                    status, again, body = await _read(reader)
            except (OSError, TimeoutError, _ClosedError, asyncio.IncompleteReadError) as error:
                self.missed.append(Missed(caller, asked, time.monotonic(), lost=True, why=repr(error)))
                return
            self._note(caller, number, asked, status, body)
            again = again and caller not in self._once
            await asyncio.sleep(self._pause * dice.uniform(0.5, 1.5))

    def _note(self, caller: str, number: int, asked: float, status: int, body: Any) -> None:
        heard = time.monotonic()
        if status != 200:
            self.failed.append(Failed(caller, asked, heard, body["error"]["code"]))
            return
        answers = body.get("answers", [body])
        refused = [answer["error"]["code"] for answer in answers if "error" in answer]
        if refused:
            self.failed.append(Failed(caller, asked, heard, refused[0]))
            return
        right = self._expected.is_right(number, body)
        ids = tuple(answer["decision_id"] for answer in answers)
        revision = answers[0]["revision"]
        self.answered.append(
            Answered(caller, asked, heard, revision, right, ids, None if right else (number, body))
        )

    # -- gRPC --------------------------------------------------------------------------

    def _ask_over_grpc(self, number: int) -> None:
        dice = random.Random(100 + number)
        again = {"grpc.service_config": json.dumps(AGAIN)} if number % 2 else {}
        messages = [to_question(each).SerializeToString() for each in QUESTIONS]
        while not self._end.is_set():
            assert self._grpc_port is not None
            with channel(self._pki, self._grpc_port, "pep", **again) as on:
                call = on.unary_unary(_GRPC)
                while not self._end.is_set() and self._asked_over_grpc(call, messages, dice):
                    time.sleep(self._pause * dice.uniform(0.5, 1.5))
            time.sleep(0.05)

    def _asked_over_grpc(self, call: Any, messages: list[bytes], dice: random.Random) -> bool:
        """Ask once; whether the connection still does."""
        number, asked = dice.randrange(len(messages)), time.monotonic()
        try:
            answer = v1.Answer.FromString(call(messages[number], timeout=_PATIENCE))
        except grpc.RpcError as error:
            code = dict(error.trailing_metadata() or ()).get("pdp-code", "")
            if code:
                self.failed.append(Failed("grpc", asked, time.monotonic(), code))
                return True
            why = f"{error.code().name}: {error.details()}"
            lost = "failed to connect" not in why
            self.missed.append(Missed("grpc", asked, time.monotonic(), lost=lost, why=why))
            return False
        self._note("grpc", number, asked, 200, from_answer(answer))
        return True


async def _read(reader: asyncio.StreamReader) -> tuple[int, bool, Any]:
    """Status, whether the connection goes on, and body of one response."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
    except asyncio.IncompleteReadError as error:
        raise _ClosedError(f"closed after {len(error.partial)} bytes") from error
    except ssl.SSLError as error:
        raise _ClosedError(repr(error)) from error
    length = int(head.partition(_LENGTH)[2].partition(b"\r")[0])
    body = await reader.readexactly(length)
    return int(head.split(b" ", 2)[1]), b"connection: close" not in head, json.loads(body)
