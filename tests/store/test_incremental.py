"""Whatever a loader has seen before, a version means what it would mean to a fresh one."""

from random import Random

import pytest

from pdp.engine.decide import decide
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from tests.reference.strategies import NOW, as_text, random_policy_set, random_request

BROKEN = {"broken.policy": b"language 1\nservice x { allow nobody-known to GET /x }\n"}


def encoded(files):
    return {path: text.encode() for path, text in as_text(files).items()}


def outcome(loaded, requests):
    if loaded.snapshot is None:
        return [(d.code, d.message) for d in loaded.diagnostics]
    index = loaded.snapshot.index
    answers = []
    for request in requests:
        decision = decide(index, request)
        named = [index.rule(request.service, rule) for rule in decision.rules]
        answers.append((decision.effect, decision.reason, decision.region, decision.valid_until, named))
    return answers


@pytest.mark.parametrize("seed", range(6))
def test_a_version_means_the_same_after_any_history(seed):
    rng = Random(seed)
    loader = Loader()
    decided = 0
    for _ in range(12):
        files = random_policy_set(rng)
        texts = encoded(files)
        requests = [random_request(rng, files) for _ in range(25)]
        for version in versions(rng, texts):
            fresh = Loader().load(make_bundle(version), now=NOW)

            kept = loader.load(make_bundle(version), now=NOW)

            assert outcome(kept, requests) == outcome(fresh, requests)
            decided += kept.snapshot is not None

    assert decided > 12


def versions(rng, texts):
    """A set, the same with an error, with a comment, without some of its files, and itself again."""
    yield texts
    yield texts | BROKEN
    name = rng.choice(sorted(texts))
    yield texts | {name: texts[name] + b"\n# a comment\n"}
    yield {path: content for path, content in texts.items() if path != name or path.endswith("main.policy")}
    more = b'\nservice fresh { allow prod/ns/new/sa/w to GET /x, PATCH /y when header.x-a == "n" }\n'
    yield texts | {"more.policy": b"language 1" + more}
    yield texts


def test_numbers_do_not_grow_without_end(monkeypatch):
    monkeypatch.setattr("pdp.store.compilation._NUMBERS_TO_SPARE", 10)
    loader = Loader()
    for version in range(200):
        rules = "".join(f"    allow prod/ns/v{version}/sa/w{i} to GET /x\n" for i in range(5))
        text = f'language 1\ntrust domain prod = "p.test"\nservice s {{\n{rules}}}\n'

        loaded = loader.load(make_bundle({"a.policy": text.encode()}), now=NOW)

        assert loaded.snapshot is not None
        assert len(loaded.snapshot.index.principals.numbers()) <= 40


def test_methods_of_versions_long_gone_do_not_fill_the_numbers():
    loader = Loader()
    for version in range(10):
        methods = ", ".join(f"M{version}-{i}" for i in range(20))
        text = f"language 1\nservice s {{ allow anyone to {methods} /x }}\n"

        assert loader.load(make_bundle({"a.policy": text.encode()}), now=NOW).snapshot is not None
