"""Envoy's external authorization over gRPC, as messages; the real Envoy is in `tests/e2e/proxies`."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from tests.e2e.evidencing import user_token
from tests.e2e.grpc_calls import channel, grpc_port
from tests.e2e.proxy_calls import PROXY, Asked, check, check_request, leaf_of
from tests.e2e.running import PARTNER, PROD, WEB, Pki, Service, make_policies
from tests.identity.mint import leaf
from tests.identity.tokens import AUDIENCE, ISSUER, ec_key

POLICY = """language 1
trust domain prod = "prod.example.org"
issuer corp = "https://login.example.com"
service web.shop {
    host "web.shop.example.com"
    allow prod/ns/shop/sa/*, dns jump.example.org to any /** as all
    allow anyone to GET /public/** as public
    allow prod/ns/shop/sa/* to GET /plan set header x-plan = "gold" remove header x-internal as plan
    allow prod/ns/shop/sa/* to GET /host set header host = "elsewhere" as host
    allow prod/ns/shop/sa/* to GET /claims set header x-pdp-user = "root" as claims
    deny anyone to any /admin/** as no-admin
    deny anyone to GET /env/** when header.x-env == "dev" as no-dev
    deny anyone to GET /pair when header.x-env == "a,b" as no-pair
    deny anyone to GET /both unless header.x-env == "a,b" as only-both
    deny anyone to GET /has unless header.x-env has "a,b" as has-both
    deny anyone to GET /token when has header.authorization as no-token
    deny anyone to GET /mine unless user.sub == "alice" as only-alice
}
service db.shop {
    allow prod/ns/shop/sa/* to any /** as all
    allow prod/ns/blog/sa/* to any /** when source.ip in 10.0.0.0/8 as inside
}
service pages.shop {
    allow prod/ns/shop/sa/* to GET /** as all
}
service debug.shop { allow prod/ns/shop/sa/* to any /** unless has header.x-debug as debug }
service blocked.shop {
    allow prod/ns/shop/sa/* to any /** as all
    deny anyone to any /** when has header.x-blocked as blocked
}
service mallory.shop {
    allow prod/ns/shop/sa/* to any /** as all
    deny anyone on behalf of corp/mallory to any /** as no-mallory
}
service hosts.shop { allow prod/ns/shop/sa/* to any /** when not has request.host as hosts }
service mixed.shop {
    allow prod/ns/shop/sa/* to any /** as all
    deny prod/ns/blog/sa/* to any /closed as closed
}
service closed.shop {
    allow prod/ns/shop/sa/* to any /** as all
    deny anyone to any /closed as closed
}
group unauthenticated = { anyone except any authenticated }
caller prod/ns/edge/sa/proxy fronts any service
    may assert any principal of prod, dns jump.example.org, unauthenticated
    may present user-token of corp
    supplies source, header, request, user, tls
caller prod/ns/{ns}/sa/{sa} fronts "{sa}.{ns}"
    may assert any principal of prod
    supplies source, header, request, user, tls
"""
OK, DENIED, UNAUTHENTICATED = 0, 7, 16


class Mesh:
    """The service, and a client's request to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pki = Pki(folder)
        self.pki.issue("proxy", uris=[PROXY])
        self.pki.issue("side", uris=[f"spiffe://{PROD}/ns/shop/sa/db"])
        self.pki.issue("nobody", self.pki.partner_root, uris=[f"spiffe://{PARTNER}/x"])
        keys = json.dumps({"keys": [ec_key("P-256", 0).named("one")]})
        (folder / "pdp.toml").write_text(
            f'[proxies.open]\nkind = "envoy"\ncallers = ["{PROXY}"]\nwithout_certificate = "anonymous"\n'
            f'[proxies.users]\nkind = "envoy"\ncallers = ["{PROXY}"]\nuser_token = true\n'
            f'service = "web.shop"\n'
            f'headers = ["x-plan"]\n'
            f'[proxies.nginx]\nkind = "nginx"\ncallers = ["{PROXY}"]\n'
            f'[proxies.other]\nkind = "envoy"\ncallers = ["spiffe://{PROD}/x"]\n'
            f'[issuers."{ISSUER}"]\naudiences = ["{AUDIENCE}"]\njwks = \'{keys}\'\n',
            encoding="utf-8",
        )
        self.service = Service(
            self.pki, make_policies(folder / "policies", POLICY), "--config", str(folder / "pdp.toml"),
            "--grpc", "127.0.0.1:0",
        )  # fmt: skip
        self.port = grpc_port(self.service)
        self.web = Asked(path="/v1/items/7?x=1", principal=WEB, leaf=leaf_of(self.service, WEB, "web"))


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    mesh = Mesh(tmp_path_factory.mktemp("mesh"))
    yield mesh
    assert mesh.service.stop() == 0, mesh.service.log


@pytest.fixture(scope="module")
def on(mesh: Mesh) -> Iterator[grpc.Channel]:
    with channel(mesh.pki, mesh.port, "proxy") as opened:
        yield opened


@pytest.fixture
def ask(mesh: Mesh, on: grpc.Channel) -> Any:
    def asked(*, raw: bool = True, certificate: bool = True, **change: Any) -> CheckResponse:
        return check(on, check_request(replace(mesh.web, **change), raw=raw, certificate=certificate))

    return asked


def headers_of(response: CheckResponse) -> dict[str, str]:
    options = [*response.ok_response.headers, *response.denied_response.headers]
    # Newer and older Envoys look at one of the two; an appended header leaves the client's in place.
    assert all(option.HasField("append") and not option.append.value for option in options)
    assert all(option.append_action == 2 for option in options)
    return {option.header.key: option.header.value for option in options}


def outcome(response: CheckResponse) -> tuple[int, int, str]:
    assert response.HasField("status")
    return (
        response.status.code,
        response.denied_response.status.code,
        headers_of(response).get("x-pdp-error", ""),
    )


# -- answers ---------------------------------------------------------------------------------


def test_an_allow_says_for_whom_and_removes_what_is_empty(ask: Any) -> None:
    response = ask()

    assert (response.status.code, response.WhichOneof("http_response")) == (OK, "ok_response")
    headers = headers_of(response)
    assert headers["x-pdp-principal"] == WEB
    assert len(headers["x-pdp-decision-id"]) == 26
    assert list(response.ok_response.headers_to_remove) == ["x-pdp-user"]


def test_a_deny_is_403_and_not_an_error(ask: Any) -> None:
    response = ask(path="/admin/x")

    assert outcome(response) == (DENIED, 403, "")
    assert response.WhichOneof("http_response") == "denied_response"


@pytest.mark.parametrize("path", ["", "x", "*", "/a/../admin", "/a%2fadmin", "//admin", "/x#y", "/é", "/a b"])
def test_a_path_with_more_than_one_reading_is_denied(path: str, ask: Any) -> None:
    assert outcome(ask(path=path)) == (DENIED, 403, "")


def test_the_access_log_is_told_which_decision_it_was(ask: Any) -> None:
    told = dict(ask(path="/admin/x").dynamic_metadata)

    assert {name: told[name] for name in ("decision", "reason", "principal", "service")} == {
        "decision": "deny", "reason": "denied_by_rule", "principal": WEB, "service": "web.shop",
    }  # fmt: skip
    assert list(told["rules"]) == ["web.shop/no-admin"]
    assert len(told["decision_id"]) == 26
    assert len(told["revision"]) == 16


def test_obligations_are_mutations_of_headers(ask: Any) -> None:
    response = ask(path="/plan")

    assert headers_of(response)["x-plan"] == "gold"
    assert set(response.ok_response.headers_to_remove) == {"x-internal", "x-pdp-user"}


@pytest.mark.parametrize("path", ["/host", "/claims"])
def test_an_obligation_that_envoy_would_not_fulfil_or_that_speaks_for_us_denies(path: str, ask: Any) -> None:
    assert outcome(ask(path=path)) == (DENIED, 403, "obligation_not_possible")


def test_headers_of_the_profile_are_removed_where_no_rule_sets_them(ask: Any) -> None:
    plain = ask(extensions={"profile": "users"})
    plan = ask(path="/plan", extensions={"profile": "users"})

    assert set(plain.ok_response.headers_to_remove) == {"x-plan", "x-pdp-user"}
    assert headers_of(plan)["x-plan"] == "gold"
    assert "x-plan" not in plan.ok_response.headers_to_remove


# -- whatever goes wrong -----------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x0a\x01", b"\x0a\x02\x22\x00"])
def test_what_is_no_check_is_denied_and_no_error(data: bytes, on: grpc.Channel) -> None:
    response = check(on, data)

    assert response.status.code in {DENIED, UNAUTHENTICATED}
    assert response.denied_response.status.code in {401, 403}


@pytest.mark.parametrize("caller", ["nobody", "pep"])
def test_who_may_not_ask_is_told_so_by_a_denial(caller: str, mesh: Mesh) -> None:
    with channel(mesh.pki, mesh.port, caller) as opened:
        response = check(opened, check_request(mesh.web))

    assert outcome(response)[:2] == (DENIED, 403)
    assert outcome(response)[2] in {"caller_not_listed", "service_not_permitted", "principal_not_permitted"}


def test_fields_that_a_later_envoy_adds_are_no_matter(mesh: Mesh, on: grpc.Channel) -> None:
    data = check_request(mesh.web).SerializeToString() + b"\xfa\x3f\x03new"

    assert check(on, data).status.code == OK


# -- whose request it is -------------------------------------------------------------------------


def test_nobody_is_401(ask: Any) -> None:
    assert outcome(ask(principal="", leaf=None)) == (UNAUTHENTICATED, 401, "evidence_refused")


def test_where_the_profile_says_so_nobody_is_anonymous(ask: Any) -> None:
    named = {"profile": "open"}
    public = ask(principal="", leaf=None, path="/public/x", extensions=named)
    private = ask(principal="", leaf=None, extensions=named)

    assert public.status.code == OK
    assert "x-pdp-principal" in public.ok_response.headers_to_remove
    assert outcome(private) == (DENIED, 403, "")


@pytest.mark.parametrize("name", ["other", "nginx", "nope", ""])
def test_a_profile_that_is_not_this_caller_s_is_refused(name: str, ask: Any) -> None:
    assert outcome(ask(extensions={"profile": name})) == (DENIED, 403, "profile_not_permitted")


@pytest.mark.parametrize(
    "certificate",
    [
        {"uris": [f"spiffe://{PROD}/ns/shop/sa/alice"]},  # somebody else
        {"uris": [WEB, f"spiffe://{PROD}/ns/shop/sa/alice"]},  # one name hides the other
        {"uris": [], "dns": ["web.shop"]},  # no URI
    ],
)
def test_the_certificate_has_to_say_the_same(certificate: dict[str, Any], mesh: Mesh, ask: Any) -> None:
    file = mesh.folder / "other.pem"
    file.write_bytes(leaf(mesh.pki.root, **certificate).pem)

    assert outcome(ask(leaf=file)) == (UNAUTHENTICATED, 401, "evidence_refused")


def test_one_that_has_expired_is_refused_though_the_connection_is_open(mesh: Mesh, ask: Any) -> None:
    mesh.pki.issue("expired", uris=[WEB], lives=(-7200, -3600))

    assert outcome(ask(leaf=mesh.folder / "expired.pem")) == (UNAUTHENTICATED, 401, "evidence_refused")


@pytest.mark.parametrize(
    "text", ["x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "%zz"]
)
def test_what_is_no_certificate_is_refused(text: str, mesh: Mesh, on: grpc.Channel) -> None:
    message = check_request(mesh.web)
    message.attributes.source.certificate = text

    assert outcome(check(on, message)) == (UNAUTHENTICATED, 401, "evidence_refused")


def test_a_name_that_is_no_spiffe_id_takes_the_certificate(mesh: Mesh, ask: Any) -> None:
    mesh.pki.issue("jump", uris=[], dns=["jump.example.org"])
    mesh.pki.issue("jumps", uris=[], dns=["jump.example.org", "web.example.org"])
    file = mesh.folder / "jump.pem"

    assert ask(principal="jump.example.org", leaf=file).status.code == OK
    assert outcome(ask(principal="jump.example.org", leaf=file, certificate=False))[1] == 401
    assert outcome(ask(principal="jump.example.org", leaf=mesh.folder / "jumps.pem"))[1] == 401
    assert outcome(ask(principal="CN=jump.example.org", leaf=None))[1] == 401


def test_who_calls_is_not_who_a_header_says(ask: Any) -> None:
    said = (("x-envoy-downstream-service-cluster", "web"), ("x-forwarded-client-cert", f"URI={WEB}"))

    assert outcome(ask(principal="", leaf=None, headers=said))[0] == UNAUTHENTICATED


# -- which service -----------------------------------------------------------------------------


def test_the_route_names_the_service_before_the_host(ask: Any) -> None:
    assert ask(path="/admin", extensions={"service": "db.shop"}).status.code == OK
    assert ask(path="/admin").status.code == DENIED
    assert outcome(ask(extensions={"service": "none.shop"})) == (DENIED, 403, "service_not_permitted")
    assert outcome(ask(host="none.example.com")) == (DENIED, 403, "service_not_permitted")


def test_a_header_names_no_service(ask: Any) -> None:
    assert ask(path="/admin", headers=(("service", "db.shop"),)).status.code == DENIED


def test_a_sidecar_s_own_entry_does(mesh: Mesh) -> None:
    with channel(mesh.pki, mesh.port, "side") as opened:
        response = check(opened, check_request(mesh.web))  # the host is another's

    assert response.status.code == OK
    assert response.dynamic_metadata["service"] == "db.shop"


# -- conditions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ((), DENIED),
        ((("x-env", "live"),), OK),
        ((("x-env", "dev"),), DENIED),
        ((("x-env", "live"), ("x-env", "dev")), DENIED),
        ((("x-env", "dev"), ("x-env", "live")), DENIED),
        ((("x-env", "live"), ("x_env", "dev")), DENIED),
        ((("x-env", "live"), ("x-env", "test")), OK),
    ],
)
def test_every_line_of_a_header_counts_also_where_envoy_has_merged_them(headers, code, raw, ask) -> None:
    assert ask(raw=raw, path="/env/x", headers=headers).status.code == code


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    "headers",
    [
        (("x-env", "a,b"),),
        (("x-env", "c,a,b"),),
        (("x-env", "c"), ("x-env", "a,b")),
        (*[("x-env", "c")] * 40, ("x-env", "a, b")),
    ],
)
def test_a_rule_about_a_value_with_a_comma_is_not_got_past_by_merging(headers, raw, ask) -> None:
    assert ask(raw=raw, path="/pair", headers=headers).status.code == DENIED
    assert ask(raw=raw, path="/both", headers=headers).status.code == DENIED


@pytest.mark.parametrize("raw", [True, False])
def test_two_lines_do_not_make_the_value_that_a_rule_allows(raw, ask) -> None:
    two = (("x-env", "a"), ("x-env", "b"))

    assert ask(raw=raw, path="/both", headers=two).status.code == DENIED
    assert ask(raw=raw, path="/has", headers=two).status.code == DENIED


def test_headers_of_very_many_values_stall_nobody(mesh: Mesh, on: grpc.Channel) -> None:
    many = (("x-env", "a," * 16 + "a" + ", " * 29_000 + ",a" * 15),)
    began = time.monotonic()

    assert check(on, check_request(replace(mesh.web, path="/pair", headers=many))).status.code == OK
    assert (
        check(on, check_request(replace(mesh.web, path="/pair", headers=many), raw=False)).status.code == OK
    )
    assert time.monotonic() - began < 2


def test_a_bearer_token_is_evidence_of_the_user_where_the_profile_says_so(ask: Any) -> None:
    with_token = {"path": "/mine", "headers": (("authorization", f"Bearer {user_token()}"),)}

    response = ask(**with_token, extensions={"profile": "users"})
    assert response.status.code == OK
    assert headers_of(response)["x-pdp-user"] == f"{ISSUER}/alice"
    assert ask(**with_token).status.code == DENIED
    with_token["path"] = "/token"  # which stays a header like others
    assert ask(**with_token, extensions={"profile": "users"}).status.code == DENIED
    broken = (("authorization", "Bearer x"),)
    assert outcome(ask(path="/mine", headers=broken, extensions={"profile": "users"}))[1] == 401


# -- TCP ------------------------------------------------------------------------------------------


def connection(principal: str = WEB, address: str = "10.1.2.3") -> CheckRequest:
    """What Envoy's filter of connections sends: it has no way to name a service."""
    message = CheckRequest()
    message.attributes.source.principal = principal
    message.attributes.source.address.socket_address.address = address
    return message


def asked_by(mesh: Mesh, service: str, message: CheckRequest) -> int:
    """What the sidecar of a service is answered."""
    name = f"sidecar-{service}"
    if not (mesh.folder / f"{name}.pem").exists():
        mesh.pki.issue(name, uris=[f"spiffe://{PROD}/ns/shop/sa/{service}"])
    with channel(mesh.pki, mesh.port, name) as opened:
        return int(check(opened, message).status.code)


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("db", OK),
        ("pages", DENIED),  # one method
        ("closed", DENIED),  # all but one path
        ("mixed", DENIED),  # a path of which not everybody may have all
        ("debug", DENIED),  # a header that a request on it may have
        ("blocked", DENIED),
        ("mallory", DENIED),  # a user for whom one may ask
        ("hosts", DENIED),
        ("none", DENIED),
    ],
)
def test_a_connection_is_allowed_where_everything_on_it_would_be(service: str, code: int, mesh: Mesh) -> None:
    assert asked_by(mesh, service, connection()) == code


def test_conditions_of_the_connection_count(mesh: Mesh) -> None:
    blog = f"spiffe://{PROD}/ns/blog/sa/x"

    assert asked_by(mesh, "db", connection(blog)) == OK
    assert asked_by(mesh, "db", connection(blog, "192.0.2.1")) == DENIED


def test_a_connection_without_a_certificate_is_denied(mesh: Mesh) -> None:
    assert asked_by(mesh, "db", connection(principal="")) == UNAUTHENTICATED


def test_a_proxy_of_several_services_cannot_say_which_one_a_connection_is_for(on: grpc.Channel) -> None:
    assert outcome(check(on, connection())) == (DENIED, 403, "service_or_host")
