"""The fuzzer itself: what is planted it finds, makes small, keeps, and finds again."""

import random
import time
from pathlib import Path

import pytest

from tests.fuzz.engine import Failure, Target, TooLongError, examine, minimised, run, save
from tests.fuzz.mutate import ODD_BYTES, ODD_TEXT, Mutator
from tests.fuzz.wire import NotOneReadingError, fields_of_question

SEEDS = ("allow a to GET /x on s", "deny anyone to any /admin/**")
MUTATE = Mutator(SEEDS, r"\w+|\W", ODD_TEXT, extra=("needle",), largest=30_000)


def target(check, **more) -> Target[str]:
    return Target(name="planted", seeds=SEEDS, mutate=MUTATE, check=check, examples=1, **more)


def breaks_at_needle(text: str) -> int:
    if "needle" in text:
        raise KeyError(text)
    return len(text) // 10


def test_what_breaks_is_found_made_small_and_kept(tmp_path: Path) -> None:
    planted = target(breaks_at_needle)

    tried, failure = run(planted, 1, examples=10_000)
    assert failure is not None
    shorter = minimised(planted, failure)
    path = save(shorter, tmp_path)

    assert 0 < tried < 10_000
    assert shorter.data == "needle"
    assert path.read_bytes() == b"needle"
    assert "KeyError" in path.with_suffix(".txt").read_text()
    assert isinstance(examine(planted, "a needle"), Failure)


def test_a_run_with_the_same_seed_is_the_same_run() -> None:
    def inputs(seed: int) -> list[str]:
        seen: list[str] = []
        run(target(lambda text: seen.append(text) or len(text) % 7), seed, examples=500)
        return seen

    assert inputs(1) == inputs(1)
    assert inputs(1) != inputs(2)
    assert len(set(inputs(1))) > 400


def test_what_takes_too_long_is_ended_and_is_a_failure() -> None:
    def hangs(text: str) -> None:
        while "GET" in text:
            pass

    began = time.monotonic()
    failure = examine(target(hangs, seconds=0.2), SEEDS[0])

    assert isinstance(failure, Failure)
    assert isinstance(failure.error, TooLongError)
    assert time.monotonic() - began < 20
    assert examine(target(hangs, seconds=0.2), "PUT") is None


def test_what_is_only_slow_for_long_inputs_is_found() -> None:
    """A piece is now and then repeated thousands of times."""

    def quadratic(text: str) -> None:
        sum(one == other for one in text for other in text)

    _, failure = run(target(quadratic, seconds=0.5), 1, examples=3000)

    assert failure is not None
    assert isinstance(failure.error, TooLongError)


def test_new_outcomes_lead_further() -> None:
    """Five steps, each far from likely by itself: inputs that came one step further are changed again."""

    def steps(text: str) -> int:
        for number, wanted in enumerate(("if", "else", "do", "od", "fi")):
            if wanted not in text:
                return number
        raise AssertionError("all five")

    seeds = ("a if b", "c else d", "e do f", "g od h", "i fi j")
    planted = Target(
        name="steps", seeds=seeds, mutate=Mutator(seeds, r"\w+|\W", ODD_TEXT), check=steps, examples=1
    )

    assert run(planted, 1, examples=20_000)[1] is not None


@pytest.mark.parametrize("odd", [ODD_TEXT, ODD_BYTES], ids=["text", "bytes"])
def test_mutated_inputs_keep_their_bound(odd: tuple) -> None:
    kind = type(odd[0])
    seeds = ("abc 12",) if kind is str else (b"abc 12",)
    mutate = Mutator(seeds, r"\w+" if kind is str else rb"\w+", odd, largest=50)  # type: ignore[type-var]
    rng = random.Random(1)

    made = [mutate(rng, seeds[0], seeds[0]) for _ in range(2000)]

    assert max(map(len, made)) == 50
    assert len(set(made)) > 700


@pytest.mark.parametrize(
    "data",
    [
        b"\x12\x81\x00a", b"\x12\x03ab", b"\x12\x01\xff", b"\x12\x01a\x12\x01b", b"\x48\x02", b"\x48",
        b"\x10\x01", b"\x5a\x00", b"\x02\x00", b"\x48" + b"\xff" * 9 + b"\x02", b"\x0a\x05\x0a\x00\x12\x01a",
        b"\x3a\x02\x0a\x00",
    ],
)  # fmt: skip
def test_the_second_reader_of_messages_refuses_what_has_not_one_reading(data: bytes) -> None:
    with pytest.raises(NotOneReadingError):
        fields_of_question(data)
