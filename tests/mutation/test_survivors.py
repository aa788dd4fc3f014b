"""The list of surviving mutants names what is there, once, and says why; the mutants are what they say."""

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

from tests.mutation.mutants import mutants_of

ROOT = Path(__file__).resolve().parents[2]
LISTED = tomllib.loads((ROOT / "tests" / "mutation" / "survivors.toml").read_text(encoding="utf-8"))[
    "survivor"
]

assert LISTED, "no survivors found: this would pass by testing nothing"


@cache
def keys_of(file):
    return {mutant.key for mutant in mutants_of(file, (ROOT / file).read_text(encoding="utf-8"))}


@pytest.mark.parametrize(
    "entry", LISTED, ids=lambda entry: f"{entry['file']}-{entry['function']}-{entry['line']}"
)
def test_a_listed_survivor_is_a_change_that_could_still_be_made(entry):
    assert set(entry) == {"file", "function", "line", "changes", "reason"}
    missing = [
        change
        for change in entry["changes"]
        if (entry["file"], entry["function"], entry["line"], change) not in keys_of(entry["file"])
    ]

    assert missing == []
    assert entry["changes"]
    assert len(entry["reason"].split()) > 3


def test_each_survivor_is_listed_once():
    keys = [
        (entry["file"], entry["function"], entry["line"], change)
        for entry in LISTED
        for change in entry["changes"]
    ]

    assert sorted(keys) == sorted(set(keys))


CHANGES = {
    "a == b": ["(a != b)"],
    "a < b": ["(a <= b)", "(a >= b)"],
    "a >= b": ["(a > b)", "(a < b)"],
    "a < b <= c": ["(a <= b <= c)", "(a >= b <= c)", "(a < b < c)", "(a < b > c)"],
    "a in b": ["(a not in b)"],
    "a is not b": ["(a is b)"],
    "a and b": ["(a or b)"],
    "not a": ["(a)"],
    "a & b": ["(a | b)"],
    "a + 1": ["(a - 1)", "(2)", "(0)"],
    "True": [],
    "'text'": [],
    "f'{a == b}'": [],
    "a if b else c": ["True", "False"],
    "[a for a in b if c]": ["True", "False"],
}


@pytest.mark.parametrize("source", CHANGES)
def test_what_an_expression_is_changed_to(source):
    changes = [mutant.change.rpartition(" -> ")[2] for mutant in mutants_of("m.py", f"x = {source}\n")]

    assert sorted(changes) == sorted(CHANGES[source])


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("def f() -> bool:\n    return a\n", "return not (a)"),
        ("def f() -> bool:\n    return True\n", "return False"),
        ("def f() -> int:\n    return a\n", "return None"),
        ("def f() -> None:\n    raise a\n", "pass"),
        ("class C:\n    def f(self) -> bool:\n        return a\n", "return not (a)"),
    ],
)
def test_what_a_statement_is_changed_to(source, changed):
    (mutant,) = mutants_of("m.py", source)

    assert mutant.text == source.replace(source.splitlines()[-1].strip(), changed)
    assert mutant.function in {"f", "C.f"}


@pytest.mark.parametrize(
    "source",
    ["__all__ = [1]\n", "def f(a: x | 1) -> y | 1: ...\n", "X: TypeAlias = a | b\n", "return_ = None\n"],
)
def test_what_is_left_alone(source):
    assert mutants_of("m.py", source) == []


def test_every_mutant_of_a_real_module_is_a_module_and_differs():
    source = (ROOT / "pdp" / "engine" / "region.py").read_text(encoding="utf-8")

    mutants = mutants_of("pdp/engine/region.py", source)

    assert len(mutants) > 100
    for mutant in mutants:
        assert ast.dump(ast.parse(mutant.text)) != ast.dump(ast.parse(source)), mutant.key
