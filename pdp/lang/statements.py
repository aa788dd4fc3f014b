"""Where statements begin and end: read from lines and their indentation, where the grammar has failed.

`bared` is what `pdp.lang.bare` makes of a text: no word in it stands in a comment or in quotes.
Which stretch is given up is the business of `pdp.lang.recovery`.
"""

import re
from typing import Final

__all__ = [
    "BEGINS",
    "begins_statement",
    "first_on_line",
    "indentation",
    "line_end",
    "line_start",
    "next_statement",
    "stands_outside",
    "statement_before",
]

_TOP_LEVEL: Final = (
    r"(?:trust|issuer|group|role|condition|attribute|delegate|service|caller|never|always|test|language)\b"
)
_IN_BLOCK: Final = r"(?:shadow|allow|deny|host|paths)\b"
_STATEMENT: Final = re.compile(f"{_TOP_LEVEL}|{_IN_BLOCK}")
_OUTSIDE: Final = re.compile(_TOP_LEVEL)
# Words with which a statement goes on in a line of its own.
_GOES_ON: Final = re.compile(
    r"(?:to|on|except|and|or|not|has|in|is|owns|when|unless|from|until|because|owner|as|set|remove|reuse|may|"
    r"supplies|fronts|with|at|by|supplying|principal|during)\b"
)
_UNFINISHED: Final = re.compile(r"(?:[,=(]|\b(?:owns|and|or|not))\s*\Z")
_AFTER_BRACES: Final = re.compile(r"[}\s]*")
#: The beginning of every line on which a statement begins.
BEGINS: Final = re.compile(rf"^[ \t]*(?:{_TOP_LEVEL}|{_IN_BLOCK})", re.MULTILINE)
_INDENT: Final = re.compile(r"[ \t]*")


def begins_statement(bared: str, at: int) -> bool:
    """Whether the word at an offset is one that statements begin with."""
    return _STATEMENT.match(bared, at) is not None


def stands_outside(bared: str, at: int) -> bool:
    """Whether the word at an offset begins a statement that no block holds."""
    return _OUTSIDE.match(bared, at) is not None


def first_on_line(bared: str, at: int) -> bool:
    """Whether nothing stands before an offset on its line."""
    return not bared[line_start(bared, at) : at].strip()


def line_start(bared: str, at: int) -> int:
    """Where the line of an offset begins."""
    return bared.rfind("\n", 0, at) + 1


def line_end(bared: str, at: int) -> int:
    """Where the line of an offset ends, its break left out."""
    end = bared.find("\n", at)
    return len(bared) if end < 0 else end


def indentation(bared: str, at: int) -> int:
    """How far the line of an offset is indented."""
    start = line_start(bared, at)
    match = _INDENT.match(bared, start)
    return match.end() - start if match else 0


def statement_before(bared: str, line: int, at: int) -> int:
    """Where the statement that reaches to `at` begins, on the line of an offset or before; else 0."""
    start = line_start(bared, max(0, line))
    while True:
        first = start + indentation(bared, start)
        if bared.startswith("}", first):
            after = _AFTER_BRACES.match(bared, first)
            return min(at, after.end() if after else first)
        if _STATEMENT.match(bared, first) and not _goes_on(bared, start):
            return first
        if start == 0:
            return 0
        start = line_start(bared, start - 1)


def _goes_on(bared: str, start: int) -> bool:
    """Whether the line before this one is not at its end, as in a list."""
    return _UNFINISHED.search(bared, line_start(bared, start - 1), start) is not None


def next_statement(bared: str, at: int, indent: int) -> int:
    """The first line after the one of `at` on which a statement begins, or the end."""
    start = bared.find("\n", at) + 1
    while start:
        first = start + indentation(bared, start)
        if bared.startswith("}", first):
            return first
        if not _goes_on(bared, start):
            other = first - start <= indent and bared[first : first + 1].strip()
            if _STATEMENT.match(bared, first) or (other and not _GOES_ON.match(bared, first)):
                return first
        start = bared.find("\n", start) + 1
    return len(bared)
