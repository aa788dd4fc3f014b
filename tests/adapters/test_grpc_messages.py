"""Messages of gRPC: generated as the `.proto` files say, read in one way, written in full."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.adapters.answer_body import (
    Answer,
    ConsideredRule,
    DifferenceBody,
    ExplanationBody,
    NearestRule,
    ProblemBody,
    RegionBody,
    RuleRef,
    ShadowBody,
)
from pdp.adapters.grpc.answers import answer_message
from pdp.adapters.grpc.questions import read_batch, read_question
from pdp.adapters.grpc.v1 import decision_pb2 as v1
from pdp.adapters.grpc.waiting import Waiting
from pdp.adapters.schemas import BadQuestionError, Question, UserClaims
from pdp.service.errors import CannotAnswerError
from pdp.vocabulary import Effect, Reason
from tests.e2e.grpc_calls import from_answer, to_question

ROOT = Path(__file__).parents[2]
GRPC = ROOT / "pdp/adapters/grpc"
ASKED = to_question({"principal": "spiffe://a.test/x", "service": "s", "method": "GET", "path": "/"})


# -- generated -------------------------------------------------------------------------


def test_generated_code_is_what_the_proto_files_come_to(tmp_path: Path) -> None:
    """`make proto` writes what is committed."""
    files = ["pdp/v1/decision.proto", "pdp/internal/v1/raw_batch.proto"]
    out = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]

    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", "-I", str(GRPC / "proto"), *out, *files],
        check=True,
        timeout=60,
    )

    generated = {path.name: path.read_text() for path in tmp_path.rglob("*_pb2.py*")}
    committed = {path.name: path.read_text() for path in (GRPC / "v1").glob("*_pb2.py*")}
    assert len(generated) == 4
    assert generated == committed


def test_make_names_every_proto_file() -> None:
    recipe = (ROOT / "Makefile").read_text()

    for file in (GRPC / "proto").rglob("*.proto"):
        assert str(file.relative_to(GRPC / "proto")) in recipe


def test_messages_and_structs_have_the_same_fields() -> None:
    """Whatever the HTTP question or answer gains, the messages gain, and no field is spelt otherwise."""
    pairs = [
        (Question, v1.Question), (UserClaims, v1.User), (Answer, v1.Answer), (RegionBody, v1.Region),
        (RuleRef, v1.Rule), (ShadowBody, v1.Shadow), (ExplanationBody, v1.Explanation),
        (ConsideredRule, v1.ConsideredRule), (NearestRule, v1.NearestRule), (DifferenceBody, v1.Difference),
        (ProblemBody, v1.Problem),
    ]  # fmt: skip
    for struct, message in pairs:
        assert set(struct.__struct_fields__) == set(message.DESCRIPTOR.fields_by_name), struct


@pytest.mark.parametrize(("enum", "type_"), [(Effect, v1.Decision), (Reason, v1.Reason)])
def test_every_word_of_ours_has_a_value(enum: Any, type_: Any) -> None:
    prefix = type_.DESCRIPTOR.name.upper()

    assert {f"{prefix}_{word.value.upper()}" for word in enum} | {f"{prefix}_UNSPECIFIED"} == set(
        type_.keys()
    )


def test_the_raw_batch_has_the_number_of_the_public_one() -> None:
    """Both encode to the same bytes."""
    batch = v1.DecideBatchRequest(questions=[ASKED, v1.Question()]).SerializeToString()

    assert read_batch(batch) == [ASKED.SerializeToString(), b""]


# -- read ------------------------------------------------------------------------------


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_question_or_a_refusal(data: bytes) -> None:
    refused = None
    try:
        read_question(data)
    except BadQuestionError as error:
        refused = error

    assert refused is None or (refused.code and refused.message.isprintable())


@given(data=st.data())
def test_a_question_with_some_bytes_changed_is_a_question_or_a_refusal(data: st.DataObject) -> None:
    message = bytearray(ASKED.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    try:
        question = read_question(bytes(message))
    except BadQuestionError:
        return
    # What was read says all that was sent: written again it has the same bytes, in whatever order.
    json = msgspec.to_builtins(question)
    said = {question.explain, question.explain or None}
    written = [to_question({**json, "explain": explain}) for explain in said]
    assert sorted(message) in [sorted(again.SerializeToString()) for again in written]


@pytest.mark.parametrize(
    "more",
    [b"\x48\x02", b"\x48\x7f", b"\x3a\x07\x0a\x03a.b\x20\x03"],
    ids=["explain is 2", "explain is 127", "an attribute is 3"],
)
def test_a_truth_value_is_0_or_1(more: bytes) -> None:
    """Written again, others have the same length and another value."""
    with pytest.raises(BadQuestionError) as refused:
        read_question(ASKED.SerializeToString() + more)

    assert refused.value.code == "ambiguous_encoding"


def test_fields_may_stand_in_any_order() -> None:
    parts = [v1.Question(explain=True), v1.Question(path="/x"), v1.Question(method="GET", service="s")]
    principal = v1.Question(principal=v1.Principal(dns="a.example"))

    question = read_question(b"".join(part.SerializeToString() for part in [*parts, principal]))

    assert (question.method, question.path, question.service, question.explain) == ("GET", "/x", "s", True)


@given(
    value=st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.text(alphabet="aé\n") |
    st.lists(st.text(alphabet="aé"))
)  # fmt: skip
def test_attributes_arrive_as_they_were_sent(value: object) -> None:
    asked = to_question({**QUESTION, "context": {"mesh.x": value}})

    got = read_question(asked.SerializeToString()).context["mesh.x"]

    assert (got, type(got)) == (value, type(value))


QUESTION = {"principal": "spiffe://a.test/x", "service": "s", "method": "GET", "path": "/"}


# -- written ---------------------------------------------------------------------------

ANSWER = Answer(
    decision="allow", reason="allowed", enforced=True, rules=[], decision_id="0" * 26, revision="r",
    age_seconds=1, region=None, max_age_ms=2, valid_until=None, obligations=[], reuse="no",
)  # fmt: skip
REGION = RegionBody(service="s", principal=None, method=None, path=[], rest=False, context={})


@pytest.mark.parametrize(
    "step",
    [None, "", "a", {"not": ("a",)}, {"not": ("a", "b"), "not_prefix": ("c",), "not_suffix": ("d",)}],
)
def test_every_step_of_a_region_survives(step: Any) -> None:
    region = msgspec.structs.replace(REGION, path=[step])
    answer = msgspec.structs.replace(ANSWER, region=region)

    got = from_answer(answer_message(answer))

    assert got == msgspec.json.decode(msgspec.json.encode(answer))


@pytest.mark.parametrize("instant", ["2027-01-01T00:00:00Z", "2027-01-01T00:00:00.250Z"])
def test_instants_survive(instant: str) -> None:
    got = from_answer(answer_message(msgspec.structs.replace(ANSWER, valid_until=instant)))

    assert got["valid_until"] == instant


@pytest.mark.parametrize(
    "change",
    [
        {"decision": "maybe"},
        {"reason": "because"},
        {"reuse": "silent"},
        {"obligations": [{"log": "x"}]},
        {"region": msgspec.structs.replace(REGION, path=[{"not": ("a",), "not_infix": ("b",)}])},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_has_no_place_in_a_message_is_a_defect_and_not_left_out(change: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        answer_message(msgspec.structs.replace(ANSWER, **change))


# -- waiting ---------------------------------------------------------------------------


def test_who_waits_for_a_client_ends_with_the_service_and_who_works_does_not() -> None:
    waiting = Waiting()

    async def wait() -> str:
        try:
            with waiting.for_client(lambda: None):
                await asyncio.sleep(10)
        except CannotAnswerError as error:
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0  # an answer can still be sent, within a time-out
            code = error.code
            await asyncio.sleep(0)
            return code
        return "waited"

    async def run() -> list[str]:
        tasks = [asyncio.create_task(wait()), asyncio.create_task(asyncio.sleep(0.1, "worked"))]
        await asyncio.sleep(0)
        waiting.end()
        return [*await asyncio.gather(*tasks), await wait()]

    assert asyncio.run(run()) == ["ending", "worked", "ending"]


def test_who_is_a_caller_no_more_waits_no_longer_and_others_do() -> None:
    waiting = Waiting()
    error = CannotAnswerError("caller_untrusted", "gone")

    def gone() -> None:
        raise error

    async def wait(check: Callable[[], None]) -> object:
        try:
            with waiting.for_client(check):
                return await asyncio.sleep(0.2, "waited")
        except CannotAnswerError as caught:
            return caught

    async def run() -> list[object]:
        tasks = [asyncio.create_task(wait(check)) for check in (gone, lambda: None)]
        await asyncio.sleep(0)
        waiting.recheck()
        waiting.recheck()
        return await asyncio.gather(*tasks)

    assert asyncio.run(run()) == [error, "waited"]
    assert asyncio.run(wait(gone)) == "waited"  # it is asked when trust changes, and not before


def test_client_that_cancels_is_not_told_that_the_service_ends() -> None:
    waiting = Waiting()
    seen = SimpleNamespace(error=None)

    async def wait() -> None:
        try:
            with waiting.for_client(lambda: None):
                await asyncio.sleep(10)
        except BaseException as error:
            seen.error = error
            raise

    async def run() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(run())

    assert isinstance(seen.error, asyncio.CancelledError)
