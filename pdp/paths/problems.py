"""Each way in which a path, a method or a host is refused: its stable code, and a sentence for people.

What is looked for, and in which order, is the business of the other modules of this package.
"""

from enum import Enum
from typing import Final, Self

from pdp.limits import MAX_HOST_CHARS, MAX_METHOD_CHARS, MAX_PATH_BYTES, MAX_PATH_SEGMENTS

__all__ = ["AmbiguousHostError", "AmbiguousPathError", "HostProblem", "MethodProblem", "PathProblem"]


class _Problem(Enum):
    """A way to be ambiguous: a stable code as the value, and a sentence for people."""

    sentence: str

    def __new__(cls, code: str, sentence: str) -> Self:
        problem = object.__new__(cls)
        problem._value_ = code
        problem.sentence = sentence
        return problem


class PathProblem(_Problem):
    """Each way in which a request target has no reading, or more than one."""

    FRAGMENT = "fragment", "it has a `#`, which some servers cut off"
    NOT_ORIGIN_FORM = "not_origin_form", "it does not begin with `/`"
    LEADING_DOUBLE_SLASH = "leading_double_slash", "it begins with `//`, which may name a host"
    TOO_LONG = "too_long", f"it is longer than {MAX_PATH_BYTES} bytes"
    TOO_MANY_SEGMENTS = "too_many_segments", f"it has more than {MAX_PATH_SEGMENTS} segments"
    FORBIDDEN_CHARACTER = "forbidden_character", "it has a character that must be percent-encoded"
    BACKSLASH = "backslash", "it has a backslash, which some servers take for a slash"
    PATH_PARAMETER = "path_parameter", "it has a `;`, after which some servers cut the segment off"
    INVALID_PERCENT = "invalid_percent", "it has a `%` without two hexadecimal digits"
    ENCODED_CONTROL = "encoded_control", "it has an encoded control character"
    ENCODED_SLASH = "encoded_slash", "it has an encoded slash (`%2F`)"
    ENCODED_BACKSLASH = "encoded_backslash", "it has an encoded backslash (`%5C`)"
    ENCODED_PERCENT = "encoded_percent", "it has an encoded percent sign (`%25`): it may be decoded twice"
    ENCODED_DOT = "encoded_dot", "it has an encoded dot (`%2E`)"
    ENCODED_DELIMITER = "encoded_delimiter", "it has an encoded `;`, `?` or `#`"
    EMPTY_SEGMENT = "empty_segment", "it has an empty segment (`//`), or one of nothing but spaces"
    DOT_SEGMENT = "dot_segment", "it has a segment of nothing but dots"
    INVALID_UTF8 = "invalid_utf8", "its encoded bytes are not valid UTF-8"
    HIDDEN_CHARACTER = "hidden_character", "it has an encoded control, format or space character of Unicode"
    UNKNOWN_CHARACTER = "unknown_character", "it has an encoded character without an agreed meaning"
    SLASH_LOOKALIKE = "slash_lookalike", "it has an encoded character that some systems turn into a slash"
    NOT_NORMALIZED = "not_normalized", "its text is not in Unicode form NFKC, which some servers bring it to"
    UNSETTLED_CASE = "unsettled_case", "case is ignored here, but not for all its letters on all servers"


class MethodProblem(_Problem):
    """Each way in which a method is not one upper-case token."""

    EMPTY = "empty", "it is empty"
    TOO_LONG = "too_long", f"it is longer than {MAX_METHOD_CHARS} characters"
    LOWER_CASE = "lower_case", "it has lower-case letters: methods are case-sensitive"
    NOT_A_TOKEN = "not_a_token", "it is not made of `A-Z`, then `A-Z`, `0-9`, `_` and `-`"


class HostProblem(_Problem):
    """Each way in which a host names no one authority."""

    NOT_A_HOST_NAME = "not_a_host_name", "it is not a host name of letters, digits, `-`, `_` and dots"
    TOO_LONG = "too_long", f"it is longer than {MAX_HOST_CHARS} characters"
    NOT_AN_ADDRESS = "not_an_address", "it is neither a name nor an IP address in its usual form"
    BAD_PORT = "bad_port", "its port is not a number from 1 to 65535 without leading zeros"


class AmbiguousPathError(ValueError):
    """A request target without exactly one reading; `problem` says in which way."""

    def __init__(self, problem: PathProblem) -> None:
        super().__init__(problem)
        self.problem: Final = problem

    def __str__(self) -> str:
        return f"the path is ambiguous: {self.problem.sentence}"


class AmbiguousHostError(ValueError):
    """A host that names no one authority; `problem` says in which way."""

    def __init__(self, problem: HostProblem) -> None:
        super().__init__(problem)
        self.problem: Final = problem

    def __str__(self) -> str:
        return f"the host is ambiguous: {self.problem.sentence}"
