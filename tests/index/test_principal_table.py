"""Which atoms hold a principal: the table against a plain reading of patterns and sets."""

from itertools import product
from random import Random

import pytest

from pdp.compiler.atoms import (
    AUTHENTICATED,
    EVERYONE,
    DnsSuffixAtom,
    ExactAtom,
    PatternAtom,
    SetAtom,
)
from pdp.index.principal_states import build_states
from pdp.index.principals import build_principals, describe_atom
from pdp.principals import ANONYMOUS, PrincipalKind, dns_principal, spiffe_principal

DOMAINS = ("prod.test", "dev.test")
SEGMENTS = ("a", "b", "c")
NAMES = ("vm.test", "db.test", "a.vm.test", "test", "b.a.vm.test")
PRINCIPALS = (
    ANONYMOUS,
    *map(dns_principal, NAMES),
    *(
        spiffe_principal(f"spiffe://{domain}/{'/'.join(path)}")
        for domain in (*DOMAINS, "else.test")
        for length in (1, 2, 3)
        for path in product(SEGMENTS, repeat=length)
    ),
)


def holds(atom, principal):
    """The definition, word for word."""
    match atom:
        case ExactAtom(id=name):
            return principal.id == name
        case DnsSuffixAtom(suffix=suffix):
            first, dot, rest = principal.id.removeprefix("dns:").partition(".")
            return principal.kind is PrincipalKind.DNS and bool(first and dot) and f".{rest}" == suffix
        case PatternAtom(trust_domain=domain, segments=segments):
            if principal.kind is not PrincipalKind.SPIFFE or domain not in {None, principal.trust_domain}:
                return False
            given = principal.segments
            fits = all(wanted in {None, got} for wanted, got in zip(segments, given, strict=False))
            return fits and (len(given) >= len(segments) if atom.open else len(given) == len(segments))
        case SetAtom(terms=terms, excluded=excluded):
            return any(holds(term, principal) for term in terms) and not any(
                holds(term, principal) for term in excluded
            )
        case _:
            return atom is EVERYONE or principal is not ANONYMOUS


def random_atom(random, depth=0):
    kind = random.random()
    if depth < 3 and kind < 0.3:
        return SetAtom(
            frozenset(random_atom(random, depth + 1) for _ in range(random.randint(0, 3))),
            frozenset(random_atom(random, depth + 1) for _ in range(random.randint(0, 2))),
        )
    if kind < 0.4:
        return ExactAtom(random.choice(PRINCIPALS[1:]).id)
    if kind < 0.5:
        return DnsSuffixAtom(random.choice((".test", ".vm.test", ".a.vm.test", ".else")))
    if kind < 0.6:
        return random.choice((EVERYONE, AUTHENTICATED))
    segments = tuple(random.choice((*SEGMENTS, None, None)) for _ in range(random.randint(1, 3)))
    return PatternAtom(random.choice((*DOMAINS, None)), segments, random.random() < 0.4)


def numbered(atoms):
    return {atom: number for number, atom in enumerate(dict.fromkeys(atoms))}


def check(table, numbers):
    for principal in PRINCIPALS:
        wanted = tuple(sorted(number for atom, number in numbers.items() if holds(atom, principal)))

        assert table.atoms(principal) == wanted, principal.id


@pytest.mark.parametrize("seed", range(60))
def test_a_principal_is_in_the_atoms_that_hold_it(seed):
    random = Random(seed)
    numbers = numbered(random_atom(random) for _ in range(random.choice((1, 2, 4, 8))))

    check(build_principals(numbers), numbers)


@pytest.mark.parametrize("atoms", [(), (EVERYONE,), (AUTHENTICATED,), (EVERYONE, AUTHENTICATED)])
def test_sets_of_single_principals_alone(atoms):
    numbers = numbered((*atoms, *(ExactAtom(principal.id) for principal in PRINCIPALS[1:9])))

    check(build_principals(numbers), numbers)


@pytest.mark.parametrize("seed", range(40))
def test_a_table_that_is_extended_is_as_good_as_new(seed):
    random = Random(seed)
    old = numbered(random_atom(random) for _ in range(random.choice((0, 1, 3, 6))))
    more = [ExactAtom(principal.id) for principal in random.sample(PRINCIPALS[1:], random.randint(0, 5))]
    if seed % 2:
        more.insert(random.randint(0, len(more)), random_atom(random))
    numbers = numbered((*old, *more))
    before = build_principals(old)

    table = build_principals(numbers, before)

    check(table, numbers)
    check(before, old)
    assert table.numbers() == numbers


def test_more_single_principals_leave_the_states_as_they_are():
    old = numbered((PatternAtom("prod.test", ("a", None), open=True),))
    before = build_principals(old)

    table = build_principals({**old, ExactAtom(PRINCIPALS[-1].id): 1}, before)

    assert table.patterns is before.patterns


def test_a_pattern_more_makes_the_states_anew():
    old = numbered((PatternAtom("prod.test", ("a", None), open=True),))
    before = build_principals(old)

    table = build_principals({**old, PatternAtom("prod.test", ("b",), open=True): 1}, before)

    assert table.patterns is not before.patterns


def states(state):
    found, waiting = {}, [state]
    while waiting:
        state = waiting.pop()
        if id(state) in found:
            continue
        found[id(state)] = state
        waiting += [*state.children.values(), *([state.other] if state.other is not None else [])]
    return len(found)


@pytest.mark.parametrize("groups", [1, 50])
def test_groups_and_patterns_of_one_shape_share_their_states(groups):
    """As many states as prefixes of patterns, whatever the groups that hold them."""
    patterns = [PatternAtom("prod.test", ("ns", f"n{n}", "sa", None), open=False) for n in range(50)]
    sets = [SetAtom(frozenset(patterns[n::groups]), frozenset()) for n in range(groups)]

    table = build_principals(numbered((*patterns, *sets)))

    assert states(build_states(table._sets, "prod.test")) == 2 + 50 * 3


def test_the_same_patterns_alive_are_one_state_whichever_way_led_to_it():
    patterns = [
        PatternAtom("prod.test", (None, None, "x"), open=False),
        PatternAtom("prod.test", ("a", "b"), open=False),
    ]

    table = build_principals(numbered(patterns))

    # the beginning; `*` and `a`; `*/*` (below both), `a/b`; and `x` below either of the two
    assert states(build_states(table._sets, "prod.test")) == 1 + 2 + 2 + 1


def test_equal_answers_are_one_tuple():
    patterns = [PatternAtom("prod.test", (f"n{n}", None), open=True) for n in range(3)]
    table = build_principals(numbered((*patterns, EVERYONE)))

    strangers = [table.atoms(spiffe_principal(f"spiffe://prod.test/x{n}/y")) for n in range(2)]

    assert strangers[0] is strangers[1]


A, B, C, D = (ExactAtom(f"dns:{name}.test") for name in "abcd")
WORDS = {
    EVERYONE: "anyone",
    AUTHENTICATED: "any authenticated",
    A: "dns:a.test",
    DnsSuffixAtom(".vm.test"): "dns *.vm.test",
    PatternAtom("prod.test", ("a", None), open=False): "spiffe://prod.test/a/*",
    PatternAtom(None, ("a",), open=True): "spiffe://*/a/**",
    SetAtom(frozenset(), frozenset()): "nobody",
    SetAtom(frozenset({A}), frozenset()): "dns:a.test",
    SetAtom(frozenset({B, A}), frozenset()): "one of dns:a.test, dns:b.test",
    SetAtom(
        frozenset({A, B, C}), frozenset({D})
    ): "one of dns:a.test, dns:b.test, dns:c.test except dns:d.test",
    SetAtom(frozenset({A, B, C, D}), frozenset()): "one of dns:a.test, dns:b.test, dns:c.test or 1 more",
    # sets within sets
    SetAtom(
        frozenset({SetAtom(frozenset({A, B}), frozenset()), SetAtom(frozenset({B, C}), frozenset())}),
        frozenset(),
    ): "one of dns:a.test, dns:b.test, dns:c.test",
    SetAtom(
        frozenset({SetAtom(frozenset({A, B}), frozenset({C})), D}), frozenset()
    ): "one of (one of dns:a.test, dns:b.test except dns:c.test), dns:d.test",
}


def test_a_set_with_a_name_is_called_by_it():
    inner = SetAtom(frozenset({A, B}), frozenset())
    outer = SetAtom(frozenset({inner, C}), frozenset({inner}))

    said = describe_atom(outer, lambda atom: "group ab" if atom == inner else None)

    assert said == "one of dns:c.test, group ab except group ab"


@pytest.mark.parametrize("atom", WORDS, ids=WORDS.get)
def test_an_atom_in_words(atom):
    numbers = numbered((AUTHENTICATED, atom, EVERYONE))

    assert describe_atom(atom) == WORDS[atom]
    assert build_principals(numbers).describe(numbers[atom]) == WORDS[atom]


def test_a_number_that_no_atom_has_is_nobody():
    assert build_principals({EVERYONE: 0}).describe(7) == "nobody"
