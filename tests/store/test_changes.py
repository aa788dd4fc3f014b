"""What the line about a saved edit says: nothing that changes an answer is called no change."""

import pytest

from pdp.store.bundle import make_bundle
from pdp.store.changes import changes
from pdp.store.loader import Loader
from tests.docs.sets import NOW

HEAD = """language 1
trust domain prod = "prod.example.org"
issuer corp = "https://login.example.com"
group web = { prod/a, prod/b }
condition inside = source.ip in 10.0.0.0/8
role reader = { GET /r }
caller prod/pep fronts s may assert any principal of prod
"""
RULES = """service s {
    allow web to GET /x
    allow prod/c to GET /y when inside as cond
    deny prod/d to any /**
    allow anyone to reader
}
"""


def said(old, new, *, anew=False):
    """What is said of an edit of either file; texts are replaced as in `OLD => NEW`."""
    loader = Loader()
    before = loader.load(files(""), now=NOW).snapshot
    if anew:
        loader._compilation._start_anew()
    loaded = loader.load(files(old, new), now=NOW)
    assert before is not None
    assert loaded.snapshot is not None, loaded.diagnostics
    return str(changes(before, loaded.snapshot))


def files(old, new=""):
    both = {"a.policy": HEAD, "b.policy": "language 1\n" + RULES}
    assert any(old in text for text in both.values())
    return make_bundle(
        {name: text.replace(old, new, 1).encode() if old else text.encode() for name, text in both.items()}
    )


EDITS = {
    "an allow more": ("allow web", "allow prod/e to GET /e\n    allow web", "1 granted, 0 revoked"),
    "an allow less": ("allow web to GET /x\n", "\n", "0 granted, 1 revoked"),
    "a deny more": ("allow web", "deny prod/e to GET /e\n    allow web", "0 granted, 1 revoked"),
    "a deny less": ("deny prod/d to any /**\n", "\n", "1 granted, 0 revoked"),
    "a group with a member more": ("prod/b }", "prod/b, prod/z }", "1 granted, 0 revoked"),
    "a group with a member less": ("{ prod/a, prod/b }", "{ prod/a }", "0 granted, 1 revoked"),
    "a group with other members": ("{ prod/a, prod/b }", "{ prod/a, prod/z }", "1 granted, 1 revoked"),
    "another condition": ("source.ip in 10.0.0.0/8", "has source.ip or has tls.sni", "1 granted, 1 revoked"),
    "a condition less": (" when inside", "", "1 granted, 0 revoked"),
    "a condition more": ("to GET /x", "to GET /x when inside", "0 granted, 1 revoked"),
    "an exception": ("to any /**", "to any /** except /open", "1 granted, 0 revoked"),
    "a date": ("to GET /x", "to GET /x until 2030-01-01", "0 granted, 1 revoked"),
    "users": ("to GET /x", "on behalf of any user to GET /x", "0 granted, 1 revoked"),
    "a role": ("{ GET /r }", "{ GET /r, PUT /r }", "1 granted, 0 revoked"),
    "methods": ("GET /x", "GET, PUT /x", "1 granted, 1 revoked"),
    "a name alone": ("as cond", "as other", "no rule changed"),
    "a comment": ("service s {", "# here\nservice s {", "no rule changed"),
    "a shadow rule": ("allow web", "shadow deny anyone to any /**\n    allow web", "no rule changed"),
    "observing": ("service s {", "service s observe until 2030-01-01 {", "`s` is observed"),
    "another reading": (
        "service s {", "service s { paths may have merged-slashes", "paths of `s` are read in other ways",
    ),
    "a service more": ("service s {", "service t {}\nservice s {", "`t` is new"),
    "a caller more": ("caller prod/pep", "caller prod/q fronts s\ncaller prod/pep", "callers changed"),
    "a right more": ("any principal of prod\n", "any principal of prod may explain\n", "callers changed"),
    "evidence more": (
        "any principal of prod\n", "any principal of prod may present xfcc of prod/a\n", "callers changed",
    ),
    "users more": (
        "any principal of prod\n",
        "any principal of prod may present user-token of corp\n",
        "callers changed",
    ),
    "a host": ("service s {", 'service s { host "s.example.org"', "hosts changed"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line"), EDITS.values(), ids=EDITS.keys())
def test_an_edit_is_told_as_what_it_is(old, new, line):
    assert said(old, new) == line


@pytest.mark.parametrize(("old", "new", "line"), EDITS.values(), ids=EDITS.keys())
def test_the_same_where_all_numbers_were_given_anew(old, new, line):
    assert said(old, new, anew=True) == line


def test_several_things_are_told_at_once_and_few_are_named():
    new = "".join(f"service t{n} observe until 2030-01-01 {{}}\n" for n in range(5))

    assert said("service s {", f"{new}service s observe until 2030-01-01 {{ allow prod/z to GET /z") == (
        "1 granted, 0 revoked, `t0`, `t1`, `t2` and 2 more are new, `s` is observed"
    )


def test_an_observation_ends_or_moves():
    loader = Loader()
    texts = [f"language 1\nservice s {until}{{}}" for until in (
        "observe until 2030-01-01 ", "observe until 2031-01-01 ", "",
    )]  # fmt: skip
    first, second, third = (
        loader.load(make_bundle({"a.policy": text.encode()}), now=NOW).snapshot for text in texts
    )

    assert str(changes(first, second)) == "`s` is observed until another date"
    assert str(changes(second, third)) == "`s` is no longer observed"
