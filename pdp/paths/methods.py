"""Methods: one upper-case token each, or refused.

What a header that overrides the method does to a request is left to `pdp.engine.decide`.
"""

import re
from typing import Final

from pdp.limits import MAX_METHOD_CHARS
from pdp.paths.problems import MethodProblem

__all__ = ["method_problem"]

_METHOD: Final = re.compile(r"[A-Z][A-Z0-9_-]*+").fullmatch


def method_problem(method: str) -> MethodProblem | None:
    """What keeps `method` from being one upper-case token, or None if nothing does."""
    if len(method) > MAX_METHOD_CHARS:
        return MethodProblem.TOO_LONG
    if _METHOD(method):
        return None
    if not method:
        return MethodProblem.EMPTY
    lower_case = method.isascii() and _METHOD(method.upper())
    return MethodProblem.LOWER_CASE if lower_case else MethodProblem.NOT_A_TOKEN
