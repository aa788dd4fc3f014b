"""The public conformance corpus of path canonicalisation, through `pdp.paths`."""

import json
from pathlib import Path
from typing import Any

import pytest

from pdp.paths import (
    AmbiguousHostError,
    AmbiguousPathError,
    HostProblem,
    MethodProblem,
    PathProblem,
    Relaxation,
    canonical,
    canonical_host,
    is_canonical_segment,
    method_problem,
    readings,
)

ROOT = Path(__file__).parents[2]
CASES = [json.loads(line) for line in (ROOT / "tests/corpus/paths.jsonl").read_text("ascii").splitlines()]
PROBLEMS = {"path": PathProblem, "method": MethodProblem, "host": HostProblem}
POINTS = set(range(1, 11))


def of_kind(kind: str) -> Any:
    cases = [case for case in CASES if case["kind"] == kind]
    assert cases, f"no case of kind {kind}: this would pass by testing nothing"
    return pytest.mark.parametrize("case", cases, ids=lambda case: case["id"])


def text(pieces: Any) -> str:
    """A string, or a list of strings and `[string, times]` for what would be too long to write out."""
    if isinstance(pieces, str):
        return pieces
    return "".join(piece if isinstance(piece, str) else piece[0] * piece[1] for piece in pieces)


def relaxations(case: dict[str, Any]) -> Relaxation:
    result = Relaxation.NONE
    for name in case.get("relaxations", []):
        result |= Relaxation[name.upper()]
    return result


@of_kind("path")
def test_path_is_read_as_the_corpus_says(case):
    target = text(case["input"])
    if "problem" in case:
        with pytest.raises(AmbiguousPathError) as caught:
            readings(target, relaxations(case))

        assert caught.value.problem.value == case["problem"]
    else:
        assert list(readings(target, relaxations(case))) == [text(reading) for reading in case["readings"]]


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case["kind"] == "path" and "relaxations" not in case],
    ids=lambda case: case["id"],
)
def test_canonical_agrees_with_readings_without_relaxations(case):
    if "problem" in case:
        with pytest.raises(AmbiguousPathError) as caught:
            canonical(text(case["input"]))

        assert caught.value.problem.value == case["problem"]
    else:
        assert canonical(text(case["input"])) == text(case["readings"][0])


@of_kind("segment")
def test_literal_segment_is_judged_as_the_corpus_says(case):
    assert is_canonical_segment(text(case["input"]), relaxations(case)) is case["accepted"]


@of_kind("method")
def test_method_is_judged_as_the_corpus_says(case):
    problem = method_problem(text(case["input"]))

    assert (problem.value if problem else None) == case.get("problem")


@of_kind("host")
def test_host_is_read_as_the_corpus_says(case):
    authority = text(case["input"])
    if "problem" in case:
        with pytest.raises(AmbiguousHostError) as caught:
            canonical_host(authority)

        assert caught.value.problem.value == case["problem"]
    else:
        assert canonical_host(authority) == (text(case["host"]), case["port"])


def test_every_case_has_its_own_id_and_a_reason():
    ids = [case["id"] for case in CASES]

    assert len(set(ids)) == len(ids)
    assert [case["id"] for case in CASES if not case["why"]] == []


def test_every_case_expects_exactly_one_thing():
    expectations = {"path": "readings", "segment": "accepted", "method": "accepted", "host": "host"}

    assert [case["id"] for case in CASES if ("problem" in case) == (expectations[case["kind"]] in case)] == []


def test_every_point_of_the_safest_rule_has_cases():
    assert {case["point"] for case in CASES} == POINTS


@pytest.mark.parametrize("kind", PROBLEMS)
def test_every_problem_has_a_case(kind):
    met = {case.get("problem") for case in CASES if case["kind"] == kind}

    assert {problem.value for problem in PROBLEMS[kind]} - met == set()


def test_every_relaxation_has_cases_alone_and_with_others():
    alone = {tuple(case["relaxations"]) for case in CASES if len(case.get("relaxations", [])) == 1}
    together = {
        name for case in CASES if len(case.get("relaxations", [])) > 1 for name in case["relaxations"]
    }

    names = {relaxation.name.lower() for relaxation in Relaxation}
    assert {name for (name,) in alone} == names
    assert together == names


def test_documentation_explains_every_problem_and_relaxation():
    page = (ROOT / "docs/paths.md").read_text("utf-8")
    codes = [problem.value for problems in PROBLEMS.values() for problem in problems]
    names = [relaxation.name.lower() for relaxation in Relaxation]

    assert [code for code in codes + names if f"| `{code}` |" not in page] == []
