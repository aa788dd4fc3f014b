"""Policies that nobody confirms any more, over the real service: a broken edit lies there as time passes."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from tests.e2e.grpc_calls import (
    Failure,
    call,
    channel,
    from_answer,
    from_result,
    grpc_port,
    streaming,
    to_question,
)
from tests.e2e.hammer import Hammer
from tests.e2e.running import PROD, Pki, Service, ask, question, until
from tests.e2e.test_workers import edit, workers_of

LIMIT = 3
LONG = 6  # not to be passed on a machine that is busy
SETTINGS = f"""
[freshness]
max_staleness_seconds = {LIMIT}

[freshness.services."pay.shop"]
when_stale = "refuse"

[freshness.services.nowhere]
when_stale = "refuse"

[decision_log]
to = "LOG"

[metrics]
readers = ["spiffe://{PROD}/ns/pdp/sa/pep"]
"""
PAY = {"service": "pay.shop", "path": "/v1/charges"}


@pytest.fixture(params=[1, 2])
def service(pki: Pki, policies: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    (tmp_path / "pdp.toml").write_text(SETTINGS.replace("LOG", str(tmp_path / "log")))
    service = Service(
        pki, policies, "--config", str(tmp_path / "pdp.toml"), "--grpc", "127.0.0.1:0",
        "--workers", str(request.param),
    )  # fmt: skip
    yield service
    service.stop(signal.SIGINT)


def reason(service: Service, /, **what: Any) -> str:
    got = ask(service, **what)
    return str(got.json["reason"] if got.status == 200 else got.code)


def let_age(service: Service) -> str:
    """Break the policies and wait until they are stale; what they were before."""
    good = (service.policies / "main.policy").read_text()
    edit(service, "language 1\nallow\n")
    service.wait_line("still serving")
    until(lambda: reason(service) == "stale", 60)
    return good


def test_beyond_the_limit_nothing_is_allowed_over_any_protocol_until_it_is_mended(
    service: Service, tmp_path: Path
) -> None:
    assert reason(service) == "allowed"
    good = let_age(service)

    denied = ask(service)
    assert (denied.status, denied.json["decision"], denied.json["region"]) == (200, "deny", None)
    assert (denied.json["max_age_ms"], denied.json["reuse"]) == (0, "no")
    assert denied.json["age_seconds"] >= LIMIT
    refused = ask(service, **PAY)
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "stale", "1")
    batch = service.send({"questions": [question(), question(**PAY)]}, path="/v1/decide/batch").json[
        "answers"
    ]
    assert (batch[0]["reason"], batch[1]["error"]["code"]) == ("stale", "stale")
    why = ask(service, explain=True).json["explanation"]
    assert (why["considered"], why["problem"]["code"]) == ([], "stale")

    with channel(service.pki, grpc_port(service)) as on:
        one = from_answer(call(on, "Decide", to_question(question(explain=True)), v1.Answer))
        none = call(on, "Decide", to_question(question(**PAY)), v1.Answer)
        asked = [to_question(question()), to_question(question(**PAY))]
        several = call(on, "DecideBatch", v1.DecideBatchRequest(questions=asked), v1.DecideBatchResponse)
        with streaming(on, "DecideStream", [each.SerializeToString() for each in asked]) as stream:
            streamed = [from_result(v1.Result.FromString(data)) for data in stream]
    assert (one["decision"], one["reason"], one["region"]) == ("deny", "stale", None)
    assert one["explanation"]["problem"]["code"] == "stale"
    assert isinstance(none, Failure)
    assert (none.status, none.code) == ("UNAVAILABLE", "stale")
    for results in (streamed, [from_result(each) for each in several.results]):
        assert (results[0]["reason"], results[1]["error"]["code"]) == ("stale", "stale")

    edit(service, good)
    until(lambda: reason(service) == "allowed", 60)
    assert reason(service, **PAY) == "allowed"
    page = service.send("", method="GET", path="/metrics", headers={}).body.decode()
    assert 'pdp_decisions_total{decision="deny",reason="stale",service="web.shop"}' in page
    assert 'pdp_questions_refused_total{code="stale"}' in page
    assert service.stop() == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert ("deny", "stale") in {(line["decision"], line["reason"]) for line in lines}
    assert not [line for line in lines if line["reason"] == "stale" and line["service"] != "web.shop"]


def test_no_allow_is_older_than_the_limit_and_none_may_be_reused_beyond_it(service: Service) -> None:
    edit(service, "language 1\nallow\n")
    service.wait_line("still serving")
    answers = []
    until(lambda: answers.append(ask(service).json) or answers[-1]["reason"] == "stale", 60)

    allowed = [each for each in answers if each["decision"] == "allow"]
    assert allowed
    assert max(each["age_seconds"] for each in allowed) <= LIMIT
    assert all(each["age_seconds"] * 1000 + each["max_age_ms"] <= LIMIT * 1000 for each in allowed)
    assert {each["decision"] for each in answers[len(allowed) :]} == {"deny"}


def test_a_service_that_the_policies_do_not_declare_is_told_once(service: Service) -> None:
    told = [line for line in service.log.splitlines() if "freshness.services" in line]

    assert told == ["warning: `freshness.services.nowhere`: the policy set declares no such service"]


@pytest.fixture
def several(pki: Pki, policies: Path, tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "pdp.toml").write_text(f"[freshness]\nmax_staleness_seconds = {LONG}\n")
    service = Service(pki, policies, "--config", str(tmp_path / "pdp.toml"), "--workers", "2")
    yield service
    service.stop(signal.SIGINT)


def test_a_worker_that_takes_the_place_of_another_knows_how_fresh_the_version_is(several: Service) -> None:
    """The version was published long ago, and confirmed a moment ago."""
    time.sleep(LONG + 1)
    with Hammer(several, connections=6) as hammer:
        for _ in range(2):
            before = workers_of(several)
            os.kill(before[0], signal.SIGKILL)
            until(lambda before=before: len(set(workers_of(several)) - set(before)) == 1, 60)
            time.sleep(2)

    assert hammer.answered
    assert {each.body.get("reason") for each in hammer.answered} == {"allowed"}


def test_when_stale_policies_are_mended_no_worker_is_stale_again(several: Service) -> None:
    good = let_age(several)
    edit(several, f"{good}# mended\n")
    until(lambda: reason(several) == "allowed", 60)

    began = time.monotonic()
    reasons = set()
    while time.monotonic() - began < 2:
        reasons.add(reason(several))

    assert reasons == {"allowed"}
