"""What is wrong with a policy, where, and what to write instead.

This module holds sources, spans, diagnostics and their rendering as text. Which
mistakes exist is the business of the stages that find them; `docs/diagnostics/` has a
page for each code. SARIF and CI annotations are made by `pdp.cli.check`.
"""

import re
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import IntEnum
from sys import intern
from typing import Final, final

import msgspec
from msgspec.structs import force_setattr

__all__ = [
    "Diagnostic",
    "Severity",
    "Source",
    "Span",
    "did_you_mean",
    "escape",
    "has_errors",
    "render",
    "sort",
]

# Letters and marks to Unicode, and so printable to `str.isprintable`, yet without any width or shape.
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_LINE_END: Final = re.compile(r"\r\n?|\n")
_LINE_SHOWN: Final = 160  # characters: a longer line wraps, and its caret stands under something else


class Severity(IntEnum):
    """How bad it is. Only an error keeps a version from being served."""

    ERROR = 1
    WARNING = 2
    NOTE = 3


@final
class Span(msgspec.Struct, frozen=True, kw_only=True, order=True, gc=False, array_like=True):
    """Half-open range of character offsets in one file of the policy set."""

    file: str
    start: int
    end: int

    def __post_init__(self) -> None:
        # A tree that is read again would hold its file's name as often as it has nodes.
        name = intern(self.file)
        if name is not self.file:
            force_setattr(self, "file", name)


@final
class Source:
    """One file's text.

    Attributes:
        path: Relative to the policy set, with forward slashes.
        readable: Whether its text is all it says. Else a diagnostic says why not, and the text serves
            to show the place: no statement is read from it.
    """

    __slots__ = ("_read", "_starts", "_text", "path", "readable")

    def __init__(self, *, path: str, text: str | Callable[[], str], readable: bool = True) -> None:
        """A file that says this; or what reads it, as often as it is asked."""
        self.path: Final = path
        self.readable: Final = readable
        self._read: Final = None if isinstance(text, str) else text
        self._text = text if isinstance(text, str) else None
        self._starts: array[int] | None = None

    @property
    def text(self) -> str:
        """What it says."""
        text = self._text
        if text is None:
            assert self._read is not None  # noqa: S101 - or there is a text
            text = self._text = self._read()
        return text

    def let_go(self) -> None:
        """Hold the text no longer, where it can be read again; it is when somebody asks for it."""
        self._starts = None
        if self._read is not None:
            self._text = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and (self.path, self.readable, self.text) == (
            other.path,
            other.readable,
            other.text,
        )

    def __hash__(self) -> int:
        return hash((self.path, self.readable, self.text))

    def __repr__(self) -> str:
        return f"Source(path={self.path!r}, text={self.text!r}, readable={self.readable!r})"

    @property
    def _line_starts(self) -> "array[int]":
        starts = self._starts
        if starts is None:
            ends = (match.end() for match in _LINE_END.finditer(self.text))
            starts = self._starts = array("I", (0, *ends))
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both counted from one, columns in characters."""
        starts = self._line_starts
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, without its ending."""
        starts = self._line_starts
        start = starts[number - 1]
        end = starts[number] if number < len(starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One mistake or doubt.

    Attributes:
        code: `PDPnnn`, the name of its page in `docs/diagnostics/`. Never reused.
        message: What is wrong: lower case, no full stop, the author's words in backticks.
        span: Where.
        label: A few words at the caret.
        help: What to write instead.
    """

    code: str
    message: str
    span: Span
    severity: Severity = Severity.ERROR
    label: str = ""
    help: str = ""
    related: tuple[tuple[Span, str], ...] = field(default=())


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any of them keeps this version from being served."""
    return any(d.severity is Severity.ERROR for d in diagnostics)


def sort(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """By file, position and code, without repetitions."""
    unique = dict.fromkeys(diagnostics)
    return tuple(sorted(unique, key=lambda d: (d.span.file, d.span.start, d.span.end, d.code, d.message)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A help line that names the closest known word, or nothing."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else ""


def escape(text: str) -> str:
    r"""Make text safe for a terminal or a log line.

    Letters of every script stay as they are. What is not printable in the sense of
    `str.isprintable` (controls, bidirectional and format characters, spaces other than the
    ordinary one), and what is printable but has no shape, becomes `\\u{..}`.
    """
    if text.isprintable() and not _INVISIBLE.search(text):
        return text
    return "".join(char if _is_shown(char) else f"\\u{{{ord(char):x}}}" for char in text)


def _is_shown(char: str) -> bool:
    return char.isprintable() and not _INVISIBLE.match(char)


def render(diagnostic: Diagnostic, sources: Mapping[str, Source]) -> str:
    """The diagnostic as people read it, caret included, without colour.

    A file that is not among `sources` (it could not be read) is named without a line.
    """
    name = diagnostic.severity.name.lower()
    source = sources.get(diagnostic.span.file)
    if source is None:
        head = f"{escape(diagnostic.span.file)}: {name}[{diagnostic.code}]: {escape(diagnostic.message)}"
        return "\n".join([head, *_notes(diagnostic, sources, 1)]) + "\n"
    line, column = source.position(diagnostic.span.start)
    head = f"{escape(source.path)}:{line}:{column}: {name}[{diagnostic.code}]: {escape(diagnostic.message)}"
    margin = len(str(line))
    body = [head, f"{'':{margin}} |", *_excerpt(diagnostic, source, line, column)]
    return "\n".join([*body, *_notes(diagnostic, sources, margin)]) + "\n"


def _excerpt(diagnostic: Diagnostic, source: Source, line: int, column: int) -> list[str]:
    text = source.line(line).replace("\t", " ")
    end = column - 1 + max(1, diagnostic.span.end - diagnostic.span.start)
    before, marked, after = map(escape, _window(text[: column - 1], text[column - 1 : end], text[end:]))
    carets = " " * _columns(before) + "^" * max(1, _columns(marked))
    label = f" {escape(diagnostic.label)}" if diagnostic.label else ""
    return [f"{line} | {before}{marked}{after}".rstrip(), f"{'':{len(str(line))}} | {carets}{label}"]


def _window(before: str, marked: str, after: str) -> tuple[str, str, str]:
    """A line in three parts, a long one cut around its middle."""
    if len(before) + len(marked) + len(after) <= _LINE_SHOWN:
        return before, marked, after
    if len(marked) > _LINE_SHOWN // 2:
        marked, after = f"{marked[: _LINE_SHOWN // 2 - 1]}…", ""
    room = _LINE_SHOWN - len(marked)
    left = max(room // 2, room - len(after))
    if len(before) > left:
        before = f"…{before[1 - left :]}"
    right = room - len(before)
    return before, marked, after if len(after) <= right else f"{after[: right - 1]}…"


def _columns(text: str) -> int:
    """How many columns of a terminal text takes."""
    if text.isascii():
        return len(text)
    return sum(_column(char) for char in text)


def _column(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me"}:
        return 0  # drawn over the letter before it
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def _notes(diagnostic: Diagnostic, sources: Mapping[str, Source], margin: int) -> list[str]:
    notes = []
    for span, text in diagnostic.related:
        source = sources.get(span.file)
        at = f"{span.file}:{source.position(span.start)[0]}" if source else span.file
        notes.append(f"{'':{margin}} = note: {escape(text)} at {escape(at)}")
    if diagnostic.help:
        notes.append(f"{'':{margin}} = help: {escape(diagnostic.help)}")
    return notes
