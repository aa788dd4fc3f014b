"""The grammar is unambiguous, and everything in it is read, laid out and spelled as it says."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Lark, Token
from lark.exceptions import GrammarError

from pdp.diagnostics import Source
from pdp.lang import arrange, print_words
from pdp.lang.arrange import Arranger
from pdp.lang.build_tests import FileBuilder
from pdp.lang.parser import _WholeWords, grammar_text, parse, productions
from pdp.lang.tokens import BuilderBase, Production


@pytest.fixture(scope="module")
def strict() -> Lark:
    """Raises for every conflict between rules, and for terminals that could match the same text."""
    return Lark(grammar_text(), parser="lalr", strict=True, maybe_placeholders=True)


def _productions(lark: Lark) -> set[str]:
    """Names under which the builder is called; lark keeps the others to itself."""
    callbacks = set()
    for rule in lark.rules:
        name = rule.alias or str(rule.origin.name)
        inlined = rule.alias is None and rule.options.expand1
        if not (name.startswith("_") or inlined):
            callbacks.add(name)
    return callbacks


def test_the_grammar_has_no_conflicts_and_no_colliding_terminals(strict: Lark) -> None:
    assert strict.parse("language 1").children


def test_a_conflict_would_be_noticed() -> None:
    conflicting = grammar_text().replace("start: header item*", "start: header item* [rule]")

    with pytest.raises(GrammarError, match="collision"):
        Lark(conflicting, parser="lalr", strict=True)


def test_the_builder_reads_every_production(strict: Lark) -> None:
    assert {name for name in _productions(strict) if not hasattr(FileBuilder, name)} == set()


def test_the_builder_has_no_method_that_no_production_calls(strict: Lark) -> None:
    methods = {name for name in dir(FileBuilder) if not name.startswith("_")}

    assert methods - {name for name in dir(BuilderBase) if not name.startswith("_")} <= _productions(strict)


def test_the_formatter_names_only_what_is_in_the_grammar(strict: Lark) -> None:
    arranged = {*Arranger()._methods, *arrange._LEADING, *arrange._LISTS, *arrange._CLAUSES, *arrange._PARTS}
    assert arranged <= _productions(strict)
    assert {terminal.name for terminal in strict.terminals} >= arrange._PART_WORDS


def test_every_keyword_is_a_word_so_that_none_can_be_glued_to_another(strict: Lark) -> None:
    word = re.compile(
        next(terminal.pattern.value for terminal in strict.terminals if terminal.name == "WORD")
    )
    keywords = [
        terminal.pattern.value
        for terminal in strict.terminals
        if terminal.pattern.type == "str" and terminal.pattern.value[0].isalpha()
    ]

    assert len(keywords) > 50
    assert [keyword for keyword in keywords if not word.fullmatch(keyword)] == []
    assert "WORD" in _WholeWords.always_accept


def _pattern(name: str) -> re.Pattern[str]:
    terminals = Lark(grammar_text(), parser="lalr").terminals
    return re.compile(next(terminal.pattern.value for terminal in terminals if terminal.name == name))


_WORD = _pattern("WORD")
_PATH = _pattern("PATH")


@given(st.from_regex(print_words._WORD, fullmatch=True))
def test_what_the_printer_leaves_unquoted_is_one_word(text: str) -> None:
    assert _WORD.fullmatch(text)


@given(st.from_regex(r"/[A-Za-z0-9_.*:@%+~$!&'=/{}a-z,;-]*", fullmatch=True))
def test_what_the_printer_leaves_unquoted_is_one_path(text: str) -> None:
    if print_words._PATH.fullmatch(text):
        assert _PATH.fullmatch(text)


def test_a_tree_of_productions_holds_every_token_in_order() -> None:
    text = 'language 1\ngroup g = { a, b except c }  # why\nservice s { host "h" }\n'

    def leaves(node: Any) -> list[Token]:
        return [
            leaf
            for child in node.children
            for leaf in (leaves(child) if isinstance(child, Production) else [child])
        ]

    source = Source(path="a.policy", text=text)
    found = leaves(productions(source))

    assert parse(source).diagnostics == ()
    assert " ".join(map(str, found)) == 'language 1 group g = { a , b except c } service s { host "h" }'
    assert all(text[token.start_pos : token.end_pos] == str(token) for token in found)
