"""Questions to the real service, over every transport, sync and async."""

import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from clients.python.tests.asking import KINDS, PATIENT, Proxy, client, endpoint, files, item, port_of
from pdp_client import (
    ANONYMOUS,
    BadQuestionError,
    Client,
    ClosedError,
    Decision,
    NotPermittedError,
    Question,
    Timeouts,
    TlsFiles,
    UnreachableError,
    User,
)
from pdp_client.question import AttributeValue
from tests.e2e.running import ALICE, PARTNER, Pki, Service, until


@pytest.fixture(params=KINDS, ids="-".join)
def kind(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture
def asks(kind: tuple[str, str], shared: Service, pki: Pki) -> Iterator[Any]:
    with client(*kind, [port_of(shared, kind[1])], pki) as found:
        yield found


def test_an_allow_and_a_deny_are_answers(asks: Any) -> None:
    allowed, denied = asks.decide(item()), asks.decide(item("/v1/items/locked"))

    assert (allowed.effect, allowed.reason, allowed.allowed) == ("allow", "allowed", True)
    assert [rule.name for rule in allowed.rules] == ["web.shop/read-item"]
    assert (denied.effect, denied.reason, denied.allowed) == ("deny", "denied_by_rule", False)
    assert not allowed.reused


@pytest.mark.parametrize(
    "path", ["/v1/items/..%2fexport", "//v1/items/7", "/v1/items/7;x", "/v1/items/7?_method=DELETE"]
)
def test_a_path_with_several_readings_is_asked_about_and_denied(asks: Any, path: str) -> None:
    assert asks.decide(item(path)).reason in {"ambiguous_path", "ambiguous_method"}


@pytest.mark.parametrize(
    ("context", "path", "allowed"),
    [
        ({"source.ip": "10.1.2.3"}, "/v1/inside", True),
        ({"source.ip": "192.0.2.1"}, "/v1/inside", False),
        ({"source.ip": None}, "/v1/inside", False),
        ({"request.port": 8443}, "/v1/port", True),
        ({"request.port": 8442}, "/v1/port", False),
        ({"header.x-a": ["1", "2"], "header.x-b": ("1",), "header.x-c": []}, "/v1/items/7", True),
    ],
)
def test_attributes_of_every_type_arrive(
    asks: Any, context: dict[str, AttributeValue], path: str, allowed: bool
) -> None:
    assert asks.decide(item(path, context=context)).allowed is allowed


def test_principals_and_users_of_every_kind_arrive(asks: Any) -> None:
    user = User("https://login.example.com", "u", ("g",))
    assert asks.decide(item("/v1/mine", user=user)).allowed
    assert not asks.decide(item("/v1/mine")).allowed
    assert not asks.decide(item(principal=ANONYMOUS)).allowed
    assert not asks.decide(item(principal=f"spiffe://{PARTNER}/x")).allowed
    assert asks.decide(item("/v1/export", principal=ALICE)).allowed


def test_a_service_is_asked_about_by_host(asks: Any) -> None:
    assert asks.decide(item(service=None, host="web.shop.example.com:8443")).allowed


def test_an_explanation_says_why(asks: Any) -> None:
    found = asks.explain(item("/v1/item"))
    assert not found.allowed
    assert found.explanation["nearest"]["rule"]["name"] == "web.shop/read-item"


def test_a_batch_has_an_answer_or_an_error_for_each(asks: Any) -> None:
    found = asks.decide_batch(
        [item(), item(service="nobody"), item("/v1/items/locked"), item(principal="web")]
    )
    assert [each.effect for each in (found[0], found[2])] == ["allow", "deny"]
    assert isinstance(found[1], NotPermittedError)
    assert (found[1].code, found[1].fault) == ("service_not_permitted", "caller")
    assert isinstance(found[3], BadQuestionError)
    assert asks.decide_batch([]) == []


def test_answers_are_used_again_within_their_region_and_no_further(asks: Any) -> None:
    until(lambda: asks.is_reusing)
    first = asks.decide(item())
    again = asks.decide(item("/v1/items/8?full=1"))

    assert (again.reused, again.decision_id, again.rules) == (True, first.decision_id, ())
    for other in (
        item("/v1/items/locked"),
        item("/v1/items/"),
        item(method="HEAD"),
        item(principal=ALICE),
        item("/v1/items/%37"),
        item(at_least=first.revision),
    ):
        assert not asks.decide(other).reused
    assert not asks.explain(item()).reused


def test_a_batch_is_answered_from_memory_too(asks: Any) -> None:
    until(lambda: asks.is_reusing)
    asks.decide(item())
    found = asks.decide_batch([item("/v1/items/9"), item("/v1/items/locked")])
    assert [each.reused for each in found] == [True, False]
    assert len({each.revision for each in found}) == 1


@pytest.mark.parametrize(
    ("what", "error", "code"),
    [
        ({"service": "nobody"}, NotPermittedError, "service_not_permitted"),
        ({"principal": "web"}, BadQuestionError, "invalid_principal"),
        ({"method": "GET\r"}, BadQuestionError, "invalid_method"),
        ({"context": {"header.X-A": "1"}}, BadQuestionError, "invalid_attribute"),
        ({"context": {"source.ip": object()}}, BadQuestionError, "wrong_type"),
        ({"context": {"request.port": 2**70}}, BadQuestionError, None),
        ({"path": "/\ud800"}, BadQuestionError, None),
    ],
)
def test_what_is_no_answer_is_told_with_its_code(
    asks: Any, what: dict, error: type, code: str | None
) -> None:
    with pytest.raises(error) as refused:
        asks.decide(item(**what))
    assert code in {refused.value.code, None}


def test_a_caller_that_is_not_listed_is_told_so(kind: tuple[str, str], shared: Service, pki: Pki) -> None:
    pki.issue("stranger", uris=["spiffe://prod.example.org/elsewhere"])
    with client(*kind, [port_of(shared, kind[1])], pki, "stranger") as asks:
        with pytest.raises(NotPermittedError) as refused:
            asks.decide(item())
        assert refused.value.code == "caller_not_listed"
        assert not asks.is_reusing


def test_a_service_that_is_somebody_else_is_not_asked(
    kind: tuple[str, str], shared: Service, pki: Pki
) -> None:
    """The roots that we believe are not those of the service."""
    tls = TlsFiles(pki.folder / "pep.pem", pki.folder / "pep-key.pem", pki.folder / "partner.pem")
    with (
        Client([endpoint(port_of(shared, kind[1]))], tls=tls, transport=kind[1], timeouts=PATIENT) as asks,
        pytest.raises(UnreachableError),
    ):
        asks.decide(item())


def test_a_closed_client_answers_nothing_not_even_what_it_held(asks: Any) -> None:
    until(lambda: asks.is_reusing)
    asks.decide(item())
    assert asks.decide(item()).reused
    asks.close()
    with pytest.raises(ClosedError):
        asks.decide(item())


def test_without_reuse_every_question_is_asked(kind: tuple[str, str], shared: Service, pki: Pki) -> None:
    with client(*kind, [port_of(shared, kind[1])], pki, reuse=False) as asks:
        found = [asks.decide(item()) for _ in range(3)]
    assert len({each.decision_id for each in found}) == 3
    assert not any(each.reused for each in found)


def test_connections_are_used_again(shared: Service, pki: Pki) -> None:
    with client("sync", "http", [shared.port], pki, reuse=False) as asks:
        for _ in range(20):
            asks.decide(item())
        pool = asks._running.core._transport._pool
        assert len(pool.connections) == 1


def test_a_forked_process_begins_anew(shared: Service, pki: Pki) -> None:
    with client("sync", "http", [shared.port], pki) as asks:
        until(lambda: asks.is_reusing)
        asks.decide(item())
        child = os.fork()
        if child == 0:
            status = 1
            try:
                first = asks.decide(item())
                status = 0 if first.allowed and not first.reused else 2
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                sys.stderr.flush()
                os._exit(status)
        deadline = time.monotonic() + 20
        while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
            assert time.monotonic() < deadline, "the forked process hangs"
            time.sleep(0.05)
        assert done[1] == 0
        until(lambda: asks.decide(item()).reused)  # not while the machine keeps the stream silent for a lease


@pytest.mark.parametrize(
    ("endpoints", "options"),
    [
        ([], {}),
        ("https://a:1", {}),
        (["http://a:1"], {}),
        (["https://a"], {}),
        (["https://a:1/x"], {}),
        (["https://u@a:1"], {}),
        (["https://:1"], {}),
        (["https://a:1"], {"transport": "carrier-pigeon"}),
        (["https://a:1"], {"timeouts": Timeouts(read=0)}),
        (["https://a:1"], {"max_entries": 0}),
        (["https://a:1"], {"lease_seconds": 0}),
    ],
)
def test_a_client_that_makes_no_sense_is_not_made(pki: Pki, endpoints: Any, options: dict) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        Client(endpoints, tls=files(pki), **options).decide(item())


def test_files_that_do_not_fit_together_are_told_at_once(pki: Pki) -> None:
    with pytest.raises(OSError, match=r"\w+"):
        Client(
            ["https://a:1"],
            tls=TlsFiles(pki.folder / "pep.pem", pki.folder / "server-key.pem", pki.folder / "prod.pem"),
        )


def test_a_question_names_a_service_or_a_host() -> None:
    for what in ({}, {"service": "s", "host": "h"}):
        with pytest.raises(BadQuestionError):
            Question(principal="p", method="GET", path="/", **what)


def test_a_decision_is_read_the_same_over_both_protocols(shared: Service, pki: Pki) -> None:
    found: list[list[Decision]] = []
    questions = [
        item(),
        item("/v1/items/locked"),
        item("/v1/hours"),
        item("/v1/inside", context={"source.ip": "10.0.0.1"}),
        item("/v1/mine", user=User("https://login.example.com", "u")),
        item("/x"),
        item("/v1/items/..;/"),
    ]
    for transport in ("http", "grpc"):
        with client("sync", transport, [port_of(shared, transport)], pki, reuse=False) as asks:
            found.append([asks.explain(question) for question in questions])
    for one, other in zip(*found, strict=True):
        first, second = (
            {name: getattr(each, name) for name in Decision.__struct_fields__ if name != "decision_id"}
            for each in (one, other)
        )
        for each in (first, second):
            each.pop("age_seconds")
            each["max_age_ms"] = each["max_age_ms"] // 1000
        assert first == second


def test_a_handshake_may_take_as_long_as_connecting_may(
    kind: tuple[str, str], shared: Service, pki: Pki
) -> None:
    """A far replica, or a busy machine: each of its messages is late."""
    slow = Proxy(port_of(shared, kind[1]))
    late = threading.Timer(0.6, slow.flows.set)
    slow.flows.clear()
    late.start()
    try:
        with client(*kind, [slow.port], pki) as asks:
            assert asks.decide(item()).allowed
    finally:
        late.join()
        slow.close()
