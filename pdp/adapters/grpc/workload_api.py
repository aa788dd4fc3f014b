"""The SPIFFE Workload API as its client: what an agent streams, message by message, unread.

Of the package `spiffe` only the messages and the stub are used. Its own client parses every message as a
whole and ends a stream for ever at the first that it does not like, refuses an empty bundle, and takes key
sets in other ways than we do; see docs/decisions/0019-workload-api.md. What the messages hold is read in
`pdp.identity.workload_api`.

Whoever imports this has settled the environment before (`pdp.adapters.grpc.environment`).
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, final
from urllib.parse import quote

import grpc
from spiffe._proto.workload_pb2 import (
    JWTBundlesRequest,
    JWTBundlesResponse,
    X509BundlesRequest,
    X509BundlesResponse,
    X509SVIDRequest,
    X509SVIDResponse,
)
from spiffe._proto.workload_pb2_grpc import SpiffeWorkloadAPIStub

from pdp.diagnostics import escape
from pdp.identity.workload_api import DeliveredSvid
from pdp.limits import MAX_DELIVERED_BYTES

__all__ = ["AgentError", "AgentStream", "jwt_bundles", "x509_bundles", "x509_svids"]

_T = TypeVar("_T")

#: Workload Endpoint, section 6.1: proves that nobody was tricked into asking.
_METADATA: Final = (("workload.spiffe.io", "true"),)
_OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),  # how long a lost connection is not tried again is ours to say
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", MAX_DELIVERED_BYTES),
)
_SHOWN_CHARS: Final = 300


class AgentError(Exception):
    """Why an agent's stream has ended, in its words or the library's."""


@final
class AgentStream(Generic[_T]):
    """What an agent says, for as long as it does. For one thread, but for `close()`."""

    def __init__(self, socket: Path, call: Callable[[Any], Any], read: Callable[[Any], _T]) -> None:
        """Connect to the agent at `socket` for one call, whose messages are handed over by `read`."""
        # The library reads it as a URI: a `%`, `?` or `#` would lead to another path.
        self._channel = grpc.insecure_channel(f"unix:{quote(str(socket))}", _OPTIONS)
        self._call, self._read = call, read

    def __iter__(self) -> Iterator[_T]:
        """Each message as it comes; of none how it is read fails.

        Raises:
            AgentError: The agent is away, refuses, or says something else than messages.
        """
        try:
            stub = SpiffeWorkloadAPIStub(self._channel)  # type: ignore[no-untyped-call] # generated without types
            for message in self._call(stub):
                yield self._read(message)
        except grpc.RpcError as error:
            raise AgentError(_why(error)) from error
        except ValueError as error:  # the channel was closed before there was a call
            raise AgentError("the stream was closed") from error

    def close(self) -> None:
        """End it; whoever waits for a message gets an error."""
        self._channel.close()


def x509_svids(socket: Path) -> AgentStream[tuple[DeliveredSvid, ...]]:
    """Our X.509-SVIDs, all of them each time."""
    return AgentStream(socket, lambda stub: stub.FetchX509SVID(X509SVIDRequest(), metadata=_METADATA), _svids)


def x509_bundles(socket: Path) -> AgentStream[Mapping[str, bytes]]:
    """The roots of all trust domains that the agent has for us, by the ID of the domain, DER."""
    return AgentStream(
        socket, lambda stub: stub.FetchX509Bundles(X509BundlesRequest(), metadata=_METADATA), _bundles
    )


def jwt_bundles(socket: Path) -> AgentStream[Mapping[str, bytes]]:
    """The keys of JWT-SVIDs of all trust domains that the agent has for us, by the ID of the domain, JSON."""
    return AgentStream(
        socket, lambda stub: stub.FetchJWTBundles(JWTBundlesRequest(), metadata=_METADATA), _bundles
    )


def _svids(message: X509SVIDResponse) -> tuple[DeliveredSvid, ...]:
    return tuple(
        DeliveredSvid(spiffe_id=each.spiffe_id, chain=each.x509_svid, key=each.x509_svid_key)
        for each in message.svids
    )


def _bundles(message: X509BundlesResponse | JWTBundlesResponse) -> Mapping[str, bytes]:
    return dict(message.bundles)


def _why(error: grpc.RpcError) -> str:
    if not isinstance(error, grpc.Call):
        return "the call failed"
    return escape(f"{error.code().name.lower()}: {error.details() or 'no more is said'}")[:_SHOWN_CHARS]
