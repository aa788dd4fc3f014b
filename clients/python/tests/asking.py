"""Clients over every transport, sync and async behind one face, and a proxy that can be made to stall."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from pdp_client import AsyncClient, CacheCounts, Client, Decision, Question, Timeouts, TlsFiles
from tests.e2e.grpc_calls import grpc_port
from tests.e2e.running import WEB, Pki, Service

PATIENT = Timeouts(connect=5.0, read=5.0, overall=10.0)
KINDS = [("sync", "http"), ("async", "http"), ("sync", "grpc"), ("async", "grpc")]


def files(pki: Pki, name: str = "pep") -> TlsFiles:
    return TlsFiles(pki.folder / f"{name}.pem", pki.folder / f"{name}-key.pem", pki.folder / "prod.pem")


def port_of(service: Service, transport: str) -> int:
    return grpc_port(service) if transport == "grpc" else service.port


def endpoint(port: int) -> str:
    return f"https://127.0.0.1:{port}"


def item(path: str = "/v1/items/7", **what: Any) -> Question:
    return Question(**{"principal": WEB, "service": "web.shop", "method": "GET", "path": path, **what})


class InThread:
    """An `AsyncClient` in an event loop of its own, called as a `Client` is."""

    def __init__(self, endpoints: Sequence[str], **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.client = AsyncClient(endpoints, **options)

    def __enter__(self) -> Self:
        self._do(self.client.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def decide(self, question: Question) -> Decision:
        return self._do(self.client.decide(question))

    def explain(self, question: Question) -> Decision:
        return self._do(self.client.explain(question))

    def decide_batch(self, questions: Sequence[Question]) -> Any:
        return self._do(self.client.decide_batch(questions))

    def close(self) -> None:
        self._do(self.client.close())

    @property
    def counts(self) -> CacheCounts:
        return self.client.counts

    @property
    def is_reusing(self) -> bool:
        return self.client.is_reusing


@contextmanager
def client(
    kind: str, transport: str, ports: Sequence[int], pki: Pki, name: str = "pep", **options: Any
) -> Iterator[Any]:
    made = Client if kind == "sync" else InThread
    given = {"timeouts": PATIENT, "transport": transport, **options}
    with made([endpoint(port) for port in ports], tls=files(pki, name), **given) as found:
        yield found


class Proxy:
    """Passes connections on, unread. It can hold back all that comes, or refuse and cut everything."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.flows = threading.Event()
        self.flows.set()
        self.up = True
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                if not self.up:
                    near.close()
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self.to), 5)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                with self._lock:
                    self._open |= {near, far}
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                self.flows.wait()
                other.sendall(data)
        for each in (one, other):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {one}
        one.close()

    @property
    def connections(self) -> int:
        """How many it has, with both their ends."""
        with self._lock:
            return len(self._open)

    def cut(self) -> None:
        """End all connections, and let no new one through."""
        self.up = False
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.flows.set()
        self.cut()
        # Closing alone leaves a thread in `accept` where it is.
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
