"""Policy text without what is quoted and without comments: what can be looked at without a parser.

Offsets and lines stay as they are.
"""

import re
from typing import Final

__all__ = ["BRACES", "bare", "depth", "open_block"]

_INERT: Final = re.compile(r'"(?:[^"\\\r\n]|\\.)*"?|#[^\r\n]*')
#: Braces that open and close, among captures, which do neither: not even `/{Team}`, which is misspelt.
BRACES: Final = re.compile(r"\{[a-z][a-z0-9_]*\}|(?<=/)\{[^\s{}]*\}?|[{}]")


def bare(text: str) -> str:
    """The text with comments and what is quoted blanked out, and every line ended by a line feed."""
    return _INERT.sub(lambda match: _blanked(match[0]), text).replace("\r", "\n")


def _blanked(inert: str) -> str:
    if inert.startswith("#") or len(inert) == 1:
        return " " * len(inert)
    return f'"{" " * (len(inert) - 2)}"'


def depth(bared: str) -> int:
    """How many braces are open at the end."""
    braces = [match[0] for match in BRACES.finditer(bared)]
    return braces.count("{") - braces.count("}")


def open_block(bared: str, at: int) -> int | None:
    """The innermost brace that is open at an offset."""
    open_: list[int] = []
    for match in BRACES.finditer(bared, 0, at):
        if match[0] == "{":
            open_.append(match.start())
        elif match[0] == "}" and open_:
            open_.pop()
    return open_[-1] if open_ else None
