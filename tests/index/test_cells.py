"""How much is built: cells grow with the rules, and with their combinations only where they combine."""

import pytest

from pdp.index.cells import PACK_ROW, Affixes, Lone, State, cells_bound, pack
from pdp.limits import MAX_CELLS_PER_PATTERN, MAX_CELLS_PER_SERVICE, MAX_CELLS_TO_SPARE
from tests.engine.asking import index_of


def root_of(*rules):
    text = "\n".join(rule if " " in rule else f"allow anyone to GET {rule}" for rule in rules)
    return index_of(f"service s {{\n{text}\n}}").services["s"].root


def states(root):
    found, waiting = {}, [root]
    while waiting:
        state = waiting.pop()
        if not isinstance(state, State) or id(state) in found:
            continue
        found[id(state)] = state
        waiting += [*state.literals.values(), *([state.other] if state.other is not None else [])]
        waiting += state.affixes.states.values() if state.affixes is not None else []
    return found.values()


SIZES = {
    # a literal with nothing but segments of any kind behind it is no state at all
    ("/a", "/b", "/c/*", "/d/{x}/{y}", "/e/**", "/f/*/**"): 1,
    ("/a/b", "/a/c", "/a/d"): 2,
    ("/a/b/c",): 3,
    ("/a/b/c", "/a/b/*"): 5,
    # several rules in one place
    ("/a", "/a"): 2,
    ("/a/*", "/a/{x}"): 3,
    ("/a/**", "/a/**"): 2,
    # an exception splits what it is taken from
    ("allow anyone to GET /a/** except /a/b",): 3,
    # what an earlier `*` keeps alive
    ("/*/x", "/a"): 3,
    ("/*/x", "/a/y"): 3,
    ("/*/x", "/a/x"): 4,
    # the same patterns alive are the same state, whichever way led to it
    ("/*/*/x", "/a/b"): 5,
    ("/*/a/b", "/c/d"): 4,
    ("/**/x", "/*/*/y", "/a/b"): 6,
    # patterns behind `**` split no state
    ("/**/x",): 1,
    ("/a/**/x",): 2,
    ("/a/**/x", "/a/**/y"): 2,
    ("/**/x", "/a"): 2,
    # part of a segment
    ("/p*",): 2,
    ("/p*", "/*.png"): 4,
    ("/p*", "/pq*"): 3,
    ("/p*", "/pq*", "/*.png"): 6,
}


@pytest.mark.parametrize("rules", SIZES, ids=" ".join)
def test_how_many_states_some_patterns_come_to(rules):
    assert len(states(root_of(*rules))) == SIZES[rules]


def test_ids_of_a_million_rules_would_cost_one_entry_each():
    root = root_of(*(f"/v1/r{number}/*" for number in range(500)))

    (below,) = root.literals.values()
    assert len(states(root)) == 2
    assert all(isinstance(lone, int) for lone in below.literals.values())


@pytest.mark.parametrize(
    ("row", "segments", "is_open"), [(0, 0, False), (5, 3, True), (70_000, 127, False), (1, 255, True)]
)
def test_a_lone_row_is_packed_without_loss(row, segments, is_open):
    lone: Lone = pack(row, segments, is_open=is_open)

    assert (lone >> PACK_ROW, lone >> 1 & 0xFF, bool(lone & 1)) == (row, segments, is_open)


def test_cells_are_bounded_by_the_patterns_and_by_the_service():
    assert cells_bound(0) == MAX_CELLS_TO_SPARE
    assert cells_bound(3) == MAX_CELLS_TO_SPARE + 3 * MAX_CELLS_PER_PATTERN
    assert cells_bound(10**9) == MAX_CELLS_PER_SERVICE


@pytest.mark.parametrize(
    ("segment", "key"),
    [
        ("ab.png", ("ab", ".png")),
        ("abc", ("ab", None)),
        ("a", ("a", None)),
        ("x.b.png", (None, ".b.png")),
        ("x.png", (None, ".png")),
        ("x", None),
        ("", None),
    ],
)
def test_the_longest_prefix_and_the_longest_suffix_decide(segment, key):
    keys = [(p, s) for p in (None, "a", "ab") for s in (None, ".png", ".b.png") if p or s]
    made = {one: State() for one in keys}

    found = Affixes(("ab", "a"), (".b.png", ".png"), made).match(segment)

    assert found is (None if key is None else made[key])


def test_leaves_that_hold_one_row_are_the_row_itself():
    root = root_of("/**", "allow prod/a to GET /a/b", "allow prod/b to GET /a/b")

    (rest,) = root.rests
    leaf = next(state.leaf for state in states(root) if state.leaf is not None)
    assert rest == 0
    assert sorted(leaf.rows.values()) == [1, 2]


def test_rows_of_one_atom_stand_together():
    root = root_of(*["allow prod/a to GET /a", "allow prod/a to POST /a", "allow prod/b to GET /a"])

    (leaf,) = (state.leaf for state in states(root) if state.leaf is not None)
    assert sorted(map(str, leaf.rows.values())) == ["(0, 1)", "2"]
