"""The analysis against the oracle: what a request shows to be broken is reported, what is reported is.

Policy sets and invariants are random, over alphabets small enough for rules to collide. Without
conditions every request over the alphabets is asked, one fresh name for each part included; with
conditions requests are drawn, most of them aimed at the invariant.
"""

from collections import Counter
from itertools import product
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from pdp.analysis.decisions import Undecided
from pdp.lang import ast
from pdp.principals import dns_principal, spiffe_principal
from pdp.vocabulary import Request
from tests.analysis.decided import Compiled, Judge, as_rule, witness_of
from tests.reference import strategies
from tests.reference.strategies import NOW

SETS = 8
REQUESTS = 150
STEPS = 60_000  # what takes longer is left out here: that it is an error is tested elsewhere

WORDS = ("a", "b", "ab", "x.png", "abb", "fresh")
PATHS = tuple(
    "/" + "/".join((*words, *end))
    for length in range(4)
    for words in product(WORDS, repeat=length)
    for end in ((), ("",))
    if (words or end) and (length < 3 or words[0] in "ab")
)
PRINCIPALS = (
    *dict.fromkeys(strategies._PRINCIPALS),
    spiffe_principal("spiffe://prod.test/fresh"),
    spiffe_principal("spiffe://prod.test/a/fresh"),
    spiffe_principal("spiffe://fresh.test/fresh"),
    spiffe_principal("spiffe://prod.test/ns/fresh/sa/a"),
    dns_principal("fresh.test"),
)


def some_files(seed: int, *, plain: bool) -> tuple[list[ast.File], list[ast.Invariant]]:
    """A policy set with two invariants."""
    choices = strategies._RandomChoices(Random(seed))
    making = strategies._Set(choices)
    making.span.file = "main.policy"
    declared = making.declarations()
    rules = strategies._some(choices, 2, lambda: making.platform_rule(strategies._SERVICES), least=0)
    invariants = [some_invariant(making) for _ in range(2)]
    blocks = []
    for name in strategies._SERVICES:
        making.span.file = f"{name}/{name}.policy"
        blocks.append(ast.File(path=making.span.file, items=(making.block(name),)))
    if plain:
        rules = tuple(without_condition(rule) for rule in rules)
        invariants = [replace(item, users=(), when=None) for item in invariants]
        blocks = [ast.File(path=file.path, items=tuple(map(plain_block, file.items))) for file in blocks]
    return [ast.File(path="main.policy", items=(*declared, *rules, *invariants)), *blocks], invariants


def some_invariant(making: strategies._Set) -> ast.Invariant:
    choices, terms, span = making.choices, making.terms, making.span
    excluded = strategies._some(choices, 2, terms.excluded) if choices.one_in(4) else ()
    who = strategies._some(choices, 2, lambda: terms.term(captures=False))
    principals = ast.PrincipalSet(terms=who, excluded=excluded, span=span())
    targets = terms.targets()
    captures = terms.bound(principals, targets)
    every = ast.AnyService(span=span())
    return ast.Invariant(
        always=choices.one_in(2),
        principals=principals,
        users=strategies._some(choices, 2, terms.user) if choices.one_in(6) else (),
        targets=targets,
        services=every if choices.one_in(5) else tuple(map(making.name, strategies._SERVICES)),
        when=making.conditions.expr(captures) if choices.one_in(2) else None,
        span=span(),
    )


def without_condition(rule: ast.Rule) -> ast.Rule:
    return replace(rule, users=(), clause=ast.Clause(obligations=rule.clause.obligations))


def plain_block(block: ast.ServiceBlock) -> ast.ServiceBlock:
    return replace(block, items=tuple(map(without_condition, block.items)))


def decided(files):
    """What is said of each invariant on each service; every witness has to convince the oracle."""
    judge, verdicts = Judge(files), {}
    for item, service, verdict in Compiled.of(files, NOW).verdicts(STEPS):
        request = witness_of(verdict)
        assert request is None or judge.breaks(item, request), (item, request)
        verdicts[item.span.start, service] = (item, verdict)
    return judge, list(verdicts.items())


@pytest.mark.slow
def test_every_request_over_the_alphabets_agrees():
    said = Counter()
    for seed in range(SETS):
        files, _ = some_files(seed, plain=True)
        judge, verdicts = decided(files)
        for (_, service), (item, verdict) in verdicts:
            assert not isinstance(verdict, Undecided)
            said[item.always, verdict is None] += 1
            if verdict is not None:
                continue
            for principal, method, path in product(
                PRINCIPALS, ("GET", "POST", "PUT", "FRESH"), matching(item)
            ):
                request = Request(principal=principal, service=service, method=method, path=path, now=NOW)
                assert not judge.breaks(item, request), (seed, item, request)

    assert len(said) == 4, said  # both kinds, both outcomes


def matching(item: ast.Invariant) -> list[str]:
    """The paths that some target may match: the oracle need not be asked about the others."""
    patterns = [t.path.segments for t in item.targets if isinstance(t, ast.Target)]
    if len(patterns) < len(item.targets):
        return list(PATHS)
    first = {segments[0] for segments in patterns}
    literal = {segment.text for segment in first if isinstance(segment, ast.LiteralSegment)}
    if len(literal) < len(first):
        return list(PATHS)
    return [path for path in PATHS if path.split("/")[1] in literal]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
def test_no_drawn_request_breaks_what_is_said_to_hold(part):
    said = Counter()
    for seed in range(part * 1000, part * 1000 + 40):
        files, invariants = some_files(seed, plain=False)
        judge, verdicts = decided(files)
        holding = [(service, item) for (_, service), (item, verdict) in verdicts if verdict is None]
        said.update((item.always, verdict is None) for _, (item, verdict) in verdicts)
        rng = Random(seed)
        aims = [files, [ast.File(path="aim", items=tuple(map(as_rule, invariants)))]]
        for _ in range(REQUESTS if holding else 0):
            drawn = strategies.random_request(rng, rng.choice(aims))
            request = msgspec.structs.replace(drawn, now=max(drawn.now, NOW))
            for service, item in holding:
                asked = msgspec.structs.replace(request, service=service)
                assert not judge.breaks(item, asked), (seed, item, asked)

    assert len(said) == 4, said
