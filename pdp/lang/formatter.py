"""The one layout of policy text.

This module writes a file's own words again, in lines: no word is added, dropped or moved,
but for instants, which are written in their shortest form. So every comment keeps its place
among the words. Where lines may end is said, production by production, in
`pdp.lang.arrange`; how wide they may be is the business of `pdp.lang.layout`, and reading
and writing files that of `pdp.cli.fmt`.

Statements stand on lines of their own; of several blank lines between them one is kept.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from pdp.diagnostics import Diagnostic, Source, has_errors
from pdp.lang.arrange import Arranger
from pdp.lang.layout import render
from pdp.lang.parsed import Parsed
from pdp.lang.parser import Comment, comments, parse, productions
from pdp.lang.tokens import Production, Token

__all__ = ["Formatted", "FormatterBugError", "format_source"]


class FormatterBugError(Exception):
    """The text in its new layout would not say the same. Never the author's fault."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Formatted:
    """A file in the one layout.

    Attributes:
        text: The text; the given one where the file has an error.
        diagnostics: What is wrong with the file.
    """

    text: str
    diagnostics: tuple[Diagnostic, ...]


def format_source(source: Source) -> Formatted:
    """Lay a file out anew; one with any mistake in it stays as it is.

    Raises:
        FormatterBugError: The result was read again and did not say the same.
    """
    parsed = parse(source)
    if has_errors(parsed.diagnostics):
        return Formatted(text=source.text, diagnostics=parsed.diagnostics)
    before = comments(source)
    text = _Writer(source, before).file(productions(source))
    _check_same(parsed, before, Source(path=source.path, text=text))
    return Formatted(text=text, diagnostics=parsed.diagnostics)


def _check_same(parsed: Parsed, before: tuple[Comment, ...], after: Source) -> None:
    again = parse(after)
    if has_errors(again.diagnostics) or again.file != parsed.file:
        raise FormatterBugError("the new layout would change what the file says")
    if [comment.text for comment in comments(after)] != [comment.text for comment in before]:
        raise FormatterBugError("the new layout would lose or reorder a comment")


def _tokens(node: Production | Token) -> Iterator[Token]:
    pending = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, Production):
            pending.extend(reversed(part.children))
        else:
            yield part


@final
class _Writer:
    """The lines of one file: statements, the comments between them, and blank lines."""

    def __init__(self, source: Source, found: tuple[Comment, ...]) -> None:
        self._source = source
        self._found = found
        self._arranger = Arranger()
        self._lines: list[str] = []
        self._end = 0  # offset of the end of what was written last
        self._opened = True  # nothing stands before it in its block: no blank line there

    def file(self, tree: Production) -> str:
        left = self._attach(list(_tokens(tree)))
        for item in tree.children:
            self._item(item, 0)
        for comment in left:
            self._comment(comment, 0)
        if self._arranger.alone:
            raise FormatterBugError("the new layout would lose a comment")
        return "".join(f"{line}\n" for line in self._lines)

    def _attach(self, tokens: list[Token]) -> list[Comment]:
        """Give each comment to the token behind which, or before which it stands; return those at the end."""
        starts = [token.start_pos for token in tokens]
        left = []
        for comment in self._found:
            following = bisect_right(starts, comment.span.start)
            if not comment.alone:
                self._arranger.behind[starts[following - 1]] = comment
            elif following < len(starts):
                self._arranger.alone.setdefault(starts[following], []).append(comment)
            else:
                left.append(comment)
        return left

    def _item(self, item: Production | Token, level: int) -> None:
        if not isinstance(item, Production) or item.name not in {"service", "test"}:
            self._statement(item, level)
            return
        opening = [token for token in item.children if not isinstance(token, Production)]
        brace, closing = opening[-2:]
        at = item.children.index(brace)
        body = item.children[at + 1 : -1]
        if not body and not self._has_comments(brace, closing):
            self._statement(item, level)
            return
        self._statement(Production(item.name, item.children[: at + 1]), level)
        self._opened = True
        for part in body:
            self._item(part, level + 1)
        self._comments_before(closing, level + 1)
        self._opened = True
        self._statement(closing, level)

    def _has_comments(self, brace: Token, closing: Token) -> bool:
        return brace.start_pos in self._arranger.behind or closing.start_pos in self._arranger.alone

    def _statement(self, node: Production | Token, level: int) -> None:
        tokens = list(_tokens(node))
        self._comments_before(tokens[0], level)
        self._blank_line(tokens[0].start_pos)
        self._lines += render(self._arranger.doc(node), level=level)
        trailing = self._arranger.behind.get(tokens[-1].start_pos)
        self._end = trailing.span.end if trailing else tokens[-1].end_pos
        self._opened = False

    def _comments_before(self, token: Token, level: int) -> None:
        for comment in self._arranger.alone.pop(token.start_pos, ()):
            self._comment(comment, level)

    def _comment(self, comment: Comment, level: int) -> None:
        self._blank_line(comment.span.start)
        self._lines.append("    " * level + comment.text)
        self._end = comment.span.end
        self._opened = False

    def _blank_line(self, start: int) -> None:
        if not self._opened and self._source.position(start)[0] > self._source.position(self._end)[0] + 1:
            self._lines.append("")
