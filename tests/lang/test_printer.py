"""Printing is the inverse of parsing, and equal rules are equal text."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pdp.diagnostics import Source, Span
from pdp.lang import ast
from pdp.lang.ast import AssertionKind, Expectation, OwnedKind, SpiffeForm, UserKind
from pdp.lang.hidden import hidden_characters
from pdp.lang.parser import parse
from pdp.lang.patterns import duration, instant
from pdp.lang.print_words import NotWritableError, print_duration, print_instant
from pdp.lang.printer import print_expr, print_file, print_rule, print_target, print_term
from pdp.vocabulary import Effect
from tests.reference.strategies import policy_sets

T = TypeVar("T")

SPAN = Span(file="a.policy", start=0, end=0)


def _parsed(text: str) -> ast.File:
    parsed = parse(Source(path="a.policy", text=text))
    assert parsed.diagnostics == ()
    return parsed.file


def _rule(text: str) -> ast.Rule:
    (item,) = _parsed(f"language 1\n{text}").items
    assert isinstance(item, ast.Rule)
    return item


def _expr(text: str) -> ast.Expr:
    (item,) = _parsed(f"language 1\ncondition c = {text}").items
    assert isinstance(item, ast.ConditionDecl)
    return item.expr


# -- what the generator of the reference tests does not generate ------------------------

texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"]).filter(
        lambda c: c >= " " and not hidden_characters(Source(path="x", text=c))
    ),
    max_size=12,
)
names = st.sampled_from(["a", "b-c", "d.e_f", "x1", "when", "to", "any"]).map(
    lambda text: ast.Name(text=text, span=SPAN)
)
declared = st.sampled_from(["a", "b-c", "d.e_f"]).map(lambda text: ast.Name(text=text, span=SPAN))
services = st.one_of(
    st.just(ast.AnyService(span=SPAN)),
    st.one_of(names, texts.map(lambda text: ast.Name(text=text, span=SPAN))).map(lambda name: (name,)),
    st.lists(names, min_size=1, max_size=3).map(tuple),
)
seconds = st.integers(
    round(datetime(1, 1, 2, tzinfo=UTC).timestamp()), round(datetime(9999, 12, 30, tzinfo=UTC).timestamp())
)
instants = st.one_of(seconds, st.integers(20_000, 30_000).map(lambda days: days * 86_400)).map(
    lambda s: s * 1000
)
durations = st.builds(int.__mul__, st.integers(0, 999_999_999), st.sampled_from([1, 1000, 60_000, 3_600_000]))
principals = st.sampled_from(
    [
        "prod/ns/{a}/sa/*", "sa prod/web/frontend", "namespace prod/{ns}", '"spiffe://prod.test/a/**"',
        "*/a/b", "dns db.example.org", "dns *.example.org", 'dns "xn--a.test"', "any principal of prod",
        "any authenticated", "anyone", "staff",
    ]
).map(lambda text: _rule(f"allow {text} to any /x on any service").principals.terms[0])  # fmt: skip
users = st.one_of(
    st.just(ast.UserPattern(kind=UserKind.ANY, issuer="", name="", span=SPAN)),
    st.just(ast.UserPattern(kind=UserKind.ISSUER, issuer="corp", name="", span=SPAN)),
    st.builds(
        ast.UserPattern,
        kind=st.sampled_from([UserKind.SUBJECT, UserKind.GROUP]),
        issuer=st.just("corp"),
        name=texts.filter(lambda text: text and not set(text) & set("*{")),
        span=st.just(SPAN),
    ),
)
values = st.one_of(
    st.builds(ast.StringValue, value=texts, span=st.just(SPAN)),
    st.builds(ast.IntValue, value=st.integers(-(1 << 63), (1 << 63) - 1), span=st.just(SPAN)),
    st.builds(ast.BoolValue, value=st.booleans(), span=st.just(SPAN)),
    st.builds(
        ast.AddressValue,
        text=st.one_of(
            st.ip_addresses().map(str),
            st.sampled_from(["10.0.0.0/8", "::/0", "fe80::/10", "::ffff:10.1.2.3"]),
        ),
        span=st.just(SPAN),
    ),
)
targets = st.sampled_from(
    [
        "GET /a",
        "any /a/{b}/**/*.png except /a/c* and /a/d/",
        'PUT, X-Y "/a,b/(c)"',
        "call a.B/C",
        "call B/*",
        "reader",
    ]
).map(lambda text: _rule(f"allow a to {text} on any service").targets[0])
exprs = st.sampled_from(
    [
        "a",
        "not (a or b) and c",
        "x == 1 or y in { ::1, 10.0.0.0/8 }",
        "during mon, wed-sun 00:00-24:00 in UTC",
    ]
).map(_expr)
obligations = st.one_of(
    st.builds(
        ast.HeaderObligation,
        header=st.sampled_from(["x-a", "x-b"]),
        value=st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9),
        span=st.just(SPAN),
    ),
    st.builds(ast.ReuseLimit, millis=durations, span=st.just(SPAN)),
)
clauses = st.builds(
    ast.Clause,
    when=st.none() | exprs,
    unless=st.none() | exprs,
    valid_from=st.none() | instants,
    until=st.none() | instants,
    because=st.none() | texts,
    owner=st.none() | texts,
    name=st.none() | declared,
    obligations=st.lists(obligations, max_size=3).map(tuple),
)


def _tuples(items: st.SearchStrategy[T], least: int = 1) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(items, min_size=least, max_size=3).map(tuple)


def _node(kind: Callable[..., T], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[T]:
    return st.builds(kind, span=st.just(SPAN), **fields)


principal_sets = _node(ast.PrincipalSet, terms=_tuples(principals), excluded=_tuples(principals, 0))
service_items = st.one_of(
    _node(ast.Host, name=texts),
    _node(ast.RelaxationClause, names=_tuples(names)),
    _node(ast.BulkGrants, file=texts, clause=clauses),
    _node(
        ast.Rule,
        effect=st.sampled_from(Effect),
        shadow=st.booleans(),
        principals=principal_sets,
        users=_tuples(users, 0),
        targets=_tuples(targets),
        services=st.none() | services,
        clause=clauses,
    ),
)
test_cases = _node(
    ast.TestCase,
    effect=st.sampled_from(Effect),
    principal=st.none()
    | principals.filter(lambda term: isinstance(term, ast.PrincipalPattern | ast.DnsPattern)),
    user=st.none() | users,
    method=st.sampled_from(["GET", "X-Y_1"]),
    service=declared,
    # The path of one request: what a pattern would say is a mistake there.
    path=st.one_of(
        st.sampled_from(["/", "/a/b", "/a=b", "/a/b{c", "a"]),
        texts.filter(lambda text: not set(text) & set("*{")),
    ),
    context=_tuples(st.tuples(names, st.none() | _tuples(values)), 0),
    at=st.none() | instants,
    supplying=st.none() | _tuples(names, 0),
    expectation=st.sampled_from(Expectation),
    rule=declared,
).map(lambda case: case if case.expectation is Expectation.RULE else replace(case, rule=None))
owned = st.builds(ast.Owned, kind=st.sampled_from(OwnedKind), name=declared)
assertions = st.builds(ast.Assertion, what=st.sampled_from(AssertionKind) | principals)
kinds = st.sampled_from(["jwt-svid", "xfcc", "x"]).map(lambda text: ast.Name(text=text, span=SPAN))
items = st.one_of(
    _node(ast.IssuerDecl, name=declared, url=texts),
    _node(ast.TrustDomainDecl, name=declared, domain=texts),
    _node(ast.GroupDecl, name=declared, members=principal_sets),
    _node(
        ast.GroupDecl,
        name=declared,
        members=st.just(ast.PrincipalSet(terms=(), excluded=(), span=SPAN)),
        file=st.none() | texts,
    ),
    _node(ast.RoleDecl, name=declared, targets=_tuples(targets)),
    _node(ast.Delegation, directory=texts, owned=_tuples(owned)),
    _node(
        ast.Callers,
        who=_tuples(principals),
        services=services,
        assertions=_tuples(assertions, 0),
        presents=_tuples(st.builds(ast.Presented, kinds=_tuples(kinds), principals=_tuples(principals)), 0),
        user_tokens=_tuples(names, 0),
        explain=st.booleans(),
        supplies=_tuples(names, 0),
    ),
    _node(
        ast.Invariant,
        always=st.booleans(),
        principals=principal_sets,
        users=_tuples(users, 0),
        targets=_tuples(targets),
        services=services,
        when=st.none() | exprs,
    ),
    _node(ast.TestBlock, name=texts, cases=_tuples(test_cases, 0)),
    _node(
        ast.ServiceBlock, name=declared, observe_until=st.none() | instants, items=_tuples(service_items, 0)
    ),
)


@given(policy_sets())
@settings(deadline=None)
def test_a_printed_policy_set_reads_back_as_itself(files: tuple[ast.File, ...]) -> None:
    for file in files:
        parsed = parse(Source(path=file.path, text=print_file(file)))

        assert parsed.diagnostics == ()
        assert parsed.file == file


@given(_tuples(items, 0))
@settings(deadline=None)
def test_every_other_statement_reads_back_as_itself(statements: tuple[ast.Item, ...]) -> None:
    file = ast.File(path="a.policy", items=statements)

    assert _parsed(print_file(file)) == file


# -- how things are spelled ------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "allow sa prod/web/frontend to call shop.Cart/Get on any service",
        "shadow deny namespace prod/{ns} on behalf of group corp/x, any user to any /** on a, b",
        'allow dns *.a.test to GET, HEAD /v*/{a}/**/*.png except /v1/** and "/a,b" on "any", "behalf"',
        'allow "spiffe://a.test/x/**" to r on any service when not (a or b) and (c or d) until 2027-03-31',
        'allow a, b except c and d to GET / on s from 2027-01-01T09:00Z because "say \\"\\\\\\"" as n.1',
        'allow a to GET / on s set header x-a = "b" remove header x-c reuse at most 5m owner "me"',
        'allow a to GET / on s set header x-a = "" because "" owner ""',
        "deny a to GET / on s unless x in { fe80::1, -1, true } and {a} != {b} and y has 1 or has z",
        "deny a to GET / on s when during daily 00:00-24:00 in UTC or during mon, wed-fri 09:05-17:00 in A/B",
        "deny a to GET / on s when principal in sa prod/a/b or not not 1 == x and y >= ::1",
    ],
)
def test_a_rule_in_its_canonical_spelling_is_printed_as_it_was_written(text: str) -> None:
    file = _parsed(f"language 1\n{text}")

    assert print_file(file) == f"language 1\n\n{text}\n"


def test_a_file_is_printed_one_statement_a_line_with_blank_lines_between_kinds() -> None:
    text = (
        'language 1\n\ntrust domain a = "a.test"\ntrust domain b = "b.test"\n\ngroup g = {}\n'
        'group h from "h.txt"\n\nservice s observe until 2027-01-31 {\n    host "s"\n}\n\nservice t {}\n'
    )

    assert print_file(_parsed(text)) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("allow sa prod/a/b to GET /x on s", "allow prod/ns/a/sa/b to GET /x on s"),
        ("allow namespace prod/a to GET /x on s", "allow prod/ns/a/sa/* to GET /x on s"),
        ("allow a to call b.C/D on s", "allow a to POST /b.C/D on s"),
        ('allow a to GET "/x" on "s"', "allow   a to\nGET /x on s  # why"),
        (
            "deny a to GET /x on s when principal in sa p/a/b",
            "deny a to GET /x on s when principal in p/ns/a/sa/b",
        ),
        ("deny a to GET /x on s when (a or (b or c))", "deny a to GET /x on s when a or b or c"),
        ("allow a to GET /x on s until 2027-01-01", "allow a to GET /x on s until 2027-01-01T01:00+01:00"),
        ("allow a to GET /x on s reuse at most 60s", "allow a to GET /x on s reuse at most 1m"),
    ],
)
def test_equal_rules_are_one_line_of_equal_text(one: str, other: str) -> None:
    assert _rule(one) == _rule(other)
    assert print_rule(_rule(one)) == print_rule(_rule(other))
    assert "\n" not in print_rule(_rule(one))


def test_a_quoted_id_is_never_printed_as_an_alias() -> None:
    """An alias `prod` and a trust domain that is called `prod` are not the same."""
    quoted, alias = (_rule(f"allow {term} to GET /x on s") for term in ('"spiffe://prod/a"', "prod/a"))

    assert print_rule(quoted) != print_rule(alias)


def test_a_form_that_does_not_fit_the_segments_is_printed_as_the_path_it_is() -> None:
    segments = (ast.LiteralSegment(text="ns"), ast.RestSegments())
    term = ast.PrincipalPattern(
        trust_domain="prod", segments=segments, form=SpiffeForm.SERVICE_ACCOUNT, span=SPAN
    )
    path = ast.PathPattern(segments=(ast.LiteralSegment(text="not-a-call"),), span=SPAN)

    assert print_term(term) == "prod/ns/**"
    assert print_target(ast.Target(methods=("POST",), path=path, call=True, span=SPAN)) == "POST /not-a-call"


@pytest.mark.parametrize("text", ["a or b and c", "not (a and b)", "(a or b) and not c", "not a == b"])
def test_brackets_stand_only_where_they_mean_something(text: str) -> None:
    assert print_expr(_expr(f"({text})")) == text


@pytest.mark.parametrize("character", ["\n", "\r", "\t", "\x00", "\x7f"])
def test_text_that_the_language_cannot_write_is_an_error_and_not_another_text(character: str) -> None:
    item = ast.IssuerDecl(name=ast.Name(text="a", span=SPAN), url=f"a{character}b", span=SPAN)

    with pytest.raises(NotWritableError, match="no line breaks or other control characters"):
        print_file(ast.File(path="a.policy", items=(item,)))


@pytest.mark.parametrize(
    ("written", "shortest"),
    [
        ("2027-03-31", "2027-03-31"),
        ("2027-03-31T00:00:00Z", "2027-03-31"),
        ("2027-03-31T00:00", "2027-03-31"),
        ("2027-03-31T00:00:30Z", "2027-03-31T00:00:30Z"),
        ("2027-01-01T09:00:00", "2027-01-01T09:00Z"),
        ("2027-01-01T09:00+01:00", "2027-01-01T08:00Z"),
        ("0001-01-01T00:00+14:00", "0001-01-01T09:59+23:59"),
        ("9999-12-31T23:00-02:00", "9999-12-31T01:01-23:59"),
        ("0999-01-01", "0999-01-01"),
    ],
)
def test_instants_are_printed_in_their_shortest_form(written: str, shortest: str) -> None:
    assert print_instant(instant(written)) == shortest
    assert instant(shortest) == instant(written)


@given(instants)
@settings(deadline=None)
def test_every_instant_reads_back(millis: int) -> None:
    assert instant(print_instant(millis)) == millis


@given(durations)
@settings(deadline=None)
def test_every_duration_reads_back(millis: int) -> None:
    assert duration(print_duration(millis)) == millis
