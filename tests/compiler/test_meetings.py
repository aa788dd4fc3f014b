"""Which pairs of rows are compared: every one that could meet, and few of those that could not."""

from itertools import combinations, product
from random import Random

from msgspec.structs import replace

from pdp.compiler.atoms import EVERYONE, Atom, ExactAtom, PatternAtom
from pdp.compiler.meetings import possible_pairs
from pdp.compiler.overlap import can_hold_together
from pdp.compiler.rows import ANY_METHOD, Row, Unit
from pdp.compiler.rule_texts import RuleTexts
from pdp.diagnostics import Span
from pdp.lang.patterns import path_pattern

UNIT = Unit(
    texts=RuleTexts(file="a.policy"),
    by_service={},
    on_any=(),
    scopes=frozenset(),
    demanding={},
    diagnostics=(),
)
ATOMS: dict[int, Atom] = {
    0: EVERYONE,
    1: ExactAtom("spiffe://p/a"),
    2: ExactAtom("spiffe://p/b"),
    3: PatternAtom("p", (None,), open=False),
}
PATHS = (
    "/", "/a", "/b", "/a/", "/a/b", "/*", "/{x}/b", "/a*", "/*b", "/**", "/a/**", "/**/b", "/*/**", "/a/**/b",
)  # fmt: skip


def row(atom: int, path: str, number: int) -> Row:
    segments = path_pattern(path, Span(file="a.policy", start=0, end=0)).segments
    return Row(atom, ANY_METHOD, segments, 0, number, None)


def tried(rows: list[Row], atoms: dict[int, Atom] = ATOMS) -> set[tuple[int, int]]:
    pairs = possible_pairs([(UNIT, row) for row in rows], atoms)
    return {(other.rule, one.rule) for (_, one), (_, other) in pairs}


def test_no_pair_that_can_meet_is_left_out() -> None:
    rows = [row(atom, path, number) for number, (atom, path) in enumerate(product(ATOMS, PATHS))]
    Random(3).shuffle(rows)
    found = tried([replace(row, rule=number) for number, row in enumerate(rows)])

    missing = [
        (one, two)
        for (first, one), (second, two) in combinations(enumerate(rows), 2)
        if can_hold_together(one, two, ATOMS[one.atom], ATOMS[two.atom]) and (first, second) not in found
    ]
    assert missing == []
    assert len(found) < len(rows) * (len(rows) - 1) // 2


def test_rows_of_ten_thousand_principals_are_not_compared_with_each_other() -> None:
    count = 10_000
    atoms: dict[int, Atom] = {n: ExactAtom(f"spiffe://p/{n}") for n in range(count)}

    assert tried([row(n, "/v1/{id}", n) for n in range(count)], atoms) == set()


def test_rows_on_ten_thousand_paths_are_not_compared_with_each_other() -> None:
    count = 10_000

    assert tried([row(0, f"/v1/{n}/{{id}}", n) for n in range(count)]) == set()
