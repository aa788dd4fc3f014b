"""What servers do that say less, or speak other protocols: driven without a socket, with the real service."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clients.python.tests.asking import PATIENT, endpoint, files
from clients.python.tests.fronted import POLICY, WEB
from pdp_client import AsyncClient, Client
from pdp_client.middleware import asgi, peers, wsgi
from pdp_client.question import Certificate, Forwarded
from tests.e2e.running import Pki, Service, make_policies


@pytest.fixture(scope="module")
def decides(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(pki, make_policies(tmp_path_factory.mktemp("edges") / "policies", POLICY))
    yield service
    assert service.stop() == 0, service.log


def through_asgi(decides: Service, scope: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    """What a request comes to: what is sent, and `seen` where the application was reached."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        await send({"type": "seen", "scope": scope})

    async def receive() -> Any:
        return {"type": f"{scope['type']}.connect"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def run() -> None:
        async with AsyncClient([endpoint(decides.port)], tls=files(decides.pki), timeouts=PATIENT) as client:
            fronted = asgi.PdpMiddleware(
                app, client, **{"service": "web.shop", "principal": lambda _: WEB, **options}
            )
            await fronted(scope, receive, send)

    asyncio.run(run())
    return sent


def http(path: str = "/v1/items/7", **what: Any) -> dict[str, Any]:
    found = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "http",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        **what,
    }
    return {key: value for key, value in found.items() if value is not ...}


def outcome(sent: list[dict[str, Any]]) -> Any:
    return "seen" if sent[0]["type"] == "seen" else sent[0].get("status", sent[0].get("code"))


@pytest.mark.parametrize(
    ("scope", "options", "expected"),
    [
        (http(), {}, "seen"),
        (http(raw_path=...), {}, 503),
        (http(raw_path=None), {}, 503),
        (http(raw_path=...), {"trust_decoded_path": True}, "seen"),
        (http("/v1/items/a/b", raw_path=b"/v1/items/7"), {}, 503),
        (http("/v1/items/a b", raw_path=b"/v1/items/a%20b"), {}, "seen"),
        (http("/v1/items/..", raw_path=...), {"trust_decoded_path": True}, 403),
        (http(query_string=b"_method=DELETE"), {}, 403),
        (http(raw_path=b"/v1/items/7?x", query_string=b"x"), {}, "seen"),
        (http(), {"principal": lambda _: None}, 403),
        (http(), {"service": "closed.shop"}, 403),
        (http(), {"service": "nowhere"}, 503),
        (http(client=None, server=None), {"supplies": ["source", "request"]}, "seen"),
        (http(headers=[(b"host", b"a"), (b"host", b"b")]), {"supplies": ["request"]}, 403),
        (http(headers=[(b"host", b"a"), (b"host", b"b")]), {"supplies": ["header"]}, 503),
        (http(headers=[(b"x.y", b"1"), (b"x_z", b"1")]), {"supplies": ["header"]}, "seen"),
        (http("/ws", type="websocket", method=...), {}, "seen"),
        (http("/no", type="websocket", method=...), {}, 1008),
        (http("/no", type="websocket", method=..., extensions={"websocket.http.response": {}}), {}, 403),
        (http("/ws", type="websocket", raw_path=..., extensions={"websocket.http.response": {}}), {}, 503),
        ({"type": "lifespan"}, {}, "seen"),
    ],
)
def test_what_goes_on_over_asgi(decides: Service, scope: dict, options: dict, expected: Any) -> None:
    assert outcome(through_asgi(decides, scope, **options)) == expected


def test_a_protocol_that_is_not_known_does_not_go_on(decides: Service) -> None:
    with pytest.raises(RuntimeError, match="does not go on"):
        through_asgi(decides, http(type="gopher"))


def test_a_websocket_has_its_obligations_fulfilled_too(decides: Service) -> None:
    (seen,) = through_asgi(decides, http("/v1/plan", type="websocket", headers=[(b"X_Plan", b"mine")]))
    assert seen["scope"]["headers"] == [(b"x-plan", b"shop")]


def through_wsgi(decides: Service, environ: dict[str, Any], **options: Any) -> Any:
    found: list[Any] = []
    with Client([endpoint(decides.port)], tls=files(decides.pki), timeouts=PATIENT) as client:
        fronted = wsgi.PdpMiddleware(
            lambda environ, _: found.append(environ) or [b""],
            client,
            **{"service": "web.shop", "principal": lambda _: WEB, **options},
        )
        fronted(environ, lambda status, _: found.append(int(status.split()[0])))
    return found[0]


def cgi(path: str = "/v1/items/7", **what: Any) -> dict[str, Any]:
    found = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "RAW_URI": path, **what}
    return {key: value for key, value in found.items() if value is not ...}


@pytest.mark.parametrize(
    ("environ", "options", "expected"),
    [
        (cgi(), {}, 200),
        (cgi("/7", SCRIPT_NAME="/v1/items", RAW_URI="/v1/items/7"), {}, 200),  # mounted there
        (cgi("/7", SCRIPT_NAME="/v1/items", RAW_URI="/v1/items/7", HTTP_SCRIPT_NAME="/v1/items"), {}, 403),
        (cgi(HTTP_PATH_INFO="/v1/items/7"), {}, 403),
        (cgi(RAW_URI=...), {}, 503),
        (cgi(RAW_URI=..., REQUEST_URI="/v1/items/7"), {}, 200),
        (cgi(RAW_URI=...), {"trust_decoded_path": True}, 200),
        (cgi("/v1/items/..", RAW_URI=...), {"trust_decoded_path": True}, 403),
        (cgi("/v1/items/a", RAW_URI="/v1/items/b"), {}, 503),
        (cgi(RAW_URI="/v1/items/7?a=1", QUERY_STRING="a=1"), {}, 200),
        (cgi(RAW_URI="/v1/items/7?a=1", QUERY_STRING="a=2"), {}, 503),
        (cgi("/items/7", SCRIPT_NAME="/v1", RAW_URI="/v1/items/7"), {}, 200),
        (cgi("/v1/items/\u00c3\u00a9", RAW_URI="/v1/items/%C3%A9"), {}, 200),
        (cgi(RAW_URI="http://web.shop/v1/items/7"), {}, 503),
        (cgi(HTTP_X_HTTP_METHOD_OVERRIDE="DELETE"), {}, 403),
        (cgi(SERVER_PORT="", REMOTE_ADDR=""), {"supplies": ["request", "source"]}, 200),
        (cgi(CONTENT_TYPE="text/plain", CONTENT_LENGTH=""), {"supplies": ["header"]}, 200),
    ],
)
def test_what_goes_on_over_wsgi(decides: Service, environ: dict, options: dict, expected: int) -> None:
    found = through_wsgi(decides, environ, **options)
    assert (200 if isinstance(found, dict) else found) == expected


def test_an_application_of_wsgi_sees_obligations_fulfilled_and_its_own_environment_is_left_alone(
    decides: Service,
) -> None:
    environ = cgi("/v1/plan", HTTP_X_PLAN="mine", HTTP_X_DEBUG="1", HTTP_X_OTHER="2")
    seen = through_wsgi(decides, environ)
    assert (seen["HTTP_X_PLAN"], seen["HTTP_X_OTHER"]) == ("shop", "2")
    assert "HTTP_X_DEBUG" not in seen
    assert environ["HTTP_X_PLAN"] == "mine"


# -- peers ---------------------------------------------------------------------------------


class Socket:
    """As far as a TLS socket says who is at the other end."""

    def __init__(self, *names: tuple[str, str], verified: bool = True) -> None:
        self.certificate = {"subjectAltName": names} if verified else {}

    def getpeercert(self) -> dict[str, Any]:
        return self.certificate


@pytest.mark.parametrize(
    ("socket", "peer"),
    [
        (Socket(("URI", WEB)), WEB),
        (Socket(("DNS", "a"), ("URI", WEB)), WEB),
        (Socket(("URI", WEB), ("URI", WEB)), None),
        (Socket(("URI", "https://a")), None),
        (Socket(("DNS", WEB)), None),
        (Socket(verified=False), None),
        (object(), None),
        (None, None),
    ],
)
def test_the_peer_of_a_socket_is_the_one_workload_that_its_certificate_names(socket: Any, peer: Any) -> None:
    assert peers.gunicorn({"gunicorn.socket": socket}) == peer


class Call:
    def __init__(self, **said: list[bytes]) -> None:
        self.said = said

    def auth_context(self) -> dict[str, list[bytes]]:
        return self.said


@pytest.mark.parametrize(
    ("call", "peer"),
    [
        (Call(transport_security_type=[b"ssl"], peer_spiffe_id=[WEB.encode()]), WEB),
        (Call(transport_security_type=[b"insecure"], peer_spiffe_id=[WEB.encode()]), None),
        (Call(transport_security_type=[b"ssl"], peer_spiffe_id=[WEB.encode()] * 2), None),
        (Call(transport_security_type=[b"ssl"]), None),
        (Call(), None),
    ],
)
def test_the_peer_of_a_call_is_one_that_tls_has_verified(call: Call, peer: Any) -> None:
    assert peers.grpc_peer(call) == peer


XFCC = b"x-forwarded-client-cert"


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ([], None),
        ([(XFCC, b"a")], Forwarded("xfcc", ((XFCC.decode(), "a"),))),
        ([(XFCC, b"a"), (XFCC, b"b")], Forwarded("xfcc", ((XFCC.decode(), "a"), (XFCC.decode(), "b")))),
        ([(XFCC, b"a"), (b"X_Forwarded-Client_Cert", b"b")], None),
        ([(b"x_forwarded_client_cert", b"b")], None),
    ],
)
def test_what_envoy_says_is_handed_on_unread_and_forgeries_make_it_nobody(headers: Any, peer: Any) -> None:
    assert peers.asgi_xfcc({"headers": headers}) == peer


@pytest.mark.parametrize(
    ("extensions", "peer"),
    [
        (None, None),
        ({}, None),
        ({"tls": {"client_cert_chain": []}}, None),
        ({"tls": {"client_cert_chain": ["A", "B"]}}, Certificate("AB")),
        ({"tls": {"client_cert_chain": ["A"], "client_cert_error": "expired"}}, None),
    ],
)
def test_the_extension_of_asgi_gives_the_chain_as_evidence(extensions: Any, peer: Any) -> None:
    assert peers.asgi_tls({"extensions": extensions}) == peer


def test_a_chain_of_the_extension_is_verified_by_the_service(decides: Service, pki: Pki) -> None:
    pki.issue("web", uris=[WEB])
    pki.issue("strange", issuer=pki.stranger_root, uris=[WEB])
    principal: Callable[[Any], Any] = peers.asgi_tls
    for name, expected in (("web", "seen"), ("strange", 503)):
        chain = [(pki.folder / f"{name}.pem").read_text(encoding="ascii")]
        scope = http(extensions={"tls": {"client_cert_chain": chain}})
        assert outcome(through_asgi(decides, scope, principal=principal)) == expected
