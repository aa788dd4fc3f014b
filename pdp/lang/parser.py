"""Policy text to AST, with every mistake of a file reported at once.

The only module that meets lark. After a mistake the statement that holds it is blanked out
and the rest is parsed again, so that one slip does not hide the next; the names which the
damaged statements would have declared are kept, so that their uses are not called unknown.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Any, Final, cast, final

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.lark import PostLex

from pdp.diagnostics import Diagnostic, Source, Span, did_you_mean, sort
from pdp.lang import ast
from pdp.lang.build_tests import FileBuilder
from pdp.lang.recovery import blank_statement, declared_names
from pdp.lang.tokens import Production
from pdp.limits import MAX_ERRORS_PER_FILE, MAX_REREAD_CHARS

__all__ = ["Comment", "Parsed", "comments", "grammar_text", "parse", "productions"]

# Terminals that are not keywords, as people call them.
_PLAIN: Final = {
    "$END": "the end of the file",
    "METHOD": "a method such as `GET`",
    "OPERATOR": "a comparison such as `==`",
    "PATH": "a path",
    "STRING": "text in quotes",
    "WORD": "a name or a pattern",
}
_SHOWN: Final = 8  # a longer list of what was expected helps nobody
_COMMENT: Final = re.compile(r'"(?:[^"\\\r\n]|\\.)*"|#[^\r\n]*')


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment with its `#`, and whether it stands alone on its line."""

    text: str
    span: Span
    alone: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a file says.

    Attributes:
        file: The statements that could be read.
        diagnostics: What was wrong with the others, by position.
        damaged: Names that the others would have declared.
    """

    file: ast.File
    diagnostics: tuple[Diagnostic, ...]
    damaged: frozenset[str]


def grammar_text() -> str:
    """The grammar: from the wheel, or from the checkout that an editable install points to."""
    packaged = files("pdp") / "_grammar" / "policy.lark"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "grammar" / "policy.lark").read_text(encoding="utf-8")


@final
class _WholeWords:
    """Makes the lexer try WORD everywhere, so that `denyanyone` is one strange word and not two keywords."""

    always_accept = ("WORD", "METHOD")

    @staticmethod
    def process(stream: Iterator[Token]) -> Iterator[Token]:
        """Every token as it is."""
        return stream


@final
class _Parser:
    """The compiled grammar and its builder, used by one thread at a time."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.builder = FileBuilder()
        self.lark = Lark(
            grammar_text(),
            parser="lalr",
            maybe_placeholders=True,
            transformer=self.builder,
            postlex=cast("PostLex", _WholeWords()),
        )
        self.words = {
            terminal.name: terminal.pattern.value
            for terminal in self.lark.terminals
            if terminal.pattern.type == "str"
        }


@lru_cache(maxsize=1)
def _parser() -> _Parser:
    return _Parser()


def parse(source: Source) -> Parsed:
    """Read one file. Never raises: whatever the text, the answer is statements and diagnostics."""
    parser = _parser()
    with parser.lock:
        file, found, damaged = _parse(parser, source)
    damaged |= declared_names(source.text, (diagnostic.span.start for diagnostic in found))
    return Parsed(file=file, diagnostics=sort(found), damaged=frozenset(damaged))


def _parse(parser: _Parser, source: Source) -> tuple[ast.File, list[Diagnostic], set[str]]:
    text, found, damaged = source.text, list[Diagnostic](), set[str]()
    attempts = reread = 0
    while attempts < MAX_ERRORS_PER_FILE and reread < MAX_REREAD_CHARS:
        parser.builder.begin(source.path)
        try:
            file = cast("ast.File", cast("object", parser.lark.parse(text)))
        except UnexpectedInput as error:
            mistake = _explain(error, text, source, parser)
            span = mistake.span
            # A brace that the repair before this one wrote is not the author's mistake.
            found += [mistake] if source.text[span.start : span.end] == text[span.start : span.end] else []
            repaired = blank_statement(text, span, at_boundary=_at_boundary(error))
            damaged |= declared_names(source.text, [repaired.start])
            attempts += 1
            reread += span.end
            if repaired.text == text:
                break
            text = repaired.text
        else:
            return file, [*found, *parser.builder.diagnostics], damaged
    return ast.File(path=source.path, items=()), found, damaged


def _at_boundary(error: UnexpectedInput) -> bool:
    """Whether the statement before the mistake could have ended there."""
    return isinstance(error, UnexpectedToken) and not {"$END", "RBRACE"}.isdisjoint(error.accepts or ())


def _explain(error: UnexpectedInput, text: str, source: Source, parser: _Parser) -> Diagnostic:
    match error:
        case UnexpectedToken(token=Token(type="$END")):
            end = len(source.text.rstrip())
            span, found = Span(file=source.path, start=end, end=end), "end of file"
            help_ = _expected(error, "", parser)
        case UnexpectedToken(token=Token(start_pos=int(start), end_pos=int(end))):
            word = text[start:end]
            span, found = Span(file=source.path, start=start, end=end), f"`{word}`"
            help_ = _expected(error, word, parser)
        case _:
            start = error.pos_in_stream or 0
            span, found = Span(file=source.path, start=start, end=start + 1), f"`{text[start : start + 1]}`"
            help_ = _character_help(text, start, error)
    return Diagnostic(code="PDP101", message=f"unexpected {found}", span=span, help=help_)


def _character_help(text: str, start: int, error: UnexpectedInput) -> str:
    if text[start] == '"':
        return 'text in quotes ends on its own line; inside it write `\\"` and `\\\\`'
    if isinstance(error, UnexpectedCharacters) and text[start] in "{}()=,":
        return ""
    return "what is not a plain word is written in quotes"


def _expected(error: UnexpectedToken, word: str, parser: _Parser) -> str:
    accepted = sorted(error.accepts or error.expected)
    keywords = {parser.words[name] for name in accepted if name in parser.words}
    meant = (
        did_you_mean(word, [keyword for keyword in keywords if keyword.isalpha()]) if word.isalpha() else ""
    )
    if meant:
        return meant
    shown = [_PLAIN[name] for name in accepted if name in _PLAIN]
    shown += [f"`{keyword}`" for keyword in sorted(keywords)]
    return f"expected {_listed(shown)}" if 0 < len(shown) <= _SHOWN else ""


def _listed(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


@lru_cache(maxsize=1)
def _productions() -> Lark:
    return Lark(
        grammar_text(),
        parser="lalr",
        keep_all_tokens=True,
        maybe_placeholders=False,
        postlex=cast("PostLex", _WholeWords()),
        tree_class=cast("type[Tree[Any]]", Production),
    )


def productions(source: Source) -> Production:
    """The tree of productions with every token, of a file that `parse` reads without a diagnostic."""
    return cast("Production", cast("object", _productions().parse(source.text)))


def comments(source: Source) -> tuple[Comment, ...]:
    """Every comment of a file, in order; `#` inside quotes does not begin one."""
    found = []
    for match in _COMMENT.finditer(source.text):
        if match[0].startswith("#"):
            _, column = source.position(match.start())
            alone = not source.text[match.start() - column + 1 : match.start()].strip()
            span = Span(file=source.path, start=match.start(), end=match.end())
            found.append(Comment(text=match[0].rstrip(), span=span, alone=alone))
    return tuple(found)
