"""Principals and users: SPIFFE IDs in each form they are written in, DNS identities, subjects.

What may be an identity at all is the business of `pdp.principals`.
"""

import re
from typing import Final, NoReturn

from pdp.diagnostics import Span
from pdp.lang import ast
from pdp.lang.patterns.problem import PatternError, fail
from pdp.lang.patterns.segments import segments_of
from pdp.limits import MAX_SPIFFE_ID_BYTES
from pdp.principals import InvalidIdentityError, dns_principal

__all__ = ["dns_pattern", "principal_pattern", "short_form", "uri_pattern", "user_pattern"]

_PRINCIPAL_SEGMENT: Final = re.compile(r"[A-Za-z0-9._-]+")
_ANY: Final = ast.AnySegment()
_SCHEME: Final = "spiffe://"
_TOO_LONG: Final = "no certificate holds a longer one: end it earlier, with `/**`"


def principal_pattern(text: str, span: Span) -> ast.PrincipalPattern:
    """`prod/ns/web/sa/*` from its text, which holds a slash."""
    if text.startswith(_SCHEME):
        fail("PDP322", "a whole SPIFFE ID is written in quotes", (0, len(text)), f'write `"{text}"`')
    domain, _, path = text.partition("/")
    return _spiffe(domain, path, len(domain) + 1, ast.SpiffeForm.PATH, span)


def uri_pattern(text: str, span: Span) -> ast.PrincipalPattern:
    """`"spiffe://prod.example.org/ns/web"` from the text between the quotes."""
    if not text.startswith(_SCHEME):
        help_ = "a quoted principal is a whole SPIFFE ID; a DNS identity is written `dns name`"
        fail("PDP310", f"`{text}` is not a SPIFFE ID", (0, len(text)), help_)
    domain, _, path = text[len(_SCHEME) :].partition("/")
    return _spiffe(domain, path, len(_SCHEME) + len(domain) + 1, ast.SpiffeForm.URI, span)


def _spiffe(domain: str, path: str, offset: int, form: ast.SpiffeForm, span: Span) -> ast.PrincipalPattern:
    """The pattern of a trust domain and a path, which begins `offset` characters into the token."""
    whole = (0, offset + len(path))
    if not path:
        help_ = "for every principal of a trust domain write `any principal of`, and its short name"
        fail("PDP311", "a principal has a path after its trust domain", whole, help_)
    if len(path) > MAX_SPIFFE_ID_BYTES:
        fail("PDP911", f"a SPIFFE ID has at most {MAX_SPIFFE_ID_BYTES} bytes", whole, _TOO_LONG)
    _check_domain(domain, offset - 1 - len(domain))
    segments = segments_of(path, offset, _principal_literal)
    for index, segment in enumerate(segments):
        if isinstance(segment, ast.PrefixSegment | ast.SuffixSegment):
            _fail_whole(_place(path, index, offset))
        if isinstance(segment, ast.RestSegments) and index != len(segments) - 1:
            at = _place(path, index, offset)
            fail("PDP314", "in a principal `**` stands last", at, "write `*` for one segment")
    written_out = form is ast.SpiffeForm.URI
    return ast.PrincipalPattern(
        trust_domain=domain, segments=segments, written_out=written_out, form=form, span=span
    )


def _check_domain(domain: str, start: int) -> None:
    if domain != "*" and ("*" in domain or "{" in domain):
        at = (start, start + len(domain))
        fail("PDP312", "a trust domain is named whole", at, "write `*` for every trust domain")


def _place(path: str, index: int, offset: int) -> tuple[int, int]:
    """Where a segment of the path stands in the token."""
    parts = path.split("/")
    start = offset + sum(len(part) + 1 for part in parts[:index])
    return start, start + len(parts[index])


def _fail_whole(at: tuple[int, int]) -> NoReturn:
    fail("PDP313", "a principal's segment is matched whole", at, "`*` stands for one whole segment")


def _principal_literal(part: str) -> str:
    if not _PRINCIPAL_SEGMENT.fullmatch(part) or part in {".", ".."}:
        what = f"`{part}` is not a segment of a SPIFFE ID" if part else "a SPIFFE ID has no empty segment"
        help_ = "a segment is made of letters, digits, `.`, `-` and `_`"
        fail("PDP315", what, (0, max(1, len(part))), help_)
    return part


def short_form(text: str, form: ast.SpiffeForm, span: Span) -> ast.PrincipalPattern:
    """`sa prod/web/frontend` and `namespace prod/web`: Kubernetes service accounts and namespaces."""
    domain, *names = text.split("/")
    wanted = 2 if form is ast.SpiffeForm.SERVICE_ACCOUNT else 1
    if len(names) != wanted:
        shape = "sa DOMAIN/NAMESPACE/ACCOUNT" if wanted == 2 else "namespace DOMAIN/NAMESPACE"
        message = f"`{text}` does not have {wanted + 1} parts"
        fail("PDP316", message, (0, len(text)), f"write `{shape}`")
    _check_domain(domain, 0)
    offset, found = len(domain) + 1, []
    for name in names:
        found.append(_short_segment(name, offset))
        offset += len(name) + 1
    account = found[1] if wanted == 2 else _ANY
    segments = (ast.LiteralSegment(text="ns"), found[0], ast.LiteralSegment(text="sa"), account)
    if len(text) > MAX_SPIFFE_ID_BYTES:
        fail("PDP911", f"a SPIFFE ID has at most {MAX_SPIFFE_ID_BYTES} bytes", (0, len(text)), _TOO_LONG)
    return ast.PrincipalPattern(trust_domain=domain, segments=segments, form=form, span=span)


def _short_segment(name: str, offset: int) -> ast.Segment:
    (segment,) = segments_of(name, offset, _principal_literal)
    at = (offset, offset + len(name))
    if isinstance(segment, ast.PrefixSegment | ast.SuffixSegment):
        _fail_whole(at)
    if isinstance(segment, ast.RestSegments):
        help_ = "write `*` for any one; for a whole trust domain, `any principal of` and its short name"
        fail("PDP314", "a namespace and an account are one segment each", at, help_)
    return segment


def dns_pattern(text: str, span: Span) -> ast.DnsPattern:
    """`db.example.org`, or `*.example.org` for one label more."""
    try:
        dns_principal(text.removeprefix("*."))
    except InvalidIdentityError as error:
        raise PatternError("PDP319", str(error), at=(0, len(text)), help_=_host_name_help(text)) from error
    return ast.DnsPattern(name=text.lower().removesuffix("."), span=span)


def _host_name_help(text: str) -> str:
    if "*" in text:
        return "`*.` may stand for the first label only"
    if "://" in text:
        return f"a name is no URL: write `dns {text.partition('://')[2].partition('/')[0]}`"
    if not text.isascii():
        return "write its ASCII form, whose labels begin with `xn--`"
    return "write a host name, such as `dns db.example.org`"


def user_pattern(text: str, kind: ast.UserKind, span: Span) -> ast.UserPattern:
    """`corp/alice`, `corp/*`, or the `corp/admins` after `group`."""
    issuer, slash, name = text.partition("/")
    if not slash or not name or not issuer:
        help_ = "write `ISSUER/SUBJECT`, `ISSUER/*`, `group ISSUER/GROUP` or `any user`"
        fail("PDP317", f"`{text}` does not name an issuer and a user", (0, len(text)), help_)
    if kind is ast.UserKind.SUBJECT and name == "*":
        return ast.UserPattern(kind=ast.UserKind.ISSUER, issuer=issuer, name="", span=span)
    if "*" in name or "{" in name:
        help_ = "a user is named whole; `*` alone stands for every user of the issuer"
        fail("PDP318", f"`{name}` is not a subject", (len(issuer) + 1, len(text)), help_)
    return ast.UserPattern(kind=kind, issuer=issuer, name=name, span=span)
