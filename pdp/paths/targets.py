"""Request targets to canonical paths: the plain ones by one expression, all others step by step.

This module splits off the query, decodes once and checks the segments. What encoded text may
be is left to `pdp.paths.characters`.
"""

import re
from enum import Flag, auto
from typing import Final, NewType

from pdp.limits import MAX_PATH_BYTES, MAX_PATH_SEGMENTS
from pdp.paths.characters import check_characters
from pdp.paths.problems import AmbiguousPathError, PathProblem

__all__ = [
    "CanonicalPath",
    "Relaxation",
    "canonical",
    "is_canonical_segment",
    "plainly_canonical",
    "readings",
]

#: One reading of a request target. It begins with `/`; `split("/")[1:]` are its segments, of
#: which only the last may be empty. `%2F` stands in one only under `Relaxation.ENCODED_SLASH`.
CanonicalPath = NewType("CanonicalPath", str)


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

    At most eight, each of which is decided: merging replaces, the others double.

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
    found = {received, received.replace("%2F", "/")}  # the same but for `Relaxation.ENCODED_SLASH`
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
        check_characters(text, ignore_case=Relaxation.IGNORE_CASE in relaxations)
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
