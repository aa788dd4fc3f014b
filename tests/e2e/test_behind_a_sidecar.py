"""Behind a sidecar that terminates mTLS: who asks is in `x-forwarded-client-cert`, or nobody is answered.

Also the form in which each workload asks as itself, over mTLS and forwarded alike: it may ask about every
service, and about nobody but itself.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.local_calls import LocalService
from tests.e2e.running import ALICE, PEP, PROD, WEB, Pki, Reply, Service, ask, make_policies, question

OURS = f"spiffe://{PROD}/ns/pdp/sa/pdp"
POLICY = """\
language 1

trust domain prod = "prod.example.org"

service web.shop {
    allow prod/ns/shop/sa/* to GET /v1/items/{id} as read-item because "secret reason"
}

service pay.shop {
    allow prod/ns/shop/sa/alice to GET /v1/charges
}

caller prod/ns/{ns}/sa/{sa} fronts any service may assert itself may explain
caller prod/ns/pdp/sa/pep fronts web.shop may assert any principal of prod may explain
"""
PAY = {"service": "pay.shop", "path": "/v1/charges"}


def xfcc(uri: str = WEB, by: str = OURS) -> str:
    """As Envoy writes it with SANITIZE_SET and the subject and the URI in it."""
    return f'By={by};Hash={"ab" * 32};Subject="CN=a,O=b";URI={uri}'


@pytest.fixture(scope="module")
def mesh(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    made = tmp_path_factory.mktemp("mesh")
    text = '[http]\nplaintext = true\nlisten = "127.0.0.1:0"\n[local]\nhosts = ["pdp.infra:8443"]\n'
    text += f'forwarded = "xfcc"\nidentity = "{OURS}"\n'
    service = LocalService(pki, make_policies(made / "set", POLICY), text, made / "pdp.toml")
    yield service
    assert service.stop() == 0, service.log
    assert "Traceback" not in service.log


@pytest.fixture(scope="module")
def direct(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The same over mTLS, for workloads with certificates of their own."""
    pki.issue("web", uris=[WEB])
    pki.issue("alice", uris=[ALICE])
    service = Service(pki, make_policies(tmp_path_factory.mktemp("direct") / "set", POLICY))
    yield service
    assert service.stop() == 0, service.log


def forwarded(mesh: LocalService, *headers: str, at: str = "/v1/decide", **what: Any) -> Reply:
    """A question with these header lines."""
    connection = mesh.local()
    connection.putrequest("POST", at, skip_host=True)
    connection.putheader("host", "pdp.infra:8443")
    connection.putheader("content-type", "application/json")
    for header in headers:
        connection.putheader("x-forwarded-client-cert", header)
    body = json.dumps(question(**what)).encode()
    connection.putheader("content-length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return Reply(answer.status, dict(answer.getheaders()), content, json.loads(content))


# -- who is forwarded ----------------------------------------------------------------------


def test_the_caller_is_who_the_sidecar_verified(mesh: LocalService) -> None:
    assert forwarded(mesh, xfcc(PEP)).json["decision"] == "allow"
    assert forwarded(mesh, xfcc(PEP), principal=ALICE).json["decision"] == "allow"
    assert forwarded(mesh, xfcc(PEP), **PAY).code == "principal_not_permitted"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([], "forwarded_missing"),
        ([""], "forwarded_invalid"),
        ([xfcc(), xfcc()], "forwarded_invalid"),
        ([xfcc(), ""], "forwarded_invalid"),
        ([f"{xfcc()},{xfcc()}"], "forwarded_invalid"),
        ([f"{xfcc(PEP)},{xfcc()}"], "forwarded_invalid"),
        ([f"{xfcc()};URI={PEP}"], "forwarded_invalid"),
        ([xfcc().removesuffix(WEB)], "forwarded_invalid"),
        ([xfcc("spiffe://prod.example.org")], "forwarded_invalid"),
        ([f"URI={WEB}"], "forwarded_invalid"),
        (["nonsense"], "forwarded_invalid"),
        ([xfcc(by=PEP)], "forwarded_elsewhere"),
        ([xfcc(by=OURS + "2")], "forwarded_elsewhere"),
        ([xfcc("spiffe://elsewhere.example/ns/a/sa/b")], "caller_not_listed"),
    ],
)
def test_nobody_else_is_ever_taken_for_somebody(mesh: LocalService, headers: list[str], code: str) -> None:
    for at in ("/v1/decide", "/v1/decide/batch"):
        refused = forwarded(mesh, *headers, at=at)

        assert (refused.status, refused.code) == (403, code)
        assert b'"decision"' not in refused.body


def test_each_request_of_a_connection_has_its_own_caller(mesh: LocalService) -> None:
    """A sidecar sends the requests of many workloads over one."""
    connection = mesh.local()
    seen = []
    for header in (xfcc(PEP), xfcc(WEB), None, xfcc(PEP), xfcc(ALICE)):
        headers = {"host": "pdp.infra:8443", "content-type": "application/json"}
        if header is not None:
            headers["x-forwarded-client-cert"] = header
        connection.request("POST", "/v1/decide", json.dumps(question()), headers)
        found = json.loads(connection.getresponse().read())
        seen.append(found.get("decision") or found["error"]["code"])
    connection.close()

    assert seen == ["allow", "allow", "forwarded_missing", "allow", "principal_not_permitted"]


def test_what_takes_a_certificate_is_not_for_who_is_forwarded(mesh: LocalService) -> None:
    assert forwarded(mesh, xfcc(PEP), explain=True).code == "explain_not_permitted"
    assert "because" not in forwarded(mesh, xfcc(PEP)).json["rules"][0]
    found = mesh.ask(
        b"", path="/metrics", method="GET",
        headers={"host": "pdp.infra:8443", "x-forwarded-client-cert": xfcc(PEP)},
    )  # fmt: skip
    assert found.code == "metrics_not_permitted"


# -- a workload asks as itself -------------------------------------------------------------


def test_a_workload_may_ask_about_itself_and_every_service(direct: Service, mesh: LocalService) -> None:
    for caller, who in (("web", WEB), ("alice", ALICE)):
        for reply in (ask(direct, caller, principal=who), forwarded(mesh, xfcc(who), principal=who)):
            assert reply.json["decision"] == "allow"
        for reply in (
            ask(direct, caller, principal=who, **PAY),
            forwarded(mesh, xfcc(who), principal=who, **PAY),
        ):
            assert reply.json["decision"] == ("allow" if who == ALICE else "deny")


@pytest.mark.parametrize(
    "other",
    [
        ALICE,
        PEP,
        "spiffe://partner.example.net/ns/shop/sa/web",
        WEB + "2",
        {"anonymous": True},
        {"dns": "a.b"},
    ],
)
def test_and_about_nobody_else(direct: Service, mesh: LocalService, other: object) -> None:
    for reply in (
        ask(direct, "web", principal=other),
        forwarded(mesh, xfcc(WEB), principal=other),
    ):
        assert (reply.status, reply.code) == (403, "principal_not_permitted")


def test_a_service_that_is_none_is_refused_like_a_forbidden_one(direct: Service) -> None:
    refused = ask(direct, "web", service="no.such")

    assert (refused.status, refused.code) == (403, "service_not_permitted")


def test_reasons_are_told_over_mtls_where_the_entry_says_so(direct: Service) -> None:
    """The very entry that says so in vain without TLS."""
    assert ask(direct, "web").json["rules"][0]["because"] == "secret reason"
