"""Proxies that ask over HTTP, each as its documentation says, and what a client may try to say instead."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.evidencing import user_token
from tests.e2e.proxy_calls import (
    FORWARD_AUTH,
    PROXY,
    Asked,
    by_forward_auth,
    by_http_mode,
    certificate_lines,
    forward_auth_lines,
    leaf_of,
    send,
)
from tests.e2e.running import PARTNER, PROD, WEB, Pki, Reply, Service, make_policies, parse_replies, until
from tests.identity.tokens import AUDIENCE, ISSUER, ec_key

POLICY = """language 1
trust domain prod = "prod.example.org"
issuer corp = "https://login.example.com"
service web.shop {
    host "web.shop.example.com"
    allow prod/ns/shop/sa/* to any /** as all
    allow anyone to GET /public/** as public
    allow prod/ns/shop/sa/* to GET /plan set header x-plan = "gold" remove header x-internal as plan
    allow prod/ns/shop/sa/* to GET /other set header x-other = "1" as other
    allow prod/ns/shop/sa/* on behalf of corp/* to GET /mine set header x-plan = "user" as mine
    deny anyone to any /admin/** as no-admin
    deny anyone to GET /env/** when header.x-env == "dev" as no-dev
    deny anyone to GET /mine unless user.sub == "alice" as only-alice
    deny anyone to GET /port when has request.port as port
    deny anyone to GET /sni when has tls.sni as sni
    deny anyone to GET /whence when has source.ip as whence
    deny anyone to GET /inside unless source.ip in 10.0.0.0/8 as inside
}
service pay.shop {
    host "pay.shop.example.com"
    allow prod/ns/shop/sa/* to GET /** as all
    deny anyone to GET /env when header.x-env == "dev" as no-dev
}
group unauthenticated = { anyone except any authenticated }
caller prod/ns/edge/sa/proxy fronts web.shop
    may assert unauthenticated
    may present nginx, traefik, client-cert, xfcc of any principal of prod
    may present user-token of corp
    supplies source, header, request, user, tls
caller prod/ns/edge/sa/two fronts pay.shop
    may present nginx of any principal of prod
caller prod/ns/edge/sa/two fronts web.shop
    may present nginx of any principal of prod
    supplies header
"""
KINDS = [*FORWARD_AUTH]
ALL = [*KINDS, "envoy"]
REFUSED = "carrier_refused"


def settings(folder: Path) -> str:
    tables = [
        f'[proxies.{kind}]\nkind = "{kind}"\ncallers = ["{PROXY}"]\nheaders = ["x-plan", "x-internal"]\n'
        f'source_ip_header = "x-real-ip"\nuser_token = true\n'
        f'[proxies.{kind}-open]\nkind = "{kind}"\ncallers = ["{PROXY}"]\nwithout_certificate = "anonymous"\n'
        for kind in ALL
    ]
    keys = json.dumps({"keys": [ec_key("P-256", 0).named("one")]})
    return (
        "\n".join(tables)
        + f'[proxies.two]\nkind = "nginx"\ncallers = ["spiffe://{PROD}/ns/edge/sa/two"]\n'
        + f'[issuers."{ISSUER}"]\naudiences = ["{AUDIENCE}"]\njwks = \'{keys}\'\n'
        + f'[quarantine]\nfile = "{folder / "list.json"}"\n[decision_log]\nto = "{folder / "log.jsonl"}"\n'
    )


class Edge:
    """The service, and a client that has a certificate."""

    def __init__(self, folder: Path, *, direct: bool) -> None:
        self.folder = folder
        pki = Pki(folder)
        for name in ("proxy", "two"):
            pki.issue(name, uris=[f"spiffe://{PROD}/ns/edge/sa/{name}"])
        self.list = folder / "list.json"
        self.list.write_text('{"entries": []}', encoding="utf-8")
        (folder / "pdp.toml").write_text(settings(folder), encoding="utf-8")
        self.service = Service(
            pki, make_policies(folder / "policies", POLICY), "--config", str(folder / "pdp.toml"),
            direct=direct,
        )  # fmt: skip
        self.web = Asked(path="/v1/items/7?x=1", principal=WEB, leaf=leaf_of(self.service, WEB, "web"))

    def ask(self, kind: str, profile: str = "", **change: Any) -> Reply:
        asked = replace(self.web, **change)
        if kind == "envoy":
            return by_http_mode(self.service, profile or kind, asked)
        return by_forward_auth(self.service, kind, profile or kind, asked)

    def send(
        self, kind: str, lines: list[tuple[str, str]], caller: str = "proxy", profile: str = ""
    ) -> Reply:
        return send(self.service, "GET", f"/v1/forward-auth/{profile or kind}", lines, caller)

    def lines(self, kind: str, **change: Any) -> list[tuple[str, str]]:
        return forward_auth_lines(kind, replace(self.web, **change))


@pytest.fixture(scope="module", params=[True, False], ids=["direct", "routed"])
def edge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    edge = Edge(tmp_path_factory.mktemp("edge"), direct=request.param)
    yield edge
    assert edge.service.stop() == 0, edge.service.log


def outcome(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.headers.get("x-pdp-error", "")


# -- answers -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_an_allow_is_200_and_says_for_whom(kind: str, edge: Edge) -> None:
    reply = edge.ask(kind)

    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["x-pdp-principal"] == WEB
    assert len(reply.headers["x-pdp-decision-id"]) == 26


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_there_is_said_to_be_empty(kind: str, edge: Edge) -> None:
    assert edge.ask(kind).headers["x-pdp-user"] == ""


def test_envoy_is_told_to_remove_what_is_not_there(edge: Edge) -> None:
    reply = edge.ask("envoy")

    assert "x-pdp-user" not in reply.headers
    assert set(reply.headers["x-envoy-auth-headers-to-remove"].split(", ")) == {
        "x-pdp-user", "x-plan", "x-internal",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("path", ["/admin", "/admin/x?y", "/a/../admin", "//admin", "/%61dmin%2fx", "/x#y"])
def test_a_deny_is_403(kind: str, path: str, edge: Edge) -> None:
    assert edge.ask(kind, path=path).status == 403


@pytest.mark.parametrize("kind", ALL)
def test_without_a_certificate_it_is_401_with_a_challenge(kind: str, edge: Edge) -> None:
    reply = edge.ask(kind, leaf=None, principal="")

    assert outcome(reply) == (401, "evidence_refused")
    assert reply.headers["www-authenticate"]


@pytest.mark.parametrize("kind", ALL)
def test_where_the_profile_says_so_nobody_is_anonymous(kind: str, edge: Edge) -> None:
    public = edge.ask(kind, f"{kind}-open", leaf=None, principal="", path="/public/x")
    private = edge.ask(kind, f"{kind}-open", leaf=None, principal="", path="/v1/items/7")

    assert (public.status, public.headers.get("x-pdp-principal", "")) == (200, "")
    assert outcome(private) == (403, "")


def test_nginx_that_says_nothing_of_a_certificate_does_not_say_that_there_is_none(edge: Edge) -> None:
    lines = [line for line in edge.lines("nginx", path="/public/x") if not line[0].startswith("ssl-")]

    assert outcome(edge.send("nginx", lines, profile="nginx-open")) == (401, "evidence_refused")


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind != "envoy"])
def test_a_certificate_of_another_authority_proves_nothing(kind: str, edge: Edge) -> None:
    edge.service.pki.issue("stranger", edge.service.pki.stranger_root, uris=[WEB])
    edge.service.pki.issue("minted", edge.service.pki.partner_root, uris=[WEB])

    for name in ("stranger", "minted"):
        assert outcome(edge.ask(kind, leaf=edge.folder / f"{name}.pem")) == (401, "evidence_refused")


def test_what_the_entry_does_not_permit_is_403(edge: Edge) -> None:
    partner = f"spiffe://{PARTNER}/ns/shop/sa/web"
    leaf = leaf_of(edge.service, partner, "partner-web")

    assert outcome(edge.ask("nginx", principal=partner, leaf=leaf)) == (403, "principal_not_permitted")
    assert outcome(edge.ask("nginx", "two")) == (403, "profile_not_permitted")
    assert outcome(edge.ask("nginx", "caddy")) == (403, REFUSED)  # another kind's carriers
    assert outcome(edge.ask("nginx", "nobody")) == (403, "profile_not_permitted")
    assert outcome(edge.ask("nginx", "envoy")) == (403, "profile_not_permitted")
    assert outcome(edge.ask("envoy", "nginx")) == (403, "profile_not_permitted")
    assert outcome(edge.send("nginx", edge.lines("nginx"), caller="two")) == (403, "profile_not_permitted")
    assert outcome(edge.send("nginx", edge.lines("nginx"), caller="pep")) == (403, "caller_not_listed")


# -- which service ------------------------------------------------------------------------


def test_a_caller_of_one_service_asks_about_that_whatever_the_host(edge: Edge) -> None:
    assert edge.ask("nginx", host="elsewhere.example.com").status == 200


def test_a_caller_of_several_asks_about_the_one_that_answers_to_the_host(edge: Edge) -> None:
    def asked(host: str, path: str) -> tuple[int, str]:
        lines = edge.lines("nginx", host=host, path=path)
        return outcome(edge.send("nginx", lines, caller="two", profile="two"))

    assert asked("pay.shop.example.com", "/admin") == (200, "")
    assert asked("PAY.shop.example.com.:8443", "/admin") == (200, "")
    assert asked("web.shop.example.com", "/admin") == (403, "")
    assert asked("nobody.example.com", "/") == (403, "service_not_permitted")
    assert asked("web.shop.example.com,pay.shop.example.com", "/") == (403, REFUSED)


def test_a_query_in_our_url_names_nothing(edge: Edge) -> None:
    reply = edge.send("nginx", edge.lines("nginx", path="/admin"), profile="nginx?service=pay.shop")

    assert outcome(reply) == (403, "")


# -- carriers -----------------------------------------------------------------------------


def altered(lines: list[tuple[str, str]], name: str, how: str) -> list[tuple[str, str]]:
    """The lines with one of them made doubtful."""
    value = next(value for found, value in lines if found == name)
    rest = [line for line in lines if line[0] != name]
    alias = name.replace("-", "_")
    other = {"method": "GET", "uri": "/public/x", "host": "web.shop.example.com"}.get(
        name.lower().rpartition("-")[2], value
    )
    match how:
        case "missing":
            return rest
        case "twice":
            return [*lines, (name, other)]
        case "twice, the other first":
            return [(name, other), *lines]
        case "beside an alias":
            return [*lines, (alias, other)]
        case "as an alias alone":
            return [*rest, (alias, value)]
        case "in other capitals as well":
            return [*lines, (name.upper(), other)]
        case "joined":
            return [*rest, (name, f"{value},{other}")]
        case "joined with a space":
            return [*rest, (name, f"{value}, {other}")]
        case "empty":
            return [*rest, (name, "")]
        case "unexpanded":
            return [*rest, (name, "$request_uri")]
        case "a placeholder":
            return [*rest, (name, "{http.request.uri}")]
    raise AssertionError(how)


HOW = [
    "missing", "twice", "twice, the other first", "beside an alias", "as an alias alone",
    "in other capitals as well", "joined", "joined with a space", "empty", "unexpanded", "a placeholder",
]  # fmt: skip


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", KINDS)
def test_method_and_target_are_believed_once_and_in_one_spelling(kind: str, how: str, edge: Edge) -> None:
    method, target, _ = FORWARD_AUTH[kind]
    lines = edge.lines(kind)
    assert edge.send(kind, lines).status == 200

    for name in (method, target):
        assert outcome(edge.send(kind, altered(lines, name, how))) == (403, REFUSED), name


@pytest.mark.parametrize("how", [how for how in HOW if how not in {"missing", "as an alias alone"}])
@pytest.mark.parametrize("kind", KINDS)
def test_the_host_is_too(kind: str, how: str, edge: Edge) -> None:
    host = FORWARD_AUTH[kind][2]

    assert outcome(edge.send(kind, altered(edge.lines(kind), host, how))) == (403, REFUSED)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", KINDS)
def test_the_certificate_is_too(kind: str, how: str, edge: Edge) -> None:
    for name, _ in certificate_lines(kind, edge.web.leaf):
        assert edge.send(kind, altered(edge.lines(kind), name, how)).status in {401, 403}, name


@pytest.mark.parametrize(
    ("path", "status"),
    [("/a%2Cb", 200), ("/a?x=c,d", 200), ("/a,b", 403), ("/a,/b", 403), ("/a?x,/b", 403)],
)
def test_a_comma_is_refused_where_two_targets_may_have_been_joined(
    path: str, status: int, edge: Edge
) -> None:
    assert edge.ask("nginx", path=path).status == status


def test_two_lines_with_one_value_are_still_two(edge: Edge) -> None:
    lines = [*edge.lines("nginx"), ("x-original-uri", edge.web.path)]

    assert outcome(edge.send("nginx", lines)) == (403, REFUSED)


def test_what_another_kind_would_believe_is_only_a_header(edge: Edge) -> None:
    others = [
        ("X-Forwarded-Uri", "/public/x"),
        ("X-Forwarded-Method", "GET"),
        ("x-original-url", "/public/x"),
    ]

    assert edge.send("nginx", [*edge.lines("nginx", path="/admin"), *others]).status == 403


# -- conditions ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 403),  # absent: a deny that compares holds
        ([("x-env", "live")], 200),
        ([("x-env", "dev")], 403),
        ([("x-env", "live"), ("x-env", "dev")], 403),
        ([("x-env", "live"), ("X_Env", "dev")], 403),
        ([("X_Env", "dev")], 403),
    ],
)
def test_all_values_of_a_header_count_and_other_spellings_of_it(
    kind: str, headers: list[tuple[str, str]], status: int, edge: Edge
) -> None:
    assert edge.ask(kind, path="/env/x", headers=tuple(headers)).status == status


@pytest.mark.parametrize("name", ["x-http-method-override", "X-Method-Override", "x_http_method"])
def test_a_header_that_names_another_method_denies(name: str, edge: Edge) -> None:
    assert edge.ask("nginx", headers=((name, "DELETE"),)).status == 403
    assert edge.ask("nginx", headers=((name, "GET"),)).status == 200


def test_what_an_entry_does_not_supply_is_left_out_and_no_matter(edge: Edge) -> None:
    """One of its entries supplies headers: that does not keep the other from being asked."""
    lines = edge.lines("nginx", host="pay.shop.example.com", path="/x", headers=(("x-any", "1"),))
    env = edge.lines("nginx", host="pay.shop.example.com", path="/env", headers=(("x-env", "live"),))

    assert edge.send("nginx", lines, caller="two", profile="two").status == 200
    assert (
        edge.send("nginx", env, caller="two", profile="two").status == 403
    )  # what is not supplied is unknown


def test_the_client_s_address_is_what_the_proxy_says_once(edge: Edge) -> None:
    lines = edge.lines("nginx", path="/inside", address="10.1.2.3")

    assert edge.send("nginx", lines).status == 200
    assert outcome(edge.send("nginx", [*lines, ("x-real-ip", "10.1.2.4")])) == (403, REFUSED)
    assert outcome(edge.send("nginx", [*lines, ("X_Real_Ip", "10.1.2.4")])) == (403, REFUSED)
    assert edge.ask("nginx", path="/inside").status == 403
    without = [line for line in lines if line[0] != "x-real-ip"]
    assert outcome(edge.send("nginx", without)) == (403, REFUSED)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("path", ["/port", "/sni", "/whence"])
def test_what_a_proxy_cannot_tell_is_not_absent_whatever_the_entry_supplies(
    kind: str, path: str, edge: Edge
) -> None:
    """A deny of whoever has such an attribute must not be evaded by nobody having said it."""
    assert edge.ask(kind, f"{kind}-open", path=path).status == 403


# -- obligations, users, quarantine, log -----------------------------------------------------


def test_obligations_are_headers_of_the_answer(edge: Edge) -> None:
    reply = edge.ask("nginx", path="/plan")

    assert (reply.status, reply.headers["x-plan"]) == (200, "gold")
    assert "x-internal" not in reply.headers


def test_envoy_is_told_which_to_remove(edge: Edge) -> None:
    reply = edge.ask("envoy", path="/plan")

    assert reply.headers["x-plan"] == "gold"
    assert "x-internal" in reply.headers["x-envoy-auth-headers-to-remove"].split(", ")


@pytest.mark.parametrize("kind", ALL)
def test_an_allow_that_the_proxy_cannot_fulfil_is_none(kind: str, edge: Edge) -> None:
    reply = edge.ask(kind, path="/other")

    assert outcome(reply) == (403, "obligation_not_possible")
    assert len(reply.headers["x-pdp-decision-id"]) == 26


def test_a_bearer_token_is_evidence_of_the_user(edge: Edge) -> None:
    def asked(*lines: tuple[str, str], profile: str = "nginx") -> Reply:
        return edge.ask("nginx", profile, path="/mine", headers=lines)

    token = user_token()
    reply = asked(("Authorization", f"Bearer {token}"))
    assert (reply.status, reply.headers["x-pdp-user"]) == (200, f"{ISSUER}/alice")
    assert asked().status == 403
    assert asked(("Authorization", "Basic YTpi")).status == 403
    assert outcome(asked(("Authorization", f"Bearer {token}x"))) == (401, "evidence_refused")
    assert outcome(asked(*[("Authorization", f"Bearer {token}")] * 2)) == (403, REFUSED)
    assert asked(("Authorization", f"Bearer {token}"), profile="nginx-open").status == 403


def test_who_is_quarantined_is_denied(edge: Edge) -> None:
    quarantine(edge, WEB)
    try:
        until(lambda: edge.ask("nginx").status == 403)
        assert all(edge.ask(kind).status == 403 for kind in ALL)
    finally:
        edge.list.write_text('{"entries": []}', encoding="utf-8")
    until(lambda: edge.ask("nginx").status == 200)


def quarantine(edge: Edge, spiffe_id: str) -> None:
    subprocess.run(
        [
            sys.executable, "-m", "pdp.cli.main", "quarantine", "add", "--spiffe-id", spiffe_id,
            "--why", "leaked", "--for", "1h", "--file", str(edge.list),
        ],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def test_questions_of_proxies_are_logged_like_all_others(edge: Edge) -> None:
    edge.ask("nginx", path="/admin/logged?secret=1")

    def line() -> dict[str, Any] | None:
        lines = (edge.folder / "log.jsonl").read_text("utf-8").splitlines()
        return next((json.loads(each) for each in lines if "/admin/logged" in each), None)

    until(line)
    assert (found := line()) is not None
    assert found["caller"] == PROXY
    assert found["decision"] == "deny"
    assert "secret" not in json.dumps(found)


# -- the wire --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"])
def test_envoy_s_own_method_is_what_is_asked(method: str, edge: Edge) -> None:
    assert edge.ask("envoy", method=method, path="/x").status == 200
    assert edge.ask("envoy", method=method, path="/admin").status == 403


def test_a_body_is_not_looked_at_and_spoils_no_later_request(edge: Edge) -> None:
    lines = edge.lines("nginx")
    head = "\r\n".join(["POST /v1/forward-auth/nginx HTTP/1.1", *(f"{n}: {v}" for n, v in lines)])
    body = b"GET /v1/forward-auth/none HTTP/1.1\r\nhost: x\r\n\r\n"
    one = f"{head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    last = f"{head}\r\nconnection: close\r\n\r\n".encode()

    received = edge.service.raw(one + one + last, caller="proxy")

    assert received.count(b"HTTP/1.1 200") == received.count(b"HTTP/1.1 ") == 3


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_behind_a_body_is_no_header(kind: str, edge: Edge) -> None:
    """A proxy that overwrites what its client sent does so with headers, and sends trailers on."""
    certificate = certificate_lines(kind, edge.web.leaf)
    names = {name for name, _ in certificate}
    lines = [line for line in edge.lines(kind) if line[0] not in names]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    trailers = "".join(f"{name}: {value}\r\n" for name, value in certificate)
    request = (
        f"POST /v1/forward-auth/{kind} HTTP/1.1\r\n{head}transfer-encoding: chunked\r\nconnection: close\r\n"
        f"\r\n1\r\nx\r\n0\r\n{trailers}\r\n"
    )

    (reply,) = parse_replies(edge.service.raw(request.encode(), caller="proxy"))

    assert outcome(reply) == (401, "evidence_refused")


@pytest.mark.parametrize(
    "data",
    [
        "GET {} HTTP/1.1\r\nhost: x\r\n" + "x: y\r\n" * 120 + "\r\n",
        "GET {} HTTP/1.1\r\nhost: x\r\nx: " + "y" * 40_000 + "\r\n\r\n",
        "GET {} HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        "GET {} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("target", ["/v1/forward-auth/nginx", "/v1/ext-authz/envoy/v1/items/7"])
def test_what_is_refused_before_it_is_looked_at_is_a_denial_as_well(
    data: str, target: str, edge: Edge
) -> None:
    (reply,) = parse_replies(edge.service.raw(data.format(target).encode(), caller="proxy"))

    assert reply.status == 403


def test_an_upgrade_is_refused_where_the_connection_would_change(edge: Edge) -> None:
    assert edge.ask("nginx", headers=(("upgrade", "websocket"),)).status == 200
    refused = edge.ask("nginx", headers=(("upgrade", "websocket"), ("connection", "upgrade")))
    assert outcome(refused) == (403, "upgrade_refused")
    assert refused.headers["connection"] == "close"


def test_no_answer_is_anything_else_under_load(edge: Edge) -> None:
    """Of many at a time, each is answered as it would be alone."""
    seen: list[int] = []

    def run(path: str) -> None:
        seen.extend(edge.ask("envoy", path=path).status for _ in range(10))

    threads = [threading.Thread(target=run, args=(path,)) for path in ["/x", "/admin"] * 4]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(set(seen)) == [200, 403]
    assert seen.count(200) == seen.count(403) == 40
