"""The calls: messages in, messages out, over the same functions as HTTP.

Questions are taken as streams of bytes, whatever a call is to its client; on the wire there is no
difference. So a message that is none is refused by us, by name, and a client that opens a call and
says nothing is not waited for without end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast, final

import grpc
from google.protobuf.message import DecodeError, Message
from grpc.aio import AbortError, ServicerContext
from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from pdp.adapters.answering import ask_batch
from pdp.adapters.bad_question import BadQuestionError
from pdp.adapters.grpc.answers import (
    answer_result,
    batch_message,
    error_result,
    heartbeat,
    revision_message,
)
from pdp.adapters.grpc.callers import Callers
from pdp.adapters.grpc.deadlines import Deadline
from pdp.adapters.grpc.ext_authz import AUTHORIZATION, ExtAuthz
from pdp.adapters.grpc.message_form import message_answers
from pdp.adapters.grpc.open_calls import OpenCalls
from pdp.adapters.grpc.questions import read_batch, read_question, read_reuse, read_watch
from pdp.adapters.grpc.refusals import refuse
from pdp.adapters.grpc.v1.decision_pb2 import ReuseTaken
from pdp.adapters.grpc.waiting import Waiting
from pdp.adapters.proxies.profiles import Profile
from pdp.adapters.reuse import take_report
from pdp.adapters.schemas import error_body
from pdp.adapters.watching import begin_watch, watch
from pdp.identity.caller import Caller
from pdp.limits import MAX_ARRIVAL_SECONDS, MAX_BODY_BYTES, MAX_STREAM_IDLE_SECONDS
from pdp.service.decision_service import DecisionService
from pdp.service.errors import CannotAnswerError, ServiceError

__all__ = ["SERVICE", "Calls"]

#: The name under which clients call us, and ask for our health.
SERVICE: Final = "pdp.v1.DecisionService"
_HEALTH: Final = "grpc.health.v1.Health"
_Context: TypeAlias = ServicerContext[bytes, bytes]
_Answering: TypeAlias = Callable[[_Context, Caller], Awaitable[bytes]]
_Streaming: TypeAlias = Callable[[_Context, Caller], Awaitable[None]]
_T = TypeVar("_T")


@final
class Calls:
    """All calls that are answered, each with a caller."""

    def __init__(
        self, service: DecisionService, callers: Callers, profiles: Mapping[str, Profile], remembered: int
    ) -> None:
        self._service = service
        self._answers = message_answers(service, remembered)
        self._arrival, self._idle = Deadline(MAX_ARRIVAL_SECONDS), Deadline(MAX_STREAM_IDLE_SECONDS)
        self._callers = callers
        self._waiting = Waiting()
        self._open = OpenCalls(lambda: service.metrics.question_shed("calls"))
        self._health = aio.HealthServicer()
        self._ext_authz = ExtAuthz(service, callers, self._open, profiles)

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """What a server is given."""
        return (
            self._handler(
                SERVICE,
                {
                    "Decide": self._decide,
                    "DecideBatch": self._decide_batch,
                    "ReportReuse": self._report_reuse,
                },
                {"DecideStream": self._decide_stream, "WatchRevisions": self._watch_revisions},
            ),
            grpc.method_handlers_generic_handler(AUTHORIZATION, {"Check": self._check_handler()}),
            self._handler(_HEALTH, {"Check": self._check_health}, {"Watch": self._watch_health}),
        )

    async def begin(self) -> None:
        """Be healthy."""
        await self._health.set(SERVICE, HealthCheckResponse.SERVING)

    async def drain(self) -> None:
        """Be healthy no more."""
        await self._health.enter_graceful_shutdown()

    def recheck(self) -> None:
        """End the calls whose callers trust has left; the others notice nothing."""
        self._waiting.recheck()
        self._service.revisions.recheck()

    async def end(self) -> None:
        """Be healthy no more, and end the calls that wait for their clients."""
        await self.drain()
        await asyncio.sleep(0)  # those who watch our health are told
        self._waiting.end()

    def _handler(
        self, service: str, answering: Mapping[str, _Answering], streaming: Mapping[str, _Streaming]
    ) -> grpc.GenericRpcHandler:
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            name: grpc.stream_unary_rpc_method_handler(self._guarded(self._answered(method)))
            for name, method in answering.items()
        }
        handlers |= {
            name: grpc.stream_stream_rpc_method_handler(self._guarded(method))
            for name, method in streaming.items()
        }
        return grpc.method_handlers_generic_handler(service, handlers)

    def _check_handler(self) -> "grpc.RpcMethodHandler[bytes, bytes]":
        """Of a call that has no errors: what goes wrong is a denial."""

        async def check(_: object, context: _Context) -> bytes:
            response = await self._ext_authz.check(context, self._only_message)
            return self._leaving(response.SerializeToString(), context)

        return grpc.stream_unary_rpc_method_handler(check)

    def _guarded(
        self, method: Callable[[_Context, Caller], Awaitable[_T]]
    ) -> Callable[[object, _Context], Awaitable[_T]]:
        """No call without a caller, so many of each, and every error a status."""

        async def guarded(_: object, context: _Context) -> _T:
            try:
                caller = self._callers.identify(context)
                with self._open.one_of(caller.id):
                    return await method(context, caller)
            except AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, it must not become a decision
                await refuse(context, error)

        return guarded

    def _answered(self, method: _Answering) -> _Answering:
        async def answered(context: _Context, caller: Caller) -> bytes:
            return self._leaving(await method(context, caller), context)

        return answered

    def _leaving(self, data: bytes, context: _Context) -> bytes:
        """An answer; our gate is told when it is gone."""
        gate = self._service.gate
        gate.enter()
        cast("Any", context).add_done_callback(lambda _: gate.leave())  # the stubs ask for a class
        return data

    # -- decisions ---------------------------------------------------------------------

    async def _decide(self, context: _Context, caller: Caller) -> bytes:
        data = await self._only_message(context)
        caller = self._callers.confirm(caller, context)  # trust may have changed while we waited
        return await self._answer(context, caller, data)

    async def _answer(self, context: _Context, caller: Caller, data: bytes) -> bytes:
        """Answer one question."""
        again = self._answers.again(caller, data)
        if again is not None:
            return again
        answer = await self._answers.answer(caller, data)
        self._callers.confirm(caller, context)  # trust may have changed while the question waited
        return answer

    async def _decide_batch(self, context: _Context, caller: Caller) -> bytes:
        data = await self._only_message(context)
        caller = self._callers.confirm(caller, context)
        results = await ask_batch(self._service, caller, lambda: read_batch(data), read_question)
        self._callers.confirm(caller, context)
        return batch_message(results).SerializeToString()

    async def _report_reuse(self, context: _Context, caller: Caller) -> bytes:
        data = await self._only_message(context)
        take_report(self._service, self._callers.confirm(caller, context), lambda: read_reuse(data))
        return ReuseTaken().SerializeToString()

    async def _decide_stream(self, context: _Context, caller: Caller) -> None:
        while True:
            with self._waiting.for_client(lambda: self._callers.identify(context)):
                data = await self._message(context, self._idle)
            if data is None:
                return
            caller = self._callers.confirm(caller, context)
            self._service.rights(caller, self._service.versions.current, self._service.now())
            result = await self._result(context, caller, data)
            with self._service.gate.leaving():
                await self._write(context, result)

    async def _result(self, context: _Context, caller: Caller, data: bytes) -> Message:
        try:
            return answer_result(await self._answer(context, caller, data))
        except (BadQuestionError, ServiceError) as error:
            self._callers.confirm(caller, context)
            return error_result(error_body(error.code, error.message))

    async def _watch_revisions(self, context: _Context, caller: Caller) -> None:
        read_watch(await self._only_message(context))
        with begin_watch(self._service, self._callers.confirm(caller, context)) as following:
            async for published in watch(self._service, lambda: self._callers.identify(context), following):
                with self._service.gate.leaving():
                    await self._write(
                        context, heartbeat() if published is None else revision_message(published)
                    )

    # -- health ------------------------------------------------------------------------

    async def _check_health(self, context: _Context, _: Caller) -> bytes:
        request = _health_request(await self._only_message(context))
        return (await self._health.Check(request, cast("Any", context))).SerializeToString()

    async def _watch_health(self, context: _Context, _: Caller) -> None:
        request = _health_request(await self._only_message(context))
        with self._waiting.for_client(lambda: self._callers.identify(context)):
            await self._health.Watch(request, cast("Any", _Serialising(context, self._write)))

    # -- messages ----------------------------------------------------------------------

    async def _only_message(self, context: _Context) -> bytes:
        """The message of a call that has one."""
        data = await self._message(context, self._arrival)
        if data is None:
            raise BadQuestionError("invalid_protobuf", "the call has no message")
        return data

    async def _message(self, context: _Context, deadline: Deadline) -> bytes | None:
        """The next message, or None where there is none any more."""
        try:
            data = await deadline.within(context.read())
        except TimeoutError:
            raise CannotAnswerError("too_slow", "the message did not arrive in time") from None
        return data if isinstance(data, bytes) else None

    async def _write(self, context: _Context, message: Message) -> None:
        """Send a message to a client that takes it within reasonable time."""
        try:
            await self._idle.within(context.write(message.SerializeToString()))
        except TimeoutError:
            raise CannotAnswerError("too_slow", "the answer was not read in time") from None


class _Serialising:
    """A context that is given messages where ours are given bytes."""

    def __init__(self, context: _Context, write: Callable[[_Context, Message], Awaitable[None]]) -> None:
        self._context, self._write = context, write

    async def write(self, message: Message) -> None:
        await self._write(self._context, message)


def _health_request(data: bytes) -> HealthCheckRequest:
    if len(data) > MAX_BODY_BYTES:
        raise BadQuestionError("body_too_large", f"the message has more than {MAX_BODY_BYTES} bytes")
    try:
        return HealthCheckRequest.FromString(data)
    except DecodeError:
        raise BadQuestionError(
            "invalid_protobuf", "the message is not a `grpc.health.v1.HealthCheckRequest`"
        ) from None
