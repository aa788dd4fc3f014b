"""An agent for tests: the real Workload API, gRPC over a Unix socket, that says what a test has it say."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from spiffe._proto import workload_pb2 as api
from spiffe._proto.workload_pb2_grpc import (
    SpiffeWorkloadAPIServicer,
    add_SpiffeWorkloadAPIServicer_to_server,
)

from tests.identity.mint import Party

__all__ = ["Agent", "as_svid", "pkcs8"]


def pkcs8(party: Party) -> bytes:
    return party.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def as_svid(spiffe_id: str, *chain: Party, key: bytes | None = None) -> Any:
    """An X.509-SVID as it is delivered: the leaf first."""
    der = b"".join(each.der for each in chain)
    return api.X509SVID(spiffe_id=spiffe_id, x509_svid=der, x509_svid_key=key or pkcs8(chain[0]))


class Agent(SpiffeWorkloadAPIServicer):  # type: ignore[misc] # generated without types
    """Streams what it holds, and again whenever that changes. Begins at once.

    Attributes:
        svids: Our X.509-SVIDs.
        roots: DER by the ID of the trust domain.
        keys: JSON by the same.
        refuses: Answer each call with this instead.
        calls: How many streams were begun.
    """

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.svids: list[Any] = []
        self.roots: dict[str, bytes] = {}
        self.keys: dict[str, bytes] = {}
        self.refuses: grpc.StatusCode | None = None
        self.calls = 0
        self._changed = threading.Condition()
        self._version = 0
        self._server: grpc.Server | None = None
        self.start()

    def start(self) -> None:
        self._ended = False
        self._pool = ThreadPoolExecutor(32)
        self._server = grpc.server(self._pool)
        add_SpiffeWorkloadAPIServicer_to_server(self, self._server)
        assert self._server.add_insecure_port(f"unix:{self.socket}")
        self._server.start()

    def stop(self) -> None:
        if self._server is None:
            return
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._server.stop(0).wait()
        self._server = None
        self._pool.shutdown()
        self.socket.unlink(missing_ok=True)

    def publish(self, **what: Any) -> None:
        """Hold this instead, and say so to all who listen."""
        with self._changed:
            for name, value in what.items():
                setattr(self, name, value)
            self._version += 1
            self._changed.notify_all()

    def FetchX509SVID(self, _: Any, context: Any) -> Iterator[Any]:  # noqa: N802 -- the API's
        return self._stream(context, lambda: api.X509SVIDResponse(svids=self.svids))

    def FetchX509Bundles(self, _: Any, context: Any) -> Iterator[Any]:  # noqa: N802 -- the API's
        return self._stream(context, lambda: api.X509BundlesResponse(bundles=self.roots))

    def FetchJWTBundles(self, _: Any, context: Any) -> Iterator[Any]:  # noqa: N802 -- the API's
        return self._stream(context, lambda: api.JWTBundlesResponse(bundles=self.keys))

    def _stream(self, context: Any, message: Callable[[], Any]) -> Iterator[Any]:
        if ("workload.spiffe.io", "true") not in [
            (key, value) for key, value in context.invocation_metadata()
        ]:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the metadata is missing")
        if self.refuses is not None:
            context.abort(self.refuses, "no identity issued")
        self.calls += 1
        said = [-1]

        def is_due() -> bool:
            return self._ended or not context.is_active() or self._version != said[0]

        context.add_callback(self._wake)
        while context.is_active():
            with self._changed:
                self._changed.wait_for(is_due)
                if self._ended:
                    return
                said[0], found = self._version, message()
            yield found

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
