"""Regions are worth having: few of them answer a long trace, and none is needlessly narrow."""

from itertools import product
from pathlib import Path
from random import Random

import msgspec

from pdp.engine.decide import decide
from pdp.principals import ANONYMOUS, spiffe_principal
from pdp.store.bundle import make_bundle, read_bundle
from pdp.store.loader import Loader
from pdp.vocabulary import Effect, Request
from tests.property.compiled import contains

NOW = 1_800_000_000_000
QUESTIONS = 100_000
IDS = 10_000

SHOP = b"""
language 1
trust domain prod = "prod.example.org"
group readers = { prod/ns/web/sa/*, prod/ns/mobile/sa/app }
service orders {
    allow readers to GET /v1/orders/{id}
    allow readers to GET /v1/orders/{id}/items/**
    allow prod/ns/checkout/sa/web to POST /v1/orders, PUT /v1/orders/{id}
    deny anyone to any /v1/orders/export
    allow prod/ns/{team}/sa/* to GET /v1/teams/{team}/** except /v1/teams/{team}/secrets/**
}
"""


def index_of(text):
    loaded = Loader().load(make_bundle({"shop.policy": text}), now=NOW)
    assert loaded.snapshot is not None, loaded.diagnostics
    return loaded.snapshot.index


def request(principal, method, path, service="orders"):
    return Request(principal=principal, service=service, method=method, path=path, now=NOW)


def trace(random):
    """What a shop's proxies ask: mostly reads of single orders, some writes, some strays."""
    callers = [
        spiffe_principal(f"spiffe://prod.example.org/ns/{ns}/sa/{sa}")
        for ns, sa in (("web", "a"), ("web", "b"), ("mobile", "app"), ("checkout", "web"), ("blog", "web"))
    ]
    for _ in range(QUESTIONS):
        caller, item = random.choice(callers), random.randrange(IDS)
        kind = random.random()
        if kind < 0.7:
            yield request(caller, "GET", f"/v1/orders/{item}")
        elif kind < 0.85:
            yield request(caller, "GET", f"/v1/orders/{item}/items/{random.randrange(9)}")
        elif kind < 0.93:
            yield request(caller, "PUT", f"/v1/orders/{item}")
        elif kind < 0.97:
            yield request(caller, "GET", f"/v1/teams/{random.choice(['web', 'blog'])}/members/{item}")
        else:
            yield request(caller, "GET", f"/nothing/{item}/here")


def test_regions_answer_nearly_all_of_a_trace_with_ids_in_its_paths():
    index = index_of(SHOP)
    kept = {}
    hits = 0
    for question in trace(Random(1)):
        for region, effect in kept.get(question.principal.id, []) + kept.get(None, []):
            if contains(region, question, {}):
                hits += 1
                assert effect is decide(index, question).effect
                break
        else:
            decision = decide(index, question)
            kept.setdefault(decision.region.principal, []).append((decision.region, decision.effect))

    assert hits >= 0.95 * QUESTIONS
    assert sum(map(len, kept.values())) < 100


def test_default_denies_generalise():
    index = index_of(SHOP)

    region = decide(index, request(ANONYMOUS, "GET", "/nothing/1/here")).region

    assert (region.principal, region.method, region.rest) == (None, None, True)


def test_example_policies_have_regions_for_every_plain_question():
    loaded = Loader().load(read_bundle(Path(__file__).parents[2] / "policies"), now=NOW)
    index = loaded.snapshot.index
    who = spiffe_principal("spiffe://prod.example.org/ns/boutique/sa/frontend")

    decision = decide(
        index, request(who, "POST", "/hipstershop.CartService/GetCart", service="cartservice.boutique")
    )

    assert decision.effect is Effect.ALLOW
    assert decision.region.principal == who.id


PEOPLE = (
    *(spiffe_principal(f"spiffe://prod.test/{path}") for path in ("a", "b", "a/a", "a/b", "b/a", "c/c")),
    ANONYMOUS,
)
METHODS = ("GET", "POST", "PUT", "PATCH")
TERMS = ("prod/a", "prod/b", "prod/a/*", "prod/*/a", "any principal of prod", "any authenticated", "anyone")
VERBS = ("any", "GET", "POST", "GET, PUT")
TARGETS = ("/a", "/*", "/a/*", "/*/b", "/**", "/a/**", "/a/b")
PATHS = ("/a", "/b", "/a/b", "/a/c", "/c/b", "/a/b/c", "/a/")


def random_allows(random):
    lines = [
        f"    allow {random.choice(TERMS)} to {random.choice(VERBS)} {random.choice(TARGETS)}"
        for _ in range(random.randint(0, 4))
    ]
    text = "\n".join(["language 1", 'trust domain prod = "prod.test"', "service orders {", *lines, "}", ""])
    return index_of(text.encode())


def test_principal_and_method_are_pinned_only_where_they_matter():
    """Brute force over sets of plain allows: what is pinned changes the answer for somebody in the cell.

    Where denies, conditions or dates are involved, `docs/caching.md` says where regions are not maximal.
    """
    random = Random(7)
    pinned = {"principal": 0, "method": 0}
    for _ in range(300):
        index = random_allows(random)
        for who, method, path in product(PEOPLE, METHODS, PATHS):
            question = request(who, method, path)
            decision = decide(index, question)
            region = decision.region
            if region.principal is not None:
                others = PEOPLE if region.method is not None else ()
                wider = [msgspec.structs.replace(question, principal=other) for other in others]
                if wider:
                    pinned["principal"] += 1
                    assert any(decide(index, other).effect is not decision.effect for other in wider), (
                        region,
                        path,
                    )
            if region.method is not None:
                wider = [msgspec.structs.replace(question, method=other) for other in METHODS]
                if region.principal is None:
                    wider = [msgspec.structs.replace(w, principal=other) for w in wider for other in PEOPLE]
                pinned["method"] += 1
                assert any(decide(index, other).effect is not decision.effect for other in wider), (
                    region,
                    path,
                )

    assert min(pinned.values()) > 1000
