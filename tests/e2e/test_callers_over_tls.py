"""Who may ask, over real TLS: every refusal is one, and none of them is ever a decision."""

import http.client
import socket
import ssl
import time
from contextlib import suppress
from typing import Any

import pytest
from cryptography import x509

from tests.e2e.running import (
    ALICE,
    PARTNER,
    PEP,
    PROD,
    WEB,
    Pki,
    Reply,
    Service,
    ask,
    question,
    raw,
    request_bytes,
    send,
)
from tests.identity.mint import authority

SIDECAR = f"spiffe://{PROD}/ns/shop/sa/web"
GATE = f"spiffe://{PROD}/ns/gate/sa/front"


def assert_refused(reply: Reply, code: str, message: str = "", status: int = 403) -> None:
    assert (reply.status, reply.code) == (status, code), reply.body
    assert message in reply.json["error"]["message"]
    assert b'"decision"' not in reply.body


def assert_handshake_refused(service: Service, context: ssl.SSLContext) -> None:
    """TLS 1.3 clients finish first: the refusal is met when something is read."""
    received = b""
    with suppress(ssl.SSLError, ConnectionError), service.tls(context=context) as sock:
        sock.settimeout(10)
        sock.sendall(request_bytes(b"{}", "content-length: 2"))
        received = sock.recv(4096)
    assert received == b""


# -- the certificate -------------------------------------------------------------------


def test_listed_caller_is_answered(service: Service) -> None:
    assert ask(service).json["decision"] == "allow"


def test_no_certificate_ends_the_handshake(service: Service, pki: Pki) -> None:
    assert_handshake_refused(service, pki.context(None))


@pytest.mark.parametrize(
    ("name", "lives"),
    [("expired", (-7200, -3600)), ("early", (3600, 7200))],
    ids=["expired", "not yet valid"],
)
def test_certificate_outside_its_validity_ends_the_handshake(
    service: Service, pki: Pki, name: str, lives: tuple[float, float]
) -> None:
    pki.issue(name, uris=[PEP], lives=lives)

    assert_handshake_refused(service, pki.context(name))


def test_unknown_authority_ends_the_handshake(service: Service, pki: Pki) -> None:
    pki.issue("stranger", pki.stranger_root, uris=[PEP])

    assert_handshake_refused(service, pki.context("stranger"))


def test_partner_authority_cannot_mint_our_identities(service: Service, pki: Pki) -> None:
    """TLS pools the roots of both trust domains and accepts this; the caller is refused nevertheless."""
    pki.issue("minted", pki.partner_root, uris=[PEP])

    assert_refused(ask(service, "minted"), "caller_untrusted")


def test_partner_intermediate_cannot_mint_our_identities(service: Service, pki: Pki) -> None:
    middle = authority("middle", pki.partner_root, start=pki.root.certificate.not_valid_before_utc,
                       end=pki.root.certificate.not_valid_after_utc)  # fmt: skip
    pki.issue("minted2", middle, uris=[PEP])
    chain = pki.folder / "minted2.pem"
    chain.write_bytes(chain.read_bytes() + middle.pem)

    assert_refused(ask(service, "minted2"), "caller_untrusted")


def test_intermediate_of_our_own_domain_is_followed(service: Service, pki: Pki) -> None:
    middle = authority("ours", pki.root, start=pki.root.certificate.not_valid_before_utc,
                       end=pki.root.certificate.not_valid_after_utc)  # fmt: skip
    pki.issue("below", middle, uris=[PEP])
    chain = pki.folder / "below.pem"
    chain.write_bytes(chain.read_bytes() + middle.pem)

    assert ask(service, "below").json["decision"] == "allow"


@pytest.mark.parametrize(
    ("name", "what", "message"),
    [
        ("nameless", {"uris": [], "dns": []}, "has no URI"),
        ("twofold", {"uris": [PEP, WEB]}, "2 URIs"),
        ("dns", {"uris": [], "dns": ["pep.example.com"]}, "DNS identities are not trusted"),
        ("web-url", {"uris": ["https://prod.example.org/ns/pdp/sa/pep"]}, "not the SPIFFE ID"),
        ("other-domain", {"uris": ["spiffe://elsewhere.example/ns/pdp/sa/pep"]}, "nobody is trusted"),
    ],
)
def test_certificate_without_exactly_one_identity_is_no_caller(
    service: Service, pki: Pki, name: str, what: dict[str, Any], message: str
) -> None:
    pki.issue(name, **what)

    assert_refused(ask(service, name), "caller_untrusted", message)
    assert_refused(service.send("", caller=name, path="/docs", method="GET"), "caller_untrusted", message)
    assert_refused(service.send("", caller=name, path="/nothing", method="GET"), "caller_untrusted", message)


def test_caller_that_no_entry_names_learns_nothing(service: Service, pki: Pki) -> None:
    pki.issue("unlisted", uris=[f"spiffe://{PARTNER}/ns/x/sa/y"], issuer=pki.partner_root)

    refused = ask(service, "unlisted")

    assert_refused(refused, "caller_not_listed")
    assert service.send(b"not json", caller="unlisted").body == refused.body
    batch = service.send({"questions": [question()]}, caller="unlisted", path="/v1/decide/batch")
    assert batch.body == refused.body


def test_certificate_that_expires_ends_an_open_connection_s_rights(service: Service, pki: Pki) -> None:
    pki.issue("brief", uris=[PEP], lives=(-60, 2))
    connection = service.connect("brief")
    first = send(connection, question())
    time.sleep(max(0.0, _not_after(pki, "brief") + 1.05 - time.time()))

    second = send(connection, question())
    connection.close()

    assert first.json["decision"] == "allow"
    assert 0 <= first.json["max_age_ms"] <= 3000  # no longer than the evidence holds
    assert_refused(second, "caller_expired")


def _not_after(pki: Pki, name: str) -> float:
    pem = (pki.folder / f"{name}.pem").read_bytes()
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()


# -- TLS -------------------------------------------------------------------------------


def test_tls_1_2_is_refused(service: Service, pki: Pki) -> None:
    context = pki.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises((ssl.SSLError, ConnectionError)):
        service.tls(context=context)


def test_no_session_is_ever_resumed(service: Service, pki: Pki) -> None:
    context = pki.context()
    with service.tls(context=context) as sock:
        first = raw(
            sock, request_bytes(b"{}", "content-length: 2")
        )  # read all: tickets come after the handshake
        session = sock.session
        assert session is None or not session.has_ticket

    with context.wrap_socket(
        socket.create_connection(("127.0.0.1", service.port), 10),
        server_hostname="127.0.0.1",
        session=session,
    ) as again:
        second = raw(again, request_bytes(b"{}", "content-length: 2"))
        assert not again.session_reused

    assert b" 400 " in first.split(b"\r\n")[0]
    assert b" 400 " in second.split(b"\r\n")[0]


def test_plaintext_gets_no_answer(service: Service) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)

    connection.request("POST", "/v1/decide", b"{}", {"content-type": "application/json"})
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        connection.getresponse()
    connection.close()


# -- what a caller may ask -------------------------------------------------------------


@pytest.fixture(scope="module")
def named(pki: Pki) -> Pki:
    pki.issue("sidecar", uris=[SIDECAR])
    pki.issue("gate", uris=[GATE])
    pki.issue("pay", uris=[f"spiffe://{PROD}/ns/shop/sa/pay"])
    return pki


@pytest.mark.usefixtures("named")
def test_sidecar_may_ask_about_the_service_it_stands_before(service: Service) -> None:
    assert ask(service, "sidecar").json["decision"] == "allow"
    assert_refused(ask(service, "pay"), "service_not_permitted")
    assert ask(service, "pay", service="pay.shop", path="/v1/charges").json["decision"] == "allow"


@pytest.mark.usefixtures("named")
def test_unknown_and_forbidden_services_and_hosts_are_refused_in_the_same_bytes(service: Service) -> None:
    forbidden = ask(service, "sidecar", service="pay.shop")

    assert_refused(forbidden, "service_not_permitted")
    for what in (
        {"service": "no.such"},
        {"service": "//"},
        {"service": ..., "host": "no.such.example.com"},
        {"service": ..., "host": "web.shop.example.com.evil.example"},
    ):
        other = ask(service, "sidecar", **what)
        assert (other.status, other.body) == (forbidden.status, forbidden.body)
        assert _steady(other) == _steady(forbidden)
    assert ask(service, service="no.such").body == forbidden.body  # even to who may ask about every service


def _steady(reply: Reply) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name != "date"}


@pytest.mark.usefixtures("named")
def test_host_of_a_service_is_that_service(service: Service) -> None:
    assert ask(service, "sidecar", service=..., host="WEB.shop.example.com:443").json["decision"] == "allow"


@pytest.mark.usefixtures("named")
def test_gateway_may_ask_in_its_own_name_only(service: Service) -> None:
    assert_refused(ask(service, "gate"), "principal_not_permitted")
    own = ask(service, "gate", principal=GATE)
    assert (own.status, own.json["reason"]) == (200, "no_rule_matched")


@pytest.mark.usefixtures("named")
def test_missing_principal_is_an_error_and_never_the_caller(service: Service) -> None:
    assert_refused(ask(service, "gate", principal=...), "missing_field", "principal", 400)
    assert_refused(ask(service, "gate", principal=None), "wrong_type", "principal", 400)


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"principal": f"spiffe://{PARTNER}/ns/a/sa/b"}, "principal_not_permitted"),
        ({"principal": {"anonymous": True}}, "principal_not_permitted"),
        ({"principal": {"dns": "web.example.com"}}, "principal_not_permitted"),
        ({"context": {"header.x-a": "b"}}, "attributes_not_permitted"),
        ({"context": {"user.scope": ["a"]}}, "attributes_not_permitted"),
        ({"user": {"issuer": "https://login.example.com", "subject": "al"}}, "claims_not_permitted"),
        ({"explain": True}, "explain_not_permitted"),
    ],
)
def test_each_right_is_asked_for(service: Service, what: dict[str, Any], code: str) -> None:
    assert ask(service, **what).status == (200 if what != {"principal": {"dns": "web.example.com"}} else 403)
    assert_refused(ask(service, "sidecar", **what), code)


@pytest.mark.usefixtures("named")
def test_reasons_of_rules_are_told_to_those_who_may_explain_alone(service: Service) -> None:
    assert ask(service).json["rules"][0]["because"] == "secret reason"
    assert b"secret reason" not in ask(service, "sidecar").body


@pytest.mark.usefixtures("named")
def test_each_item_of_a_batch_is_checked_alone(service: Service) -> None:
    items = [
        question(),
        question(service="pay.shop"),
        question(principal=f"spiffe://{PARTNER}/ns/a/sa/b"),
        question(explain=True),
        question(principal="nobody"),
        question(principal=ALICE, method="POST", path="/v1/items"),
        {"principal": WEB},
    ]

    answers = service.send({"questions": items}, caller="sidecar", path="/v1/decide/batch").json["answers"]

    assert [answer.get("decision") or answer["error"]["code"] for answer in answers] == [
        "allow",
        "service_not_permitted",
        "principal_not_permitted",
        "explain_not_permitted",
        "invalid_principal",
        "allow",
        "missing_field",
    ]
