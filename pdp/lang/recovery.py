"""Going on after a mistake: which stretch of text to give up, and what it would have declared.

Offsets never change: what is given up is blanked out, and a brace that is missing is written
over white space. Where a statement begins and ends is left to
`pdp.lang.statements`, how a mistake is told to `pdp.lang.mistakes`.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from pdp.diagnostics import Span
from pdp.lang.bare import BRACES, depth, open_block
from pdp.lang.statements import (
    BEGINS,
    begins_statement,
    first_on_line,
    indentation,
    line_end,
    line_start,
    next_statement,
    stands_outside,
    statement_before,
)

__all__ = ["Mistake", "Repaired", "blank_statement", "declared_names", "misplaced"]

_OPENS: Final = re.compile(r"(?:service|test)\b")
_INSIDE: Final = re.compile(r"\s*\n([ \t]*)\S")
_DECLARES: Final = re.compile(r"\s*+(?!(?:shadow|allow|deny|host|paths|caller|never|always|test|language)\b)")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_NAME_ENDS: Final = re.compile(r'[={\["]|\(\s')
_NAMED: Final = re.compile(r"\bas\s+(\S+)")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """Where parsing failed.

    Attributes:
        span: The token, or the character.
        complete: Whether the statement before it could have ended there.
        wants_brace: Whether the statement before it lacks its `{`.
    """

    span: Span
    complete: bool
    wants_brace: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """The text without the stretch that was given up; `start` and `end` say where that was."""

    text: str
    start: int
    end: int


def blank_statement(text: str, bared: str, mistake: Mistake) -> Repaired:
    """Give up the statement that holds the mistake, or write the brace that it lacks.

    Args:
        text: The text that failed to parse, without comments.
        bared: what `bare` makes of it.
        mistake: Where it failed.
    """
    at = mistake.span.start
    if not text[at:].strip() and (open_blocks := depth(bared)) > 0:
        return Repaired(text=text + "}" * open_blocks, start=at, end=at)
    if mistake.wants_brace and (opened := _opened(text, bared, at)):
        return opened
    if bared.startswith("}", at) and depth(bared[:at]) <= 0:
        return _blank(text, at, at + 1)
    opener = open_block(bared, at) if mistake.complete and stands_outside(bared, at) else None
    if opener is not None and text[at - 1].isspace() and not misplaced(bared, at, opener):
        return _write(text, "}", at)
    start, end = _extent(bared, mistake)
    if not text[start:end].strip():
        start, end = at, max(mistake.span.end, at + 1)
    return _blank(text, start, end)


def _opened(text: str, bared: str, at: int) -> Repaired | None:
    """The block of a service or a test opened, where what stands before its brace cannot be read."""
    if first_on_line(bared, at):
        before = statement_before(bared, line_start(bared, at) - 1, at)
        return _write(text, "{", at) if _OPENS.match(bared, before) else None
    if not _OPENS.match(bared, statement_before(bared, at, at)):
        return None
    end = line_end(bared, at)
    brace = bared.find("{", at, end)
    if brace >= 0:
        return _blank(text, at, brace)
    return Repaired(text=f"{text[:at]}{{{' ' * (end - at - 1)}{text[end:]}", start=at, end=end)


def _write(text: str, brace: str, at: int) -> Repaired:
    return Repaired(text=f"{text[: at - 1]}{brace}{text[at:]}", start=at, end=at)


def _blank(text: str, start: int, end: int) -> Repaired:
    blanked = re.sub(r"[^\r\n]", " ", text[start:end])
    return Repaired(text=text[:start] + blanked + text[end:], start=start, end=end)


# -- statements ------------------------------------------------------------------------


def _extent(bared: str, mistake: Mistake) -> tuple[int, int]:
    """From the beginning of the statement that holds the mistake to its end."""
    at = mistake.span.start
    begins = first_on_line(bared, at)
    keyword = begins and bool(begins_statement(bared, at) or bared.startswith("}", at))
    if begins and mistake.complete:
        start, end = at, next_statement(bared, at, indentation(bared, at))
    elif keyword:
        start, end = statement_before(bared, line_start(bared, at) - 1, at), at
        if not bared.startswith("}", at) and indentation(bared, at) <= indentation(bared, start):
            return start, end  # a list that was never closed, not one that goes on
    else:
        start = statement_before(bared, at, at)
        end = next_statement(bared, at, indentation(bared, start))
        if mistake.complete and bared.startswith("language", start):
            return at, end  # the header itself is there
        if _OPENS.match(bared, start) and "{" not in bared[start:end]:
            return start, _balanced(
                bared, start, end, level=int(indentation(bared, end) > indentation(bared, start))
            )
    return start, _balanced(bared, start, end)


# -- braces ----------------------------------------------------------------------------


def _balanced(bared: str, start: int, end: int, level: int = 0) -> int:
    """The end of a statement, with the blocks it opens and without those it only closes.

    `level` is 1 where the brace that opens one could not be read.
    """
    for match in BRACES.finditer(bared, start):
        if match.start() >= end and level <= 0:
            return end
        level += {"{": 1, "}": -1}.get(match[0], 0)
        if level < 0 and bared[match.end() : line_end(bared, match.end())].strip():
            level = 0  # within a line it closes no block
        elif level < 0:
            return match.start()
        if level == 0 and match.start() >= end:
            return match.end()
    return end if level <= 0 else len(bared)


def misplaced(bared: str, at: int, opener: int) -> bool:
    """Whether a statement stands inside a block on purpose, rather than after one never closed."""
    outer = indentation(bared, opener)
    if indentation(bared, at) > outer:
        return True
    inside = _INSIDE.match(bared, opener + 1)
    indented = inside is not None and len(inside[1]) > outer
    return not indented and depth(bared) == 0


# -- names -----------------------------------------------------------------------------


def declared_names(text: str, spans: Iterable[tuple[int, int]]) -> set[str]:
    """The names that the statements which overlap the spans would have declared, rules included."""
    text = text.replace("\r", "\n")
    starts = [0, *(match.start() for match in BEGINS.finditer(text)), len(text)]
    found = set[tuple[int, int]]()
    for start, end in spans:
        first = max(0, bisect_right(starts, start) - 1)
        last = max(first + 1, bisect_left(starts, end))
        found.update(zip(starts[first:last], starts[first + 1 : last + 1], strict=False))
        if first_on_line(text, start):  # perhaps a keyword that is misspelt
            found.add((start, max(end, starts[min(first + 1, len(starts) - 1)])))
    return {name for begin, end in found for name in _names(text[begin:end])}


def _names(statement: str) -> set[str]:
    """Whatever in its first line may be the name that a statement declares, and the name of a rule."""
    declares = _DECLARES.match(statement)
    first_line = statement[declares.end() :].partition("\n")[0] if declares else ""
    before = _NAME_ENDS.split(first_line, maxsplit=1)[0]
    return {*_NAMED.findall(statement), *_NAME.findall(before)[1:]}
