"""A gRPC server over mTLS behind the interceptor, with threads and with asyncio, and the real service."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from clients.python.tests.asking import PATIENT, endpoint, files
from pdp_client import AsyncClient, Client
from pdp_client.middleware.grpc import AioPdpInterceptor, PdpInterceptor
from pdp_client.middleware.peers import grpc_peer
from tests.e2e.running import Pki, Service, make_policies

POLICY = """\
language 1
trust domain prod = "prod.example.org"
service talk.shop {
    allow prod/ns/shop/sa/web to POST /test.Talk/* as talk set header x-plan = "shop" remove header x-debug
    allow prod/ns/shop/sa/env to POST /test.Talk/One when header.x-env == "prod" as env
    allow prod/ns/shop/sa/near to POST /test.Talk/One when source.ip in 127.0.0.0/8 as near
    allow prod/ns/shop/sa/raw to POST /test.Talk/One as raw set header x-raw-bin = "x"
}
caller prod/ns/pdp/sa/pep fronts any service may assert any principal of prod supplies header, source
"""
KINDS = {"One": "unary_unary", "Out": "unary_stream", "In": "stream_unary", "Both": "stream_stream"}
MAKE = {name: getattr(grpc, f"{kind}_rpc_method_handler") for name, kind in KINDS.items()}


@pytest.fixture(scope="module")
def decides(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    for name in ("web", "other", "env", "near", "raw"):
        pki.issue(name, uris=[f"spiffe://prod.example.org/ns/shop/sa/{name}"])
    pki.issue("nameless", uris=[], dns=["web.example"])
    service = Service(pki, make_policies(tmp_path_factory.mktemp("talk") / "policies", POLICY))
    yield service
    assert service.stop() == 0, service.log


def seen(context: Any) -> bytes:
    found = [(key, value) for key, value in context.invocation_metadata() if key.startswith("x-")]
    return repr(sorted(found)).encode()


class Threads:
    """Handlers of a server with threads."""

    @staticmethod
    def One(_: bytes, context: Any) -> bytes:
        return seen(context)

    @staticmethod
    def Out(_: bytes, context: Any) -> Iterator[bytes]:
        yield seen(context)

    @staticmethod
    def In(requests: Iterator[bytes], context: Any) -> bytes:
        assert list(requests)
        return seen(context)

    @staticmethod
    def Both(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for _ in requests:
            yield seen(context)


class Loops:
    """Handlers of a server with asyncio; `Both` writes, and does not yield."""

    @staticmethod
    async def One(_: bytes, context: Any) -> bytes:
        return seen(context)

    @staticmethod
    async def Out(_: bytes, context: Any) -> AsyncIterator[bytes]:
        yield seen(context)

    @staticmethod
    async def In(requests: AsyncIterator[bytes], context: Any) -> bytes:
        assert [each async for each in requests]
        return seen(context)

    @staticmethod
    async def Both(requests: AsyncIterator[bytes], context: Any) -> None:
        async for _ in requests:
            await context.write(seen(context))


class Blocking(Loops):
    """One that is no coroutine."""

    One = Threads.One


def handlers(of: Any) -> Any:
    return grpc.method_handlers_generic_handler(
        "test.Talk", {name: make(getattr(of, name)) for name, make in MAKE.items()}
    )


def credentials(pki: Pki) -> Any:
    parts = [(pki.folder / name).read_bytes() for name in ("server-key.pem", "server.pem", "prod.pem")]
    return grpc.ssl_server_credentials([(parts[0], parts[1])], parts[2], require_client_auth=True)


@contextmanager
def with_threads(pki: Pki, decides: int, **what: Any) -> Iterator[int]:
    with Client([endpoint(decides)], tls=files(pki), timeouts=PATIENT) as client:
        server = grpc.server(ThreadPoolExecutor(4), interceptors=[PdpInterceptor(client, **what)])
        server.add_generic_rpc_handlers((handlers(Threads),))
        port = server.add_secure_port("127.0.0.1:0", credentials(pki))
        server.start()
        try:
            yield port
        finally:
            server.stop(0).wait()


@contextmanager
def with_asyncio(pki: Pki, decides: int, of: Any = Loops, **what: Any) -> Iterator[int]:
    ready, done = threading.Event(), threading.Event()
    port = [0]

    async def run() -> None:
        async with AsyncClient([endpoint(decides)], tls=files(pki), timeouts=PATIENT) as client:
            server = grpc.aio.server(interceptors=[AioPdpInterceptor(client, **what)])
            server.add_generic_rpc_handlers((handlers(of),))
            port[0] = server.add_secure_port("127.0.0.1:0", credentials(pki))
            await server.start()
            ready.set()
            await asyncio.to_thread(done.wait)
            await server.stop(0)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert ready.wait(15)
    try:
        yield port[0]
    finally:
        done.set()
        thread.join()


USUAL: dict[str, Any] = {"service": "talk.shop", "principal": grpc_peer, "supplies": ["header", "source"]}


@pytest.fixture(scope="module", params=[with_threads, with_asyncio], ids=["threads", "asyncio"])
def port(request: pytest.FixtureRequest, decides: Service, pki: Pki) -> Iterator[int]:
    with request.param(pki, decides.port, **USUAL) as found:
        yield found


def call(pki: Pki, port: int, name: str, who: str = "web", metadata: Any = ()) -> str:
    parts = [(pki.folder / each).read_bytes() for each in ("prod.pem", f"{who}-key.pem", f"{who}.pem")]
    own = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(*parts), own) as channel:
        asking: Any = getattr(channel, KINDS.get(name, "unary_unary"))(f"/test.Talk/{name}")
        given: Any = iter([b"a"]) if name in {"In", "Both"} else b"a"
        try:
            found = asking(given, timeout=15, metadata=metadata)
            return (found if isinstance(found, bytes) else b"".join(found)).decode()
        except grpc.RpcError as error:
            return error.code().name


@pytest.mark.parametrize("name", KINDS)
def test_a_call_that_is_allowed_goes_on_with_its_obligations_fulfilled(
    port: int, pki: Pki, name: str
) -> None:
    forged = [("x-plan", "mine"), ("x_plan", "mine"), ("x-debug", "1"), ("x-other", "2")]
    assert call(pki, port, name, metadata=forged) == "[('x-other', '2'), ('x-plan', 'shop')]"


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("who", ["other", "nameless"])
def test_a_call_that_is_not_allowed_does_not_go_on(port: int, pki: Pki, name: str, who: str) -> None:
    assert call(pki, port, name, who) == "PERMISSION_DENIED"


def test_attributes_that_are_supplied_arrive(port: int, pki: Pki) -> None:
    assert call(pki, port, "One", "env", [("x-env", "prod")]) == "[('x-env', 'prod')]"
    assert call(pki, port, "One", "env", [("x-env", "test")]) == "PERMISSION_DENIED"
    assert call(pki, port, "One", "env") == "PERMISSION_DENIED"
    assert call(pki, port, "One", "near") == "[]"


def test_an_obligation_that_cannot_be_fulfilled_is_a_deny(port: int, pki: Pki) -> None:
    assert call(pki, port, "One", "raw") == "PERMISSION_DENIED"


def test_a_call_that_does_not_exist_is_nobodys_business(port: int, pki: Pki) -> None:
    assert call(pki, port, "None") == "UNIMPLEMENTED"


@pytest.mark.parametrize("serve", [with_threads, with_asyncio])
def test_without_a_service_to_ask_nothing_passes(serve: Any, decides: Service, pki: Pki) -> None:
    assert decides.port
    with serve(pki, 1, **USUAL) as port:
        assert [call(pki, port, name) for name in KINDS] == ["UNAVAILABLE"] * 4


@pytest.mark.parametrize("serve", [with_threads, with_asyncio])
def test_a_function_that_fails_lets_nothing_pass(serve: Any, decides: Service, pki: Pki) -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("a function of the application fails")

    with serve(pki, decides.port, **{**USUAL, "principal": broken}) as port:
        assert call(pki, port, "One") == "UNAVAILABLE"
    with serve(pki, decides.port, **{**USUAL, "service": lambda path: path.split("/")[1]}) as port:
        assert call(pki, port, "One") == "UNAVAILABLE", "no service is called so"


def test_a_handler_that_is_no_coroutine_is_not_called(decides: Service, pki: Pki) -> None:
    with with_asyncio(pki, decides.port, Blocking, **USUAL) as port:
        assert call(pki, port, "One") not in {"[]", "[('x-plan', 'shop')]"}
        assert call(pki, port, "In") == "[('x-plan', 'shop')]"


def test_the_host_cannot_be_supplied() -> None:
    with pytest.raises(ValueError, match="request"):
        PdpInterceptor(None, **{**USUAL, "supplies": ["request"]})  # type: ignore[arg-type]
