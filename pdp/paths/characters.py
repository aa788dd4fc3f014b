"""The characters that percent-encoded bytes stand for: those that every server takes for themselves.

`pdp.paths.targets` decodes what may stand in a path as it is. What is still encoded after that
is text beyond ASCII, a space or one of the few characters that have to be encoded, and is held
against Unicode here.
"""

import re
import unicodedata
from typing import Final
from urllib.parse import unquote_to_bytes

from pdp.paths.problems import AmbiguousPathError, PathProblem

__all__ = ["check_characters"]

# Controls, format characters (a file system may skip U+200C, so `.g<ZWNJ>it` opens `.git`), spaces
# and line separators. The expression adds what is invisible but in none of these categories.
_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
_HIDDEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
# Private-use and unassigned: a newer Unicode may normalise to ASCII what this one does not know.
_UNKNOWN_CATEGORIES: Final = frozenset({"Cn", "Co"})
# NFKC leaves these alone, yet "best fit" conversion to a legacy code page makes `/` or `\` of them.
_LOOKALIKES: Final = frozenset("\u00a5\u20a9\u20e5\u2044\u2215\u2216")


def check_characters(path: str, *, ignore_case: bool) -> None:
    """Refuse encoded text that is not UTF-8, or that a server may take for other text."""
    if "%" not in path:
        return
    try:
        decoded = unquote_to_bytes(path).decode()  # strict: no overlong forms, no surrogates
    except UnicodeDecodeError:
        raise AmbiguousPathError(PathProblem.INVALID_UTF8) from None
    if decoded.isascii():
        return
    for char in decoded:
        problem = None if char.isascii() else _problem_of_character(char, ignore_case=ignore_case)
        if problem:
            raise AmbiguousPathError(problem)
    if not unicodedata.is_normalized("NFKC", decoded):
        raise AmbiguousPathError(PathProblem.NOT_NORMALIZED)


def _problem_of_character(char: str, *, ignore_case: bool) -> PathProblem | None:
    category = unicodedata.category(char)
    if category in _HIDDEN_CATEGORIES or _HIDDEN.match(char):
        return PathProblem.HIDDEN_CHARACTER
    if category in _UNKNOWN_CATEGORIES:
        return PathProblem.UNKNOWN_CHARACTER
    if char in _LOOKALIKES:
        return PathProblem.SLASH_LOOKALIKE
    # Whether ignoring case reaches beyond ASCII, servers do not agree: only text that is the same
    # under every rule is read. The second test stops the sharp s and the dotless i (upper case `I`).
    if ignore_case and not char.lower() == char == char.upper().casefold():
        return PathProblem.UNSETTLED_CASE
    return None
