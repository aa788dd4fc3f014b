"""FastAPI on uvicorn, Flask and Django on gunicorn and waitress, behind the middleware and a real service."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.python.tests.fronted import PEER, POLICY, WEB, ask, environment, python, served
from tests.e2e.running import PEP, Pki, Service, make_policies

APPLICATION = "clients.python.tests.applications"
UVICORN = ["-m", "uvicorn", "--port", "PORT", "--log-level", "warning"]
GUNICORN = ["-m", "gunicorn", "--bind", "127.0.0.1:PORT", "--workers", "1", "--log-level", "warning"]
GUNICORN += ["--no-control-socket"]
WAITRESS = ["-m", "waitress", "--listen", "127.0.0.1:PORT"]
SERVERS = {
    "fastapi": [*UVICORN, f"{APPLICATION}:fastapi_fronted"],
    "flask": [*GUNICORN, f"{APPLICATION}:flask_fronted"],
    "flask-waitress": [*WAITRESS, f"{APPLICATION}:flask_fronted"],
    "django": [*GUNICORN, f"{APPLICATION}:django_fronted"],
}
BARE = {
    "fastapi": [*UVICORN, f"{APPLICATION}:fastapi_bare"],
    "flask": [*GUNICORN, f"{APPLICATION}:flask_bare"],
}


@pytest.fixture(scope="module")
def decides(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(pki, make_policies(tmp_path_factory.mktemp("fronted") / "policies", POLICY))
    yield service
    assert service.stop() == 0, service.log


@pytest.fixture(scope="module", params=SERVERS)
def port(
    request: pytest.FixtureRequest, decides: Service, pki: Pki, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("server")
    with served(python(*SERVERS[request.param]), folder, **environment(pki, decides)) as found:
        yield found


def headers_of(seen: Any) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in seen["headers"]}


def test_an_allow_goes_on_and_a_deny_is_403(port: int) -> None:
    status, seen = ask(port, "/v1/items/7?full=1")
    assert (status, seen["path"], seen["method"]) == (200, "/v1/items/7", "GET")
    for path, method in (("/v1/items", "GET"), ("/v1/items/7", "DELETE"), ("/", "GET")):
        assert ask(port, path, method) == (403, b"forbidden\n")


@pytest.mark.parametrize(
    "path",
    [
        "//v1/items/7",
        "/v1/items/7/",
        "/v1/x/../items/7",
        "/v1/items/%2e%2e",
        "/v1/items/7;x",
        "/v1/items%2f7",
        "/v1//items/7",
        "/v1/items/7%00",
        "/v1/items/7?_method=DELETE",
        "/v1/items/a%252fb",
        "/v1/./items/7",
    ],
)
def test_a_path_with_several_readings_does_not_go_on(port: int, path: str) -> None:
    # 503: waitress gives the application another path than it received.
    assert ask(port, path)[0] in {400, 403, 503}


def test_an_encoded_path_is_asked_about_as_it_came_and_arrives(port: int) -> None:
    status, seen = ask(port, "/v1/items/%C3%A9")
    assert (status, seen["path"]) == (200, "/v1/items/é")


def test_obligations_are_fulfilled_under_every_name_that_the_application_may_read(port: int) -> None:
    forged = [
        *PEER.items(),
        ("X-Plan", "forged"),
        ("X_Plan", "forged"),
        ("x-plan", "again"),
        ("x-debug", "1"),
        ("X_DEBUG", "1"),
    ]
    status, seen = ask(port, "/v1/plan", headers=forged)
    assert status in {200, 400}, "gunicorn may refuse underscores"
    if status == 200:
        assert headers_of(seen)["x-plan"] == "shop"
        assert "forged" not in str(seen)
        assert "x-debug" not in headers_of(seen)

    status, seen = ask(port, "/v1/plan", headers={**PEER, "X-Plan": "forged", "x-debug": "1", "x-other": "2"})
    assert status == 200
    found = headers_of(seen)
    assert (found["x-plan"], found["x-other"]) == ("shop", "2")
    assert "x-debug" not in found
    assert "forged" not in str(seen)


def test_an_obligation_that_cannot_be_fulfilled_is_a_deny(port: int) -> None:
    assert ask(port, "/v1/length") == (403, b"forbidden\n")


def test_attributes_that_are_supplied_arrive(port: int) -> None:
    assert ask(port, "/v1/inside", headers={**PEER, "X-Env": "prod"})[0] == 200
    assert ask(port, "/v1/inside", headers={**PEER, "X-Env": "test"})[0] == 403
    assert ask(port, "/v1/inside")[0] == 403
    assert ask(port, "/v1/inside", headers=[*PEER.items(), ("x-env", "prod"), ("x-env", "test")])[0] == 403
    assert ask(port, "/v1/local")[0] == 200
    assert ask(port, "/v1/named")[0] == 200


@pytest.mark.parametrize("name", ["x-http-method-override", "X-Method-Override", "X-HTTP-Method"])
def test_a_header_that_names_another_method_does_not_go_on(port: int, name: str) -> None:
    assert ask(port, "/v1/items/7", headers={**PEER, name: "DELETE"})[0] == 403
    assert ask(port, "/v1/items/7", headers={**PEER, name: "GET"})[0] == 200


@pytest.mark.parametrize(
    ("peer", "status"), [({}, 403), ({"x-peer": "broken"}, 503), ({"x-peer": "web"}, 503)]
)
def test_nobody_is_denied_and_a_function_that_fails_lets_nothing_pass(
    port: int, peer: dict, status: int
) -> None:
    assert ask(port, "/v1/items/7", headers=peer)[0] == status


@pytest.fixture(scope="module", params=BARE)
def bare(
    request: pytest.FixtureRequest, decides: Service, pki: Pki, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """As a caller that supplies nothing."""
    mine = Pki.__new__(Pki)
    mine.folder = tmp_path_factory.mktemp("pki-of-front")
    for name in ("prod.pem", "partner.pem"):
        (mine.folder / name).write_bytes((pki.folder / name).read_bytes())
    mine.root = pki.root
    mine.issue("pep", uris=["spiffe://prod.example.org/ns/shop/sa/front"])
    folder = tmp_path_factory.mktemp("server")
    with served(python(*BARE[request.param]), folder, **environment(mine, decides)) as found:
        yield found


@pytest.mark.parametrize("name", ["x-http-method-override", "X_Method_Override", "X-HTTP-Method"])
def test_without_headers_supplied_an_override_is_denied_here(bare: int, name: str) -> None:
    assert ask(bare, "/v1/items/7")[0] == 200
    assert ask(bare, "/v1/items/7", headers={**PEER, name: "DELETE"})[0] in {400, 403} or "_" in name
    assert ask(bare, "/v1/items/7", headers={**PEER, name.replace("_", "-"): "DELETE"})[0] == 403


@pytest.mark.parametrize("name", SERVERS)
def test_without_a_service_to_ask_nothing_passes(name: str, pki: Pki, tmp_path: Path) -> None:
    with served(python(*SERVERS[name]), tmp_path, **environment(pki, None)) as port:
        assert ask(port, "/v1/items/7") == (503, b"no decision\n")


@pytest.mark.parametrize("name", ["fastapi", "flask"])
def test_behind_envoy_the_header_is_evidence(name: str, decides: Service, pki: Pki, tmp_path: Path) -> None:
    with served(python(*SERVERS[name]), tmp_path, **environment(pki, decides, FRONTED_XFCC="1")) as port:
        by_us = f"By={PEP};Hash={'0' * 64};URI={WEB}"
        assert ask(port, "/v1/items/7", headers={"x-forwarded-client-cert": by_us})[0] == 200
        by_others = by_us.replace("sa/pep", "sa/other")
        assert ask(port, "/v1/items/7", headers={"x-forwarded-client-cert": by_others})[0] == 503
        twice = [("x-forwarded-client-cert", by_us)] * 2
        assert ask(port, "/v1/items/7", headers=twice)[0] in {403, 503}
        forged = [("x-forwarded-client-cert", by_us), ("X_Forwarded_Client_Cert", by_us)]
        assert ask(port, "/v1/items/7", headers=forged)[0] in (
            {403} if name == "fastapi" else {200, 400, 503}
        )
        assert ask(port, "/v1/items/7", headers={})[0] == 403


def test_the_peer_of_gunicorn_is_that_of_its_socket(decides: Service, pki: Pki, tmp_path: Path) -> None:
    pki.issue("web", uris=[WEB])
    pki.issue("nameless", uris=[], dns=["web.example"])
    tls = [
        "--certfile",
        str(pki.folder / "server.pem"),
        "--keyfile",
        str(pki.folder / "server-key.pem"),
        "--ca-certs",
        str(pki.folder / "prod.pem"),
        "--cert-reqs",
        "2",
    ]
    command = python(*GUNICORN, *tls, f"{APPLICATION}:flask_fronted")
    with served(command, tmp_path, **environment(pki, decides, FRONTED_TLS="1")) as port:
        found = {}
        for name in ("web", "nameless"):
            service = Service.__new__(Service)
            service.pki, service.port = pki, port
            found[name] = service.send(b"", path="/v1/items/7", method="GET", caller=name).status
        assert found == {"web": 200, "nameless": 403}
