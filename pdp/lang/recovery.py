"""Going on after a mistake: which stretch of text to give up, and what it would have declared."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from pdp.diagnostics import Span

__all__ = ["Repaired", "blank_statement", "declared_names"]

# Where a statement can begin: at the start of a line.
_STATEMENT: Final = re.compile(
    r"^[ \t]*(?:(?:language|trust|issuer|group|role|condition|attribute|delegate|service|shadow|allow|deny|"
    r"caller|never|always|test|host|paths)\b|\})",
    re.MULTILINE,
)
_TOP_LEVEL: Final = re.compile(
    r"(?:trust|issuer|group|role|condition|attribute|delegate|service|caller|never|always|test)\b"
)
_DECLARED: Final = re.compile(
    r"[ \t]*(?:trust domain|issuer|group|role|condition|attribute|service)\s+([^\s={]+)"
)
_INERT: Final = re.compile(r'"(?:[^"\\\r\n]|\\.)*"?|#[^\r\n]*')
# A capture is not a block: `{team}` opens nothing.
_BRACES: Final = re.compile(r"\{[a-z][a-z0-9_]*\}|[{}]")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """The text with one statement blanked out (offsets stay), and where that began."""

    text: str
    start: int


def blank_statement(text: str, mistake: Span, *, at_boundary: bool) -> Repaired:
    """Give up the statement that holds the mistake.

    Args:
        text: The text that failed to parse.
        mistake: The token at which it failed.
        at_boundary: Whether the statement before that token was complete, so that the token
            itself is out of place.
    """
    bare = _INERT.sub(lambda match: " " * len(match[0]), text)
    if not text[mistake.start :].strip() and (depth := _depth(bare)) > 0:
        return Repaired(text=text + "}" * depth, start=mistake.start)
    if at_boundary and _TOP_LEVEL.match(bare, mistake.start) and _depth(bare[: mistake.start]) > 0:
        # A block that was never closed: close it in the white space before the statement.
        return Repaired(text=f"{text[: mistake.start - 1]}}}{text[mistake.start :]}", start=mistake.start)
    starts = [match.end() - len(match[0].lstrip()) for match in _STATEMENT.finditer(bare)]
    if bare[mistake.start : mistake.end] == "}" and _depth(bare[: mistake.start]) <= 0:
        return _blank(text, mistake.start, mistake.end)
    limit = mistake.start if at_boundary else mistake.start - 1
    start = max((at for at in starts if at <= limit), default=0)
    end = min((at for at in starts if at > max(start, mistake.start - 1)), default=len(text))
    end = max(end, mistake.end) if end <= mistake.start else end
    if _depth(bare[start:end]) > 0:
        end = _closing(bare, start, end)
    return _blank(text, start, end)


def _blank(text: str, start: int, end: int) -> Repaired:
    blanked = re.sub(r"[^\r\n]", " ", text[start:end])
    return Repaired(text=text[:start] + blanked + text[end:], start=start)


def _depth(bare: str) -> int:
    braces = [match[0] for match in _BRACES.finditer(bare)]
    return braces.count("{") - braces.count("}")


def _closing(bare: str, start: int, end: int) -> int:
    """The end of the block that a damaged statement opened."""
    depth = _depth(bare[start:end])
    for match in _BRACES.finditer(bare, end):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return len(bare)


def declared_names(text: str, offsets: Iterable[int]) -> set[str]:
    """The names that the statements at or before the offsets declare."""
    starts = [match.start() for match in _STATEMENT.finditer(text)]
    where = set[int]()
    for offset in offsets:
        # The statement's white space may begin before the offset and its keyword end after it.
        where.update({offset, *starts[max(0, bisect_right(starts, offset) - 1) :][:1]})
    return {match[1] for start in where if (match := _DECLARED.match(text, start))}
