"""Caller, principal and user, each in every place of the others: refused wherever it is not its own."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from pdp.identity.forwarded.nginx import NGINX_HEADERS
from tests.e2e.evidencing import EDGE, Evidencing, evidencing, svid, user_token
from tests.e2e.grpc_calls import call, channel, grpc_port, to_question
from tests.e2e.running import WEB, Pki, question
from tests.e2e.test_evidence import chain, header, said, xfcc
from tests.identity.tokens import ISSUER

#: What belongs to each of the three.
OF_CALLER, OF_PRINCIPAL, OF_USER = "caller", "principal", "user"


def texts(pki: Pki) -> dict[tuple[str, str], str]:
    """Evidence by whose it is and of which kind."""
    return {
        (OF_CALLER, "name"): EDGE,
        (OF_CALLER, "certificate"): (pki.folder / "gateway.pem").read_text(encoding="ascii"),
        (OF_CALLER, "token"): svid(sub=EDGE),
        (OF_PRINCIPAL, "name"): WEB,
        (OF_PRINCIPAL, "certificate"): chain(pki),
        (OF_PRINCIPAL, "token"): svid(),
        (OF_USER, "name"): "alice",
        (OF_USER, "token"): user_token(),
        # A user whose subject reads like a workload, and like the caller.
        (OF_USER, "token of WEB"): user_token(sub=WEB),
        (OF_USER, "token of EDGE"): user_token(sub=EDGE),
    }


PLACES: dict[str, Any] = {
    "principal": lambda text: {"principal": text},
    "principal.spiffe": lambda text: {"principal": {"spiffe": text}},
    "principal.dns": lambda text: {"principal": {"dns": text}},
    "principal.jwt": lambda text: {"principal": {"jwt": text}},
    "principal.certificate": lambda text: {"principal": {"certificate": text}},
    "principal.forwarded URI": lambda text: {"principal": header(said(of=text))},
    "principal.forwarded By": lambda text: {"principal": header(said(by=text))},
    "principal.forwarded nginx": lambda text: {"principal": {"forwarded": {"form": "nginx", "headers": {
        NGINX_HEADERS.verify.decode(): "SUCCESS",
        NGINX_HEADERS.certificate.decode(): quote(text, safe="-._~"),
    }}}},
    "user.jwt": lambda text: {"principal": xfcc(), "path": "/v1/mine", "user": {"jwt": text}},
    "user.subject": lambda text: {
        "principal": xfcc(), "path": "/v1/mine", "user": {"issuer": ISSUER, "subject": text}
    },
}  # fmt: skip
#: Where each belongs, for a caller whose entry lets it present such evidence and assert nothing.
OWN = {
    ("principal.jwt", OF_PRINCIPAL, "token"),
    ("principal.certificate", OF_PRINCIPAL, "certificate"),
    ("principal.forwarded URI", OF_PRINCIPAL, "name"),
    ("principal.forwarded By", OF_CALLER, "name"),
    ("principal.forwarded nginx", OF_PRINCIPAL, "certificate"),
    ("user.jwt", OF_USER, "token"),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[Evidencing]:
    with evidencing(pki, tmp_path_factory.mktemp("swapped"), "--grpc", "127.0.0.1:0") as service:
        yield service


@pytest.mark.parametrize("place", PLACES)
def test_each_is_believed_in_its_own_place_and_in_no_other(served: Evidencing, pki: Pki, place: str) -> None:
    allowed = set()
    for (whose, kind), text in texts(pki).items():
        asked = PLACES[place](text)
        over_http = served.ask(**asked)
        in_batch = served.service.send(
            {"questions": [question(**asked)]}, caller="gateway", path="/v1/decide/batch"
        ).json["answers"][0]
        believed = over_http.status == 200 and over_http.json["decision"] == "allow"
        assert believed == (in_batch.get("decision") == "allow"), (place, whose, kind)
        if believed:
            allowed.add((place, whose, kind))
        elif over_http.status == 200:
            # A user who is somebody else is a user: no rule is about them.
            assert (place, whose, over_http.json["reason"]) == ("user.jwt", OF_USER, "no_rule_matched")

    assert allowed == {own for own in OWN if own[0] == place}


@pytest.mark.parametrize("place", ["principal.jwt", "principal.certificate", "user.jwt"])
def test_over_grpc_it_is_the_same(served: Evidencing, pki: Pki, place: str) -> None:
    with channel(pki, grpc_port(served.service), "gateway") as opened:
        for (whose, kind), text in texts(pki).items():
            asked = PLACES[place](text)
            got = call(opened, "Decide", to_question(question(**asked)))
            assert isinstance(got, bytes) == (served.ask(**asked).status == 200), (place, whose, kind)


def test_a_workload_that_calls_is_a_caller_and_has_to_be_listed(served: Evidencing, pki: Pki) -> None:
    chain(pki)  # as `web`

    assert served.service.send(question(), caller="web").code == "caller_not_listed"


def test_a_question_without_a_principal_is_never_one_about_the_caller(served: Evidencing) -> None:
    for principal in (..., None, "", {}):
        reply = served.ask(principal=principal)
        assert reply.status == 400, principal
