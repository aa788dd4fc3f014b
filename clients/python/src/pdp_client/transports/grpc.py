"""gRPC over mTLS. Needs the extra `grpc`; nothing else here imports it.

grpcio cannot be told to speak TLS 1.3 alone; the service does not speak anything else.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from typing import Any, Final, TypeVar, cast, final
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError, Message

from pdp_client.answers import decision_of
from pdp_client.decision import Decision
from pdp_client.errors import (
    ClosedError,
    CouldNotAnswerError,
    NotPermittedError,
    ServiceError,
    UnreachableError,
    UnreadableAnswerError,
)
from pdp_client.limits import MAX_ANSWER_BYTES
from pdp_client.question import Question
from pdp_client.refusals import refusal
from pdp_client.tls import TlsMaterial
from pdp_client.transports.base import Timeouts, is_given_up
from pdp_client.transports.messages import answer_body, question_message
from pdp_client.v1 import decision_pb2 as v1

__all__ = ["GrpcTransport"]

_M = TypeVar("_M", bound=Message)
_SERVICE: Final = "/pdp.v1.DecisionService/"
_CODE: Final = "pdp-code"
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
    ("grpc.enable_retries", 0),  # we try again ourselves, on another replica
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),  # another certificate never shares a connection
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
#: Statuses without a code of the service: it was not reached, or nobody began to answer.
_NOT_REACHED: Final = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}
)


@final
class GrpcTransport:
    """A channel to each replica, kept open, under one certificate."""

    def __init__(self, tls: TlsMaterial, timeouts: Timeouts) -> None:
        self._seconds = timeouts.connect + timeouts.read
        # Whatever its name says: how long one attempt at a connection may take, its handshake included.
        patience = ("grpc.min_reconnect_backoff_ms", max(1, round(timeouts.connect * 1000)))
        self._options = (*_OPTIONS, patience)
        self._credentials = grpc.ssl_channel_credentials(tls.roots, tls.key, tls.certificate)
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._closed = False

    async def decide(self, endpoint: str, question: Question, *, explain: bool) -> Decision:
        """Ask one question."""
        message = question_message(question, explain=explain)
        return decision_of(answer_body(await self._ask(endpoint, "Decide", message, v1.Answer)))

    async def decide_batch(
        self, endpoint: str, questions: Sequence[Question]
    ) -> list[Decision | CouldNotAnswerError]:
        """Ask several questions."""
        request = v1.DecideBatchRequest(
            questions=[question_message(each, explain=False) for each in questions]
        )
        response = await self._ask(endpoint, "DecideBatch", request, v1.DecideBatchResponse)
        if len(response.results) != len(questions):
            raise UnreadableAnswerError("there is not one answer for each question", endpoint)
        return [_one_of_batch(result) for result in response.results]

    async def report(self, endpoint: str, times: dict[str, int]) -> None:
        """Report how often answers were used again."""
        items = [v1.Reused(decision_id=name, times=count) for name, count in times.items()]
        await self._ask(endpoint, "ReportReuse", v1.ReuseReport(reused=items), v1.ReuseTaken)

    async def _ask(self, endpoint: str, name: str, message: Message, type_: type[_M]) -> _M:
        call: Any = self._channel(endpoint).unary_unary(_SERVICE + name)
        asking = cast("Awaitable[bytes]", call(message.SerializeToString(), timeout=self._seconds))
        try:
            return _read(type_, await asking, endpoint)
        except grpc.aio.AioRpcError as error:
            raise _refusal(error, endpoint) from error
        except asyncio.CancelledError:
            if is_given_up():
                raise
            raise _closed() from None

    async def revisions(self, endpoint: str, silence: float) -> AsyncGenerator[str | None]:
        """Revisions as they are told; None is a sign of life."""
        watch: Any = self._channel(endpoint).unary_stream(_SERVICE + "WatchRevisions")
        call = watch(b"")
        try:
            while True:
                async with asyncio.timeout(silence):
                    data = await call.read()
                if data is grpc.aio.EOF:
                    if (code := await call.code()) is not grpc.StatusCode.OK:
                        said = dict(await call.trailing_metadata() or ())
                        raise _refusal_of(code, said.get(_CODE), str(await call.details()), endpoint)
                    return
                event = _read(v1.RevisionEvent, data, endpoint)
                yield event.revision.revision if event.WhichOneof("event") == "revision" else None
        except TimeoutError:
            raise UnreachableError("too_late", "the stream of revisions was silent", endpoint) from None
        except grpc.aio.AioRpcError as error:
            raise _refusal(error, endpoint) from error
        finally:
            call.cancel()

    def _channel(self, endpoint: str) -> grpc.aio.Channel:
        if self._closed:
            raise _closed()
        channel = self._channels.get(endpoint)
        if channel is None:
            target = urlsplit(endpoint).netloc
            channel = grpc.aio.secure_channel(target, self._credentials, options=self._options)
            self._channels[endpoint] = channel
        return channel

    async def close(self) -> None:
        """Close all connections; whoever waits for an answer is told so."""
        self._closed = True
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            await channel.close()


def _closed() -> ClosedError:
    return ClosedError("closed", "the client was closed before there was an answer")


def _read(type_: type[_M], data: bytes, endpoint: str) -> _M:
    try:
        return type_.FromString(data)
    except DecodeError as error:
        raise UnreadableAnswerError(f"what came is no `{type_.DESCRIPTOR.full_name}`", endpoint) from error


def _one_of_batch(result: v1.Result) -> Decision | CouldNotAnswerError:
    try:
        match result.WhichOneof("result"):
            case "answer":
                return decision_of(answer_body(result.answer))
            case "error":
                return refusal(result.error.code, result.error.message)
            case _:
                return UnreadableAnswerError("there is neither an answer nor an error")
    except UnreadableAnswerError as error:
        return error


def _refusal(error: grpc.aio.AioRpcError, endpoint: str) -> CouldNotAnswerError:
    said = dict(error.trailing_metadata() or ())
    return _refusal_of(error.code(), said.get(_CODE), str(error.details()), endpoint)


def _refusal_of(
    status: grpc.StatusCode, code: str | bytes | None, message: str, endpoint: str
) -> CouldNotAnswerError:
    if isinstance(code, str):
        return refusal(code, message, endpoint)
    if status in _NOT_REACHED:
        late = status is grpc.StatusCode.DEADLINE_EXCEEDED
        return UnreachableError("too_late" if late else "unreachable", message, endpoint)
    if status in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
        return NotPermittedError("unknown", message, endpoint)
    return ServiceError("unknown", f"{status.name.lower()}: {message}", endpoint)
