"""Evidence in questions: verified by the running service over both protocols, believed of nobody else."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from tests.e2e.evidencing import EDGE, Evidencing, evidencing, svid, user_token
from tests.e2e.grpc_calls import call, channel, from_answer, grpc_port, to_question
from tests.e2e.running import PEP, PROD, WEB, Pki, question, until
from tests.identity.proxies import CHAINS


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[Evidencing]:
    with evidencing(pki, tmp_path_factory.mktemp("evidence"), "--grpc", "127.0.0.1:0") as service:
        yield service


def chain(pki: Pki, name: str = "web", **what: Any) -> str:
    if not (pki.folder / f"{name}.pem").exists():
        pki.issue(name, **{"uris": [WEB], **what})
    return (pki.folder / f"{name}.pem").read_text(encoding="ascii")


NAME = "x-forwarded-client-cert"


def header(value: str, name: str = NAME, form: str = "xfcc") -> dict[str, Any]:
    """A principal by one header."""
    return {"forwarded": {"form": form, "headers": {name: value}}}


def said(of: str = WEB, by: str = EDGE) -> str:
    return f'By={by};Hash=00;Subject="CN=web";URI={of}'


def xfcc(of: str = WEB, by: str = EDGE) -> dict[str, Any]:
    return header(said(of, by))


# -- what is proven -------------------------------------------------------------------


def test_a_workload_by_its_token(served: Evidencing) -> None:
    reply = served.ask(principal={"jwt": svid()})

    assert (reply.status, reply.json["decision"]) == (200, "allow")
    assert reply.json["region"]["evidence"] == ["principal"]
    assert reply.json["region"]["path"][:2] == ["v1", "items"]


def test_a_workload_by_its_certificate(served: Evidencing, pki: Pki) -> None:
    reply = served.ask(principal={"certificate": chain(pki)})

    assert (reply.status, reply.json["decision"]) == (200, "allow")
    assert reply.json["region"]["evidence"] == ["principal"]


def test_a_workload_by_the_word_of_its_proxy(served: Evidencing) -> None:
    reply = served.ask(principal=xfcc())

    assert (reply.status, reply.json["decision"]) == (200, "allow")


def lines(form: str, der: bytes, **more: str) -> dict[str, Any]:
    """A principal by what a proxy of this kind writes of a certificate."""
    headers = {name.decode(): value.decode() for name, value in CHAINS[form][0]([der])} | more
    return {"forwarded": {"form": form, "headers": headers}}


@pytest.mark.parametrize("form", CHAINS)
def test_a_workload_by_the_certificate_that_its_proxy_forwards(
    served: Evidencing, pki: Pki, form: str
) -> None:
    der = load_pem_x509_certificate(chain(pki).encode()).public_bytes(Encoding.DER)
    forged = load_pem_x509_certificate(chain(pki, "forged", issuer=pki.stranger_root).encode())

    reply = served.ask(principal=lines(form, der))
    other = served.ask(principal=lines(form, forged.public_bytes(Encoding.DER)))
    elsewhere = served.ask("plain", principal=lines(form, der))

    assert (reply.status, reply.json["decision"]) == (200, "allow")
    assert (other.code, "(untrusted_chain)" in other.json["error"]["message"]) == ("evidence_refused", True)
    assert elsewhere.code == "evidence_not_permitted"


def test_what_nginx_did_not_verify_proves_nothing(served: Evidencing, pki: Pki) -> None:
    der = load_pem_x509_certificate(chain(pki).encode()).public_bytes(Encoding.DER)

    reply = served.ask(principal=lines("nginx", der, **{"ssl-client-verify": "NONE"}))

    assert reply.code == "evidence_refused"


def test_a_workload_by_the_word_of_linkerd(served: Evidencing) -> None:
    name = "web.shop.serviceaccount.identity.linkerd.cluster.local"

    reply = served.ask(principal=header(name, "l5d-client-id", "linkerd"), path="/v1/meshed")

    assert (reply.status, reply.json["decision"]) == (200, "allow")


def test_lines_that_stand_twice_prove_nothing(served: Evidencing) -> None:
    twice = {"forwarded": {"form": "xfcc", "headers": {"x-forwarded-client-cert": [said(), said()]}}}
    cased = {"forwarded": {"form": "xfcc", "headers": {n: said() for n in (NAME, NAME.title())}}}

    assert [served.ask(principal=given).code for given in (twice, cased)] == ["evidence_refused"] * 2


def test_a_user_by_a_token(served: Evidencing) -> None:
    asked = {"principal": xfcc(), "path": "/v1/mine"}
    alice = served.ask(**asked, user={"jwt": user_token()})
    bob = served.ask(**asked, user={"jwt": user_token(sub="bob")})
    nobody = served.ask(**asked)

    assert [each.json["decision"] for each in (alice, bob, nobody)] == ["allow", "deny", "deny"]
    assert alice.json["region"]["evidence"] == ["principal", "user"]
    assert "evidence" not in served.ask("pep").json["region"]


@pytest.mark.parametrize(
    ("level", "path", "decision"),
    [
        (3, "/v1/high", "allow"), (2, "/v1/high", "deny"), (None, "/v1/high", "deny"),
        (3, "/v1/none", "deny"), (None, "/v1/none", "allow"),  # known to be absent
        # Of another type it is neither there nor absent.
        ("3", "/v1/high", "deny"), ("3", "/v1/none", "deny"), ([3], "/v1/none", "deny"),
        (2.5, "/v1/none", "deny"),
    ],
)  # fmt: skip
def test_claims_are_attributes_of_their_types(
    served: Evidencing, level: object, path: str, decision: str
) -> None:
    token = user_token(level=level)

    assert served.ask(principal=xfcc(), path=path, user={"jwt": token}).json["decision"] == decision


def test_claims_of_a_workload_are_its_own(served: Evidencing) -> None:
    def asked(**what: Any) -> str:
        return str(served.ask(path="/v1/team", **what).json["decision"])

    assert asked(principal={"jwt": svid(team="blue")}) == "allow"
    assert asked(principal={"jwt": svid(team="red")}) == "deny"
    assert asked(principal=xfcc(), user={"jwt": user_token(team="blue")}) == "deny"


def test_no_answer_is_reused_beyond_its_evidence(served: Evidencing) -> None:
    soon = served.ask(principal={"jwt": svid(exp=int(time.time()) + 3)}).json
    later = served.ask(principal={"jwt": svid()}).json

    assert 0 < soon["max_age_ms"] <= 3000 < later["max_age_ms"]


# -- what is not ------------------------------------------------------------------------

PRINCIPAL = "principal_not_permitted"
BEGIN = "-----BEGIN CERTIFICATE-----\n"
OLD = {"exp": 1_700_000_000, "iat": 1_699_999_000}
ALICE = {"issuer": "https://login.example.com", "subject": "alice"}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a token of another key": ({"principal": {"jwt": svid(which=7)}}, "(signature)"),
    "a token that has expired": ({"principal": {"jwt": svid(**OLD)}}, "(expired)"),
    "a token for others": ({"principal": {"jwt": svid(aud=["others"])}}, "(audience)"),
    "a token of no domain that is believed": (
        {"principal": {"jwt": svid(sub="spiffe://partner.example.net/a")}}, "(unknown_trust_domain)",
    ),
    "no token": ({"principal": {"jwt": "x"}}, "(malformed)"),
    "a user's token for a workload": ({"principal": {"jwt": user_token()}}, "(subject)"),
    "a workload's token for a user": (
        {"principal": xfcc(), "user": {"jwt": svid()}}, "(subject)",
    ),
    "no certificate": ({"principal": {"certificate": "x"}}, "(malformed)"),
    "a certificate cut short": ({"principal": {"certificate": BEGIN + "MI"}}, "(malformed)"),
    "very many": ({"principal": {"certificate": BEGIN * 50}}, "(malformed)"),
    "a header made for another proxy": ({"principal": xfcc(by=PEP)}, "(elsewhere)"),
    "a header for nobody": ({"principal": header(f"URI={WEB}")}, "(invalid)"),
    "a header of several proxies": ({"principal": header(f"{said()},{said()}")}, "(invalid)"),
    "a placeholder": ({"principal": header("{http.request.tls.client.subject}")}, "(invalid)"),
    "an empty header": ({"principal": header("")}, "(invalid)"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_evidence_that_proves_nothing_is_no_decision(served: Evidencing, case: str) -> None:
    what, why = REFUSED[case]

    reply = served.ask(**what)

    assert (reply.status, reply.code) == (400, "evidence_refused")
    assert why in reply.json["error"]["message"]


def test_a_certificate_of_a_stranger_proves_nothing(served: Evidencing, pki: Pki) -> None:
    forged = chain(pki, "forged", issuer=pki.stranger_root)
    crossed = chain(pki, "crossed", issuer=pki.partner_root)  # a partner's authority names our workload
    expired = chain(pki, "expired-web", lives=(-7200, -60))

    for text in (forged, crossed, expired):
        reply = served.ask(principal={"certificate": text})
        assert (reply.status, reply.code) == (400, "evidence_refused")


NOT_PERMITTED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a principal that is only named": ("gateway", {}, "principal_not_permitted"),
    "itself": ("gateway", {"principal": EDGE}, "principal_not_permitted"),
    "evidence of a kind that the entry has not": (
        "plain", {"principal": {"jwt": svid()}}, "evidence_not_permitted",
    ),
    "a user's token that the entry has not": (
        "plain", {"user": {"jwt": user_token()}}, "evidence_not_permitted",
    ),
    "a user that is only named": (
        "gateway", {"principal": {"jwt": svid()}, "user": ALICE}, "claims_not_permitted",
    ),
    "claims that are only named": (
        "gateway", {"principal": xfcc(), "context": {"user.level": 3}}, "claims_not_permitted",
    ),
    "a principal of other patterns": (
        "gateway", {"principal": {"jwt": svid(sub=f"spiffe://{PROD}/ns/other/sa/x")}}, PRINCIPAL,
    ),
    "a principal of the patterns of another kind": (
        "gateway", {"principal": xfcc(f"spiffe://{PROD}/ns/shop/sa/alice")}, PRINCIPAL,
    ),
    "a principal of another domain": ("blind", {"principal": {"jwt": svid()}}, "principal_not_permitted"),
    "a service of others": (
        "gateway", {"principal": {"jwt": svid()}, "service": "pay.shop"}, "service_not_permitted",
    ),
    "a token of an issuer that the entry has not": (
        "gateway",
        {"principal": {"jwt": svid()}, "user": {"jwt": user_token("other", 6, iss="https://other.example.com")}},
        "evidence_not_permitted",
    ),
    "the header of another caller": ("plain", {"principal": xfcc()}, "evidence_refused"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_PERMITTED)
def test_nothing_is_evidence_that_the_entry_does_not_name(served: Evidencing, case: str) -> None:
    caller, what, code = NOT_PERMITTED[case]

    reply = served.ask(caller, **what)

    assert (reply.status, reply.code) == (400 if code == "evidence_refused" else 403, code)


MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "two kinds": ({"principal": {"jwt": "a", **header("b")}}, "invalid_principal"),
    "a form that nobody knows": ({"principal": header("a", form="forwarded")}, "invalid_principal"),
    "a token for a form": ({"principal": header("a", form="jwt-svid")}, "invalid_principal"),
    "a token beside a name": ({"principal": {"jwt": "a", "spiffe": WEB}}, "invalid_principal"),
    "a user's token beside a subject": (
        {"user": {"jwt": "a", "issuer": "https://login.example.com", "subject": "a"}}, "conflicting_evidence",
    ),
    "a user's token beside groups": ({"user": {"jwt": "a", "groups": ["g"]}}, "conflicting_evidence"),
    "half a user": ({"user": {"issuer": "a"}}, "missing_field"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_evidence_stands_alone(served: Evidencing, case: str) -> None:
    what, code = MALFORMED[case]

    assert served.ask(**what).code == code


def test_claims_are_not_both_proven_and_given(served: Evidencing) -> None:
    given = served.ask(
        principal={"jwt": svid()}, user={"jwt": user_token()}, context={"user.email": "a@example.com"}
    )

    assert given.code == "conflicting_evidence"


def test_a_service_without_settings_for_tokens_believes_none(shared: Any) -> None:
    reply = shared.send(question(principal={"jwt": svid()}))

    assert (reply.status, reply.code) == (403, "evidence_not_permitted")


# -- the same over gRPC, and in batches -------------------------------------------------

SAME: dict[str, dict[str, Any]] = {
    "a workload's token": {"principal": {"jwt": svid()}},
    "a user's token": {"principal": xfcc(), "path": "/v1/mine", "user": {"jwt": user_token()}},
    "a token of another key": {"principal": {"jwt": svid(which=7)}},
    "a header made for another proxy": {"principal": xfcc(by=PEP)},
    "a user's token beside a subject": {
        "principal": xfcc(), "user": {"jwt": "a", "issuer": "a", "subject": "b"},
    },
    "a name": {},
}  # fmt: skip
VOLATILE = {"decision_id", "age_seconds", "max_age_ms"}


@pytest.mark.parametrize("case", SAME)
def test_grpc_says_the_same(served: Evidencing, pki: Pki, case: str) -> None:
    asked = question(**SAME[case])
    over_http = served.service.send(asked, caller="gateway")
    with channel(pki, grpc_port(served.service), "gateway") as grpc:
        got = call(grpc, "Decide", to_question(asked), v1.Answer)

    if over_http.status == 200:
        http, other = over_http.json, from_answer(got)
        assert {k: v for k, v in other.items() if k not in VOLATILE} == {
            k: v for k, v in http.items() if k not in VOLATILE
        }
    else:
        assert (got.code, got.message) == (over_http.code, over_http.json["error"]["message"])


def test_items_of_a_batch_are_looked_at_alone(served: Evidencing) -> None:
    questions = [question(**what) for what in SAME.values()]

    answers = served.service.send({"questions": questions}, caller="gateway", path="/v1/decide/batch").json[
        "answers"
    ]

    assert [each.get("decision") or each["error"]["code"] for each in answers] == [
        "allow", "allow", "evidence_refused", "evidence_refused", "conflicting_evidence",
        "principal_not_permitted",
    ]  # fmt: skip


# -- as the operator says that proxies write --------------------------------------------


def test_proxies_write_as_the_settings_say(pki: Pki, tmp_path: Path) -> None:
    ingress = f"spiffe://{PROD}/ns/edge/sa/ingress"
    der = load_pem_x509_certificate(chain(pki).encode()).public_bytes(Encoding.DER)
    (cert, _), (verify, _) = CHAINS["nginx"][0]([der])
    given = lines("nginx", der)["forwarded"]["headers"]
    renamed = {"x-cert": given[cert.decode()], "x-verify": given[verify.decode()]}
    settings = (
        '[evidence]\nxfcc_hops = 2\nnginx_certificate_header = "x-cert"\nnginx_verify_header = "x-verify"\n'
    )
    with evidencing(pki, tmp_path, settings=settings) as at:
        both = at.ask(principal=header(f"{said(by=ingress)},{said(of=ingress)}"))
        one = at.ask(principal=xfcc())
        ours = at.ask(principal={"forwarded": {"form": "nginx", "headers": renamed}})
        usual = at.ask(principal=lines("nginx", der))

    assert [each.json.get("decision") for each in (both, one, ours, usual)] == ["allow", None, "allow", None]


def test_the_log_says_by_which_evidence(pki: Pki, tmp_path: Path) -> None:
    log = tmp_path / "decisions.log"
    with evidencing(pki, tmp_path, settings=f'[decision_log]\nto = "{log}"\n') as at:
        assert at.ask(principal={"jwt": svid()}).status == 200
        assert at.ask(principal=xfcc(), path="/v1/mine", user={"jwt": user_token()}).status == 200
        assert at.ask("pep").status == 200
        until(lambda: log.exists() and log.read_bytes().count(b"\n") == 3)

    found = [json.loads(line).get("evidence") for line in log.read_text().splitlines()]
    assert found == [{"principal": "jwt-svid"}, {"principal": "xfcc", "user": "user-token"}, None]
