"""Which allows are said to contradict each other, and which are kept apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.compiler.atoms import AUTHENTICATED, EVERYONE, Atom, DnsSuffixAtom, ExactAtom, PatternAtom, SetAtom
from pdp.compiler.overlap import paths_overlap, principals_overlap
from pdp.lang import ast
from tests.docs.sets import load

SET = """language 1
trust domain prod = "prod.example.org"
trust domain other = "other.example.org"
group web = {{ prod/ns/a/sa/one, prod/ns/a/sa/two }}
group shop = {{ prod/ns/b/sa/one, dns shop.example.org }}
group both = {{ web, shop }}
group rest = {{ any principal of prod except web }}
service s {{
    allow {} set header x-a = "1"
    allow {} set header x-a = "2"
}}
"""

APART = {
    "groups of named members": ("web to GET /x", "shop to GET /x"),
    "a member and the group without it": ("prod/ns/a/sa/one to GET /x", "both except web to GET /x"),
    "everybody but the other one": ("prod/ns/a/** to GET /x", "anyone except prod/ns/a/** to GET /x"),
    "a part of what is left out": ("prod/ns/a/sa/* to GET /x", "anyone except prod/** to GET /x"),
    "a group and its complement": ("web to GET /x", "rest to GET /x"),
    "two trust domains": ("any principal of prod to GET /x", "any principal of other to GET /x"),
    "kinds of identity": ("dns *.example.org to GET /x", "*/ns/** to GET /x"),
    "lengths of IDs": ("prod/a/* to GET /x", "prod/a/*/* to GET /x"),
    "an excepted path that covers the other": (
        "anyone to GET /v1/** except /v1/a/**",
        "anyone to GET /v1/a/*",
    ),
    "an excepted path equal to the other": ("anyone to GET /*/a except /v1/a", "anyone to GET /v1/a"),
    "patterns that cross at the excepted one": (
        "prod/ns/a/sa/* except prod/ns/a/sa/one to GET /x",
        "*/*/*/*/one to GET /x",
    ),
    "methods": ("anyone to GET /x", "anyone to POST /x"),
    "paths": ("anyone to GET /x/*", "anyone to GET /x"),
    "dates": ("anyone to GET /x until 2027-01-01", "anyone to GET /x from 2027-01-01"),
}
TOGETHER = {
    "groups with a member in common": ("web to GET /x", "both to GET /x"),
    "a pattern that holds a member": ("web to GET /x", "prod/*/a/** to GET /x"),
    "a part of the group is left out": (
        "prod/ns/a/** to GET /x",
        "anyone except prod/ns/a/sa/one to GET /x",
    ),
    "patterns that cross": ("prod/*/a to GET /x", "prod/b/* to GET /x"),
    "open patterns": ("prod/a/** to GET /x", "*/*/b to GET /x"),
    "an excepted path that covers a part": (
        "anyone to GET /v1/** except /v1/a/b",
        "anyone to GET /v1/a/*",
    ),
    "an exception that binds": (
        "prod/ns/{t}/** to GET /v1/* except /v1/{t}",
        "anyone to GET /v1/x",
    ),
    "dates that touch by a day": (
        "anyone to GET /x until 2027-01-02",
        "anyone to GET /x from 2027-01-01",
    ),
    "conditions": ("anyone to GET /x when has header.x-b", "anyone to GET /x unless has header.x-b"),
}


def codes(one: str, other: str) -> list[str]:
    loaded = load({"a.policy": SET.format(one, other)})
    return [diagnostic.code for diagnostic in loaded.diagnostics]


@pytest.mark.parametrize(("one", "other"), APART.values(), ids=APART.keys())
def test_allows_that_never_meet_do_not_contradict_each_other(one: str, other: str) -> None:
    assert codes(one, other) == []
    assert codes(other, one) == []


@pytest.mark.parametrize(("one", "other"), TOGETHER.values(), ids=TOGETHER.keys())
def test_allows_that_can_meet_contradict_each_other(one: str, other: str) -> None:
    assert codes(one, other) == ["PDP341"]
    assert codes(other, one) == ["PDP341"]


@pytest.mark.parametrize("members", [300, 600])
def test_large_groups_of_named_members_are_told_apart(members: int) -> None:
    one, two = (
        SetAtom(frozenset(ExactAtom(f"spiffe://p/{kind}/{n}") for n in range(members)), frozenset())
        for kind in "ab"
    )

    assert not principals_overlap(one, two)
    assert principals_overlap(one, SetAtom(one.terms | two.terms, frozenset()))


# -- against a small world, in which everything can be tried ---------------------------

IDS = [
    "anonymous", "dns:a.b", "dns:b.b", "spiffe://p/x", "spiffe://p/y", "spiffe://p/x/x", "spiffe://p/x/y",
    "spiffe://p/y/x", "spiffe://q/x", "spiffe://q/x/y", "spiffe://p/x/x/x", "spiffe://p/x/x/y",
]  # fmt: skip


def _holds(atom: Atom, id_: str) -> bool:
    match atom:
        case ExactAtom(id=wanted):
            return id_ == wanted
        case PatternAtom(trust_domain=domain, segments=wanted, open=open_):
            scheme, _, rest = id_.partition("://")
            name, *segments = rest.split("/")
            long_enough = len(segments) == len(wanted) or (open_ and len(segments) > len(wanted))
            fits = all(w in {None, s} for w, s in zip(wanted, segments, strict=False))
            return scheme == "spiffe" and domain in {None, name} and long_enough and fits
        case DnsSuffixAtom(suffix=suffix):
            return id_.startswith("dns:") and id_.endswith(suffix)
        case SetAtom(terms=terms, excluded=excluded):
            return any(_holds(t, id_) for t in terms) and not any(_holds(t, id_) for t in excluded)
        case _:
            return atom == EVERYONE or id_ != "anonymous"


simple = st.one_of(
    st.sampled_from([EVERYONE, AUTHENTICATED, DnsSuffixAtom(".b")]),
    st.sampled_from(IDS[1:]).map(ExactAtom),
    st.builds(
        PatternAtom,
        st.sampled_from(["p", "q", None]),
        st.lists(st.sampled_from(["x", "y", None]), min_size=1, max_size=3).map(tuple),
        st.booleans(),
    ),
)
atoms = st.recursive(
    simple,
    lambda inner: st.builds(SetAtom, st.frozensets(inner, max_size=3), st.frozensets(inner, max_size=2)),
    max_leaves=8,
)


@given(atoms, atoms)
def test_atoms_with_a_principal_in_common_overlap(one: Atom, two: Atom) -> None:
    """Never the other way round: what is not sure counts as overlapping."""
    if any(_holds(one, id_) and _holds(two, id_) for id_ in IDS):
        assert principals_overlap(one, two)


def test_paths_overlap_at_their_trailing_slash() -> None:
    rest, end, a = ast.RestSegments(), ast.LiteralSegment(text=""), ast.LiteralSegment(text="a")

    assert paths_overlap((a, rest), (a, end))
    assert not paths_overlap((a,), (a, end))


@pytest.mark.parametrize(
    ("platform", "own", "found"),
    [
        ("/x on any service 1, /* on any service 2", "", 1),
        ("/x on any service 1", "/** 2", 1),
        ("/x on any service 1", "/** 2, /* 2", 2),
        ("/x on s 1, /* on any service 2", "", 1),
        ("/x on t 1, /* on s 2", "", 0),
        ("/x on t 1", "/** 2", 0),
        ("/x on any service 1", "/** 1", 0),
    ],
)
def test_rules_on_every_service_meet_those_of_each(platform: str, own: str, found: int) -> None:
    def rules(said: str) -> str:
        each = (rule.strip().rpartition(" ") for rule in said.split(",") if rule)
        return "\n".join(
            f'allow anyone to GET {where} set header x-a = "{value}"' for where, _, value in each
        )

    text = f"language 1\nservice s {{\n{rules(own)}\n}}\nservice t {{}}\n{rules(platform)}\n"

    assert [d.code for d in load({"a.policy": text}).diagnostics] == ["PDP341"] * found


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ('set header x-a = ""', "remove header x-a", ["PDP341"]),
        ("remove header x-a", "remove header x-a", []),
        ('set header x-a = "1"', 'set header x-b = "2"', []),
        ("reuse at most 1s", "reuse at most 2s", []),
        ('set header x-a = "1" reuse at most 1s', 'set header x-a = "1" reuse at most 2s', []),
    ],
)
def test_what_two_allows_demand_of_one_header_is_compared(one: str, other: str, found: list[str]) -> None:
    elsewhere = 'allow anyone to GET /x/y set header x-a = "3" set header x-b = "3"'
    rules = f"allow anyone to GET /x {one}\nallow anyone to GET /* {other}\n{elsewhere}"
    text = f"language 1\nservice s {{\n{rules}\n}}\n"

    assert [d.code for d in load({"a.policy": text}).diagnostics] == found


@pytest.mark.parametrize("effect", ["deny", "shadow allow"])
def test_of_a_rule_that_can_demand_nothing_no_more_than_that_is_said(effect: str) -> None:
    rules = f'{effect} anyone to GET /x set header x-a = "1"\nallow anyone to GET /x set header x-a = "2"'
    text = f"language 1\nservice s {{\n{rules}\n}}\n"

    assert [d.code for d in load({"a.policy": text}).diagnostics] == ["PDP338"]


def test_a_rule_that_contradicts_itself_is_shown_where_it_does() -> None:
    headers = 'set header x-a = "1" set header x-a = "2" set header x-b = "1" reuse at most 1s'
    other = 'allow anyone to GET /* set header x-a = "3"'
    text = f"language 1\nservice s {{ allow anyone to GET /x {headers}\n{other} }}\n"

    (found,) = load({"a.policy": text}).diagnostics

    assert found.span.start == text.index('x-a = "2"')
