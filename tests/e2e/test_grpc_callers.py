"""Who may ask over gRPC, over real TLS: as over HTTP, and every refusal is one."""

import ssl
import time
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from tests.e2e import http2
from tests.e2e.grpc_calls import Failure, call, channel, from_answer, grpc_port, streaming, to_question
from tests.e2e.running import PARTNER, PEP, WEB, Pki, Service, make_policies, question
from tests.identity.mint import authority

DECIDE = b"/pdp.v1.DecisionService/Decide"
ASKED = to_question(question())


@pytest.fixture(scope="module")
def running(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    policies = make_policies(tmp_path_factory.mktemp("policies") / "set")
    service = Service(pki, policies, "--grpc", "127.0.0.1:0")
    yield service
    assert service.stop() == 0, service.log


@pytest.fixture
def port(running: Service) -> Iterator[int]:
    """After each test the service answers as before, and no traceback is in its log."""
    mark = running.mark()
    yield grpc_port(running)
    running.assert_still_answers(mark)


def decide(pki: Pki, port: int, name: str | None = "pep", asked: v1.Question = ASKED) -> object:
    with channel(pki, port, name) as on:
        return call(on, "Decide", asked, v1.Answer)


def test_listed_caller_is_answered(pki: Pki, port: int) -> None:
    got = decide(pki, port)

    assert isinstance(got, v1.Answer)
    assert from_answer(got)["decision"] == "allow"


def test_no_certificate_ends_the_handshake(pki: Pki, port: int) -> None:
    got = decide(pki, port, None)

    assert isinstance(got, Failure)
    assert (got.status, got.code) == ("UNAVAILABLE", "")  # the client's own word for no connection


@pytest.mark.parametrize(
    ("name", "lives"),
    [("g-expired", (-7200, -3600)), ("g-early", (3600, 7200))],
    ids=["expired", "not yet valid"],
)
def test_certificate_outside_its_validity_ends_the_handshake(
    pki: Pki, port: int, name: str, lives: tuple[float, float]
) -> None:
    pki.issue(name, uris=[PEP], lives=lives)

    got = decide(pki, port, name)

    assert isinstance(got, Failure)
    assert (got.status, got.code) == ("UNAVAILABLE", "")


def test_unknown_authority_ends_the_handshake(pki: Pki, port: int) -> None:
    pki.issue("g-stranger", pki.stranger_root, uris=[PEP])

    got = decide(pki, port, "g-stranger")

    assert isinstance(got, Failure)
    assert (got.status, got.code) == ("UNAVAILABLE", "")


@pytest.mark.parametrize(
    "method", ["Decide", "DecideBatch", "WatchRevisions", "DecideStream", "/grpc.health.v1.Health/Check"]
)
def test_partner_authority_cannot_mint_our_identities(pki: Pki, port: int, method: str) -> None:
    """TLS pools the roots of both trust domains and accepts this; no call has a caller nevertheless."""
    pki.issue("g-minted", pki.partner_root, uris=[PEP])

    with channel(pki, port, "g-minted") as on:
        first, again = (call(on, method, ASKED) for _ in range(2))

    assert isinstance(first, Failure)
    assert (first.status, first.code) == ("UNAUTHENTICATED", "caller_untrusted")
    assert again == first


def test_intermediate_of_our_own_domain_is_followed_and_a_partner_s_is_not(pki: Pki, port: int) -> None:
    span = {
        "start": pki.root.certificate.not_valid_before_utc,
        "end": pki.root.certificate.not_valid_after_utc,
    }
    for name, root in (("g-below", pki.root), ("g-beside", pki.partner_root)):
        middle = authority(name, root, **span)
        pki.issue(name, middle, uris=[PEP])
        chain = pki.folder / f"{name}.pem"
        chain.write_bytes(chain.read_bytes() + middle.pem)

    ours, theirs = decide(pki, port, "g-below"), decide(pki, port, "g-beside")

    assert isinstance(ours, v1.Answer)
    assert isinstance(theirs, Failure)
    assert theirs.code == "caller_untrusted"


def test_certificate_that_expires_ends_the_rights_of_an_open_connection(pki: Pki, port: int) -> None:
    pki.issue("g-short", uris=[PEP], lives=(-60, 4))
    ends = time.time() + 5.2

    with channel(pki, port, "g-short") as on:
        before = call(on, "Decide", ASKED, v1.Answer)
        with streaming(on, "WatchRevisions", [b""]) as watching:
            next(watching)
            time.sleep(max(0.0, ends - time.time()))
            after = call(on, "Decide", ASKED)
            watch_again = call(on, "WatchRevisions", b"")

    assert isinstance(before, v1.Answer)
    assert (after.status, after.code) == ("UNAUTHENTICATED", "caller_expired")
    assert watch_again.code == "caller_expired"


@pytest.mark.parametrize("method", ["Decide", "DecideBatch", "DecideStream", "WatchRevisions"])
def test_caller_that_nobody_lists_is_told_nothing(pki: Pki, port: int, method: str) -> None:
    """Not even what is wrong with its question."""
    pki.issue("g-unlisted", pki.partner_root, uris=[f"spiffe://{PARTNER}/x"])

    with channel(pki, port, "g-unlisted") as on:
        got = call(on, method, b"\xff" if method != "WatchRevisions" else b"")

    assert (got.status, got.code) == ("PERMISSION_DENIED", "caller_not_listed")


def test_a_forbidden_and_an_unknown_service_are_refused_alike(pki: Pki, port: int) -> None:
    pki.issue("g-web", uris=[WEB])

    refused = {
        decide(pki, port, "g-web", to_question(question(**about)))
        for about in ({"service": "pay.shop"}, {"service": "none"}, {"service": ..., "host": "none.example"})
    }

    assert refused == {
        Failure("PERMISSION_DENIED", "service_not_permitted", "this caller may not ask about this service")
    }


def test_each_right_is_asked_for_of_each_item(pki: Pki, port: int) -> None:
    pki.issue("g-web", uris=[WEB])
    asked = [
        ASKED,
        to_question(question(principal=f"spiffe://{PARTNER}/x")),
        to_question(question(explain=True)),
    ]

    with channel(pki, port, "g-web") as on:
        batch = call(on, "DecideBatch", v1.DecideBatchRequest(questions=asked), v1.DecideBatchResponse)
        with streaming(on, "DecideStream", [item.SerializeToString() for item in asked]) as stream:
            streamed = [v1.Result.FromString(message) for message in stream]

    codes = ["", "principal_not_permitted", "explain_not_permitted"]
    assert [result.error.code for result in batch.results] == codes
    assert [result.error.code for result in streamed] == codes
    assert batch.results[0].answer.decision == v1.DECISION_ALLOW


# -- TLS -------------------------------------------------------------------------------


def test_tls_1_2_is_refused(pki: Pki, port: int) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        http2.tls(pki, port, most=ssl.TLSVersion.TLSv1_2)


def test_without_http2_there_is_nothing(pki: Pki, port: int) -> None:
    context = pki.context()
    with http2.tls(pki, port, context=context) as sock:
        sock.sendall(b"GET /v1/revisions HTTP/1.1\r\nhost: pdp\r\n\r\n")

        assert b"200" not in http2.read_all(sock)


@pytest.mark.parametrize(
    ("name", "answered"), [("pep", True), ("g-minted", False)], ids=["a caller", "a minted identity"]
)
def test_resumed_session_shows_its_leaf_and_is_verified_as_any_other(
    pki: Pki, port: int, name: str, *, answered: bool
) -> None:
    """grpcio cannot be told to hand out no tickets. A resumed session has no new proof, and the old leaf."""
    if name != "pep":
        pki.issue(name, pki.partner_root, uris=[PEP])
    context, session, reused, received = pki.context(name), None, [], []
    for _ in range(2):
        with http2.tls(pki, port, session=session, context=context) as sock:
            sock.sendall(http2.grpc_request(DECIDE, ASKED.SerializeToString()))
            received.append(http2.read_all(sock, until=b"grpc-status"))
            session, reused = sock.session, [*reused, sock.session_reused]

    assert reused == [False, True]  # should this fail, grpcio has learnt it: docs/threat-model.md
    for answer in received:
        assert (b"web.shop/read-item" in answer) is answered
        assert (b"caller_untrusted" in answer) is not answered


def test_health_is_told_to_callers(pki: Pki, port: int) -> None:
    with channel(pki, port) as on:
        found = [
            call(on, "/grpc.health.v1.Health/Check", HealthCheckRequest(service=name).SerializeToString())
            for name in ("", "pdp.v1.DecisionService", "else")
        ]

    assert found[:2] == [b"\x08\x01"] * 2  # SERVING
    assert found[2].status == grpc.StatusCode.NOT_FOUND.name


def test_nothing_is_reflected(pki: Pki, port: int) -> None:
    with channel(pki, port) as on:
        got = call(on, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", b"")

    assert got.status == "UNIMPLEMENTED"
