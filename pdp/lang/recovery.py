"""Going on after a mistake: which stretch of text to give up, and what it would have declared.

Offsets never change: what is given up is blanked out, and a brace that is missing is written
over white space. Where a statement begins and ends is read from lines and their indentation,
since it is the grammar that has failed. How a mistake is told is `pdp.lang.mistakes`' business.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from pdp.diagnostics import Span
from pdp.lang.bare import BRACES, depth, open_block

__all__ = [
    "Mistake",
    "Repaired",
    "begins_statement",
    "blank_statement",
    "declared_names",
    "misplaced",
]

_TOP_LEVEL: Final = (
    r"(?:trust|issuer|group|role|condition|attribute|delegate|service|caller|never|always|test|language)\b"
)
_IN_BLOCK: Final = r"(?:shadow|allow|deny|host|paths)\b"
_STATEMENT: Final = re.compile(f"{_TOP_LEVEL}|{_IN_BLOCK}")
_MISPLACED: Final = re.compile(_TOP_LEVEL)
# Words with which a statement goes on in a line of its own.
_GOES_ON: Final = re.compile(
    r"(?:to|on|except|and|or|not|has|in|is|owns|when|unless|from|until|because|owner|as|set|remove|reuse|may|"
    r"supplies|fronts|with|at|by|supplying|principal|during)\b"
)
_UNFINISHED: Final = re.compile(r"(?:[,=(]|\b(?:owns|and|or|not))\s*\Z")
_OPENS: Final = re.compile(r"(?:service|test)\b")
_AFTER_BRACES: Final = re.compile(r"[}\s]*")
_INSIDE: Final = re.compile(r"\s*\n([ \t]*)\S")
_BEGINS: Final = re.compile(rf"^[ \t]*(?:{_TOP_LEVEL}|{_IN_BLOCK})", re.MULTILINE)
_DECLARES: Final = re.compile(r"\s*+(?!(?:shadow|allow|deny|host|paths|caller|never|always|test|language)\b)")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_NAME_ENDS: Final = re.compile(r'[={\["]|\(\s')
_NAMED: Final = re.compile(r"\bas\s+(\S+)")
_INDENT: Final = re.compile(r"[ \t]*")


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
    opener = open_block(bared, at) if mistake.complete and _MISPLACED.match(bared, at) else None
    if opener is not None and text[at - 1].isspace() and not misplaced(bared, at, opener):
        return _write(text, "}", at)
    start, end = _extent(bared, mistake)
    if not text[start:end].strip():
        start, end = at, max(mistake.span.end, at + 1)
    return _blank(text, start, end)


def _opened(text: str, bared: str, at: int) -> Repaired | None:
    """The block of a service or a test opened, where what stands before its brace cannot be read."""
    if _first_on_line(bared, at):
        before = _statement_before(bared, _line_start(bared, at) - 1, at)
        return _write(text, "{", at) if _OPENS.match(bared, before) else None
    if not _OPENS.match(bared, _statement_before(bared, at, at)):
        return None
    end = _line_end(bared, at)
    brace = bared.find("{", at, end)
    if brace >= 0:
        return _blank(text, at, brace)
    return Repaired(text=f"{text[:at]}{{{' ' * (end - at - 1)}{text[end:]}", start=at, end=end)


def _write(text: str, brace: str, at: int) -> Repaired:
    return Repaired(text=f"{text[: at - 1]}{brace}{text[at:]}", start=at, end=at)


def _blank(text: str, start: int, end: int) -> Repaired:
    blanked = re.sub(r"[^\r\n]", " ", text[start:end])
    return Repaired(text=text[:start] + blanked + text[end:], start=start, end=end)


def begins_statement(bared: str, at: int) -> bool:
    """Whether the word at an offset is one that statements begin with."""
    return _STATEMENT.match(bared, at) is not None


# -- statements ------------------------------------------------------------------------


def _extent(bared: str, mistake: Mistake) -> tuple[int, int]:
    """From the beginning of the statement that holds the mistake to its end."""
    at = mistake.span.start
    begins = _first_on_line(bared, at)
    keyword = begins and bool(_STATEMENT.match(bared, at) or bared.startswith("}", at))
    if begins and mistake.complete:
        start, end = at, _next_statement(bared, at, _indent(bared, at))
    elif keyword:
        start, end = _statement_before(bared, _line_start(bared, at) - 1, at), at
        if not bared.startswith("}", at) and _indent(bared, at) <= _indent(bared, start):
            return start, end  # a list that was never closed, not one that goes on
    else:
        start = _statement_before(bared, at, at)
        end = _next_statement(bared, at, _indent(bared, start))
        if mistake.complete and bared.startswith("language", start):
            return at, end  # the header itself is there
        if _OPENS.match(bared, start) and "{" not in bared[start:end]:
            return start, _balanced(bared, start, end, level=int(_indent(bared, end) > _indent(bared, start)))
    return start, _balanced(bared, start, end)


def _first_on_line(bared: str, at: int) -> bool:
    return not bared[_line_start(bared, at) : at].strip()


def _line_start(bared: str, at: int) -> int:
    return bared.rfind("\n", 0, at) + 1


def _line_end(bared: str, at: int) -> int:
    end = bared.find("\n", at)
    return len(bared) if end < 0 else end


def _indent(bared: str, at: int) -> int:
    start = _line_start(bared, at)
    match = _INDENT.match(bared, start)
    return match.end() - start if match else 0


def _statement_before(bared: str, line: int, at: int) -> int:
    """Where the statement that reaches to `at` begins, on the line of an offset or before; else 0."""
    start = _line_start(bared, max(0, line))
    while True:
        first = start + _indent(bared, start)
        if bared.startswith("}", first):
            after = _AFTER_BRACES.match(bared, first)
            return min(at, after.end() if after else first)
        if _STATEMENT.match(bared, first) and not _goes_on(bared, start):
            return first
        if start == 0:
            return 0
        start = _line_start(bared, start - 1)


def _goes_on(bared: str, start: int) -> bool:
    """Whether the line before this one is not at its end, as in a list."""
    return _UNFINISHED.search(bared, _line_start(bared, start - 1), start) is not None


def _next_statement(bared: str, at: int, indent: int) -> int:
    """The first line after the one of `at` on which a statement begins, or the end."""
    start = bared.find("\n", at) + 1
    while start:
        first = start + _indent(bared, start)
        if bared.startswith("}", first):
            return first
        if not _goes_on(bared, start):
            other = first - start <= indent and bared[first : first + 1].strip()
            if _STATEMENT.match(bared, first) or (other and not _GOES_ON.match(bared, first)):
                return first
        start = bared.find("\n", start) + 1
    return len(bared)


# -- braces ----------------------------------------------------------------------------


def _balanced(bared: str, start: int, end: int, level: int = 0) -> int:
    """The end of a statement, with the blocks it opens and without those it only closes.

    `level` is 1 where the brace that opens one could not be read.
    """
    for match in BRACES.finditer(bared, start):
        if match.start() >= end and level <= 0:
            return end
        level += {"{": 1, "}": -1}.get(match[0], 0)
        if level < 0 and bared[match.end() : _line_end(bared, match.end())].strip():
            level = 0  # within a line it closes no block
        elif level < 0:
            return match.start()
        if level == 0 and match.start() >= end:
            return match.end()
    return end if level <= 0 else len(bared)


def misplaced(bared: str, at: int, opener: int) -> bool:
    """Whether a statement stands inside a block on purpose, rather than after one never closed."""
    outer = _indent(bared, opener)
    if _indent(bared, at) > outer:
        return True
    inside = _INSIDE.match(bared, opener + 1)
    indented = inside is not None and len(inside[1]) > outer
    return not indented and depth(bared) == 0


# -- names -----------------------------------------------------------------------------


def declared_names(text: str, spans: Iterable[tuple[int, int]]) -> set[str]:
    """The names that the statements which overlap the spans would have declared, rules included."""
    text = text.replace("\r", "\n")
    starts = [0, *(match.start() for match in _BEGINS.finditer(text)), len(text)]
    found = set[tuple[int, int]]()
    for start, end in spans:
        first = max(0, bisect_right(starts, start) - 1)
        last = max(first + 1, bisect_left(starts, end))
        found.update(zip(starts[first:last], starts[first + 1 : last + 1], strict=False))
        if _first_on_line(text, start):  # perhaps a keyword that is misspelt
            found.add((start, max(end, starts[min(first + 1, len(starts) - 1)])))
    return {name for begin, end in found for name in _names(text[begin:end])}


def _names(statement: str) -> set[str]:
    """Whatever in its first line may be the name that a statement declares, and the name of a rule."""
    declares = _DECLARES.match(statement)
    first_line = statement[declares.end() :].partition("\n")[0] if declares else ""
    before = _NAME_ENDS.split(first_line, maxsplit=1)[0]
    return {*_NAMED.findall(statement), *_NAME.findall(before)[1:]}
