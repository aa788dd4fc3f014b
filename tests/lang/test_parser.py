"""Whatever the text, the parser answers with statements and diagnostics, soon."""

import random
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pdp.diagnostics import Source, escape, render
from pdp.lang import ast
from pdp.lang.hidden import hidden_characters
from pdp.lang.parsed import Parsed
from pdp.lang.parser import comments, parse
from pdp.lang.printer import print_file
from pdp.limits import MAX_ERRORS_PER_FILE, MAX_EXPRESSION_DEPTH, MAX_FILE_BYTES, MAX_REREAD_CHARS
from tests.reference.strategies import policy_sets

EXAMPLE = """language 1

trust domain prod = "prod.example.org"
group checkout = { prod/ns/checkout/sa/web, sa prod/checkout/worker except namespace prod/dev }
role reader = { GET /v1/**, HEAD /v1/** }   # a comment
condition inside = source.ip in { 10.0.0.0/8, ::1 } and not (header.x-a == "\\"#\\"" or has user.sub)
attribute user.level is int
delegate "teams/a" owns service payments, group b, host "*.pay.svc"

service payments observe until 2027-01-31 {
    host "payments.svc"
    paths may have encoded-slash, merged-slashes
    allow from "grants.csv" owner "a"
    allow prod/ns/{team}/sa/* on behalf of corp/*, group corp/x
        to GET, POST /v1/{team}/** except /v1/{team}/s/**
        when {team} == user.team and during mon-fri 09:00-17:00 in Europe/Berlin
        because "why" until 2027-03-31
    shadow deny anyone to any /admin/** unless principal in checkout set header x-a = "b" reuse at most 5m
}
never prod/ns/dev/** may any /** on payments when inside
caller prod/ns/{ns}/sa/{sa} fronts "{sa}.{ns}"
    may assert any principal of prod, itself may explain supplies source
test "web may charge" {
    allow prod/ns/a/sa/b on behalf of corp/alice POST payments /v1 with a = { 1, "x" }, b = absent by default
    deny anonymous call payments shop.Cart/Get at 2027-01-01T09:00Z supplying nothing
}
"""


def _parse(text: str) -> Parsed:
    return parse(Source(path="a.policy", text=text))


def _rendered(text: str) -> str:
    source = Source(path="a.policy", text=text)
    return "\n".join(render(diagnostic, {"a.policy": source}) for diagnostic in parse(source).diagnostics)


def _check_total(text: str) -> None:
    """Every diagnostic lies in the file and can be shown; a file without any can be printed."""
    source = Source(path="a.policy", text=text)
    parsed = parse(source)
    for diagnostic in parsed.diagnostics:
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text)
        shown = render(diagnostic, {"a.policy": source}).replace("\n", "")
        assert shown == escape(shown)
        assert re.fullmatch(r"PDP\d{3}", diagnostic.code)
    if not parsed.diagnostics:
        assert parse(Source(path="a.policy", text=print_file(parsed.file))).file == parsed.file


def test_the_example_says_something_of_everything() -> None:
    parsed = _parse(EXAMPLE)

    assert parsed.diagnostics == ()
    assert [type(item).__name__ for item in parsed.file.items] == [
        "TrustDomainDecl", "GroupDecl", "RoleDecl", "ConditionDecl", "AttributeDecl", "Delegation",
        "ServiceBlock", "Invariant", "Callers", "TestBlock",
    ]  # fmt: skip


# -- any text whatever -----------------------------------------------------------------


@given(st.text())
@example("\x00")
@example("language 1\n\x00")
@example('language 1 "\\')
@example("\ufefflanguage 1")
@example("language 1\rdeny")
@example("language 1\n\u2028allow")
@example("# only a comment")
@example("language 1 }")
@settings(deadline=None)
def test_any_text_yields_statements_or_diagnostics(text: str) -> None:
    _check_total(text)


_PIECES = [
    *re.findall(r'"[^"]*"|[^\s"]+|\s+', EXAMPLE),
    "{",
    "}",
    "(",
    ")",
    '"',
    "#",
    "\\",
    "\x00",
    "é",
    "\u202e",
]


@given(st.lists(st.sampled_from(_PIECES), max_size=40).map(" ".join))
@settings(deadline=None)
def test_any_soup_of_words_yields_statements_or_diagnostics(text: str) -> None:
    _check_total(f"language 1\n{text}")


@given(st.randoms(use_true_random=False), st.integers(1, 6))
@settings(deadline=None)
def test_any_damage_to_a_file_yields_statements_or_diagnostics(rng: random.Random, edits: int) -> None:
    text = EXAMPLE
    for _ in range(edits):
        start = rng.randrange(len(text))
        end = min(len(text), start + rng.randrange(12))
        text = text[:start] + rng.choice(["", text[start:end] * 2, rng.choice(_PIECES), "\n"]) + text[end:]

    _check_total(text)


@given(policy_sets(), st.data())
@settings(max_examples=30, deadline=None)
def test_a_file_that_is_cut_off_yields_statements_or_diagnostics(
    files: tuple[ast.File, ...], data: st.DataObject
) -> None:
    text = print_file(files[0])

    _check_total(text[: data.draw(st.integers(0, len(text)))])


_MILLION = 1_000_000

EXTREMES = {
    "nested brackets": f"language 1\ncondition a = {'(' * 100_000}x{')' * 100_000}",
    "unbalanced brackets": f"language 1\ncondition a = {'(' * 100_000}x",
    "negations": f"language 1\ncondition a = {'not ' * 100_000}x",
    "brackets with something in each": f"language 1\ncondition a = {'(' * 50_000}x{' or y)' * 50_000}",
    "brackets around brackets": f"language 1\ncondition a = {' and '.join(['(' * 40 + 'x' + ')' * 40] * 99)}",
    "braces": "language 1\n" + "{" * 100_000,
    "closing braces": "language 1\n" + "}" * 100_000,
    "open blocks": "language 1\n" + "service a {\n" * 50_000,
    "mistakes inside words": "language 1\nservice a {\n" + "allow anyone to any /%zz\n" * 20_000 + "}",
    "mistakes between words": "language 1\nservice a {\n" + "allow anyone o any /x\n" * 20_000 + "}",
    "mistakes at the end": "language 1\n" + "deny anyone to any /x on s\n" * 10_000 + "deny x\n" * 100,
    "NUL": "\x00" * _MILLION,
    "one long line of text": f'language 1\nissuer a = "{"x" * _MILLION}"',
    "one long word": f"language 1\ncondition a = {'x' * _MILLION}",
    "one long comment": f"language 1 #{'x' * _MILLION}",
    "quotes": "language 1 " + '"' * 100_000,
    "backslashes": 'language 1\nissuer a = "' + "\\" * 100_001,
    "no statement at all": "x\n" * 100_000,
    "a long path": f"language 1\nallow anyone to GET {'/a' * 100_000} on any service",
    "a long pattern": f"language 1\nallow a{'/{a}' * 100_000}",
    "a long list": f"language 1\ngroup g = {{ {', '.join(['a'] * 50_000)} }}",
    "spaces": "language 1" + " " * _MILLION + "x",
    "empty lines": "language 1" + "\n" * _MILLION + "x",
}


@pytest.mark.parametrize("text", EXTREMES.values(), ids=EXTREMES.keys())
def test_no_text_takes_long(text: str) -> None:
    """Seconds, where quadratic time would be minutes."""
    began = time.thread_time()

    _parse(text)

    assert time.thread_time() - began < 20


# -- mistakes --------------------------------------------------------------------------


def test_several_mistakes_are_reported_at_once_and_the_rest_is_kept() -> None:
    text = (
        "language 1\n"
        "allow a too GET /x on s\n"
        "allow a to GET /x on s\n"
        "group g = { a,, b }\n"
        "deny a to GET /x//y on s\n"
        "deny b to GET /x on s\n"
    )

    parsed = _parse(text)

    source = Source(path="a.policy", text=text)
    assert [source.position(found.span.start)[0] for found in parsed.diagnostics] == [2, 4, 5]
    assert [type(item).__name__ for item in parsed.file.items] == ["Rule", "Rule"]
    assert parsed.damaged == {"g"}


def test_a_mistake_in_a_block_costs_one_statement() -> None:
    parsed = _parse(
        "language 1\nservice s {\n    allow a to GET /x\n    allow b two GET /x\n    deny c to GET /x\n}\n"
    )

    (block,) = parsed.file.items
    assert isinstance(block, ast.ServiceBlock)
    assert [type(item).__name__ for item in block.items] == ["Rule", "Rule"]
    assert len(parsed.diagnostics) == 1


MISTAKES = {
    "between words": ("allow a two GET /x on s\n", "PDP101"),
    "inside words": ("allow a to GET /%zz on s\n", "PDP303"),
    "hidden": ("# \u200b\n", "PDP110"),
}


@pytest.mark.parametrize(("line", "code"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_list_of_mistakes_ends_at_its_bound_and_says_so(line: str, code: str) -> None:
    at_the_bound = _parse("language 1\n" + line * MAX_ERRORS_PER_FILE + "deny b to GET /x on s\n")
    beyond = _parse("language 1\n" + line * (MAX_ERRORS_PER_FILE + 1))

    assert [found.code for found in at_the_bound.diagnostics] == [code] * MAX_ERRORS_PER_FILE
    assert len(at_the_bound.file.items) == 1
    assert [found.code for found in beyond.diagnostics] == [code] * MAX_ERRORS_PER_FILE + ["PDP920"]


def test_the_names_of_a_file_that_is_given_up_are_not_unknown() -> None:
    parsed = _parse("language 1\ngroup a = { b }\n" + "allow a two GET /x on s\n" * 60 + "service s {}\n")

    assert parsed.file.items == ()
    assert {"a", "s"} <= parsed.damaged


def test_a_large_file_is_not_read_again_for_ever() -> None:
    """Each syntax error at the end of a file costs one more reading of the whole."""
    rule = "deny anyone to any /x\n"
    text = (
        "language 1\n"
        + f"# {rule * 20}".replace("\n", " ") * (MAX_FILE_BYTES // 500)
        + "\n"
        + "deny a\n" * 40
    )

    found = _parse(text).diagnostics

    *mistakes, last = found
    assert MAX_REREAD_CHARS // len(text) <= len(mistakes) <= MAX_REREAD_CHARS // len(text) + 1 < 40
    assert last.code == "PDP920"


SLIPS = {
    "misspelt": lambda word: f"{word[0]}q{word[1:]}",
    "in another alphabet": lambda word: f"\u0430{word[1:]}",
    "with a semicolon": lambda word: f"{word};",
    "in front of a bracket": lambda word: f"({word}",
}


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS.keys())
def test_one_slip_in_one_word_is_told_once(slip: Callable[[str], str]) -> None:
    """Whatever the word: no statement before or after it is drawn into the mistake."""
    told = 0
    for match in re.finditer(r"[^\s{}#\"]+", EXAMPLE):
        text = EXAMPLE[: match.start()] + slip(match[0]) + EXAMPLE[match.end() :]
        found = _parse(text).diagnostics

        told += len(found)
        lines = {text.count("\n", 0, diagnostic.span.start) for diagnostic in found}
        assert len(lines) <= 1, f"{slip(match[0])}: {_rendered(text)}"
        assert sum(diagnostic.code == "PDP101" for diagnostic in found) <= 1, _rendered(text)
    assert told > 100


BLOCKS = {
    "a declaration in a block": (
        "service s {\n    group g = { a }\n    allow g to GET /x\n}\n",
        [(3, "`group` stands outside of blocks")],
        1,
    ),
    "a block in a block": (
        "service s {\n    service t {\n        allow a to GET /x\n    }\n    deny a to GET /x\n}\n",
        [(3, "`service` stands outside of blocks")],
        1,
    ),
    "a block that is not closed": (
        "service s {\n    allow a to GET /x\n\n# t\nservice t {\n    allow a to GET /x\n}\n",
        [(6, "`service s` on line 2 opens a block that is not closed: write `}`")],
        2,
    ),
    "the same without indentation": (
        "service s {\nallow a to GET /x\nservice t {\nallow a to GET /x\n}\n",
        [(4, "`service s` on line 2 opens a block that is not closed: write `}`")],
        2,
    ),
    "a declaration in a block without indentation": (
        "service s {\ngroup g = { a }\nallow g to GET /x\n}\n",
        [(3, "`group` stands outside of blocks")],
        1,
    ),
    "the last block is not closed": (
        "service s {\n    allow a to GET /{b}\n",
        [(3, "`service s` on line 2 opens a block that is not closed: write `}`")],
        1,
    ),
    "a block without its brace": (
        "service s\n    allow a to GET /x\n}\nservice t {}\n",
        [(3, "expected `observe` or `{`")],
        2,
    ),
    "blocks without any brace": (
        "service s\n    allow a to GET /x\n\nservice t\n    allow a to GET /x\n",
        [(3, "expected `observe` or `{`"), (6, "expected `observe` or `{`")],
        2,
    ),
    "a list that is not closed": (
        "group g = {\n    a,\n\nrole r = { GET /x }\n",
        [(5, "`group g` on line 2 opens a block that is not closed: write `}`")],
        1,
    ),
    "a brace too many": ("service s {\n}\n}\nservice t {}\n", [(4, "no block is open here")], 2),
    "a brace within a line": (
        "service s {\n    allow a to GET /x when \u0430} == user.sub\n    deny a to GET /x\n}\n",
        [(3, "this is cyrillic small letter a: outside of quotes the language is ASCII")],
        1,
    ),
    "a statement that breaks off": (
        "service s {\n    allow a to GET\n    allow a to GET /x\n}\n",
        [(4, "expected a path, text in quotes or `,`")],
        1,
    ),
    "a statement that breaks off before a name": (
        "service s {\n    allow a to GET /x as\n    allow a to GET /y\n}\n",
        [(4, "the statement before it is not complete")],
        1,
    ),
}


@pytest.mark.parametrize(("text", "told", "kept"), BLOCKS.values(), ids=BLOCKS.keys())
def test_a_mistake_about_blocks_is_told_once_and_the_rest_is_kept(
    text: str, told: list[tuple[int, str]], kept: int
) -> None:
    """Lines count from the header's; what is kept is blocks, or other statements where there are none."""
    parsed = _parse(f"language 1\n{text}")

    source = Source(path="a.policy", text=f"language 1\n{text}")
    assert [(source.position(d.span.start)[0], d.help) for d in parsed.diagnostics] == told
    assert len(parsed.file.items) == kept
    rules = [rule for item in parsed.file.items if isinstance(item, ast.ServiceBlock) for rule in item.items]
    assert not rules or all(isinstance(rule, ast.Rule) for rule in rules)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "PDP101"),
        ("# nothing\n", "PDP101"),
        ("service s {}\n", "PDP101"),
        ("langage 1\nservice s {}\n", "PDP101"),
        ("service s {}\nlanguage 1\n", "PDP101"),
        ("language\n\nservice s {}\n", "PDP101"),
        ('language "1"\nservice s {}\n', "PDP101"),
        ("\u0430anguage 1\nservice s {}\n", "PDP101"),
        ("language 2\nservice s {}\n", "PDP103"),
    ],
)
def test_a_header_that_is_missing_or_wrong_is_told_once(text: str, code: str) -> None:
    parsed = _parse(text)

    assert [found.code for found in parsed.diagnostics] == [code]
    assert len(parsed.file.items) == text.count("service")


def test_text_of_a_file_that_cannot_be_read_says_nothing() -> None:
    text = "language 1\ngroup g = {\x00}\nservice s {}\n"

    parsed = parse(Source(path="a.policy", text=text, readable=False))

    assert (parsed.file.items, parsed.diagnostics) == ((), ())
    assert {"g", "s"} <= parsed.damaged


@pytest.mark.parametrize("around", [("(", ")"), ("not ", ""), ("not (", ")")])
def test_conditions_nest_as_deep_as_the_bound_and_no_deeper(around: tuple[str, str]) -> None:
    opening, closing = around
    times = MAX_EXPRESSION_DEPTH // (opening.count("not") + opening.count("("))

    def nested(count: int) -> str:
        return f"language 1\ncondition c = a or {opening * count}b{closing * count}\ncondition d = a\n"

    at_the_bound, beyond = _parse(nested(times)), _parse(nested(times + 1))

    assert at_the_bound.diagnostics == ()
    assert [found.code for found in beyond.diagnostics] == ["PDP912"]
    assert [item.name.text for item in beyond.file.items if isinstance(item, ast.ConditionDecl)] == ["d"]


def test_a_condition_that_nests_too_deep_is_reported_in_the_words_of_the_language() -> None:
    assert _rendered(f"language 1\ncondition c = {'(' * 33}a{')' * 33}") == (
        "a.policy:2:48: error[PDP912]: a condition has at most 32 brackets and `not` inside each other\n"
        "  |\n"
        f"2 | condition c = {'(' * 33}a{')' * 33}\n"
        f"  | {' ' * 47}^\n"
        "  = help: name a part of it: `condition NAME = ...`\n"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "allow a to GET /x on s when {}",
        "allow a to GET /x on s unless {}",
        "never a may any /x on s when {}",
        "condition c = {}",
    ],
)
def test_no_statement_loses_a_condition_in_silence(statement: str) -> None:
    text = statement.format("(" * 33 + "a" + ")" * 33)

    assert [found.code for found in _parse(f"language 1\n{text}\n").diagnostics] == ["PDP912"]


# -- words -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "denyanyone to any /x on any service",
        "deny anyone toany /x on any service",
        "deny anyone to any /x onany service",
        'trust domainprod = "prod.test"',
        "shadowdeny anyone to any /x on any service",
        "deny anyone to any /x on any service until2027-01-01",
    ],
)
def test_keywords_are_whole_words(text: str) -> None:
    """Else `allowed` would be `allow ed`."""
    found = _parse(f"language 1\n{text}\n")

    assert found.file.items == ()
    assert "PDP101" in {diagnostic.code for diagnostic in found.diagnostics}


@pytest.mark.parametrize("word", ["allow", "to", "on", "service", "when", "until", "test"])
def test_where_only_a_name_can_stand_a_keyword_is_a_name(word: str) -> None:
    """That reserved words name nothing is checked when the set is loaded."""
    (item,) = _parse(f"language 1\ngroup {word} = {{}}\n").file.items

    assert isinstance(item, ast.GroupDecl)
    assert item.name.text == word


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "::1", "::", "fe80::1", "2001:db8::1", "dead:beef::", "::ffff:10.1.2.3"]
)
def test_an_address_is_an_address_on_either_side_of_a_comparison(address: str) -> None:
    (item,) = _parse(
        f"language 1\ncondition c = source.ip == {address} or {address} != source.ip\n"
    ).file.items

    assert isinstance(item, ast.ConditionDecl)
    assert isinstance(item.expr, ast.Or)
    sides: list[Any] = [getattr(item.expr.items[0], "right", None), getattr(item.expr.items[1], "left", None)]
    assert [side.value.text for side in sides] == [address, address]


@pytest.mark.parametrize("attribute", ["header.x-a", "a.b:c", "face", "fe80"])
def test_a_word_that_is_no_address_is_an_attribute(attribute: str) -> None:
    (item,) = _parse(f"language 1\ncondition c = {attribute} == 1\n").file.items

    assert isinstance(item, ast.ConditionDecl)
    assert isinstance(item.expr, ast.Comparison)
    assert getattr(item.expr.left, "name", None) == attribute


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
@settings(deadline=None)
def test_text_in_quotes_is_read_back_exactly_or_refused(text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    parsed = _parse(f'language 1\nissuer a = "{escaped}"\n')

    refused = hidden_characters(Source(path="a.policy", text=text))
    if refused or any(character < " " for character in text):
        assert parsed.diagnostics != ()
    else:
        (item,) = parsed.file.items
        assert isinstance(item, ast.IssuerDecl)
        assert item.url == text


# -- comments --------------------------------------------------------------------------


def test_comments_are_found_with_their_places() -> None:
    source = Source(
        path="a.policy", text='# top\nlanguage 1  # one  \r\n  # two\nissuer a = "# \\" no"# three'
    )

    found = comments(source)

    assert [(comment.text, comment.alone) for comment in found] == [
        ("# top", True), ("# one", False), ("# two", True), ("# three", False),
    ]  # fmt: skip
    assert all(source.text[c.span.start : c.span.end].rstrip() == c.text for c in found)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_comment_ends_where_an_editor_ends_the_line(end: str) -> None:
    """A lone carriage return shows as a new line: what is seen there must count."""
    text = f"language 1{end}# why{end}deny anyone to any /x on any service # because{end}"

    assert len(_parse(text).file.items) == 1
    assert [(c.text, c.alone) for c in comments(Source(path="a.policy", text=text))] == [
        ("# why", True), ("# because", False),
    ]  # fmt: skip


# -- threads ---------------------------------------------------------------------------


def test_many_threads_may_parse_at_once() -> None:
    texts = [f"language 1\ngroup g{n} = {{ a{n} }}{' ,' * (n % 2)}\n" * 3 for n in range(60)]
    alone = [_parse(text) for text in texts]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(_parse, texts))

    assert together == alone
