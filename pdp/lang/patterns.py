"""From one token to one pattern: principals, paths, users, instants, windows, constants.

Each function takes a token's text and returns a value, or raises `PatternError` with the
offsets of the mistake inside the token. Nothing is resolved here: whether a trust domain or
a group exists is the compiler's business.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_network
from typing import Final, NoReturn, TypeAlias
from urllib.parse import quote

from pdp.diagnostics import Span
from pdp.lang import ast
from pdp.limits import MAX_PATH_SEGMENTS, MAX_SEGMENTS_AFTER_REST, MAX_SPIFFE_ID_BYTES
from pdp.paths import AmbiguousPathError, PathProblem, canonical, is_canonical_segment
from pdp.principals import InvalidIdentityError, dns_principal
from pdp.vocabulary import Millis

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

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_PRINCIPAL_SEGMENT: Final = re.compile(r"[A-Za-z0-9._-]+")
_INTEGER: Final = re.compile(r"-?[0-9]+")
_DECIMAL: Final = re.compile(r"-?[0-9]+\.[0-9]+")
_LIKE_AN_ADDRESS: Final = re.compile(r"-?[0-9a-fA-F.:]+(/[0-9]+)?")
_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d))?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_CLOCK: Final = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)", re.ASCII)
_DURATION: Final = re.compile(r"(\d{1,9})(ms|s|m|h)", re.ASCII)
_CALL: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*)/(\*|[A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_METHOD: Final = re.compile(r"[A-Z][A-Z0-9_-]*", re.ASCII)
_SCHEME: Final = "spiffe://"
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


_ANY: Final = ast.AnySegment()
_REST: Final = ast.RestSegments()
#: Checks and returns the text of a literal piece of a segment.
_Literal: TypeAlias = Callable[[str], str]


class PatternError(Exception):
    """A mistake inside a token.

    Attributes:
        code: The diagnostic's code.
        start: Where the mistake begins, counted from the token's start.
        end: Where it ends.
    """

    def __init__(self, code: str, message: str, *, at: tuple[int, int], help_: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.start, self.end = at
        self.help = help_


def _fail(code: str, message: str, at: tuple[int, int], help_: str = "") -> NoReturn:
    raise PatternError(code, message, at=at, help_=help_)


def _segments(text: str, offset: int, literal: _Literal) -> tuple[ast.Segment, ...]:
    """Take `a/{b}/*` apart; `literal` checks and returns the text of a literal piece."""
    found: list[ast.Segment] = []
    open_ended = False
    for part in text.split("/"):
        try:
            segment = _segment(part, literal)
            if segment is _REST:
                if open_ended:
                    help_ = "write two rules, or `*` for one segment"
                    _fail("PDP304", "a pattern holds `**` only once", (0, 2), help_)
                open_ended = True
        except PatternError as error:
            error.start += offset
            error.end += offset
            raise
        found.append(segment)
        offset += len(part) + 1
    return tuple(found)


@lru_cache(maxsize=1 << 16)  # most segments of a set are the same few words: read once, and shared
def _segment(part: str, literal: _Literal) -> ast.Segment:
    if part == "*":
        return _ANY
    if part == "**":
        return _REST
    whole = (0, len(part))
    if part.startswith("{"):
        name = part[1:-1]
        if not part.endswith("}") or not _NAME.fullmatch(name):
            help_ = "a capture is a whole segment in lower case, such as `{team}`"
            _fail("PDP305", f"`{part}` is not a capture", whole, help_)
        return ast.Capture(name=name)
    if "{" in part or "}" in part:
        help_ = "a capture stands for a whole segment: `/{id}/`"
        _fail("PDP305", f"`{part}` mixes a capture with text", whole, help_)
    if "*" not in part:
        return ast.LiteralSegment(text=literal(part))
    if part.count("*") == 1 and part.endswith("*"):
        return ast.PrefixSegment(text=literal(part[:-1]))
    if part.count("*") == 1 and part.startswith("*"):
        return ast.SuffixSegment(text=literal(part[1:]))
    help_ = "within a segment `*` stands first or last: `v*` or `*.png`"
    _fail("PDP306", f"`{part}` has a `*` inside", whole, help_)


# -- paths -----------------------------------------------------------------------------


def path_pattern(text: str, span: Span) -> ast.PathPattern:
    """A path pattern from its text, which begins with a slash."""
    if not text.startswith("/"):
        _fail("PDP301", f"`{text}` is not a path", (0, len(text)), "a path begins with `/`")
    segments = _segments(text[1:], 1, _path_literal)
    if len(segments) > MAX_PATH_SEGMENTS:
        _fail("PDP910", f"a path has at most {MAX_PATH_SEGMENTS} segments", (0, len(text)))
    _check_tail(segments, text)
    for index, segment in enumerate(segments[:-1]):
        if segment == ast.LiteralSegment(text=""):
            at = _segment_at(text, index)
            _fail(
                "PDP302",
                "a path has no empty segment",
                at,
                "a request with `//` is refused, so this never matches",
            )
    return ast.PathPattern(segments=segments, span=span)


def _segment_at(text: str, index: int) -> tuple[int, int]:
    start = 1 + sum(len(part) + 1 for part in text[1:].split("/")[:index])
    return start, max(start + 1, start + len(text[1:].split("/")[index]))


def _check_tail(segments: tuple[ast.Segment, ...], text: str) -> None:
    """INVARIANT: at most `MAX_SEGMENTS_AFTER_REST` segments stand after `**`."""
    for index, segment in enumerate(segments):
        if isinstance(segment, ast.RestSegments) and len(segments) - index - 1 > MAX_SEGMENTS_AFTER_REST:
            _fail(
                "PDP307",
                f"more than {MAX_SEGMENTS_AFTER_REST} segments follow `**`",
                (0, len(text)),
                "name the segments before `**` instead",
            )


def _path_literal(part: str) -> str:
    if part and not is_canonical_segment(part):
        message, help_ = _why_not_canonical(part)
        _fail("PDP303", f"`{part}` is not a canonical path segment: {message}", (0, len(part)), help_)
    return part


def _why_not_canonical(part: str) -> tuple[str, str]:
    """What no request can have of a segment, and what to write instead."""
    if "?" in part:
        return "it has a `?`, and the query plays no part", "leave the query out"
    if "#" in part:
        return PathProblem.FRAGMENT.sentence, "leave the fragment out"
    written = _canonical_segment(part)
    if isinstance(written, str):
        return "a request that means it reads otherwise", f"write `{written}`"
    encoded = _canonical_segment(quote(part, safe="!$&'()*+,=:@~%"))
    if isinstance(encoded, str):
        return written.sentence, f"write `{encoded}`"
    return written.sentence, "a request with it is refused: see docs/paths.md"


def _canonical_segment(part: str) -> str | PathProblem:
    """How a request with this segment reads, or why it is refused."""
    try:
        return canonical(f"/-/{part}")[len("/-/") :]
    except AmbiguousPathError as error:
        return error.problem


# -- principals ------------------------------------------------------------------------


def principal_pattern(text: str, span: Span) -> ast.PrincipalPattern:
    """`prod/ns/web/sa/*` from its text, which holds a slash."""
    if text.startswith(_SCHEME):
        _fail("PDP322", "a whole SPIFFE ID is written in quotes", (0, len(text)), f'write `"{text}"`')
    domain, _, path = text.partition("/")
    return _spiffe(domain, path, len(domain) + 1, ast.SpiffeForm.PATH, span)


def uri_pattern(text: str, span: Span) -> ast.PrincipalPattern:
    """`"spiffe://prod.example.org/ns/web"` from the text between the quotes."""
    if not text.startswith(_SCHEME):
        help_ = "a quoted principal is a whole SPIFFE ID; a DNS identity is written `dns name`"
        _fail("PDP310", f"`{text}` is not a SPIFFE ID", (0, len(text)), help_)
    domain, _, path = text[len(_SCHEME) :].partition("/")
    return _spiffe(domain, path, len(_SCHEME) + len(domain) + 1, ast.SpiffeForm.URI, span)


def _spiffe(domain: str, path: str, offset: int, form: ast.SpiffeForm, span: Span) -> ast.PrincipalPattern:
    """The pattern of a trust domain and a path, which begins `offset` characters into the token."""
    whole = (0, offset + len(path))
    if not path:
        help_ = "for every principal of a trust domain write `any principal of`, and its short name"
        _fail("PDP311", "a principal has a path after its trust domain", whole, help_)
    if len(path) > MAX_SPIFFE_ID_BYTES:
        _fail("PDP911", f"a SPIFFE ID has at most {MAX_SPIFFE_ID_BYTES} bytes", whole)
    _check_domain(domain, offset - 1 - len(domain))
    segments = _segments(path, offset, _principal_literal)
    parts = path.split("/")
    for index, segment in enumerate(segments):
        start = offset + sum(len(part) + 1 for part in parts[:index])
        _check_whole(segment, (start, start + len(parts[index])))
        if isinstance(segment, ast.RestSegments) and index != len(segments) - 1:
            at = (start, start + 2)
            _fail("PDP314", "in a principal `**` stands last", at, "write `*` for one segment")
    written_out = form is ast.SpiffeForm.URI
    return ast.PrincipalPattern(
        trust_domain=domain, segments=segments, written_out=written_out, form=form, span=span
    )


def _check_domain(domain: str, start: int) -> None:
    if domain != "*" and ("*" in domain or "{" in domain):
        at = (start, start + len(domain))
        _fail("PDP312", "a trust domain is named whole", at, "write `*` for every trust domain")


def _check_whole(segment: ast.Segment, at: tuple[int, int]) -> None:
    if isinstance(segment, ast.PrefixSegment | ast.SuffixSegment):
        _fail("PDP313", "a principal's segment is matched whole", at, "`*` stands for one whole segment")


def _principal_literal(part: str) -> str:
    if not _PRINCIPAL_SEGMENT.fullmatch(part) or part in {".", ".."}:
        what = f"`{part}` is not a segment of a SPIFFE ID" if part else "a SPIFFE ID has no empty segment"
        help_ = "a segment is made of letters, digits, `.`, `-` and `_`"
        _fail("PDP315", what, (0, max(1, len(part))), help_)
    return part


def short_form(text: str, form: ast.SpiffeForm, span: Span) -> ast.PrincipalPattern:
    """`sa prod/web/frontend` and `namespace prod/web`: Kubernetes service accounts and namespaces."""
    domain, *names = text.split("/")
    wanted = 2 if form is ast.SpiffeForm.SERVICE_ACCOUNT else 1
    if len(names) != wanted:
        shape = "sa DOMAIN/NAMESPACE/ACCOUNT" if wanted == 2 else "namespace DOMAIN/NAMESPACE"
        message = f"`{text}` does not have {wanted + 1} parts"
        _fail("PDP316", message, (0, len(text)), f"write `{shape}`")
    _check_domain(domain, 0)
    offset, found = len(domain) + 1, []
    for name in names:
        found.append(_short_segment(name, offset))
        offset += len(name) + 1
    account = found[1] if wanted == 2 else _ANY
    segments = (ast.LiteralSegment(text="ns"), found[0], ast.LiteralSegment(text="sa"), account)
    if len(text) > MAX_SPIFFE_ID_BYTES:
        _fail("PDP911", f"a SPIFFE ID has at most {MAX_SPIFFE_ID_BYTES} bytes", (0, len(text)))
    return ast.PrincipalPattern(trust_domain=domain, segments=segments, form=form, span=span)


def _short_segment(name: str, offset: int) -> ast.Segment:
    (segment,) = _segments(name, offset, _principal_literal)
    at = (offset, offset + len(name))
    _check_whole(segment, at)
    if isinstance(segment, ast.RestSegments):
        help_ = "write `*` for any one; for a whole trust domain, `any principal of` and its short name"
        _fail("PDP314", "a namespace and an account are one segment each", at, help_)
    return segment


def user_pattern(text: str, kind: ast.UserKind, span: Span) -> ast.UserPattern:
    """`corp/alice`, `corp/*`, or the `corp/admins` after `group`."""
    issuer, slash, name = text.partition("/")
    if not slash or not name or not issuer:
        help_ = "write `ISSUER/SUBJECT`, `ISSUER/*`, `group ISSUER/GROUP` or `any user`"
        _fail("PDP317", f"`{text}` does not name an issuer and a user", (0, len(text)), help_)
    if kind is ast.UserKind.SUBJECT and name == "*":
        return ast.UserPattern(kind=ast.UserKind.ISSUER, issuer=issuer, name="", span=span)
    if "*" in name or "{" in name:
        help_ = "a user is named whole; `*` alone stands for every user of the issuer"
        _fail("PDP318", f"`{name}` is not a subject", (len(issuer) + 1, len(text)), help_)
    return ast.UserPattern(kind=kind, issuer=issuer, name=name, span=span)


# -- constants -------------------------------------------------------------------------


def value_of_word(text: str, span: Span) -> ast.Value:
    """A number, an address or a CIDR block; any other text has to be quoted."""
    if _INTEGER.fullmatch(text):
        number = int(text) if len(text) < 32 else 1 << 64
        if not -(1 << 63) <= number < 1 << 63:
            _fail("PDP320", "a number has at most 64 bits", (0, len(text)))
        return ast.IntValue(value=number, span=span)
    if "." in text or ":" in text:
        try:
            ip_network(text, strict=True)
        except ValueError:
            if _LIKE_AN_ADDRESS.fullmatch(text):
                _fail_address(text)
        else:
            return ast.AddressValue(text=text, span=span)
    _fail("PDP322", f"`{text}` is not a value", (0, len(text)), f'text is written in quotes: `"{text}"`')


def _fail_address(text: str) -> NoReturn:
    try:
        block = ip_network(text, strict=False)
    except ValueError:
        help_ = "a number has no fraction" if _DECIMAL.fullmatch(text) else ""
        _fail("PDP321", f"`{text}` is not an address or a CIDR block", (0, len(text)), help_)
    message = f"`{text}` is an address inside a block, not the block"
    _fail("PDP321", message, (0, len(text)), f"the block is `{block}`")


def begins_constant(text: str) -> bool:
    """Whether a word at the place of an operand is a number or an address, not an attribute's name."""
    if text[0].isdigit() or text[0] in "-:":
        return True
    if ":" not in text:
        return False
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def instant(text: str) -> Millis:
    """A date, or a date and time; UTC unless an offset is written."""
    match = _DATE.fullmatch(text)
    if match is None:
        help_ = "write `2027-03-31` or `2027-03-31T09:00+01:00`"
        _fail("PDP323", f"`{text}` is not a date", (0, len(text)), help_)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        _fail("PDP323", f"`{text}` is not a date of the calendar", (0, len(text)))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def duration(text: str) -> Millis:
    """`500ms`, `30s`, `5m` or `1h`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        _fail("PDP324", f"`{text}` is not a duration", (0, len(text)), "write `500ms`, `30s`, `5m` or `1h`")
    return int(match[1]) * _UNITS[match[2]]


def days(text: str) -> tuple[int, ...]:
    """`daily`, `mon` or `mon-fri`; a range may pass over Sunday."""
    if text == "daily":
        return tuple(range(7))
    first, dash, last = text.partition("-")
    if first not in _WEEKDAYS or (dash and last not in _WEEKDAYS):
        help_ = "write `mon`, `mon-fri`, a list of these, or `daily`"
        _fail("PDP325", f"`{text}` is not a day of the week", (0, len(text)), help_)
    start = _WEEKDAYS.index(first)
    count = (_WEEKDAYS.index(last) - start) % 7 + 1 if dash else 1
    return tuple((start + step) % 7 for step in range(count))


def minutes(text: str) -> tuple[int, int]:
    """`09:00-17:00` as minutes of the day, the end exclusive."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        _fail("PDP326", f"`{text}` is not a time of day", (0, len(text)), "write `09:00-17:00`")
    hours, mins, end_hours, end_mins = map(int, match.groups())
    start, end = hours * 60 + mins, end_hours * 60 + end_mins
    if max(mins, end_mins) > 59 or max(start, end) > 1440:
        _fail(
            "PDP326",
            f"`{text}` is not a time of day",
            (0, len(text)),
            "hours go from 00 to 24 and minutes from 00 to 59",
        )
    if start >= end:
        help_ = (
            "a window over midnight is two: `during daily 22:00-24:00 ... or during daily 00:00-06:00 ...`"
        )
        _fail("PDP327", "the window does not end after it begins", (0, len(text)), help_)
    return start, end


# -- other names -----------------------------------------------------------------------


def dns_pattern(text: str, span: Span) -> ast.DnsPattern:
    """`db.example.org`, or `*.example.org` for one label more."""
    try:
        dns_principal(text.removeprefix("*."))
    except InvalidIdentityError as error:
        help_ = "`*.` may stand for the first label only" if "*" in text else ""
        raise PatternError("PDP319", str(error), at=(0, len(text)), help_=help_) from error
    return ast.DnsPattern(name=text.lower().removesuffix("."), span=span)


def call_pattern(text: str, span: Span) -> ast.PathPattern:
    """`package.Service/Method` or `package.Service/*` as the path that gRPC gives it."""
    match = _CALL.fullmatch(text)
    if match is None:
        help_ = "write `call package.Service/Method`, or `package.Service/*`"
        _fail("PDP308", f"`{text}` is not a gRPC method", (0, len(text)), help_)
    method: ast.Segment = ast.AnySegment() if match[2] == "*" else ast.LiteralSegment(text=match[2])
    return ast.PathPattern(segments=(ast.LiteralSegment(text=match[1]), method), span=span)


def methods(text: str) -> tuple[str, ...]:
    """Methods separated by spaces, as tables write them."""
    found = tuple(text.split())
    if not found or not all(_METHOD.fullmatch(word) for word in found):
        _fail("PDP340", f"`{text}` is not a list of methods", (0, len(text)), "write `GET POST`, or `any`")
    return found
