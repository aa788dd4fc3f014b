"""From an image the answers and the explanations are those of the index that it was written from."""

from pathlib import Path
from random import Random

import pytest

from pdp.engine.decide import decide
from pdp.engine.explain import explain
from pdp.index.rule_index import RuleIndex
from pdp.store.bundle import make_bundle, read_bundle
from pdp.store.loader import Loader
from pdp.store.snapshot import Snapshot
from pdp.vocabulary import Reason, Request
from tests.engine.asking import NOW, ask, snapshot_of
from tests.image.flat import Press, flat_index, flat_snapshot
from tests.property.compiled import compile_files
from tests.reference.strategies import as_text, random_policy_set, random_request

SETS = 40
REQUESTS = 25


def told(index: RuleIndex, request: Request) -> tuple[object, ...]:
    """Everything that anybody learns of one request."""
    decision = decide(index, request)
    found = explain(index, request, decision)
    rules = {*decision.rules, *(entry.rule for entry in found.considered)}
    rules |= set() if found.nearest is None else {found.nearest.rule}
    texts = [(index.rule(request.service, rule), start(index, request, rule)) for rule in sorted(rules)]
    return decision, found, texts


def start(index: RuleIndex, request: Request, rule: int) -> int:
    return index.service(request.service).columns.start(rule)


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_random_policy_sets_answer_alike(most: int) -> None:
    """However little is kept of an image: what was dropped is made again."""
    rng = Random(most)
    reasons = set()
    for _ in range(SETS):
        files = random_policy_set(rng)
        index = compile_files(files)
        flat = flat_index(index, most)
        for request in [random_request(rng, files) for _ in range(REQUESTS)]:
            assert told(flat, request) == told(index, request)
            reasons.add(decide(flat, request).reason)

    assert reasons >= {Reason.ALLOWED, Reason.DENIED_BY_RULE, Reason.NO_RULE_MATCHED, Reason.OBSERVED}


MANY = 300
LARGE = "service s {\n" + "".join(
    f"    allow prod/ns/n{n}/sa/* to GET /many/r{n}/{{id}}, POST /many/r{n} as large-{n}\n"
    f"    allow prod/one/p{n} to GET /crowd\n"
    f'    allow prod/one/p{n}, prod/two/p{n} to GET /*/twice when header.x == "{n}"\n'
    for n in range(MANY)
) + "}"  # fmt: skip


@pytest.mark.parametrize("most", [1, 1000])
def test_large_maps_and_leaves_answer_alike(most: int) -> None:
    """Those that are looked up where they lie: literals, leaves, principals, and states of principals."""
    snapshot = snapshot_of(LARGE)
    flat = flat_snapshot(snapshot, most).index
    for n in (0, 1, 47, 48, 49, MANY - 1, MANY):
        for who in (f"prod/ns/n{n}/sa/x", f"prod/ns/n{n}", f"prod/one/p{n}", f"prod/two/p{n}", "-", "dns:x"):
            for path in (
                f"/many/r{n}/7",
                f"/many/r{n}",
                f"/many/r{n}/",
                "/many/none/7",
                "/crowd",
                "/a/twice",
            ):
                for method in ("GET", "POST"):
                    request = ask(f"{who} {method} {path}", context={"header.x": (f"{n}",)})
                    assert told(flat, request) == told(snapshot.index, request), request


def test_what_has_no_place_in_a_policy_is_looked_up_too() -> None:
    flat = flat_snapshot(snapshot_of(LARGE)).index

    decision = decide(flat, ask("prod/one/p1 GET /many/\ud800/7"))

    assert decision.effect.value == "deny"


def examples() -> Snapshot:
    loaded = Loader().load(read_bundle(Path("policies")), now=NOW)
    assert loaded.snapshot is not None
    return loaded.snapshot


def test_everything_that_is_no_decision_is_the_same() -> None:
    snapshot = examples()
    flat = flat_snapshot(snapshot)

    index, other = snapshot.index, flat.index
    assert (flat.callers, flat.rules) == (snapshot.callers, snapshot.rules)
    assert (other.methods, other.hosts, other.attributes) == (index.methods, index.hosts, index.attributes)
    assert other.environment == index.environment
    assert list(other.services) == list(index.services)
    assert dict(other.principals.numbers()) == dict(index.principals.numbers())
    for atom, number in index.principals.numbers().items():
        assert other.principals.numbers().get(atom) == number
        assert other.principals.describe(number) == index.principals.describe(number)
    for name, service in index.services.items():
        columns, flat_columns = service.columns, other.services[name].columns
        patterns = columns.patterns(name), flat_columns.patterns(name)
        assert dict(flat_columns.details).keys() == dict(columns.details).keys()
        for row in range(len(columns.atoms)):
            assert patterns[0][row] == patterns[1][row]
            assert (row in columns.details) == (row in flat_columns.details)


def test_versions_take_over_what_did_not_change() -> None:
    """After any history a version answers from its parts as it would from an index of its own."""
    rng = Random(5)
    loader, press = Loader(), Press()
    kept = 0
    before: RuleIndex | None = None
    for _ in range(6):
        files = random_policy_set(rng)
        requests = [random_request(rng, files) for _ in range(15)]
        for version in versions(rng, {path: text.encode() for path, text in as_text(files).items()}):
            loaded = loader.load(make_bundle(version), now=NOW)
            if loaded.snapshot is None:
                continue
            index = loaded.snapshot.index
            flat = press.read(press.write(index)).index
            for request in requests:
                assert told(flat, request) == told(index, request)
            if before is not None:
                kept += sum(
                    flat.services[name] is old
                    for name, old in before.services.items()
                    if name in flat.services
                )
            before = flat

    assert kept > 0


def versions(rng: Random, texts: dict[str, bytes]) -> list[dict[str, bytes]]:
    """A set, the same with a comment, with more principals again and again, and itself again."""
    name = rng.choice(sorted(texts))
    more = [
        f"\nservice fresh {{ {' '.join(f'allow prod/ns/new/sa/w{n} to GET /x' for n in range(count))} }}\n"
        for count in (1, 2, 3, 40, 41)
    ]
    grown = [texts | {"more.policy": f"language 1{text}".encode()} for text in more]
    return [texts, texts | {name: texts[name] + b"\n# a comment\n"}, *grown, texts]
