"""Request paths, methods and hosts: each read in exactly one way, or refused.

This module is the only place where a request target is read. Whoever holds a
`CanonicalPath` may split it at `/` and compare the segments byte for byte. Which paths a
rule means is the business of `pdp.compiler.patterns`; that a refused path is a denied one,
and that *every* reading of a relaxed path must be allowed, the engine's.

The rule is "canonical or refuse", never "repair": where two servers would disagree about
which resource a target names, there is no reading of it. `docs/paths.md` has the reasons
and the published bypasses; `tests/corpus/paths.jsonl` has the cases, for any PDP to use.

INVARIANT: a canonical path is a function of the segments that a server obtains by decoding
the target once. Two spellings of one resource never become two canonical paths, or the
second spelling would slip past a deny that names the first.
"""

import re
import unicodedata
from enum import Enum, Flag, auto
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, NewType, Self
from urllib.parse import unquote_to_bytes

from pdp.limits import MAX_HOST_CHARS, MAX_METHOD_CHARS, MAX_PATH_BYTES, MAX_PATH_SEGMENTS

__all__ = [
    "AmbiguousHostError",
    "AmbiguousPathError",
    "CanonicalPath",
    "HostProblem",
    "MethodProblem",
    "PathProblem",
    "Relaxation",
    "canonical",
    "canonical_host",
    "is_canonical_segment",
    "method_problem",
    "plainly_canonical",
    "readings",
]

#: One reading of a request target. It begins with `/`; `split("/")[1:]` are its segments, of
#: which only the last may be empty. `%2F` stands in one only under `Relaxation.ENCODED_SLASH`.
CanonicalPath = NewType("CanonicalPath", str)


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


class Relaxation(Flag):
    """What a service forgives; each is all-or-nothing for one request, never per occurrence."""

    NONE = 0
    ENCODED_SLASH = auto()  # `%2F` is read both as part of a segment and as `/`
    MERGE_SLASHES = auto()  # a run of slashes is read as one, except at the beginning
    IGNORE_TRAILING_SLASH = auto()  # read both with and without it
    IGNORE_CASE = auto()  # read both as received and with `A-Z` lower-cased


# -- plain paths: the hot path ---------------------------------------------------------

# RFC 3986 section 3.3, `pchar` without percent-encoding and without `;`. A segment may begin
# with one dot (`.well-known`); possessive quantifiers leave nothing to backtrack into.
_PLAIN_NO_DOT: Final = r"A-Za-z0-9_~!$&'()*+,=:@\-"
_PLAIN: Final = re.compile(
    rf"(?:/\.?[{_PLAIN_NO_DOT}][.{_PLAIN_NO_DOT}]*+){{1,{MAX_PATH_SEGMENTS - 1}}}+/?"
).fullmatch


def plainly_canonical(target: str) -> bool:
    """Whether `target` is its own only strict reading, as far as a cheap test can tell.

    True implies `canonical(target) == target`. False says nothing: percent-encoded text and
    segments that begin with two dots are left to `canonical`.
    """
    return len(target) <= MAX_PATH_BYTES and _PLAIN(target) is not None


def canonical(target: str) -> CanonicalPath:
    """The one strict reading of a request target as received, its query split off.

    Raises:
        AmbiguousPathError: `target` has no reading, or more than one.
    """
    if len(target) <= MAX_PATH_BYTES and _PLAIN(target) is not None:
        return target  # type: ignore[return-value]  # calling a NewType costs a fifth of this function
    return _read(target, Relaxation.NONE)[0]


def readings(target: str, relaxations: Relaxation) -> tuple[CanonicalPath, ...]:
    """Every reading of `target` under `relaxations`: distinct, sorted, at least one.

    At most `MAX_PATH_READINGS` (in fact eight): merging replaces, the others double.

    Raises:
        AmbiguousPathError: some reading has a problem that no enabled relaxation covers.
    """
    return _read(target, relaxations) if relaxations else (canonical(target),)


def is_canonical_segment(text: str, relaxations: Relaxation = Relaxation.NONE) -> bool:
    """Whether `text` may be a literal segment of a pattern for a service with `relaxations`.

    It may if requests that name it always read as it: it is canonical, and in lower case where
    case is ignored (a deny of `Admin` would otherwise miss `ADMIN`). `%2F` needs its relaxation.
    """
    if "/" in text:
        return False
    path = f"/-/{text}"  # as an inner segment, so that `%2F` at its beginning meets another slash
    try:
        found = readings(path, relaxations & ~Relaxation.IGNORE_TRAILING_SLASH)
    except AmbiguousPathError:
        return False
    lower = Relaxation.IGNORE_CASE not in relaxations or _lower(path) == path
    return bool(text) and path in found and lower


# -- all other paths -------------------------------------------------------------------

_NOT_PRINTABLE: Final = re.compile(r"[^\x21-\x7e]")
_NOT_IN_A_PATH: Final = re.compile(r"[^A-Za-z0-9._~!$&'()*+,=:@%/\-]")
_SLASHES: Final = re.compile(r"//+")
# Windows drops dots and spaces at the end of a name, and many programs trim: `..%20` is `..`.
_EMPTY_SEGMENT: Final = re.compile(r"/(?:%20)*+/|/(?:%20)++\Z")
_DOT_SEGMENT: Final = re.compile(r"/(?:\.|%20)++(?:/|\Z)")
_TRIPLET_OR_UPPER: Final = re.compile(r"%[0-9A-F]{2}|[A-Z]+")


def _read(target: str, relaxations: Relaxation) -> tuple[CanonicalPath, ...]:
    received = _decoded_once(_path_of(target), keep_slash=Relaxation.ENCODED_SLASH in relaxations)
    # In this order because the slashes that decoding reveals are merged, and the trailing slash
    # that merging leaves is ignored; letter case commutes with all of them.
    found = {received}
    if Relaxation.ENCODED_SLASH in relaxations:
        found |= {received.replace("%2F", "/")}
    if any(text.startswith("//") for text in found):
        # Not even when merging: to some parsers `//admin/x` is the path `/x` of the host `admin`.
        raise AmbiguousPathError(PathProblem.LEADING_DOUBLE_SLASH)
    if Relaxation.MERGE_SLASHES in relaxations:
        found = {_SLASHES.sub("/", text) for text in found}
    if Relaxation.IGNORE_TRAILING_SLASH in relaxations:
        found |= {text[:-1] if text.endswith("/") else f"{text}/" for text in found - {"/"}}
    if Relaxation.IGNORE_CASE in relaxations:
        found |= {_lower(text) for text in found}
    for text in sorted(found):
        _check_segments(text)
        _check_characters(text, ignore_case=Relaxation.IGNORE_CASE in relaxations)
    return tuple(CanonicalPath(text) for text in sorted(found))


def _path_of(target: str) -> str:
    """The path of an origin-form target (RFC 9112 section 3.2.1), made of URI characters only."""
    if "#" in target:
        raise AmbiguousPathError(PathProblem.FRAGMENT)
    if not target.startswith("/"):
        raise AmbiguousPathError(PathProblem.NOT_ORIGIN_FORM)
    path = target.partition("?")[0]
    if len(path) > MAX_PATH_BYTES:
        raise AmbiguousPathError(PathProblem.TOO_LONG)
    if _NOT_PRINTABLE.search(target):  # the query too: a space or line break there ends the target early
        raise AmbiguousPathError(PathProblem.FORBIDDEN_CHARACTER)
    unexpected = _NOT_IN_A_PATH.search(path)
    if unexpected:
        raise AmbiguousPathError(_PROBLEM_OF_RAW.get(unexpected[0], PathProblem.FORBIDDEN_CHARACTER))
    return path


_PROBLEM_OF_RAW: Final = {"\\": PathProblem.BACKSLASH, ";": PathProblem.PATH_PARAMETER}


def _reading_of_byte(byte: int) -> str | PathProblem:
    """What `%XX` stands for: a character, itself in upper case, or a problem.

    RFC 3986 section 6.2.2.2 decodes unreserved characters. The other characters that may stand
    in a segment as they are (`!$&'()*+,=:@`) are decoded too: practically every server does so
    before it routes, so `/users/%40me` must not slip past a rule on `/users/@me`.
    """
    char = chr(byte)
    if byte < 0x20 or byte == 0x7F:
        return PathProblem.ENCODED_CONTROL
    if re.fullmatch(f"[{_PLAIN_NO_DOT}]", char):
        return char
    return _PROBLEM_OF_ENCODED.get(char, f"%{byte:02X}")


_PROBLEM_OF_ENCODED: Final = {
    "/": PathProblem.ENCODED_SLASH,
    "\\": PathProblem.ENCODED_BACKSLASH,
    "%": PathProblem.ENCODED_PERCENT,
    ".": PathProblem.ENCODED_DOT,
    ";": PathProblem.ENCODED_DELIMITER,
    "?": PathProblem.ENCODED_DELIMITER,
    "#": PathProblem.ENCODED_DELIMITER,
}
_HEX: Final = "0123456789ABCDEFabcdef"
_TRIPLETS: Final = {high + low: _reading_of_byte(int(high + low, 16)) for high in _HEX for low in _HEX}


def _decoded_once(path: str, *, keep_slash: bool) -> str:
    first, *rest = path.split("%")
    parts = [first]
    for piece in rest:
        meaning = _TRIPLETS.get(piece[:2], PathProblem.INVALID_PERCENT)
        if meaning is PathProblem.ENCODED_SLASH and keep_slash:
            meaning = "%2F"
        if isinstance(meaning, PathProblem):
            raise AmbiguousPathError(meaning)
        parts += meaning, piece[2:]
    return "".join(parts)


def _lower(path: str) -> str:
    """`path` with `A-Z` lower-cased; the digits of `%XX` stay in upper case."""
    return _TRIPLET_OR_UPPER.sub(lambda found: found[0] if found[0][0] == "%" else found[0].lower(), path)


def _check_segments(path: str) -> None:
    if len(path) > MAX_PATH_BYTES:
        raise AmbiguousPathError(PathProblem.TOO_LONG)
    if path.count("/") > MAX_PATH_SEGMENTS:
        raise AmbiguousPathError(PathProblem.TOO_MANY_SEGMENTS)
    if _EMPTY_SEGMENT.search(path):
        raise AmbiguousPathError(PathProblem.EMPTY_SEGMENT)
    if _DOT_SEGMENT.search(path):
        raise AmbiguousPathError(PathProblem.DOT_SEGMENT)


# -- encoded text ----------------------------------------------------------------------

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


def _check_characters(path: str, *, ignore_case: bool) -> None:
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


# -- methods and hosts -----------------------------------------------------------------

_METHOD: Final = re.compile(r"[A-Z][A-Z0-9_-]*+").fullmatch
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?").fullmatch
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*").fullmatch
_AUTHORITY: Final = re.compile(r"(\[[^\[\]@]*\]|[^\[\]:@]*)(?::(.*))?", re.DOTALL).fullmatch
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}").fullmatch


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


def canonical_host(authority: str) -> tuple[str, int | None]:
    """The host of an authority (RFC 9110 section 7.2) in lower case, and its port if it has one.

    One trailing dot is dropped; IPv6 keeps its brackets and takes the form of RFC 5952. Names
    are not folded to or from IDNA. A default port is returned like any other: only whoever
    knows the scheme can tell that 443 may be left out.

    Raises:
        AmbiguousHostError: it has user information, a bad port, or is no name and no address.
    """
    if len(authority) > MAX_HOST_CHARS + len(".:65535"):
        raise AmbiguousHostError(HostProblem.TOO_LONG)
    parts = _AUTHORITY(authority)
    if parts is None:
        raise AmbiguousHostError(HostProblem.NOT_A_HOST_NAME)
    host, port = parts[1], parts[2]
    if port is not None and (not _PORT(port) or int(port) > 0xFFFF):
        raise AmbiguousHostError(HostProblem.BAD_PORT)
    name = _ipv6(host[1:-1]) if host.startswith("[") else _host_name(host)
    return name, None if port is None else int(port)


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise AmbiguousHostError(HostProblem.NOT_AN_ADDRESS) from None
    if address.scope_id is not None or address.ipv4_mapped is not None:  # two spellings of one host
        raise AmbiguousHostError(HostProblem.NOT_AN_ADDRESS)
    return f"[{address.compressed}]"


def _host_name(host: str) -> str:
    if not host.isascii():  # before lower-casing: the Kelvin sign would become `k`
        raise AmbiguousHostError(HostProblem.NOT_A_HOST_NAME)
    name = host.lower().removesuffix(".")
    if len(name) > MAX_HOST_CHARS:
        raise AmbiguousHostError(HostProblem.TOO_LONG)
    labels = name.split(".")
    if not all(_LABEL(label) for label in labels):
        raise AmbiguousHostError(HostProblem.NOT_A_HOST_NAME)
    if _NUMERIC_LABEL(labels[-1]):  # an IPv4 address to many parsers: `127.1`, `0x7f000001`, `017.0.0.1`
        try:
            IPv4Address(name)
        except AddressValueError:
            raise AmbiguousHostError(HostProblem.NOT_AN_ADDRESS) from None
    return name
