"""Questions about whom nobody believes any more, and from such: denied or refused, and never reused."""

import json
from typing import Any

import pytest

from pdp.audit.decision_log import DecisionLog
from pdp.audit.log_mode import LogMode
from pdp.audit.record import Recorder
from pdp.counters import Counters
from pdp.identity.quarantine.file import make_entry
from pdp.identity.quarantine.lists import NOBODY, Quarantine
from pdp.store.freshness import UNLIMITED, Freshness, Limit
from tests.docs.application import PROXY, WEB, caller, post
from tests.docs.sets import NOW
from tests.service.test_stale import DENY, REFUSE, Lines, World, shape

HOUR = 3_600_000
OTHER = WEB.replace("/web", "/api")


def quarantined(**named: str) -> Quarantine:
    return Quarantine((make_entry(named, who="ops", why="key on a forum", since=NOW, until=NOW + HOUR),))


def world(list_: Quarantine, freshness: Freshness = UNLIMITED, **more: Any) -> World:
    return World(freshness, quarantine=lambda: list_, **more)


def test_a_workload_is_denied_what_rules_allow_and_nothing_of_it_is_reused() -> None:
    found = world(quarantined(spiffe_id=WEB))

    answer = found.ask()

    assert (answer["decision"], answer["reason"], answer["enforced"]) == ("deny", "quarantined", True)
    assert (answer["rules"], answer["region"], answer["max_age_ms"]) == ([], None, 0)


def test_it_is_enforced_about_a_service_that_is_only_observed() -> None:
    answer = world(quarantined(spiffe_id=WEB)).ask(service="cart", path="/other")

    assert (answer["decision"], answer["reason"], answer["enforced"]) == ("deny", "quarantined", True)


def test_it_ends_when_it_says() -> None:
    found = world(quarantined(spiffe_id=WEB))

    found.now = NOW + HOUR - 1
    assert found.ask()["reason"] == "quarantined"
    found.now = NOW + HOUR
    assert found.ask()["decision"] == "allow"


@pytest.mark.parametrize("limit", [DENY, REFUSE])
def test_whatever_is_stale_it_is_said(limit: Limit) -> None:
    found = world(quarantined(spiffe_id=WEB), Freshness(default=limit))
    found.now = NOW + 20_000

    assert found.ask()["reason"] == "quarantined"


def test_who_may_explain_is_told_by_whom_and_why_and_nobody_else() -> None:
    found = world(quarantined(spiffe_id=WEB))

    problem = found.ask(explain=True)["explanation"]["problem"]

    assert problem["code"] == "quarantined"
    for part in (WEB, "ops", "key on a forum", "until 2", "(q-"):
        assert part in problem["sentence"]
    assert "forum" not in json.dumps(found.ask())


def test_a_region_is_of_one_principal_while_entries_name_workloads() -> None:
    anyone = {"path": "/v1/locked", "principal": OTHER}
    assert World(UNLIMITED).ask(**anyone)["region"]["principal"] is None

    answer = world(quarantined(spiffe_id="spiffe://prod.example.org/ns/x/**")).ask(**anyone)

    assert answer["region"]["principal"] == OTHER


def test_a_region_is_of_one_user_while_entries_name_subjects() -> None:
    answer = world(quarantined(sub="alice", issuer="https://login.example.com")).ask()

    assert answer["decision"] == "allow"
    assert answer["region"]["context"] == {"user.iss": None, "user.sub": None}


def test_regions_are_as_wide_as_ever_while_entries_name_certificates_and_tokens() -> None:
    wide = World(UNLIMITED).ask(path="/v1/locked")["region"]
    for named in ({"serial": "0a"}, {"jti": "1", "issuer": "https://login.example.com"}):
        assert world(quarantined(**named)).ask(path="/v1/locked")["region"] == wide


@pytest.mark.parametrize(
    ("named", "refused"),
    [
        ({"spiffe_id": PROXY}, True),
        ({"spiffe_id": "spiffe://prod.example.org/ns/mesh/**"}, True),
        ({"serial": "0a1b"}, True),
        ({"serial": "0a1b", "trust_domain": "prod.example.org"}, True),
        ({"serial": "0a1b", "trust_domain": "partner.example.net"}, False),
        ({"serial": "0a1c"}, False),
        ({"spiffe_id": f"{PROXY}/x"}, False),
    ],
)
def test_a_caller_is_refused_by_its_name_and_by_its_certificate(
    named: dict[str, str], *, refused: bool
) -> None:
    service = world(quarantined(**named)).service
    who = caller(not_after=NOW + 10**9, serial="0a1b")
    asked = {"principal": WEB, "service": "payments", "method": "GET", "path": "/v1/charges"}

    reply = post(service, json.dumps(asked).encode(), who=who)

    if refused:
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "caller_quarantined")
        assert service.metrics.counts().refused == {"caller_quarantined": 1}
    else:
        assert reply.json()["decision"] == "allow"


def test_who_may_not_ask_learns_nothing_of_entries() -> None:
    assert shape(world(quarantined(spiffe_id=WEB)).ask(service="orders")) == (
        "error",
        "service_not_permitted",
    )


def test_the_log_names_the_entry() -> None:
    written = Lines()
    log = DecisionLog(written, Recorder(b"k" * 32), mode=LogMode.DROP, counters=Counters())
    list_ = quarantined(spiffe_id=WEB)
    found = world(list_, log=log)

    found.ask()
    found.ask(principal=OTHER)
    log.close()

    assert [line.get("quarantine") for line in written.lines] == [list_.entries[0].id, None]
    assert written.lines[0]["reason"] == "quarantined"


def test_nobody_is_quarantined_by_default() -> None:
    assert world(NOBODY).ask()["decision"] == "allow"
