"""The gRPC listener, beside that of HTTP in one event loop.

Reflection is off. Bounds are those of HTTP wherever there is one; what grpcio cannot be told is in
`docs/threat-model.md`.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, final

import grpc

from pdp.adapters.grpc.callers import Callers
from pdp.adapters.grpc.credentials import server_credentials
from pdp.adapters.grpc.handlers import Calls
from pdp.adapters.proxies.profiles import NO_PROFILES, Profile
from pdp.adapters.server import CannotListenError
from pdp.adapters.tls import ServerTls
from pdp.limits import (
    DEFAULT_REMEMBERED_ANSWERS,
    MAX_ARRIVAL_SECONDS,
    MAX_GRPC_CALLS,
    MAX_GRPC_CALLS_PER_CONNECTION,
    MAX_HEAD_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_STREAM_IDLE_SECONDS,
)
from pdp.service.decision_service import DecisionService
from pdp.vocabulary import Millis

__all__ = ["GrpcListener"]

_PING_SECONDS: Final = 60.0  # finds connections whose other end is gone without a word
_IDENTITY_ONLY: Final = 1  # bit of "no compression": what is compressed is refused, not inflated


def _millis(seconds: float) -> int:
    return round(seconds * 1000)


_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_ONLY),
    # One bound, not two: between a soft and a hard one requests are refused at random.
    ("grpc.max_metadata_size", MAX_HEAD_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_HEAD_BYTES),
    # The same for calls that wait to be taken up: one caller's burst would have others cancelled at random.
    ("grpc.server.max_pending_requests", MAX_GRPC_CALLS),
    ("grpc.server.max_pending_requests_hard_limit", MAX_GRPC_CALLS),
    ("grpc.max_concurrent_streams", MAX_GRPC_CALLS_PER_CONNECTION),
    ("grpc.server_handshake_timeout_ms", _millis(MAX_ARRIVAL_SECONDS)),
    ("grpc.max_connection_age_grace_ms", _millis(MAX_ARRIVAL_SECONDS)),
    ("grpc.max_connection_idle_ms", _millis(MAX_STREAM_IDLE_SECONDS)),
    ("grpc.keepalive_time_ms", _millis(_PING_SECONDS)),
    ("grpc.keepalive_timeout_ms", _millis(MAX_ARRIVAL_SECONDS)),
)


@final
class GrpcListener:
    """Answers gRPC calls over mTLS, from when it is started until it is stopped."""

    def __init__(  # noqa: PLR0913 -- what a listener is made of, all by keyword
        self,
        service: DecisionService,
        *,
        address: tuple[str, int],
        tls: ServerTls,
        clock: Callable[[], Millis],
        say: Callable[[str], None] = lambda _: None,
        shared: bool = False,
        profiles: Mapping[str, Profile] = NO_PROFILES,
        remembered: int = DEFAULT_REMEMBERED_ANSWERS,
    ) -> None:
        """A listener that is not started.

        Args:
            service: Who decides.
            address: Where to listen.
            tls: Our certificate, and the roots of callers.
            clock: The wall clock.
            say: Told where it listens.
            shared: Whether other processes of ours listen there as well.
            profiles: How Envoy asks, where its routes name one.
            remembered: How many answers are remembered at most.
        """
        self._host, self._port = address
        self._say = say
        self._calls = Calls(service, Callers(tls.trust, clock), profiles, remembered)
        self._tls = tls
        # It varies them by a tenth, as HTTP does (`CONNECTION_JITTER`).
        self._options = (
            *_OPTIONS,
            ("grpc.max_connection_age_ms", _millis(service.connection_seconds)),
            # Two services on one address would share its callers in silence: only those of one supervisor.
            ("grpc.so_reuseport", int(shared)),
        )
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> str:
        """Where it listens, once it is started: HOST:PORT."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._port}"

    async def start(self) -> None:
        """Accept connections.

        Raises:
            CannotListenError: The address cannot be had, or gRPC does not take our certificate.
        """
        server = grpc.aio.server(options=self._options, maximum_concurrent_rpcs=MAX_GRPC_CALLS)
        server.add_generic_rpc_handlers(self._calls.handlers())
        try:
            self._port = server.add_secure_port(self.address, server_credentials(self._tls))
        except RuntimeError as error:
            msg = f"cannot answer gRPC on {self.address}: it is taken, or our certificate and key do not do"
            raise CannotListenError(msg) from error
        await server.start()
        await self._calls.begin()
        self._server = server
        loop = asyncio.get_running_loop()
        self._tls.on_trust(lambda: self._trust_changed(loop))
        self._say(f"answering gRPC on {self.address}")

    def _trust_changed(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop is closed: no call is open
            loop.call_soon_threadsafe(self._calls.recheck)

    async def drain(self) -> None:
        """Be healthy no more; calls are answered all the same."""
        await self._calls.drain()

    async def stop(self, seconds: float) -> None:
        """Accept no more calls; those in flight have these seconds."""
        if self._server is not None:
            await self._calls.end()
            await self._server.stop(seconds)
