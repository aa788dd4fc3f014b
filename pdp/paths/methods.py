"""Methods: one upper-case token each, or refused; and what some frameworks take for one in a query.

What a header that overrides the method does to a request is left to `pdp.engine.decide`.
"""

import re
from typing import Final
from urllib.parse import unquote_plus

from pdp.limits import MAX_METHOD_CHARS
from pdp.paths.problems import MethodProblem

__all__ = ["method_problem", "overridden_by_query"]

_PARAMETERS: Final = re.compile("[&;]")
# PHP leaves out spaces before a name, and reads these within it as `_`.
_READ_AS_UNDERLINE: Final = re.compile(r"[ .\[]")
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


def overridden_by_query(target: str, method: str) -> bool:
    """Whether a parameter `_method` in the query of a target stands for another method.

    Rack, Symfony, Laravel, Express and others obey it where they are told to.
    """
    query = target.partition("?")[2]
    decoded = unquote_plus(query) if "%" in query else query
    if "method" not in decoded.lower():  # as nearly always
        return False
    for parameter in _PARAMETERS.split(query):
        name, _, value = parameter.partition("=")
        read = _READ_AS_UNDERLINE.sub("_", unquote_plus(name).lstrip()).lower()
        if read.rstrip("_]") == "_method" and unquote_plus(value).upper() != method:
            return True
    return False
