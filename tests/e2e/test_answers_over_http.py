"""What an answer holds, over HTTP: its shape, its region's claim, its age and its floor."""

import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pdp.identity.trust import load_trust
from pdp.limits import AT_LEAST_WAIT_SECONDS, MAX_AGE_LIMIT_MS
from pdp.store.bundle import read_bundle
from pdp.store.loader import Loader
from tests.e2e.running import ALICE, PARTNER, PROD, WEB, Pki, Service, ask, make_policies, question, until

ANSWER = {
    "decision", "reason", "enforced", "rules", "decision_id", "revision", "age_seconds", "region",
    "max_age_ms", "valid_until", "obligations", "reuse",
}  # fmt: skip
REGION = {"service", "principal", "method", "path", "rest", "context"}
ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
UNKNOWN = "0" * 16


def test_allow_has_every_part_and_no_other(service: Service) -> None:
    reply = ask(service)
    answer = reply.json

    assert reply.status == 200
    assert set(answer) == ANSWER
    assert (answer["decision"], answer["reason"], answer["enforced"]) == ("allow", "allowed", True)
    line = 1 + Path(service.policies / "main.policy").read_text().splitlines().index(
        '    allow prod/ns/shop/sa/* to GET /v1/items/{id} as read-item because "secret reason"'
    )
    assert answer["rules"] == [
        {"name": "web.shop/read-item", "at": f"main.policy:{line}", "because": "secret reason"}
    ]
    assert ULID.fullmatch(answer["decision_id"])
    assert re.fullmatch("[0-9a-f]{16}", answer["revision"])
    assert answer["revision"] in service.lines[0]
    assert answer["age_seconds"] in {0, 1, 2}
    assert set(answer["region"]) == REGION
    assert answer["region"] == {
        "service": "web.shop", "principal": WEB, "method": "GET",
        "path": ["v1", "items", {"not": ["locked"]}], "rest": False, "context": {},
    }  # fmt: skip
    assert answer["max_age_ms"] == MAX_AGE_LIMIT_MS
    assert (answer["valid_until"], answer["obligations"], answer["reuse"]) == (None, [], "counted")


@pytest.mark.parametrize(
    ("what", "reason", "rules"),
    [
        ({"path": "/v1/items/locked"}, "denied_by_rule", ["web.shop/locked"]),
        ({"path": "/v2"}, "no_rule_matched", []),
        ({"path": "/v1/items//7"}, "ambiguous_path", []),
        ({"method": "get"}, "ambiguous_method", []),
        ({"context": {"header.x-http-method-override": "DELETE"}}, "ambiguous_method", []),
    ],
)
def test_deny_is_an_answer_that_says_why(
    service: Service, what: dict[str, Any], reason: str, rules: list[str]
) -> None:
    reply = ask(service, **what)

    assert reply.status == 200
    assert set(reply.json) == ANSWER
    assert (reply.json["decision"], reply.json["reason"]) == ("deny", reason)
    assert [rule["name"] for rule in reply.json["rules"]] == rules


def test_answer_that_depends_on_time_says_until_when(service: Service) -> None:
    assert ask(service, path="/v1/hours").json["valid_until"] == "2100-01-01T00:00:00Z"


def test_explanation_names_the_nearest_rule_and_the_one_difference(service: Service) -> None:
    answer = ask(service, method="POST", path="/v1/items", explain=True).json

    assert set(answer) == ANSWER | {"explanation"}
    nearest = answer["explanation"]["nearest"]
    assert nearest["rule"]["name"] == "web.shop/alice"
    assert [(d["coordinate"], d["given"]) for d in nearest["differences"]] == [("principal", WEB)]


def test_decision_ids_are_unique_and_sort_by_time(service: Service) -> None:
    batch = service.send({"questions": [question()] * 200}, path="/v1/decide/batch").json["answers"]
    first, last = ask(service).json["decision_id"], ask(service).json["decision_id"]

    ids = [answer["decision_id"] for answer in batch]
    assert len({*ids, first, last}) == 202
    assert max(i[:10] for i in ids) <= first[:10] <= last[:10]


# -- regions ---------------------------------------------------------------------------

PATHS = [
    "/v1/items/7", "/v1/items/8", "/v1/items/locked", "/v1/items", "/v1/items/7/x", "/v1/export",
    "/v1/inside", "/v1", "/", "/v2/items/7", "/v1/mine", "/v1/port",
]  # fmt: skip
CONTEXTS: list[dict[str, Any]] = [
    {},
    {"source.ip": "10.1.2.3"},
    {"source.ip": "192.0.2.1"},
    {"request.port": 8443},
]


def member(region: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether a question lies in a region, by the rule that clients go by."""
    if region["service"] != asked["service"]:
        return False
    if region["principal"] not in {None, asked["principal"]} or region["method"] not in {
        None,
        asked["method"],
    }:
        return False
    segments = asked["path"][1:].split("/")
    steps = region["path"]
    if len(segments) < len(steps) or (len(segments) > len(steps) and not region["rest"]):
        return False
    if not all(fits(step, segment) for step, segment in zip(steps, segments, strict=False)):
        return False
    return all(asked.get("context", {}).get(name) == value for name, value in region["context"].items())


def fits(step: Any, segment: str) -> bool:
    if isinstance(step, str):
        return step == segment
    if not segment:
        return False
    if step is None:
        return True
    assert set(step) <= {"not", "not_prefix", "not_suffix"}
    return (
        segment not in step.get("not", [])
        and not segment.startswith(tuple(step.get("not_prefix", [])))
        and not segment.endswith(tuple(step.get("not_suffix", [])))
    )


def test_answer_holds_for_every_question_in_its_region(service: Service) -> None:
    questions = [
        question(path=path, method=method, principal=principal, context=context)
        for path in PATHS
        for method in ("GET", "POST")
        for principal in (WEB, ALICE, "spiffe://prod.example.org/ns/dev/sa/x")
        for context in CONTEXTS
    ]
    answers = [
        answer
        for at in range(0, len(questions), 256)
        for answer in service.send({"questions": questions[at : at + 256]}, path="/v1/decide/batch").json[
            "answers"
        ]
    ]

    shared = 0
    for asked, answer in zip(questions, answers, strict=True):
        assert answer["region"] is not None
        assert member(answer["region"], asked)
        for other, its in zip(questions, answers, strict=True):
            if other is not asked and member(answer["region"], other):
                shared += 1
                assert [its[k] for k in ("decision", "reason", "obligations", "valid_until")] == [
                    answer[k] for k in ("decision", "reason", "obligations", "valid_until")
                ], (asked, other)
    assert shared > 1000  # else the test would pass by comparing nothing


# -- freshness -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def edited(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of this file alone, whose policies are edited."""
    service = Service(pki, make_policies(tmp_path_factory.mktemp("edited") / "set"))
    yield service
    assert service.stop() == 0


def edit(service: Service, text: str) -> None:
    (service.policies / "main.policy").write_text(text, encoding="utf-8")


def test_floor_that_was_seen_is_met_at_once(edited: Service) -> None:
    old = ask(edited).json["revision"]
    edit(edited, (edited.policies / "main.policy").read_text() + "# more\n")
    until(lambda: ask(edited).json["revision"] != old)
    new = ask(edited).json["revision"]

    for floor in (new, old):
        began = time.monotonic()
        assert ask(edited, at_least=floor).json["revision"] == new
        assert time.monotonic() - began < 0.5


def test_floor_that_appears_in_time_is_waited_for(edited: Service, tmp_path: Path) -> None:
    text = (edited.policies / "main.policy").read_text() + "# yet more\n"
    coming = revision_of(edited, make_policies(tmp_path / "copy", text))
    writer = threading.Timer(0.3, edit, (edited, text))
    writer.start()

    answer = ask(edited, at_least=coming)
    writer.join()

    assert (answer.status, answer.json["revision"]) == (200, coming)


def revision_of(service: Service, folder: Path) -> str:
    """The name that a set will have when this service publishes it."""
    pki = service.pki.folder
    trust = load_trust({name: pki / f"{name.partition('.')[0]}.pem" for name in (PROD, PARTNER)})
    snapshot = (
        Loader(circumstances=trust.digest).load(read_bundle(folder), now=time.time_ns() // 1_000_000).snapshot
    )
    assert snapshot is not None
    return snapshot.revision


def test_floor_that_never_appears_is_no_decision(edited: Service) -> None:
    began = time.monotonic()

    reply = ask(edited, at_least=UNKNOWN)

    assert AT_LEAST_WAIT_SECONDS <= time.monotonic() - began < AT_LEAST_WAIT_SECONDS + 1
    assert (reply.status, reply.code) == (503, "revision_not_seen")
    assert int(reply.headers["retry-after"]) >= 1
    assert b'"decision"' not in reply.body


def test_floors_of_a_batch_are_waited_for_together(edited: Service) -> None:
    items = [question(at_least=f"{n:016}") for n in range(40)] + [question(), question(at_least="")]
    began = time.monotonic()

    reply = edited.send({"questions": items}, path="/v1/decide/batch")

    assert time.monotonic() - began < AT_LEAST_WAIT_SECONDS + 1
    codes = [answer.get("decision") or answer["error"]["code"] for answer in reply.json["answers"]]
    assert codes == [*["revision_not_seen"] * 40, "allow", "invalid_revision"]


def test_age_grows_while_the_source_holds_something_broken(edited: Service) -> None:
    good = (edited.policies / "main.policy").read_text()
    until(lambda: ask(edited).json["age_seconds"] <= 1)
    before, mark = ask(edited).json, edited.mark()

    edit(edited, good + "service broken {\n    allow nobody-knows to GET /x\n}\n")
    edited.wait_line(f"still serving {before['revision']}", mark)
    until(lambda: ask(edited).json["age_seconds"] >= 2, 6)
    while_broken = ask(edited).json
    edit(edited, good)
    until(lambda: ask(edited).json["age_seconds"] == 0, 6)

    assert while_broken["revision"] == before["revision"]
    assert while_broken["decision"] == "allow"
    assert "error[PDP2" in edited.log
    assert "nobody-knows" in edited.log


def test_rule_that_ends_during_the_wait_for_a_floor_no_longer_allows(edited: Service) -> None:
    """The instant that is decided at is the one after the wait."""
    good = (edited.policies / "main.policy").read_text()
    for attempt in range(4):  # on a busy machine a version may come later than a question waits for it
        found = decided_as_a_rule_ends(edited, good, Path(edited.policies).parent / f"coming{attempt}")
        if found is not None:
            answer, coming = found
            assert (answer["decision"], answer["revision"]) == ("deny", coming)
            return
    pytest.fail("no version came within the second that a question waits")


def decided_as_a_rule_ends(edited: Service, good: str, folder: Path) -> tuple[dict[str, Any], str] | None:
    """The answer to a question that waits for a version while a rule ends, and that version; None if late."""
    ends = datetime.fromtimestamp(int(time.time()) + 5, UTC)
    rule = f"allow prod/ns/shop/sa/* to GET /v1/brief until {ends:%Y-%m-%dT%H:%M:%SZ}"
    edit(edited, good.replace("service pay.shop {", f"service pay.shop {{\n    {rule}"))
    brief = {"service": "pay.shop", "path": "/v1/brief"}
    until(lambda: ask(edited, **brief).json["decision"] == "allow")
    coming, text = make_coming(edited, folder)
    time.sleep(max(0.0, ends.timestamp() - 0.2 - time.time()))

    writer = threading.Timer(0.3, edit, (edited, text))
    writer.start()
    reply = ask(edited, at_least=coming, **brief)
    writer.join()
    if reply.status == 503:
        assert reply.code == "revision_not_seen"
        until(lambda: ask(edited).json["revision"] == coming)
        return None
    return reply.json, coming


def make_coming(service: Service, folder: Path) -> tuple[str, str]:
    text = (service.policies / "main.policy").read_text() + "# next\n"
    return revision_of(service, make_policies(folder, text)), text
