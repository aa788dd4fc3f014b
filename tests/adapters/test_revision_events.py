"""The stream of revisions over HTTP where time and ends are in the test's hands."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pdp.adapters import watching
from pdp.adapters.events import RevisionEvents
from pdp.adapters.watching import begin_watch
from pdp.service.decision_service import DecisionService
from pdp.service.errors import CannotAnswerError, NotPermittedError
from tests.docs.application import ERRORS, WEB, caller, service
from tests.docs.sets import NOW


class Client:
    """Receives events until it goes."""

    def __init__(self, to: DecisionService) -> None:
        self.sent: list[dict[str, Any]] = []
        self._gone = asyncio.Event()
        self.response = RevisionEvents(to, caller(), begin_watch(to, caller()))

    async def serve(self) -> None:
        await self.response({"type": "http"}, self._receive, self._send)

    def go(self) -> None:
        self._gone.set()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)


@pytest.fixture
def to() -> DecisionService:
    return service(ERRORS)


def followers(to: DecisionService) -> int:
    return len(to.revisions._following)


async def until(true: Callable[[], Any]) -> None:
    while not true():  # noqa: ASYNC110 -- what is waited for knows of no event
        await asyncio.sleep(0.01)


def served(to: DecisionService, during: Callable[[Client], Awaitable[None]]) -> Client:
    """A client that was served while something happened; its response has to come to its end."""

    async def run() -> Client:
        client = Client(to)
        async with asyncio.timeout(5):
            serving = asyncio.create_task(client.serve())
            await during(client)
            await serving
        return client

    return asyncio.run(run())


def test_client_that_goes_leaves_nothing_behind(to: DecisionService) -> None:
    async def going(client: Client) -> None:
        await asyncio.sleep(0.05)
        assert followers(to) == 1
        client.go()

    client = served(to, going)

    assert followers(to) == 0
    assert client.body.count(b"event: revision\n") == 1


def test_silence_is_filled_with_comments(to: DecisionService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "WATCH_HEARTBEAT_SECONDS", 0.02)

    async def waiting(client: Client) -> None:
        await until(lambda: client.body.count(b": alive\n\n") >= 3)
        client.go()

    client = served(to, waiting)

    first, *rest = client.body.split(b"\n\n")
    assert first.startswith(b"event: revision\nid: 1\ndata: {")
    assert set(rest) == {b": alive", b""}


def test_stream_ends_once_its_connection_would_be_too_old(
    to: DecisionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "WATCH_HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(to, "connection_seconds", 0.1)

    client = served(to, lambda _: asyncio.sleep(0))

    assert client.sent[-1]["more_body"] is False
    assert b"event: error" not in client.body


def test_stream_ends_with_the_service(to: DecisionService) -> None:
    async def ending(_: Client) -> None:
        await asyncio.sleep(0.02)
        to.revisions.close()

    client = served(to, ending)

    assert client.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert followers(to) == 0


def test_certificate_that_expires_ends_a_stream(to: DecisionService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "WATCH_HEARTBEAT_SECONDS", 0.02)

    async def expiring(client: Client) -> None:
        await until(lambda: client.body)
        monkeypatch.setattr(to, "_clock", lambda: NOW + 7_200_000)

    client = served(to, expiring)

    last = client.sent[-1]["body"].decode()
    assert last.startswith("event: error\ndata: ")
    assert json.loads(last.partition("data: ")[2])["error"]["code"] == "caller_expired"


def test_defect_of_ours_leaves_nothing_behind(to: DecisionService, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing() -> None:
        client = Client(to)
        monkeypatch.setattr(to, "rights", None)
        with pytest.raises(TypeError):
            await client.serve()

    asyncio.run(failing())

    assert followers(to) == 0


def test_who_may_ask_nothing_watches_nothing(to: DecisionService) -> None:
    async def run() -> None:
        with pytest.raises(NotPermittedError):
            begin_watch(to, caller(WEB))

    asyncio.run(run())
    assert followers(to) == 0


def test_nobody_begins_to_watch_a_service_that_ends(to: DecisionService) -> None:
    async def run() -> None:
        to.revisions.close()
        with pytest.raises(CannotAnswerError):
            begin_watch(to, caller())

    asyncio.run(run())
