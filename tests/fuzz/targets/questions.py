"""What callers send: JSON, the questions in it, and the same questions as messages of gRPC."""

import json
import math
import random
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from pdp.adapters.grpc.questions import read_batch, read_question
from pdp.adapters.schemas import BadQuestionError, Question, to_answer, to_request
from pdp.adapters.strict_json import BadJsonError, decode
from pdp.diagnostics import escape
from pdp.engine.decide import decide
from pdp.engine.explain import explain
from pdp.index.rule_index import RuleIndex
from pdp.limits import MAX_BODY_BYTES, MAX_JSON_DEPTH
from pdp.store.bundle import read_bundle
from pdp.store.loader import Loader
from pdp.vocabulary import Millis, Request
from tests.docs.sets import NOW
from tests.e2e.grpc_calls import to_question
from tests.fuzz.corpora import documents, questions
from tests.fuzz.engine import Target
from tests.fuzz.mutate import ODD_BYTES, Mutator
from tests.fuzz.records import change
from tests.fuzz.wire import NotOneReadingError, fields_of_question

__all__ = ["TARGETS", "request_of"]

_POLICIES: Final = Path(__file__).parents[2] / "corpus" / "decisions"
_WORDS: Final = rb'"[^"\n]*"|[\w.+-]+|[{}\[\],:]'


@cache
def _index() -> RuleIndex:
    loaded = Loader().load(read_bundle(_POLICIES), now=NOW)
    assert loaded.snapshot is not None
    return loaded.snapshot.index


def request_of(question: dict[str, Any], index: RuleIndex, now: Millis) -> Request:
    """A question of the corpus as a request; one that has no meaning is asked about nothing."""
    try:
        read = decode(json.dumps(question).encode(), Question, max_bytes=MAX_BODY_BYTES)
        return to_request(read, index, frozenset({"source", "header"}), now)
    except (BadJsonError, BadQuestionError):
        return request_of(questions()[0], index, now)


def _refusal(error: BadJsonError | BadQuestionError) -> str:
    assert error.code.isidentifier()
    assert error.message
    assert error.message == escape(error.message), error.message
    return error.code


# -- JSON ------------------------------------------------------------------------------


class _RefusedError(Exception):
    """By the oracle, for one of our own rules."""


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _RefusedError
    return dict(pairs)


def _constant(_: str) -> object:
    raise _RefusedError


def _deep(value: object) -> int:
    if isinstance(value, dict | list):
        inside = value.values() if isinstance(value, dict) else value
        return 1 + max((_deep(item) for item in inside), default=0)
    return 0


def _plain(value: object) -> bool:
    """Whether every string is text without NUL, and every number one that all parsers hold."""
    match value:
        case str():
            return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
        case bool() | None:
            return True
        case int():
            return -(2**63) <= value < 2**63
        case float():
            return math.isfinite(value)
        case list():
            return all(map(_plain, value))
        case dict():
            return all(_plain(key) and _plain(item) for key, item in value.items())
    raise AssertionError(value)


def _by_the_standard_library(body: bytes) -> tuple[bool, object]:
    """The same rules over Python's own parser: strict UTF-8, no duplicates, bounded depth, plain values."""
    try:
        value = json.loads(body.decode(), object_pairs_hook=_pairs, parse_constant=_constant)
    except (ValueError, RecursionError, _RefusedError):
        return False, None
    return _deep(value) <= MAX_JSON_DEPTH and _plain(value), value


def _strict_json(body: bytes) -> Hashable:
    """Accepted exactly where the oracle accepts, with the same value."""
    accepted, value = _by_the_standard_library(body)
    try:
        got: object = decode(body, Any, max_bytes=200_000)
    except BadJsonError as error:
        # A number of more than 64 characters is refused whatever its value.
        assert not accepted or error.code == "number_out_of_range", "only we refuse it"
        return _refusal(error)
    assert accepted, f"only we accept it: {got!r}"
    assert json.dumps(got) == json.dumps(value)
    assert type(got) is type(value)
    return type(got).__name__, min(_deep(got), 5)


# -- questions -------------------------------------------------------------------------


def _decided(question: Question) -> tuple[object, ...]:
    """What a question comes to: the answer, which can always be explained and written."""
    index = _index()
    request = to_request(question, index, frozenset({"source", "header"}), NOW)
    decision = decide(index, request)
    answer = to_answer(
        decision, request, index, revision="r", age_seconds=0, decision_id="0" * 26, max_age_limit_ms=5000,
        may_explain=True, explanation=explain(index, request, decision),
    )  # fmt: skip
    written = msgspec.json.decode(msgspec.json.encode(answer))
    assert written["decision"] in {"allow", "deny"}
    assert (written["decision"] == "allow") == (written["reason"] in {"allowed", "observed"})
    return written["decision"], written["reason"], msgspec.json.encode(answer)


def _question(body: bytes) -> Hashable:
    """A refusal by name, or an answer; and over gRPC the very same."""
    try:
        question = decode(body, Question, max_bytes=MAX_BODY_BYTES)
    except BadJsonError as error:
        return _refusal(error)
    got: tuple[object, ...]
    try:
        got = _decided(question)
    except BadQuestionError as error:
        got = (_refusal(error),)
    try:
        sent = to_question(json.loads(body)).SerializeToString()
    except (TypeError, ValueError, AssertionError):
        return got[:2]  # a value that no message can hold
    if len(sent) <= MAX_BODY_BYTES:
        try:
            over_grpc = _decided(read_question(sent))
        except BadQuestionError as error:
            over_grpc = (_refusal(error),)
        assert over_grpc == got
    return got[:2]


#: What is wrong with messages that have one reading.
_MEANINGLESS: Final = {"missing_field", "nul_character", "attribute_type"}


def _message(data: bytes) -> Hashable:
    """Accepted only where a reader of the wire format that is not protobuf's finds one reading, the same."""
    refused = None
    try:
        question = read_question(data)
    except BadQuestionError as error:
        refused = _refusal(error)
    try:
        fields = fields_of_question(data)
    except NotOneReadingError as error:
        assert refused is not None, f"accepted, though {error}"
        return refused, "not one reading"
    if refused is not None:
        assert refused in _MEANINGLESS or len(data) > MAX_BODY_BYTES, refused
        return refused
    assert msgspec.json.decode(msgspec.json.encode(question)) == fields
    try:
        return _decided(question)[:2]
    except BadQuestionError as error:
        return _refusal(error)


def _batch(data: bytes) -> Hashable:
    """Taken apart, or refused: what is taken apart is all there was."""
    try:
        items = read_batch(data)
    except BadQuestionError as error:
        return _refusal(error)
    assert sum(map(len, items)) <= len(data)
    return min(len(items), 3), frozenset(_outcome(item) for item in items[:50])


def _outcome(item: bytes) -> str:
    try:
        read_question(item)
    except BadQuestionError as error:
        return _refusal(error)
    return "read"


def _messages() -> tuple[bytes, ...]:
    found = []
    for question in questions():
        try:
            found.append(to_question(question).SerializeToString())
        except (TypeError, ValueError, AttributeError, AssertionError):
            continue
    assert len(found) > 50
    return tuple(found)


_ASKED: Final = tuple(json.dumps(question).encode() for question in questions())
_MESSAGES: Final = _messages()
_BATCHES: Final = tuple(
    b"".join(b"\x0a" + _varint + item for item in _MESSAGES[at : at + 3] if (_varint := bytes([len(item)])))
    for at in range(0, 20, 3)
    if all(len(item) < 128 for item in _MESSAGES[at : at + 3])
) or (b"\x0a\x00",)
_ON_THE_WIRE: Final = (*ODD_BYTES, *(bytes([n << 3 | kind]) for n in range(1, 11) for kind in (0, 1, 2, 5)),
                       b"\x0a\x00", b"\x0b\x0c", b"\x80\x00", b"\x48\x02", b"\xff" * 9 + b"\x01")  # fmt: skip

_BYTES: Final = Mutator(_MESSAGES, rb"[\x20-\x7e]{3,}|[\x00-\x1f]", _ON_THE_WIRE, largest=70_000)


def _change_message(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Mostly in its structure, else in its bytes."""
    return change(rng, data, other) if rng.random() < 0.6 else _BYTES(rng, data, other)


TARGETS: Final = (
    Target(
        name="strict-json",
        seeds=documents(),
        mutate=Mutator(documents(), _WORDS, ODD_BYTES, extra=(b"1e999", b"NaN", rb"\ud800", rb"\u0000"),
                       largest=50_000),
        check=_strict_json,
        examples=6000,
    ),
    Target(
        name="questions",
        seeds=_ASKED,
        mutate=Mutator(_ASKED, _WORDS, ODD_BYTES, largest=70_000),
        check=_question,
        examples=4000,
    ),
    Target(
        name="messages",
        seeds=_MESSAGES,
        mutate=_change_message,
        check=_message,
        examples=6000,
    ),
    Target(
        name="batches",
        seeds=_BATCHES,
        mutate=_change_message,
        check=_batch,
        examples=2000,
    ),
)  # fmt: skip
