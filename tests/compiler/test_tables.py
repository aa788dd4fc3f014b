"""Table files: who a group from a file holds, and that a table is lowered anew only if it has to be.

How lines are read is tested in `tests.compiler.test_unreadable` and the golden files.
"""

import pytest

from pdp.engine.decide import decide
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from tests.engine.asking import HEAD, NOW, ask

POLICY = HEAD + 'group partners from "members.txt"\nservice s {\n    allow from "grants.csv"\n}\n'
GROUP = HEAD + 'group partners from "members.txt"\nservice s { allow partners to GET /x }\n'
GRANTS = "principal,methods,path\nprod/a,GET,/x\n"
FILES = {"a.policy": POLICY, "grants.csv": GRANTS, "members.txt": "prod/a\n"}


def load(loader, files):
    bundle = make_bundle({path: text.encode() for path, text in files.items()})
    loaded = loader.load(bundle, now=NOW)
    assert loaded.snapshot is not None, loaded.diagnostics
    return loaded.snapshot


def allowed(snapshot, question, **rest):
    return decide(snapshot.index, ask(question, **rest)).effect.value == "allow"


def table_of(snapshot, path="grants.csv"):
    (unit,) = [unit for unit in snapshot.units if unit.texts.file == path]
    return unit


def test_a_group_from_a_file_holds_the_terms_of_its_lines():
    members = "# who may\nprod/a\n\nprod/b/*  # all of them\n"

    snapshot = load(Loader(), {"a.policy": GROUP, "members.txt": members})

    assert [allowed(snapshot, f"prod/{who} GET /x") for who in ("a", "b/c", "c")] == [True, True, False]


def test_a_group_follows_its_file():
    loader = Loader()
    load(loader, {"a.policy": GROUP, "members.txt": "prod/a\n"})

    snapshot = load(loader, {"a.policy": GROUP, "members.txt": "prod/b\n"})

    assert [allowed(snapshot, f"prod/{who} GET /x") for who in "ab"] == [False, True]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"b.policy": "language 1\nservice t { allow prod/a to GET /y }\n"},
        {"a.policy": POLICY + "# a comment\n"},
    ],
)
def test_a_table_is_kept_as_it_is_while_the_declarations_and_its_statement_are(change):
    """docs/caching.md: what is kept of a table, and for how long."""
    loader = Loader()
    services = {"b.policy": "language 1\nservice t { allow prod/b to GET /y }\n"}
    before = load(loader, FILES | services)

    after = load(loader, FILES | services | change)

    assert table_of(after) is table_of(before)


CHANGED = {
    "a line": {"grants.csv": "principal,methods,path\nprod/b,GET,/x\n"},
    "a clause": {"a.policy": POLICY.replace('"grants.csv"', '"grants.csv" when has header.x')},
    "the place of the statement": {"a.policy": POLICY.replace("allow from", "# a comment\n    allow from")},
    "who is in a group": {"members.txt": "prod/b\n"},
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_table_is_lowered_anew_where_it_or_what_it_rests_on_changed(change):
    loader = Loader()
    before = load(loader, FILES)

    after = load(loader, FILES | CHANGED[change])

    assert table_of(after) is not table_of(before)
    fresh = load(Loader(), FILES | CHANGED[change])
    for question in ("prod/a GET /x", "prod/b GET /x"):
        for context in ({}, {"header.x": ("1",)}):
            assert allowed(after, question, context=context) is allowed(fresh, question, context=context)


def test_a_changed_table_is_kept_in_turn():
    loader = Loader()
    load(loader, FILES)
    before = load(loader, FILES | CHANGED["a line"])

    after = load(loader, FILES | CHANGED["a line"])

    assert table_of(after) is table_of(before)
    assert [allowed(after, f"prod/{who} GET /x") for who in "ab"] == [False, True]


def test_of_tables_that_one_service_names_twice_each_is_kept():
    twice = POLICY.replace(
        'allow from "grants.csv"',
        'allow from "grants.csv" when has header.x\n    allow from "grants.csv" when has header.y',
    )
    loader = Loader()
    before = load(loader, FILES | {"a.policy": twice})

    after = load(loader, FILES | {"a.policy": twice})

    def tables(snapshot):
        return [unit for unit in snapshot.units if unit.texts.file == "grants.csv"]

    assert len(tables(after)) == 2
    assert all(one is other for one, other in zip(tables(after), tables(before), strict=True))
    for header in ("header.x", "header.y"):
        assert allowed(after, "prod/a GET /x", context={header: ("1",)})
