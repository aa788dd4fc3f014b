"""Service account tokens in questions: two clusters, one that reviews its tokens, and the real service."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from pdp.limits import REVIEW_PAUSE_SECONDS
from tests.e2e.evidencing import svid
from tests.e2e.grpc_calls import call, channel, from_answer, grpc_port, to_question
from tests.e2e.running import PROD, Pki, Reply, Service, make_policies, question, until
from tests.identity.clusters import OURS, Cluster, cluster
from tests.identity.publishing import send

WEST_ISSUER = "https://kubernetes.west.example.org"
SUB = "system:serviceaccount:"
POLICY = """\
language 1

trust domain prod = "prod.example.org"
trust domain west = "west.example.org"
issuer corp = "https://login.example.com"

service web.shop {
    allow prod/ns/shop/sa/* to GET /v1/items/{id} as read-item
    allow west/ns/shop/sa/* to GET /v1/items/{id} as read-from-west
}

caller prod/ns/edge/sa/gateway fronts web.shop
    may present service-account-token of prod/ns/shop/sa/*, any principal of west
    may present user-token of corp
caller prod/ns/edge/sa/other fronts web.shop may present jwt-svid of any principal of prod
caller prod/ns/edge/sa/plain fronts web.shop may assert any principal of prod
"""
CALLERS = ("gateway", "other", "plain")


@dataclass
class Clusters:
    """The service; a cluster whose keys it finds by discovery, and one that it asks about each token."""

    service: Service
    east: Cluster
    west: Cluster

    def ask(self, text: str, caller: str = "gateway", **what: Any) -> Reply:
        return self.service.send(question(principal={"jwt": text}, **what), caller=caller)


@contextmanager
def clusters(pki: Pki, folder: Path, *more: str, west_keys: bool = False) -> Iterator[Clusters]:
    for name in CALLERS:
        if not (pki.folder / f"{name}.pem").exists():
            pki.issue(name, uris=[f"spiffe://{PROD}/ns/edge/sa/{name}"])
    with ExitStack() as held:
        east = held.enter_context(cluster(folder / "east", issuer=""))
        west = held.enter_context(cluster(folder / "west", issuer=WEST_ISSUER))
        keys = f'jwks_url = "{west.url}/openid/v1/jwks"\njwks_ca_file = "{west.roots}"\n' if west_keys else ""
        file = folder / "pdp.toml"
        file.write_text(
            "[limits]\nmax_age_ms = 60000\n"
            f'[clusters."{east.issuer}"]\naudiences = ["{OURS}"]\ntrust_domain = "{PROD}"\n'
            f'jwks_discovery = true\njwks_ca_file = "{east.roots}"\n'
            f'[clusters."{WEST_ISSUER}"]\naudiences = ["{OURS}"]\ntrust_domain = "west.example.org"\n'
            f'review_url = "{west.url}/"\nreview_ca_file = "{west.roots}"\nreview_seconds = 5\n'
            f'review_token_file = "{west.roots.parent / "reviewer"}"\n{keys}',
            encoding="utf-8",
        )
        policies = make_policies(folder / "policies", POLICY)
        service = Service(pki, policies, "--config", str(file), *more)
        held.callback(service.stop)
        yield Clusters(service, east, west)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[Clusters]:
    with clusters(pki, tmp_path_factory.mktemp("clusters"), "--grpc", "127.0.0.1:0") as found:
        yield found


def refused(reply: Reply, code: str) -> bool:
    return (reply.status, reply.code) == (400, "evidence_refused") and f"({code})" in reply.json["error"][
        "message"
    ]


# -- what is proven --------------------------------------------------------------------


def test_a_pod_is_the_workload_of_its_service_account(served: Clusters) -> None:
    reply = served.ask(served.east.mint())

    assert reply.status == 200, reply.json
    assert (reply.status, reply.json["decision"]) == (200, "allow")
    assert reply.json["region"]["evidence"] == ["principal"]
    assert served.ask(served.east.mint(), path="/v1/else").json["decision"] == "deny"


def test_a_pod_of_a_cluster_that_is_asked(served: Clusters) -> None:
    text = served.west.mint()
    before = len(served.west.reviewed)

    replies = [served.ask(text) for _ in range(5)]

    assert [(each.status, each.json["decision"]) for each in replies] == [(200, "allow")] * 5
    assert len(served.west.reviewed) - before == 1
    # No answer is reused for longer than the cluster's word holds.
    assert all(0 < each.json["max_age_ms"] <= 5000 for each in replies)
    assert served.ask(served.east.mint()).json["max_age_ms"] == 60_000


def test_no_cluster_proves_the_workloads_of_another(served: Clusters) -> None:
    east, west = served.east, served.west
    east.keys["two"] = 1  # not one of west's

    assert refused(served.ask(east.mint(iss=WEST_ISSUER, kid="two")), "review")
    assert refused(served.ask(west.mint(iss=east.issuer, which=1)), "signature")


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "another key": ({"which": 7}, "signature"),
    "for the API server": ({"aud": ["https://kubernetes.default.svc"]}, "audience"),
    "expired": ({"exp": 1_700_000_000, "iat": 1_699_999_000, "nbf": 1_699_999_000}, "expired"),
    "another subject": ({"sub": "system:node:node-1"}, "subject"),
    "two names": ({"sub": f"{SUB}shop:other"}, "invalid_claim"),
    "out of a Secret": ({"iss": "kubernetes/serviceaccount", "exp": None, "aud": None}, "legacy"),
    "of nobody": ({"iss": "https://kubernetes.north.example.org"}, "unknown_issuer"),
    "a SPIFFE ID of its own": ({"sub": f"spiffe://{PROD}/ns/shop/sa/web"}, "subject"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_rule_refuses_with_its_own_reason(served: Clusters, case: str) -> None:
    what, code = CASES[case]

    assert refused(served.ask(served.east.mint(**what)), code)


@pytest.mark.parametrize("case", [case for case in CASES if case != "another key"])
def test_a_cluster_is_not_asked_about_what_breaks_a_rule(served: Clusters, case: str) -> None:
    what, code = CASES[case]
    before = len(served.west.server.asked)

    assert refused(served.ask(served.west.mint(**what)), code)
    assert refused(served.ask("x"), "malformed")
    assert len(served.west.server.asked) == before


def test_a_token_that_the_cluster_has_not_signed_is_refused_by_it(served: Clusters) -> None:
    text = served.west.mint(which=7)
    before = len(served.west.reviewed)

    assert [refused(served.ask(text), "review") for _ in range(4)] == [True] * 4
    assert len(served.west.reviewed) - before == 1


def test_it_is_a_kind_of_evidence_of_its_own(served: Clusters) -> None:
    """Who may present JWT-SVIDs may not present these, and nobody looks at what it may not present."""
    before = len(served.west.server.asked)

    replies = [
        served.ask(token, caller)
        for caller in ("other", "plain")
        for token in (served.east.mint(), served.west.mint(), served.east.mint(which=7))
    ]

    assert {(each.status, each.code) for each in replies} == {(403, "evidence_not_permitted")}
    assert served.ask(svid(), "other").code == "evidence_refused"  # no bundle is configured
    assert len(served.west.server.asked) == before


def test_a_principal_of_other_patterns_is_refused(served: Clusters) -> None:
    bound = {"namespace": "pay", "serviceaccount": {"name": "web"}}

    reply = served.ask(served.east.mint(sub=f"{SUB}pay:web", **{"kubernetes.io": bound}))

    assert (reply.status, reply.code) == (403, "principal_not_permitted")


def test_it_is_no_users_token(served: Clusters) -> None:
    asked = {"principal": {"jwt": served.east.mint()}, "user": {"jwt": served.west.mint()}}
    before = len(served.west.server.asked)

    reply = served.service.send(question(**asked), caller="gateway")

    assert refused(reply, "subject")
    assert "`user.jwt`" in reply.json["error"]["message"]
    assert len(served.west.server.asked) == before


def test_batches_and_grpc_say_the_same(served: Clusters, pki: Pki) -> None:
    texts = [served.west.mint(jti="a"), served.west.mint(which=7), served.east.mint(), "x"]
    questions = [question(principal={"jwt": text}) for text in texts]

    batch = served.service.send({"questions": questions}, caller="gateway", path="/v1/decide/batch")
    answers = batch.json["answers"]

    assert [each.get("decision") or each["error"]["code"] for each in answers] == [
        "allow", "evidence_refused", "allow", "evidence_refused",
    ]  # fmt: skip
    with channel(pki, grpc_port(served.service), "gateway") as grpc:
        fresh = question(principal={"jwt": served.west.mint(jti="b")})
        assert from_answer(call(grpc, "Decide", to_question(fresh), v1.Answer))["decision"] == "allow"
        assert call(grpc, "Decide", to_question(questions[1]), v1.Answer).code == "evidence_refused"


# -- what changes ----------------------------------------------------------------------


def test_a_pod_that_is_deleted_proves_nothing_a_moment_later(served: Clusters) -> None:
    text = served.west.mint(jti="soon gone")
    assert served.ask(text).status == 200

    served.west.gone.add("web-0")
    try:
        took = until(lambda: served.ask(text).status != 200)
        assert took < 6
        assert refused(served.ask(text), "review")
    finally:
        served.west.gone.clear()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_cluster_that_does_not_answer_proves_nothing(pki: Pki, tmp_path: Path, workers: str) -> None:
    with clusters(pki, tmp_path, "--workers", workers) as at:
        assert at.ask(at.west.mint()).status == 200
        for failing in (
            lambda handler: send(handler, b"", 500),
            lambda handler: send(handler, b'{"kind": "TokenReview"}', 201),
            lambda handler: send(handler, b"{}", 403),
            lambda _: time.sleep(4),
        ):
            at.west.fails = failing
            began = time.monotonic()
            assert refused(at.ask(at.west.mint(jti=str(began))), "not_reviewed")
            assert time.monotonic() - began < 4
            assert at.ask(at.east.mint()).status == 200  # others take no harm
        at.west.fails = lambda handler: send(handler, b"", 500)
        for number in range(10):
            assert refused(at.ask(at.west.mint(jti=f"t{number}")), "not_reviewed")
        at.service.wait_line("does not review tokens")
        before = len(at.west.server.asked)
        for number in range(10):
            at.ask(at.west.mint(jti=f"u{number}"))
        assert len(at.west.server.asked) - before <= 2  # each worker has to find out by itself

        at.west.fails = None
        assert until(lambda: at.ask(at.west.mint(jti="again")).status == 200) < REVIEW_PAUSE_SECONDS + 3
        at.service.wait_line("reviews tokens again")


def test_the_word_of_a_cluster_that_went_away_holds_no_longer_than_it_said(pki: Pki, tmp_path: Path) -> None:
    with clusters(pki, tmp_path) as at:
        text = at.west.mint()
        assert at.ask(text).status == 200
        at.west.fails = lambda handler: send(handler, b"", 500)

        assert at.ask(text).status == 200
        assert until(lambda: at.ask(text).status != 200) < 6
        assert refused(at.ask(text), "not_reviewed")


def test_a_key_that_was_just_published_takes_tokens_at_once(pki: Pki, tmp_path: Path) -> None:
    with clusters(pki, tmp_path) as at:
        assert at.ask(at.east.mint()).status == 200
        time.sleep(11)  # an unknown name is looked for once in ten seconds
        at.east.keys = {"two": 1}

        assert at.ask(at.east.mint("two")).status == 200
        at.service.wait_line(f"the keys of {at.east.issuer} changed")
        at.east.keys["one"] = 0
        assert refused(at.ask(at.east.mint("one")), "unknown_key")


def test_with_keys_as_well_nobody_is_asked_about_forgeries(pki: Pki, tmp_path: Path) -> None:
    with clusters(pki, tmp_path, west_keys=True) as at:
        until(lambda: at.ask(at.west.mint()).status == 200)
        before = len(at.west.reviewed)

        assert refused(at.ask(at.west.mint(which=7)), "signature")
        assert len(at.west.reviewed) == before
        at.west.gone.add("web-0")
        assert refused(at.ask(at.west.mint(jti="fresh")), "review")


def test_no_token_is_ever_printed(pki: Pki, tmp_path: Path) -> None:
    with clusters(pki, tmp_path) as at:
        texts = [at.west.mint(), at.west.mint(which=7), at.east.mint()]
        replies = [at.ask(text) for text in texts]
        at.west.fails = lambda handler: send(handler, b"", 500)
        replies += [at.ask(at.west.mint(jti=f"t{number}")) for number in range(4)]
        at.service.wait_line("does not review tokens")
        at.service.stop()

        said = "".join(at.service.lines) + "".join(reply.body.decode() for reply in replies)
        assert not re.search(r"eyJ[A-Za-z0-9_-]{20}", said)
        assert "reviewer-token" not in said
