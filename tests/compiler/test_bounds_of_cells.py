"""What combines without bound is refused, by name and soon."""

import time

import pytest

from pdp import limits
from pdp.diagnostics import Severity
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader

HEADER = 'language 1\ntrust domain prod = "prod.example.org"\n'


def codes(text):
    loaded = Loader().load(make_bundle({"a.policy": text.encode()}), now=0)
    return {d.code for d in loaded.diagnostics if d.severity is Severity.ERROR}


def conditional(count):
    rules = "".join(
        f'    allow any authenticated to GET /offers when header.x-region == "r{i}"\n' for i in range(count)
    )
    return f"{HEADER}service offers {{\n{rules}}}\n"


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (limits.MAX_CONDITIONAL_RULES_PER_CELL, set()),
        (limits.MAX_CONDITIONAL_RULES_PER_CELL + 1, {"PDP919"}),
    ],
)
def test_conditional_rules_in_one_place_are_limited(count, expected):
    assert codes(conditional(count)) == expected


def test_plain_rules_in_one_place_are_not():
    rules = "".join(f"    allow prod/ns/n{i}/sa/w to GET /offers\n" for i in range(2000))

    assert codes(f"{HEADER}service offers {{\n{rules}}}\n") == set()


def test_paths_that_combine_exponentially_are_refused_soon():
    depth = 18
    rules = "".join(
        f"    allow anyone to GET /{'/'.join(['*'] * i + ['x'] + ['*'] * (depth - i - 1))}\n"
        for i in range(depth)
    )
    began = time.monotonic()

    found = codes(f"{HEADER}service files {{\n{rules}}}\n")

    assert found == {"PDP917"}
    assert time.monotonic() - began < 20


def test_principals_that_combine_exponentially_are_refused_soon():
    depth = 18
    patterns = (f"prod/{'/'.join(['*'] * i + ['x'] + ['*'] * (depth - i - 1))}" for i in range(depth))
    rules = "".join(f"    allow {pattern} to GET /x\n" for pattern in patterns)

    assert codes(f"{HEADER}service files {{\n{rules}}}\n") == {"PDP917"}
