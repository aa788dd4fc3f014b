"""From one token to one pattern: principals, paths, users, instants, windows, constants.

Each function takes a token's text and returns a value, or raises `PatternError` with the
offsets of the mistake inside the token. Nothing is resolved here: whether a trust domain or
a group exists is the compiler's business.
"""

from pdp.lang.patterns.paths import call_pattern, methods, path_pattern
from pdp.lang.patterns.principals import (
    dns_pattern,
    principal_pattern,
    short_form,
    uri_pattern,
    user_pattern,
)
from pdp.lang.patterns.problem import PatternError
from pdp.lang.patterns.times import days, duration, instant, minutes
from pdp.lang.patterns.values import begins_constant, value_of_word

__all__ = [
    "PatternError",
    "begins_constant",
    "call_pattern",
    "days",
    "dns_pattern",
    "duration",
    "instant",
    "methods",
    "minutes",
    "path_pattern",
    "principal_pattern",
    "short_form",
    "uri_pattern",
    "user_pattern",
    "value_of_word",
]
