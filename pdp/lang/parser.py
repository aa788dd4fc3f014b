"""Policy text to AST, with every mistake of a file reported at once.

The only module that meets lark. After a mistake the statement that holds it is given up and
the rest is parsed again, so that one slip does not hide the next; the names which the damaged
statements would have declared are kept, so that their uses are not called unknown. Which
stretch that is, `pdp.lang.recovery` says, and what a mistake is called `pdp.lang.mistakes`.
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
from lark.exceptions import UnexpectedInput, UnexpectedToken
from lark.lark import PostLex

from pdp.diagnostics import Diagnostic, Source, Span
from pdp.lang import ast
from pdp.lang.bare import bare, depth
from pdp.lang.build_tests import FileBuilder
from pdp.lang.failure import Failure, at_the_keyword
from pdp.lang.hidden import all_mistakes
from pdp.lang.mistakes import explain
from pdp.lang.parsed import Parsed, text_digest
from pdp.lang.recovery import Mistake, blank_statement, declared_names
from pdp.lang.statements import begins_statement
from pdp.lang.tokens import Production
from pdp.limits import MAX_ERRORS_PER_FILE, MAX_REREAD_CHARS

__all__ = ["Comment", "comments", "grammar_text", "parse", "productions"]

_COMMENT: Final = re.compile(r'"(?:[^"\\\r\n]|\\.)*"|#[^\r\n]*')
_HEADER: Final = "language 1\n"  # written before a file that has none, so that the rest can be read
_HEADER_LINE: Final = re.compile(r"^[ \t]*language\b[^\r\n]*", re.MULTILINE)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment with its `#`, and whether it stands alone on its line."""

    text: str
    span: Span
    alone: bool


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
    if not source.readable:
        names = declared_names(source.text, [(0, len(source.text))])
        return Parsed(file=ast.File(path=source.path, items=()), diagnostics=(), damaged=frozenset(names))
    parser = _parser()
    with parser.lock:
        reading = _Reading(parser, source)
        file, endings = reading.file(), parser.builder.endings
    places = [(found.span.start, found.span.end) for found in reading.diagnostics] + reading.given_up
    damaged = declared_names(source.text, places)
    found = all_mistakes(source, reading.diagnostics)
    digest = text_digest(source)
    return Parsed(file=file, diagnostics=found, damaged=frozenset(damaged), endings=endings, digest=digest)


@final
class _Reading:
    """One file while it is read, again after each mistake."""

    def __init__(self, parser: _Parser, source: Source) -> None:
        self.parser = parser
        self.source = source
        self.text = source.text
        self.header = ""
        self.diagnostics: list[Diagnostic] = []
        self.given_up: list[tuple[int, int]] = []

    def file(self) -> ast.File:
        """The statements that can be read; none if there are too many mistakes."""
        mistakes = reread = 0
        while mistakes <= MAX_ERRORS_PER_FILE and reread < MAX_REREAD_CHARS:
            self.parser.builder.begin(self.source, shift=len(self.header))
            try:
                file = cast("ast.File", cast("object", self.parser.lark.parse(self.header + self.text)))
            except UnexpectedInput as error:
                if mistakes == 0:
                    self.text = _without_comments(self.text)
                reread += self._go_on(at_the_keyword(self._failure(error)))
                mistakes += 1
            else:
                self.diagnostics += self.parser.builder.diagnostics
                return file
        self.given_up = [(0, len(self.source.text))]
        if mistakes <= MAX_ERRORS_PER_FILE:
            self.diagnostics.append(self._not_read_again())
        return ast.File(path=self.source.path, items=())

    def _not_read_again(self) -> Diagnostic:
        message = f"more than {MAX_REREAD_CHARS} characters were read again after mistakes: this was the last"
        help_ = "correct what is shown first"
        return Diagnostic(code="PDP920", message=message, span=self.diagnostics[-1].span, help=help_)

    def _failure(self, error: UnexpectedInput) -> Failure:
        interactive = error.interactive_parser
        accepted = frozenset[str](cast("Any", interactive).accepts() if interactive is not None else ())
        match error:
            case UnexpectedToken(token=Token(type="$END")):
                kind = "$END"
                start = end = len(self.header) + min(len(self.text.rstrip()), len(self.source.text))
            case UnexpectedToken(token=Token(type=kind, start_pos=int(start), end_pos=int(end))):
                pass
            case _:
                kind, start = "", error.pos_in_stream or 0
                end = start + 1
        return Failure(
            source=self.source,
            bared=bare(self.text),
            start=start - len(self.header),
            end=end - len(self.header),
            kind=kind,
            accepted=accepted,
            words=self.parser.words,
        )

    def _go_on(self, failure: Failure) -> int:
        """Report a mistake and give up what holds it; returns how far it was read."""
        if not self._ours(failure):
            self.diagnostics.append(explain(failure))
        if not self.header and failure.lacks_header:
            self._write_header(failure)
        else:
            self._repair(failure, complete=failure.complete)
        return failure.end

    def _ours(self, failure: Failure) -> bool:
        """Whether the mistake is only about a brace that a repair wrote: the author did not make it."""
        if failure.text != self.text[failure.start : failure.end]:
            return True
        opener = failure.opener if failure.complete else None
        if failure.kind == "$END" and opener is not None:
            return depth(bare(self.source.text)) <= 0
        return opener is not None and self.source.text[opener] != "{"

    def _repair(self, failure: Failure, *, complete: bool) -> None:
        span = Span(file=self.source.path, start=failure.start, end=failure.end)
        mistake = Mistake(span=span, complete=complete, wants_brace="LBRACE" in failure.accepted)
        repaired = blank_statement(self.text, failure.bared, mistake)
        self.text = repaired.text
        self.given_up.append((repaired.start, repaired.end))

    def _write_header(self, failure: Failure) -> None:
        """Go on as if the header stood there; whatever tried to be one is given up."""
        self.header = _HEADER
        self.text = _HEADER_LINE.sub(lambda match: " " * len(match[0]), self.text, count=1)
        if failure.accepted == {"LANGUAGE"} and not begins_statement(failure.bared, failure.start):
            self._repair(failure, complete=True)


def _without_comments(text: str) -> str:
    """Spaces for comments, so that a repair may write where one stood."""
    return _COMMENT.sub(lambda match: " " * len(match[0]) if match[0].startswith("#") else match[0], text)


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
