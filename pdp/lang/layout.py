"""Laying out words in lines: a small document algebra and its renderer.

A document is words with places between them where a line may end. A `Group` is set on one
line if it fits, and otherwise every place of its own ends the line (Wadler, "A prettier
printer", 2003). What the words mean, and where lines may end, is left to the formatter.

Comments are part of the document: one that stands behind a word ends the line there, one
that stands alone has a line of its own. A group with a comment between its words never
stands on one line.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, TypeAlias, final

__all__ = ["LINE_WIDTH", "SOFT", "SPACE", "Alone", "Break", "Doc", "Group", "Indent", "Seq", "Word", "render"]

LINE_WIDTH: Final = 100  # characters; what stands behind `#` may be longer
_INDENT: Final = "    "


@final
@dataclass(frozen=True, slots=True)
class Word:
    """Text that is never split, and the comment that stands behind it on its line."""

    text: str
    comment: str = ""


@final
@dataclass(frozen=True, slots=True)
class Alone:
    """A comment with a line of its own."""

    comment: str


@final
@dataclass(frozen=True, slots=True)
class Space:
    """A space at which no line ends unless a comment demands it."""


@final
@dataclass(frozen=True, slots=True)
class Break:
    """A place where a line may end; `flat` stands there if it does not."""

    flat: str = " "


@final
@dataclass(frozen=True, slots=True)
class Seq:
    """One after the other."""

    docs: tuple["Doc", ...]


@final
@dataclass(frozen=True, slots=True)
class Indent:
    """Lines that begin inside are indented by `levels` more."""

    doc: "Doc"
    levels: int = 1


@final
@dataclass(frozen=True, slots=True)
class Group:
    """On one line, or broken at every place that belongs to no inner group."""

    doc: "Doc"


_Leaf: TypeAlias = Word | Alone | Space | Break
Doc: TypeAlias = _Leaf | Seq | Indent | Group

SPACE: Final = Space()
SOFT: Final = Break(flat="")

#: Levels of indentation, whether the places in it end the line, and what is to be set there.
_Task: TypeAlias = tuple[int, bool, Doc]


def render(doc: Doc, *, level: int) -> list[str]:
    """The lines of one statement that begins `level` levels from the margin.

    Cost: linear in the document, times its depth of groups.
    """
    page = _Page(level=level, indent=level)
    tasks: list[_Task] = [(level, True, doc)]
    while tasks:
        indent, broken, item = tasks.pop()
        match item:
            case Seq(docs):
                tasks.extend((indent, broken, part) for part in reversed(docs))
            case Indent(inner, levels):
                tasks.append((indent + levels, broken, inner))
            case Group(inner):
                fits = not broken or (not _has_inner_comment(inner) and _fits(page.room(), inner, tasks))
                tasks.append((indent, not fits, inner))
            case Break(flat):
                page.end_line(indent) if broken else page.space(flat)
            case Space():
                page.space(" ")
            case Word(text, comment):
                page.word(indent, text, comment)
            case Alone(comment):
                page.alone(indent, comment)
    return page.finished()


def _leaves(doc: Doc) -> Iterator[Word | Alone]:
    pending = [doc]
    while pending:
        match pending.pop():
            case Seq(docs):
                pending.extend(reversed(docs))
            case Indent(inner) | Group(inner):
                pending.append(inner)
            case Word() | Alone() as leaf:
                yield leaf
            case Space() | Break():
                pass


def _has_inner_comment(doc: Doc) -> bool:
    """Whether a comment stands between the words: not before the first and not behind the last."""
    leaves = list(_leaves(doc))
    words = [index for index, leaf in enumerate(leaves) if isinstance(leaf, Word)]
    inner = leaves[words[0] : words[-1]] if words else []
    return any(leaf.comment for leaf in inner)


def _fits(room: int, doc: Doc, rest: list[_Task]) -> bool:
    """Whether the document, and what follows it up to the next end of a line, has room on this line."""
    begun = False
    for broken, leaf in _ahead(doc, rest):
        match leaf:
            case Break(flat) if not broken:
                room -= len(flat)
            case Space():
                room -= 1
            case Word(text, comment):
                room -= len(text)
                begun = True
                if comment or room < 0:
                    break
            case Alone() if not begun:
                pass
            case _:
                break
    return room >= 0


def _ahead(doc: Doc, rest: list[_Task]) -> Iterator[tuple[bool, _Leaf]]:
    """What is set next if the document is set on one line, and whether each place ends the line."""
    for broken, item in chain([(False, doc)], ((broken, item) for _, broken, item in reversed(rest))):
        pending = [(broken, item)]
        while pending:
            ends, part = pending.pop()
            match part:
                case Seq(docs):
                    pending.extend((ends, inner) for inner in reversed(docs))
                case Indent(inner):
                    pending.append((ends, inner))
                case Group(inner):
                    # What follows may still be broken by itself: it has to fit only up to there.
                    pending.append((ends and _has_inner_comment(inner), inner))
                case _:
                    yield ends, part


@final
@dataclass(slots=True, kw_only=True)
class _Page:
    """The lines so far, and the one that is being written, without its indentation."""

    level: int
    indent: int
    lines: list[str] = field(default_factory=list)
    line: str = ""
    must_end: bool = False  # a comment was written: nothing may follow it on its line

    def room(self) -> int:
        return LINE_WIDTH - len(_INDENT) * self.indent - len(self.line)

    def word(self, indent: int, text: str, comment: str) -> None:
        if self.must_end:
            self._continue(indent)
        self.line += text
        if comment:
            self.line += f"  {comment}"
            self.must_end = True

    def alone(self, indent: int, comment: str) -> None:
        if self.line:
            self._continue(indent)
        self.line = comment
        self.must_end = True

    def space(self, text: str) -> None:
        if self.line and not self.must_end:
            self.line += text

    def end_line(self, indent: int) -> None:
        if self.line:
            self.lines.append(_INDENT * self.indent + self.line.rstrip(" "))
        self.line = ""
        self.indent = indent
        self.must_end = False

    def finished(self) -> list[str]:
        self.end_line(0)
        return self.lines

    def _continue(self, indent: int) -> None:
        # What goes on after a comment never looks like the beginning of a statement.
        self.end_line(max(indent, self.level + 1))
