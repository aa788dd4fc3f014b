"""HTTP/1.1 over mTLS: questions as JSON, revisions as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from typing import Any, Final, TypeVar, final

import httpcore

from pdp_client.answers import parse_json, read_answer, read_batch, read_error
from pdp_client.decision import Decision
from pdp_client.errors import ClosedError, CouldNotAnswerError, UnreachableError, UnreadableAnswerError
from pdp_client.limits import MAX_ANSWER_BYTES, MAX_CONNECTIONS
from pdp_client.question import Question
from pdp_client.refusals import refusal, refusal_of_status
from pdp_client.tls import TlsMaterial
from pdp_client.transports.base import Timeouts, is_given_up
from pdp_client.transports.network import Network
from pdp_client.transports.sse import Event, EventReader
from pdp_client.wire import batch_body, question_body, reuse_body

__all__ = ["HttpTransport"]

_T = TypeVar("_T")
_HEADERS: Final = ((b"content-type", b"application/json"), (b"user-agent", b"pdp-client"))
_KEEP_SECONDS: Final = 30.0  # an idle connection


@final
class HttpTransport:
    """Connections to all replicas, kept open, under one certificate.

    INVARIANT: what waits for `httpcore` is given up, and never `httpcore` itself. One that is cancelled
    between two steps keeps its connection in the pool for ever, in use by nobody; its own time-outs leave
    none. So each question is a task of its own, and has its place in the pool until that ends.
    """

    def __init__(self, tls: TlsMaterial, timeouts: Timeouts) -> None:
        self._timeouts: Final = {
            "connect": timeouts.connect,
            "read": timeouts.read,
            "write": timeouts.read,
            "pool": timeouts.overall,
        }
        self._tls = tls
        self._pool = self._connections(MAX_CONNECTIONS)
        self._places: Final = asyncio.Semaphore(MAX_CONNECTIONS)
        # What `httpcore`'s time-outs come to, and as long again as anybody waits for a body that trickles.
        self._longest: Final = 2 * (timeouts.connect + timeouts.read) + timeouts.overall
        self._tasks: Final[set[asyncio.Task[Any]]] = set()
        self._closed = False

    def _connections(self, most: int) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(
            ssl_context=self._tls.context,
            max_connections=most,
            max_keepalive_connections=most,
            keepalive_expiry=_KEEP_SECONDS,
            network_backend=Network(),
        )

    async def decide(self, endpoint: str, question: Question, *, explain: bool) -> Decision:
        """Ask one question."""
        return read_answer(await self._post(endpoint, "/v1/decide", question_body(question, explain=explain)))

    async def decide_batch(
        self, endpoint: str, questions: Sequence[Question]
    ) -> list[Decision | CouldNotAnswerError]:
        """Ask several questions."""
        body = await self._post(endpoint, "/v1/decide/batch", batch_body(questions))
        return read_batch(body, len(questions))

    async def report(self, endpoint: str, times: dict[str, int]) -> None:
        """Report how often answers were used again."""
        await self._post(endpoint, "/v1/reuse", reuse_body(times), status=204)

    async def _post(self, endpoint: str, path: str, body: bytes, status: int = 200) -> bytes:
        await self._places.acquire()
        if self._closed:
            self._places.release()
            raise _closed()
        asking = self._task(self._asked(endpoint, path, body))
        asking.add_done_callback(lambda _: self._places.release())
        try:
            said, found = await asyncio.shield(asking)
        except asyncio.CancelledError:
            if is_given_up():
                raise
            raise _closed() from None
        if said != status:
            raise refusal_of_status(said, *read_error(found), endpoint)
        return found

    def _task(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _asked(self, endpoint: str, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body of a response."""
        url, extensions, pool = endpoint.rstrip("/") + path, {"timeout": self._timeouts}, self._pool
        try:
            async with (
                asyncio.timeout(self._longest),
                pool.stream("POST", url, headers=_HEADERS, content=body, extensions=extensions) as response,
            ):
                return response.status, await _body(response, endpoint)
        except TimeoutError as error:
            self._leave(pool)
            raise UnreachableError(
                "too_late", "the service did not end its answer in time", endpoint
            ) from error
        except _FAILURES as error:
            raise _unreachable(error, endpoint) from error

    def _leave(self, pool: httpcore.AsyncConnectionPool) -> None:
        """Go on with other connections: `httpcore` was cancelled, and may count on one for ever."""
        if pool is self._pool and not self._closed:
            self._pool = self._connections(MAX_CONNECTIONS)
            self._task(_close_after(pool, set(self._tasks)))

    async def revisions(self, endpoint: str, silence: float) -> AsyncGenerator[str | None]:
        """Revisions as they are told; None is a sign of life."""
        url, extensions = (
            f"{endpoint.rstrip('/')}/v1/revisions",
            {"timeout": {**self._timeouts, "read": silence}},
        )
        try:
            # On a connection of its own, and a new one each time: what is to confirm comes from nowhere else.
            async with (
                self._connections(1) as pool,
                pool.stream("GET", url, headers=_HEADERS, extensions=extensions) as response,
            ):
                if response.status != 200:
                    said = read_error(await _body(response, endpoint))
                    raise refusal_of_status(response.status, *said, endpoint)
                reader = EventReader()
                async for chunk in response.aiter_stream():
                    for event in reader.feed(chunk):
                        yield _revision(event, endpoint)
        except _FAILURES as error:
            raise _unreachable(error, endpoint) from error

    async def close(self) -> None:
        """Close all connections; whoever waits for an answer is told so."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._pool.aclose()


_FAILURES: Final = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError)


async def _close_after(pool: httpcore.AsyncConnectionPool, tasks: set[asyncio.Task[Any]]) -> None:
    try:
        await asyncio.wait(tasks)
    finally:
        await pool.aclose()


def _closed() -> ClosedError:
    return ClosedError("closed", "the client was closed before there was an answer")


async def _body(response: httpcore.Response, endpoint: str) -> bytes:
    chunks, size = [], 0
    async for chunk in response.aiter_stream():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise UnreadableAnswerError("the answer is too long", endpoint)
        chunks.append(chunk)
    return b"".join(chunks)


def _revision(event: Event, endpoint: str) -> str | None:
    """What an event tells: a revision, or nothing but that the service is there."""
    if event.name == "error":
        raise refusal(*read_error(event.data.encode()), endpoint)
    if event.name != "revision":
        return None
    said = parse_json(event.data.encode())
    revision = said.get("revision") if isinstance(said, dict) else None
    if not isinstance(revision, str) or not revision:
        raise UnreadableAnswerError("the stream of revisions tells one without a name", endpoint)
    return revision


def _unreachable(error: Exception, endpoint: str) -> UnreachableError:
    late = isinstance(error, httpcore.TimeoutException)
    what = "the service did not answer in time" if late else f"the service cannot be reached: {error}"
    return UnreachableError("too_late" if late else "unreachable", what, endpoint)
