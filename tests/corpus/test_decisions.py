"""One corpus through the function, the command line, HTTP and gRPC: every answer is the same.

A case has a question and what it comes to: `want`, some fields of the answer, with rules by name; or
`error`, a code. Where only a served question has an error, that is `served`. A case with a `caller`
is about the right to ask, which only the protocols know. The rest of an answer is held against the
answers that the others give.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from pdp.adapters.schemas import BadQuestionError, Question, to_answer, to_request
from pdp.adapters.strict_json import BadJsonError, decode
from pdp.engine.decide import decide
from pdp.engine.explain import explain
from pdp.limits import MAX_AGE_LIMIT_MS, MAX_BODY_BYTES
from pdp.store.bundle import read_bundle
from pdp.store.loader import Loader
from tests.e2e.grpc_calls import Failure, call, channel, from_answer, from_result, grpc_port, to_question
from tests.e2e.running import DEADLINE, PARTNER, PEP, PROD, Pki, Service, clean_environment

HERE = Path(__file__).parent
POLICIES = HERE / "decisions"
CASES = [json.loads(line) for line in (HERE / "decisions.jsonl").read_text("utf-8").splitlines()]
OFFLINE = [case for case in CASES if "caller" not in case]
#: What the caller of the protocols supplies: the others are told the same.
SUPPLIED = "source,header,request,mesh"
#: The instant of a question, as explanations show it.
_NOW = re.compile(r"now = [0-9T:.-]+Z")
IDS = [case["id"] for case in CASES]
assert len(set(IDS)) == len(CASES) > 60, "the corpus was not found, or an id stands twice"


def settled(answer: dict[str, Any], *also: str) -> dict[str, Any]:
    """An answer without what differs from one to the next; of an error, the code."""
    if "error" in answer:
        return {"error": answer["error"]["code"]}
    assert len(answer["decision_id"]) == 26
    kept = {
        name: value for name, value in answer.items() if name not in {"decision_id", "age_seconds", *also}
    }
    timeless: dict[str, Any] = json.loads(_NOW.sub("now", json.dumps(kept)))
    return timeless


def named(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer with its rules by name, as the corpus has them."""
    shadow = {"shadow": named(answer["shadow"])} if "shadow" in answer else {}
    return {**answer, "rules": [rule["name"] for rule in answer["rules"]], **shadow}


# -- the four ways ---------------------------------------------------------------------


@pytest.fixture(scope="module", params=[True, False], ids=["direct", "routed"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    pki.issue("web", uris=[f"spiffe://{PROD}/ns/shop/sa/web"])
    pki.issue("unlisted", pki.partner_root, uris=[f"spiffe://{PARTNER}/x"])
    pki.issue("minted", pki.partner_root, uris=[PEP])
    service = Service(pki, POLICIES, "--grpc", "127.0.0.1:0", direct=request.param)
    yield service
    assert service.stop() == 0, service.log


@pytest.fixture(scope="module")
def over_http(service: Service) -> dict[str, dict[str, Any]]:
    return {
        case["id"]: service.send(json.dumps(case["question"]), caller=case.get("caller", "pep")).json
        for case in CASES
    }


@pytest.fixture(scope="module")
def over_grpc(service: Service) -> dict[str, dict[str, Any]]:
    found = {}
    for name in {case.get("caller", "pep") for case in CASES}:
        with channel(service.pki, grpc_port(service), name) as on:
            for case in CASES:
                if case.get("caller", "pep") == name:
                    got = call(on, "Decide", to_question(case["question"]), v1.Answer)
                    found[case["id"]] = (
                        {"error": {"code": got.code}} if isinstance(got, Failure) else from_answer(got)
                    )
    return found


@pytest.fixture(scope="module")
def by_command() -> dict[str, dict[str, Any]]:
    lines = "".join(json.dumps(case["question"]) + "\n" for case in OFFLINE)
    command = [
        sys.executable,
        "-m",
        "pdp.cli.main",
        "decide",
        str(POLICIES),
        "--supplies",
        SUPPLIED,
        "--batch",
        "-",
    ]
    ran = subprocess.run(
        command, input=lines, capture_output=True, text=True, check=True, timeout=4 * DEADLINE,
        env=clean_environment(),
    )  # fmt: skip
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    return {case["id"]: answer for case, answer in zip(OFFLINE, answers, strict=True)}


@pytest.fixture(scope="module")
def by_function() -> dict[str, dict[str, Any]]:
    now = time.time_ns() // 1_000_000
    snapshot = Loader().load(read_bundle(POLICIES), now=now).snapshot
    assert snapshot is not None
    index = snapshot.index

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        try:
            question = decode(json.dumps(asked).encode(), Question, max_bytes=MAX_BODY_BYTES)
            request = to_request(question, index, frozenset(SUPPLIED.split(",")), now)
        except (BadJsonError, BadQuestionError) as error:
            return {"error": {"code": error.code}}
        if question.at_least is not None:
            return {"error": {"code": "revision_not_seen"}}
        decision = decide(index, request)
        got = to_answer(
            decision,
            request,
            index,
            revision=snapshot.revision,
            age_seconds=0,
            decision_id="0" * 26,
            max_age_limit_ms=MAX_AGE_LIMIT_MS,
            may_explain=True,
            explanation=explain(index, request, decision) if question.explain else None,
        )
        return json.loads(msgspec.json.encode(got))

    return {case["id"]: answer(case["question"]) for case in OFFLINE}


# -- what they say ---------------------------------------------------------------------


def assert_as_wanted(case: dict[str, Any], answer: dict[str, Any], error: str | None) -> None:
    if error is not None:
        assert settled(answer) == {"error": error}
        return
    got = named(answer)
    assert {name: got.get(name) for name in case["want"]} == case["want"]
    assert ("shadow" in got) is ("shadow" in case["want"])


@pytest.mark.parametrize("case", OFFLINE, ids=lambda case: case["id"])
def test_the_function_decides_as_the_corpus_says(case: dict[str, Any], by_function) -> None:
    assert_as_wanted(case, by_function[case["id"]], case.get("error"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_http_answers_as_the_corpus_says(case: dict[str, Any], over_http) -> None:
    assert_as_wanted(case, over_http[case["id"]], case.get("error", case.get("served")))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_grpc_and_http_give_one_answer(case: dict[str, Any], over_http, over_grpc) -> None:
    assert settled(over_grpc[case["id"]]) == settled(over_http[case["id"]])


@pytest.mark.parametrize("case", OFFLINE, ids=lambda case: case["id"])
def test_the_command_line_and_the_function_give_one_answer(
    case: dict[str, Any], by_command, by_function
) -> None:
    assert settled(by_command[case["id"]]) == settled(by_function[case["id"]])


@pytest.mark.parametrize("case", [case for case in OFFLINE if "served" not in case], ids=lambda c: c["id"])
def test_served_and_offline_give_one_answer(case: dict[str, Any], by_command, over_http) -> None:
    """But for the name of the revision: that of a service depends on whom it trusts, too."""
    assert settled(by_command[case["id"]], "revision") == settled(over_http[case["id"]], "revision")


def test_batches_and_streams_give_the_same_answers(service: Service, over_http) -> None:
    # A NUL in one question spoils a whole JSON document, as it must: it is one document.
    spoiling = {"nul_character"}
    asked = [case for case in CASES if "caller" not in case and case.get("error") not in spoiling]
    messages = [to_question(case["question"]) for case in asked]

    body = {"questions": [case["question"] for case in asked]}
    by_http = service.send(json.dumps(body), path="/v1/decide/batch").json["answers"]
    with channel(service.pki, grpc_port(service)) as on:
        batch = call(on, "DecideBatch", v1.DecideBatchRequest(questions=messages), v1.DecideBatchResponse)
        stream = on.stream_stream("/pdp.v1.DecisionService/DecideStream")(
            iter([message.SerializeToString() for message in messages]), timeout=4 * DEADLINE
        )
        streamed = [from_result(v1.Result.FromString(message)) for message in stream]

    wanted = [settled(over_http[case["id"]]) for case in asked]
    assert [settled(answer) for answer in by_http] == wanted
    assert [settled(from_result(result)) for result in batch.results] == wanted
    assert [settled(answer) for answer in streamed] == wanted
