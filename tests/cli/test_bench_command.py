"""`pdp bench`: figures for made-up shapes and for real policy sets."""

import json

import pytest

from pdp.cli.bench_shapes import SHAPES
from pdp.diagnostics import has_errors
from pdp.engine.decide import decide
from pdp.principals import spiffe_principal
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.vocabulary import Effect, Request
from tests.cli.example import ROOT, run


def test_shape_is_measured_against_the_floor():
    result = run("bench", "--shape", "forty", "--rules", "80", "--json")

    (figures,) = json.loads(result.stdout)
    assert result.exit_code == 0
    assert figures["rules"] == 80
    assert figures["ratio"] == pytest.approx(figures["median"] / figures["floor"], abs=0.02)
    assert 0.6 < figures["allowed"] < 0.8


def test_policy_set_is_measured():
    result = run("bench", str(ROOT / "policies"))

    assert result.exit_code == 0
    assert "median" in result.stdout
    assert "ratio" in result.stdout


@pytest.mark.parametrize(
    "arguments", [("--rules", "many"), ("--rules", "0"), ("--shape", "round"), ("nowhere",)]
)
def test_mistakes_in_the_call_are_mistakes_in_the_call(arguments):
    assert run("bench", *arguments).exit_code == 2


@pytest.mark.parametrize("name", sorted(SHAPES))
@pytest.mark.parametrize("rules", [10, 1500])
def test_every_shape_holds_as_many_rules_as_asked_and_its_own_questions_are_allowed(name, rules):
    shape = SHAPES[name]
    files = {path: text.encode() for path, text in shape.files(rules).items()}

    loaded = Loader().load(make_bundle(files), now=0)

    assert not has_errors(loaded.diagnostics)
    assert loaded.snapshot.rules == rules
    effects = [
        decide(
            loaded.snapshot.index,
            Request(principal=spiffe_principal(who), service=service, method=method, path=path, now=0),
        ).effect
        for who, service, method, path in shape.questions(rules, 500, seed=3)
    ]
    assert effects.count(Effect.ALLOW) in (350, 400)
