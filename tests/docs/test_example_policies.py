"""`policies/` is the first policy text that people see: it loads cleanly, and its tests leave nothing out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pdp.diagnostics import Severity, Source, render
from pdp.lang import ast
from pdp.lang.formatter import format_source
from pdp.principals import Principal, spiffe_principal
from pdp.store.bundle import read_bundle
from pdp.store.loader import Loader
from pdp.store.snapshot import Loaded, Snapshot
from tests.docs.sets import NOW, failing_cases, outcomes

FOLDER = Path(__file__).parents[2] / "policies"
FILES = sorted(FOLDER.rglob("*.policy"))
assert FILES, "no policies found: this would pass by testing nothing"

#: Whose sidecar stands in front of a service, where its name does not say so.
BOOKINFO = "spiffe://prod.example.org/ns/bookinfo/sa/bookinfo-"


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return Loader().load(read_bundle(FOLDER), now=NOW)


@pytest.fixture(scope="module")
def snapshot(loaded: Loaded) -> Snapshot:
    assert loaded.snapshot is not None
    return loaded.snapshot


def items(snapshot: Snapshot) -> Iterator[ast.Item]:
    for parsed in snapshot.files:
        yield from parsed.file.items


def test_they_load_without_errors_or_warnings(loaded: Loaded) -> None:
    doubts = [d for d in loaded.diagnostics if d.severity is not Severity.NOTE]

    assert doubts == [], "\n".join(render(d, loaded.sources) for d in loaded.diagnostics)


def test_the_only_notes_are_about_the_observed_service_and_the_probes(loaded: Loaded) -> None:
    assert [d.code for d in loaded.diagnostics] == ["PDP404", "PDP407"]


def test_every_test_beside_them_passes(loaded: Loaded) -> None:
    assert failing_cases(loaded) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_they_are_in_the_one_layout(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert format_source(Source(path=path.name, text=text)).text == text


def test_every_enforced_rule_decides_in_some_test(loaded: Loaded, snapshot: Snapshot) -> None:
    deciding = {(rule.file, rule.line) for _, outcome in outcomes(loaded) for rule in outcome.rules}
    enforced = {
        (rule.file, rule.line)
        for unit in snapshot.units
        for rule in (unit.texts.text(number) for number in range(len(unit.texts.lines)))
        if not rule.shadow
    }

    assert enforced - deciding == set()


def test_the_shadow_rule_is_reported_for_load_test_orders_alone(loaded: Loaded) -> None:
    reported = {
        (outcome.request.principal.id, outcome.request.path)
        for _, outcome in outcomes(loaded)
        if outcome.decision.shadow is not None
    }

    assert reported == {("spiffe://prod.example.org/ns/boutique/sa/loadgenerator", "/cart/checkout")}


def test_every_service_is_asked_about_and_keeps_somebody_out(loaded: Loaded, snapshot: Snapshot) -> None:
    asked = {(outcome.request.service, outcome.decision.effect.value) for _, outcome in outcomes(loaded)}

    assert asked == {(name, effect) for name in snapshot.index.services for effect in ("allow", "deny")}


def test_every_service_has_a_sidecar_that_may_ask_about_it(snapshot: Snapshot) -> None:
    for name in snapshot.index.services:
        short, _, namespace = name.partition(".")
        account = (
            f"{BOOKINFO}{short}"
            if namespace == "bookinfo"
            else f"spiffe://prod.example.org/ns/{namespace}/sa/{short}"
        )

        assert name in fronted(snapshot, spiffe_principal(account))


def test_a_sidecar_may_not_ask_about_the_service_of_another(snapshot: Snapshot) -> None:
    assert fronted(snapshot, spiffe_principal(f"{BOOKINFO}reviews")) & snapshot.index.services.keys() == {
        "reviews.bookinfo"
    }


def test_the_demonstration_caller_may_ask_about_everything_and_be_told_why(snapshot: Snapshot) -> None:
    atoms = snapshot.index.principals.atoms(spiffe_principal("spiffe://prod.example.org/ns/pdp/sa/demo-pep"))
    (entry,) = (entry for entry in snapshot.callers if entry.who in atoms and entry.services is None)

    assert entry.explain
    assert not entry.claims
    assert entry.supplies == {"source", "header"}


def fronted(snapshot: Snapshot, caller: Principal) -> set[str]:
    """The services by name that a caller may ask about."""
    atoms = snapshot.index.principals.atoms(caller)
    entries = [entry for entry in snapshot.callers if entry.who in atoms]
    filled = {template.fill(caller.segments) for entry in entries for template in entry.templates}
    return filled.union(*(entry.services or frozenset() for entry in entries))
