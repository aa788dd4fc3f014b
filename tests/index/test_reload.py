"""A new version takes over what did not change, and is as good as one built from nothing."""

from itertools import product
from random import Random

import pytest

from pdp.engine.decide import decide
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from tests.engine.asking import HEAD, NOW, ask

FILES = {
    "head.policy": HEAD,
    "a.policy": "service a { allow prod/x to GET /a }",
    "b.policy": "service b { allow prod/x to GET /b }",
}


def load(loader, **files):
    """One version; names stand for files, `_` for no file."""
    texts = {**FILES, **{f"{name}.policy": text for name, text in files.items()}}
    texts = {
        name: text if text.startswith("language") else f"language 1\n{text}"
        for name, text in texts.items()
        if text
    }
    bundle = make_bundle({name: text.encode() for name, text in texts.items()})
    loaded = loader.load(bundle, now=NOW)
    assert loaded.snapshot is not None, loaded.diagnostics
    return loaded.snapshot.index


CHANGES = {
    "nothing": ({}, {"a", "b", ""}),
    "a rule of one service": ({"b": "service b { allow prod/y to GET /b }"}, {"a", ""}),
    "a rule more": ({"b": "service b { allow prod/x to GET /b\nallow prod/y to GET /b }"}, {"a", ""}),
    "a file more for one service": ({"c": "deny prod/y to any /** on b"}, {"a", ""}),
    "a rule on every service": ({"c": "deny prod/y to any /** on any service"}, set()),
    "a comment elsewhere": ({"c": "# nothing"}, {"a", "b", ""}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_service_is_built_anew_only_if_its_files_changed(change):
    files, kept = CHANGES[change]
    loader = Loader()
    before = load(loader)

    after = load(loader, **files)

    same = {name for name in ("a", "b") if after.services[name] is before.services[name]}
    same |= {""} if after.undeclared is before.undeclared else set()
    assert same == kept


@pytest.mark.parametrize("change", CHANGES)
def test_taking_a_change_back_builds_nothing_but_what_it_touched(change):
    files, kept = CHANGES[change]
    loader = Loader()
    load(loader)
    changed = load(loader, **files)

    back = load(loader)

    assert {name for name in ("a", "b") if back.services[name] is changed.services[name]} == kept - {""}
    assert decide(back, ask("prod/x GET /b", service="b")).effect.value == "allow"


OUTSIDE = {
    "observation begins": "service b observe until 2026-12-01 { allow prod/x to GET /b }",
    "a relaxation": "service b { paths may have encoded-slash\nallow prod/x to GET /b }",
}


@pytest.mark.parametrize("change", OUTSIDE)
def test_what_a_service_says_beside_its_rules_counts_as_a_change(change):
    loader = Loader()
    before = load(loader)

    after = load(loader, b=OUTSIDE[change])
    fresh = load(Loader(), b=OUTSIDE[change])

    assert after.services["b"] is not before.services["b"]
    for name in ("observe_until", "relaxations", "relaxed", "plain", "declared", "name"):
        assert getattr(after.services["b"], name) == getattr(fresh.services["b"], name)


def test_a_service_that_is_declared_or_dropped_is_found_or_not():
    loader = Loader()
    load(loader)

    without = load(loader, b="")
    again = load(loader)

    question = ask("prod/x GET /b", service="b")
    assert decide(without, question).reason.value == "unknown_service"
    assert decide(again, question).reason.value == "allowed"


PATTERNS = (
    "prod/x",
    "prod/*",
    "prod/{n}/**",
    "any authenticated",
    "anyone",
    "any principal of dev",
    "dns vm.test",
)
TARGETS = ("/a", "/*", "/a/**", "/{n}", "/**/b", "/a*")


def random_version(random):
    def rules():
        return "\n".join(
            f"{random.choice(('allow', 'allow', 'deny'))} {random.choice(PATTERNS)} to "
            f"{random.choice(('GET', 'POST', 'any'))} {random.choice(TARGETS)}"
            for _ in range(random.randint(0, 4))
        )

    files = {name: f"service {name} {{\n{rules()}\n}}" for name in "ab" if random.random() < 0.9}
    if random.random() < 0.5:
        files["c"] = f"deny {random.choice(PATTERNS)} to any {random.choice(TARGETS)} on any service"
    return {"a": "", "b": "", **files}


QUESTIONS = [
    ask(f"{who} {method} {path}", service=service)
    for who, method, path, service in product(
        ("prod/x", "prod/y", "prod/a/b", "dev/x", "dns:vm.test", "-"),
        ("GET", "POST", "PUT"),
        ("/a", "/b", "/a/b", "/a/x/b", "/ab"),
        ("a", "b", "c"),
    )
]


@pytest.mark.parametrize("seed", range(6))
def test_after_any_history_the_answers_are_those_of_a_fresh_load(seed):
    random = Random(seed)
    loader = Loader()
    for _ in range(8):
        version = random_version(random)
        if not (version["a"] or version["b"]):
            continue

        index, fresh = load(loader, **version), load(Loader(), **version)

        for question in QUESTIONS:
            got, wanted = decide(index, question), decide(fresh, question)
            assert (got.effect, got.reason, got.rules, got.region) == (
                wanted.effect,
                wanted.reason,
                wanted.rules,
                wanted.region,
            )


def test_rules_of_a_file_are_named_once_even_if_it_speaks_of_a_service_in_two_ways():
    text = "service a { allow prod/x to GET /a as own }\ndeny prod/y to any /** on any service as all\n"

    index = load(Loader(), a=text)

    denied, allowed = (decide(index, ask(f"prod/{who} GET /a", service="a")) for who in "yx")
    assert [index.rule("a", rule).name for rule in denied.rules] == ["platform/all"]
    assert [index.rule("a", rule).name for rule in allowed.rules] == ["a/own"]
    assert [unit.texts.file for unit in index.services["a"].columns.units].count("a.policy") == 1


def test_hosts_and_methods_are_those_of_the_version():
    loader = Loader()
    load(loader, a='service a { host "a.test"\nallow prod/x to PURGE /a }')

    index = load(loader, a='service a { host "b.test"\nallow prod/x to GET /a }')

    assert dict(index.hosts) == {"b.test": "a"}
    assert "GET" in index.methods
