"""One layout: it says the same, keeps every comment in its place, and does not change twice."""

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pdp.diagnostics import Source
from pdp.lang import ast, formatter
from pdp.lang.formatter import FormatterBugError, format_source
from pdp.lang.layout import LINE_WIDTH
from pdp.lang.parser import comments, parse, productions
from pdp.lang.printer import print_file
from pdp.lang.tokens import Production, Token
from tests.reference.strategies import policy_sets

EVERYTHING = """language 1
trust domain prod = "prod.example.org"
issuer corp = "https://login.example.com"
group empty = {}
group listed from "listed.txt"
group checkout = { prod/ns/checkout/sa/web, sa prod/checkout/worker except namespace prod/dev and empty }
role reader = { GET, HEAD /v1/**, any "/a,b" }
condition inside = source.ip in { 10.0.0.0/8, ::1 } and not (header.x-a == "\\"#\\"" or has user.sub)
attribute user.level is int
delegate "teams/a" owns service payments, group b, host "*.pay.svc"
service payments observe until 2027-01-31 {
    host "payments.svc"
    paths may have encoded-slash, merged-slashes
    allow from "grants.csv" owner "a"
    allow prod/ns/{team}/sa/* on behalf of corp/*, group corp/x to reader, GET /v1/{team} except /a and /b \
when {team} == user.team and during mon-fri, sun 09:00-17:00 in Europe/Berlin from 2027-01-01
    shadow deny anyone to call a.B/C unless principal in checkout set header x-a = "b" reuse at most 5m
}
service none {}
never prod/ns/dev/** may any /** on payments, none when inside
caller prod/ns/{ns}/sa/{sa} fronts "{sa}.{ns}" may assert itself, a may explain supplies tls, b
test "web may charge" {
    allow prod/ns/a/sa/b on behalf of corp/alice POST payments /v1 with a = { 1, "x" }, b = absent by default
    deny anonymous call payments shop.Cart/Get at 2027-01-01T09:00Z supplying nothing
}
test "none" {}
"""


def _source(text: str) -> Source:
    return Source(path="a.policy", text=text)


def _formatted(text: str) -> str:
    formatted = format_source(_source(text))
    assert formatted.diagnostics == ()
    return formatted.text


def _tokens(text: str) -> list[str]:
    def leaves(node: Production | Token) -> list[str]:
        if isinstance(node, Production):
            return [leaf for child in node.children for leaf in leaves(child)]
        return [str(node)]

    return leaves(productions(_source(text)))


# -- laws ------------------------------------------------------------------------------


@st.composite
def _commented(draw: st.DrawFn, words: list[str]) -> str:
    """The words with white space and comments of any kind between them."""
    gaps = st.one_of(
        st.sampled_from([" ", "\n", "\t", "\n\n\n", " \r\n", "\r"]),
        st.sampled_from(
            [" # behind\n", "#\n", "\n# alone\n", "\n\n  #  two \r\n\n\n# more\n\n", " # a\n # b\n", "\r#c\r"]
        ),
    )
    return "".join(word + draw(gaps) for word in words)


def _check_laws(text: str) -> None:
    source = _source(text)
    once = _formatted(text)

    assert parse(_source(once)).file == parse(source).file
    assert [c.text for c in comments(_source(once))] == [c.text for c in comments(source)]
    assert [c.alone for c in comments(_source(once))] == [c.alone for c in comments(source)]
    assert _neighbours(once) == _neighbours(text)
    assert _formatted(once) == once
    assert not re.search(r"[ \t\r]\n|\n\n\n|\{\n\n|\n\n *\}|\A\n|\n\n\Z", once)
    assert once.endswith("\n")


def _neighbours(text: str) -> list[int]:
    """For each comment, how many words stand before it."""
    source = _source(text)
    found = comments(source)
    blank = list(text)
    for comment in found:
        blank[comment.span.start : comment.span.end] = " " * (comment.span.end - comment.span.start)
    spots = [comment.span.start for comment in found]
    starts: list[int] = []

    def walk(node: Production | Token) -> None:
        if isinstance(node, Production):
            for child in node.children:
                walk(child)
        else:
            starts.append(node.start_pos)

    walk(productions(source))
    return [sum(start < spot for start in starts) for spot in spots]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_every_comment_keeps_its_place_among_the_words(data: st.DataObject) -> None:
    _check_laws(data.draw(_commented(_tokens(EVERYTHING))))


@given(policy_sets(), st.data())
@settings(max_examples=60, deadline=None)
def test_every_policy_set_keeps_its_meaning_and_comments(
    files: tuple[ast.File, ...], data: st.DataObject
) -> None:
    for file in files:
        _check_laws(data.draw(_commented(_tokens(print_file(file)))))


@given(policy_sets())
@settings(max_examples=60, deadline=None)
def test_a_line_is_too_long_only_where_it_is_one_item(files: tuple[ast.File, ...]) -> None:
    for file in files:
        for line in _formatted(print_file(file)).splitlines():
            assert len(line) <= LINE_WIDTH or not re.search(r", | and | or | when | unless ", line)


@given(st.text())
@example("language 1\nallow a to GET /x on")
@settings(deadline=None)
def test_a_file_with_a_mistake_stays_as_it_is(text: str) -> None:
    formatted = format_source(_source(text))

    if parse(_source(text)).diagnostics:
        assert formatted.text == text
        assert formatted.diagnostics == parse(_source(text)).diagnostics


# -- the layout ------------------------------------------------------------------------


def test_what_is_laid_out_already_stays_as_it_is() -> None:
    text = """\
# The payments team.

language 1

trust domain prod = "prod.example.org"  # production
group checkout = { prod/ns/checkout/sa/web, prod/ns/checkout/sa/worker }
group operators = {
    prod/ns/sre/sa/*,  # on call
    prod/ns/platform/sa/deployer,
    # Until the migration is over.
    prod/ns/legacy/sa/cron
    except prod/ns/sre/sa/intern and prod/ns/sre/sa/robot
}
group nobody = {}

role reader = { GET, HEAD /v1/** }
role writer = {
    GET, HEAD /v1/**,
    POST, PUT, PATCH, DELETE /v1/teams/{team}/** except /v1/teams/{team}/secrets/** and /v1/x,
    call payments.v1.Ledger/*
}

delegate "teams/payments" owns
    service payments,
    group billing,
    host "*.payments.shop.svc.cluster.local",
    host "*.payments.example"

service payments observe until 2027-01-31 {
    # Charges.

    host "payments.shop.svc.cluster.local"
    allow checkout to POST /v1/charges as charge-create
    allow prod/ns/web/sa/* on behalf of corp/* to reader
        when user.scope has "reports:read" and inside
        because "JIRA-4711: reporting"
        until 2027-03-31  # asked for twice
    allow prod/ns/checkout/sa/web, prod/ns/checkout/sa/worker, prod/ns/checkout/sa/cron
        on behalf of corp/alice, group corp/admins
        to GET /v1/charges/{id}, GET /v1/teams/{team}/** except /v1/teams/{team}/secrets/**
        when {team} == user.team
            and (
                during mon-fri 09:00-17:00 in Europe/Berlin
                or during sat 10:00-14:00 in Europe/Berlin and user.level >= 5
            )
            and not source.ip in { 10.0.0.0/8, 192.168.0.0/16 }
        # The ticket says why.
        because "JIRA-4712"
    deny anyone to any /admin/** unless principal in operators
    # Nothing else.
}

service empty {}

caller prod/ns/{ns}/sa/{sa} fronts "{sa}.{ns}"
    may assert any principal of prod, itself, claims
    may explain
    supplies source, header, tls, request, user
never prod/ns/dev/** may any /** on payments  # checked at every load
always checkout may POST /v1/charges on payments
    when not during sun 00:00-06:00 in Europe/Berlin and header.x-tenant == "shop" and inside

test "web may charge" {
    allow prod/ns/checkout/sa/web POST payments /v1/charges by charge-create
    deny prod/ns/checkout/sa/web on behalf of corp/alice POST payments /v1/charges
        with source.ip = 10.1.2.3, user.scope = { "a", "b" }, user.level = absent
        at 2027-01-01T09:00Z
        supplying source, user
}
# The end.
"""

    assert _formatted(text) == text


def test_lists_that_do_not_fit_stand_one_item_a_line() -> None:
    accounts = [f"prod/ns/checkout/sa/account-number-{n}" for n in range(4)]
    text = f"""language 1
allow {", ".join(accounts)} except {" and ".join(accounts[:3])} to \
{", ".join(f"GET /v1{p[19:]}" for p in accounts)} \
on behalf, any-other
"""
    text = text.replace("on behalf, ", 'on "behalf", ')

    assert (
        _formatted(text)
        == """\
language 1
allow
        prod/ns/checkout/sa/account-number-0,
        prod/ns/checkout/sa/account-number-1,
        prod/ns/checkout/sa/account-number-2,
        prod/ns/checkout/sa/account-number-3
        except prod/ns/checkout/sa/account-number-0
            and prod/ns/checkout/sa/account-number-1
            and prod/ns/checkout/sa/account-number-2
    to
        GET /v1/account-number-0,
        GET /v1/account-number-1,
        GET /v1/account-number-2,
        GET /v1/account-number-3
    on "behalf", any-other
"""
    )


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("language\n1", "language 1\n"),
        ('language 1\r\n\r\n\r\n# a\r\nissuer a="b"\r\n', 'language 1\n\n# a\nissuer a = "b"\n'),
        ('language 1 issuer a="b"issuer b="c"', 'language 1\nissuer a = "b"\nissuer b = "c"\n'),
        ('language 1\nservice s{host"a"}', 'language 1\nservice s {\n    host "a"\n}\n'),
        ("language 1\nservice s {\n\n\n}\n\n\n", "language 1\nservice s {}\n"),
        ("language 1\nservice s { # a\n}", "language 1\nservice s {  # a\n}\n"),
        ("language 1\ngroup g={\n# a\n}", "language 1\ngroup g = {\n    # a\n}\n"),
        ("language 1\ncondition c=(a)and((b or {d}==e))",
            "language 1\ncondition c = (a) and ((b or {d} == e))\n"),
        ("language 1\ngroup g={a,b\n}\n", "language 1\ngroup g = { a, b }\n"),
        ('language 1\nissuer a =\n"\\\\ \\" #"', 'language 1\nissuer a = "\\\\ \\" #"\n'),
        ("\n\n# a\n\n\n#b\nlanguage 1#c\n#d", "# a\n\n#b\nlanguage 1  #c\n#d\n"),
    ],
)  # fmt: skip
def test_white_space_is_all_that_changes(given_text: str, expected: str) -> None:
    assert _formatted(given_text) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2027-03-31T00:00:00Z", "2027-03-31"),
        ("2027-03-31T09:00:00", "2027-03-31T09:00Z"),
        ("2027-03-31T09:00:30+00:00", "2027-03-31T09:00:30Z"),
        ("2027-03-31T09:00:00+09:00", "2027-03-31T09:00+09:00"),
        ("2027-03-31T00:00:07-03:30", "2027-03-31T00:00:07-03:30"),
    ],
)
def test_instants_are_shortened_and_keep_the_offset_that_the_author_wrote(
    written: str, expected: str
) -> None:
    rule = "language 1\nallow a to GET /x on s from {0} until {0}\nservice s observe until {0} {{}}\n"

    assert _formatted(rule.format(written)) == rule.format(expected)


@pytest.mark.parametrize(("extra", "lines"), [(0, 1), (1, 2)])
def test_a_rule_stands_on_one_line_up_to_the_width_and_no_further(extra: int, lines: int) -> None:
    start = 'allow a to GET /x on s because "'
    rule = start + "x" * (LINE_WIDTH - len(start) - 1 + extra) + '"'

    assert len(rule) == LINE_WIDTH + extra
    assert len(_formatted(f"language 1\n{rule} # and a comment, however long\n").splitlines()) == 1 + lines


def test_comments_between_words_break_lines_and_stay_apart_from_statements() -> None:
    long = "x" * 40
    text = f"""\
language 1
issuer  # whose
    corp = "https://corp.test"
allow  # who
    # them
    a
    to GET /x
    on s
allow b
    to  # what
        GET /x
    on s
deny a to GET /x on s
    when
        # first
        x == 1 and y == 2
    unless
        # this needs two lines
        x == "{long}"
        and y == "{long}"
    until  # when?
    2027-01-01
condition c = a
    and (
        b
        # or else
        or c
        # nothing
    )
group g = {{
    # one
    a
}}
group h = {{  # two
    a,
    b
}}
"""

    assert _formatted(text) == text


# -- our own mistakes ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace("/x", "/y"), "would change what the file says"),
        (lambda text: text.replace("GET", ""), "would change what the file says"),
        (lambda text: text.replace("# why", ""), "would lose or reorder a comment"),
        (lambda text: text.replace("# why", "# not"), "would lose or reorder a comment"),
    ],
)
def test_a_layout_that_says_something_else_is_an_error_and_never_written(
    damage: Callable[[str], str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = formatter._Writer.file
    monkeypatch.setattr(formatter._Writer, "file", lambda self, tree: damage(write(self, tree)))

    with pytest.raises(FormatterBugError, match=message):
        format_source(_source("language 1\nallow a to GET /x on s # why\n"))
