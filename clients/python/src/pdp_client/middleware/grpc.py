"""For gRPC servers, with threads (`PdpInterceptor`) and with asyncio (`AioPdpInterceptor`); an extra, `grpc`.

A call is a `POST` of `/package.Service/Method`. A deny is `PERMISSION_DENIED`, and where there is no answer
it is `UNAVAILABLE`. Make it the last one: those before it are not asked about, and
those behind it run before there is a decision, on metadata as it arrived.
"""

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any, Final, final

import grpc

from pdp_client.async_client import AsyncClient
from pdp_client.client import Client
from pdp_client.decision import Decision
from pdp_client.errors import CouldNotAnswerError
from pdp_client.middleware.duties import set_and_removed
from pdp_client.middleware.incoming import Family, Incoming, Withheld, question_of
from pdp_client.question import Principal, Question

__all__ = ["AioPdpInterceptor", "PdpInterceptor"]

_log: Final = logging.getLogger("pdp_client")
_MAKERS: Final = {
    (False, False): (grpc.unary_unary_rpc_method_handler, "unary_unary"),
    (False, True): (grpc.unary_stream_rpc_method_handler, "unary_stream"),
    (True, False): (grpc.stream_unary_rpc_method_handler, "stream_unary"),
    (True, True): (grpc.stream_stream_rpc_method_handler, "stream_stream"),
}


class _Asking:
    """What both have in common: the question of a call, and what becomes of its metadata."""

    def __init__(
        self,
        *,
        service: str | Callable[[str], str],
        principal: Callable[[Any], Principal | None],
        supplies: Collection[Family] = (),
    ) -> None:
        """Ask about calls.

        Args:
            service: What the server is called in the policy set, or a function from the call's path to that.
            principal: Says from a call's context who is at the other end, as `peers.grpc_peer` does.
                None is denied.
            supplies: Families of attributes that our entry in the policy set says we supply, of `source` and
                `header`.
        """
        self._service = service
        self._principal = principal
        self._supplies = frozenset(supplies)
        if "request" in self._supplies:
            raise ValueError("grpcio does not say which host was called, so `request` cannot be supplied")

    def question(self, path: str, context: Any) -> Question:
        """The question whether a call may go on."""
        principal = self._principal(context)
        if principal is None:
            raise Withheld("nobody is known to be at the other end", denied=True)
        incoming = Incoming(
            method="POST", target=path, headers=_texts(context), source=_source(context.peer())
        )
        service = self._service if isinstance(self._service, str) else self._service(path)
        return question_of(incoming, service, principal, None, self._supplies)


def _admitted(decision: Decision, context: Any) -> Any:
    """The context as the application is to see it."""
    changes = set_and_removed(decision)
    if any(name.endswith("-bin") or name.startswith("grpc-") for name in changes):
        raise Withheld("an obligation is about metadata that is not text", denied=True)
    return _Context(context, changes) if changes else context


def _status(error: Exception) -> tuple[grpc.StatusCode, str]:
    match error:
        case Withheld(denied=True, why=why):
            _log.info("a call was withheld: %s", why)
            return grpc.StatusCode.PERMISSION_DENIED, "forbidden"
        case Withheld(why=why):
            _log.info("a call was withheld: %s", why)
        case CouldNotAnswerError():
            _log.warning("a call was withheld: there is no answer: %s", error)
        case _:
            _log.error("a call was withheld by a defect", exc_info=error)
    return grpc.StatusCode.UNAVAILABLE, "no decision"


@final
class PdpInterceptor(_Asking, grpc.ServerInterceptor):
    """For `grpc.server`."""

    def __init__(self, client: Client, **what: Any) -> None:
        """Ask `client`; the rest as `_Asking` says it."""
        super().__init__(**what)
        self._client = client

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Called by grpcio for each call, before anything of it is read."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        path = handler_call_details.method
        make, name = _MAKERS[handler.request_streaming, handler.response_streaming]
        behaviour = getattr(handler, name)

        def guarded(request: Any, context: Any) -> Any:
            try:
                admitted = _admitted(self._client.decide(self.question(path, context)), context)
            except Exception as error:
                context.abort(*_status(error))
                raise  # should a context ever come back from that
            return behaviour(request, admitted)

        return make(guarded, handler.request_deserializer, handler.response_serializer)


@final
class AioPdpInterceptor(_Asking, grpc.aio.ServerInterceptor):
    """For `grpc.aio.server`, whose handlers are coroutines or asynchronous generators."""

    def __init__(self, client: AsyncClient, **what: Any) -> None:
        """Ask `client`; the rest as `_Asking` says it."""
        super().__init__(**what)
        self._client = client

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Called by grpcio for each call, before anything of it is read."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        path = handler_call_details.method
        make, name = _MAKERS[handler.request_streaming, handler.response_streaming]
        behaviour = getattr(handler, name)
        if inspect.isasyncgenfunction(behaviour):
            guarded = self._generating(path, behaviour)
        elif inspect.iscoroutinefunction(behaviour):
            guarded = self._answering(path, behaviour)
        else:
            raise TypeError(f"the handler of {path} is no coroutine, so nobody asks whether it may be called")
        return make(guarded, handler.request_deserializer, handler.response_serializer)

    def _answering(self, path: str, behaviour: Callable[[Any, Any], Awaitable[Any]]) -> Any:
        async def guarded(request: Any, context: Any) -> Any:
            return await behaviour(request, await self._admit(path, context))

        return guarded

    def _generating(self, path: str, behaviour: Callable[[Any, Any], AsyncIterator[Any]]) -> Any:
        async def guarded(request: Any, context: Any) -> AsyncIterator[Any]:
            async for response in behaviour(request, await self._admit(path, context)):
                yield response

        return guarded

    async def _admit(self, path: str, context: Any) -> Any:
        try:
            return _admitted(await self._client.decide(self.question(path, context)), context)
        except Exception as error:
            await context.abort(*_status(error))
            raise  # should a context ever come back from that


class _Context:
    """A call's context with other metadata."""

    def __init__(self, inner: Any, changes: dict[str, str | None]) -> None:
        self._inner = inner
        self._changes = changes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """The metadata once the obligations are fulfilled."""
        kept = [
            (key, value)
            for key, value in self._inner.invocation_metadata() or ()
            if key.lower().replace("_", "-") not in self._changes
        ]
        return (*kept, *((key, value) for key, value in self._changes.items() if value is not None))


def _texts(context: Any) -> list[tuple[str, str]]:
    """Metadata as headers; what is binary is not text, and no rule reads it."""
    return [(key, value) for key, value in context.invocation_metadata() or () if isinstance(value, str)]


def _source(peer: str) -> str | None:
    """The address in what grpcio calls a peer, such as `ipv4:10.1.2.3:4567` or `ipv6:%5B::1%5D:4567`."""
    kind, _, rest = peer.partition(":")
    if kind not in {"ipv4", "ipv6"}:
        return None
    host = rest.rpartition(":")[0]
    return host.replace("%5B", "").replace("%5D", "").strip("[]") or None
