r"""`x-forwarded-client-cert`: what proxies say of the certificates that they have seen.

A proxy of Envoy's family that has terminated mTLS says whom it has verified:
`By=spiffe://.../pdp;Hash=...;Subject="CN=...";URI=spiffe://.../proxy` (Envoy's documentation of HTTP headers,
*x-forwarded-client-cert*). Every proxy on the way may append an element of its own. The last one is about
whoever called the proxy that we believe; what comes before is only what somebody claimed.

Envoy writes `By`, `URI` and `DNS` as they stand in the certificates, neither quoted nor escaped: a name
with `;` or `,` in it looks like more keys, or more elements. So who is meant has to be the only URI, and
a SPIFFE ID, which has neither.
Of a backslash before a quote it is not certain whether it escapes; one does, and of several nobody knows.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final, TypeAlias

from pdp.identity.forwarded.lines import only_line
from pdp.identity.forwarded.refusal import ForwardedError, ForwardedFault, invalid
from pdp.principals import InvalidIdentityError, Principal, spiffe_principal

__all__ = ["XFCC", "Element", "forwarded_identity", "parse_elements", "workload_of"]

#: What one proxy says: keys in lower case (`uri` also where it is written `SAN`) and values, in order.
Element: TypeAlias = tuple[tuple[str, str], ...]

XFCC: Final = b"x-forwarded-client-cert"
_KEYS: Final = frozenset({"by", "hash", "cert", "chain", "subject", "uri", "dns"})
_OLD_KEYS: Final = {"san": "uri"}
_REPEATED: Final = frozenset({"by", "uri", "dns"})
_PAIR: Final = re.compile(
    r"""([A-Za-z]{1,16})=
        (?: "( (?: [\ !#-\[\]-~] | \\+(?=[^"\\]) | \\" )* )"   # quoted: printable ASCII
        |   ( [!#-+\--:<-~]* ) )                               # bare: nothing that separates or quotes
    """,
    re.ASCII | re.VERBOSE,
)
_COMMA: Final = re.compile(r"[ \t]*,[ \t]*", re.ASCII)  # RFC 9110, section 5.6.1, without empty elements


def forwarded_identity(lines: Sequence[bytes], ours: str, hops: int = 1) -> Principal:
    """The workload that our sidecar verified, or that the first of several proxies did.

    Args:
        lines: The values of every header line of this name.
        ours: The SPIFFE ID that the last proxy's certificate names.
        hops: How many proxies have to be in it. Each has appended whom it has verified: that is the one
            before it, by the name that stands in that one's own element.

    Raises:
        ForwardedError: There is none, or not exactly so many, or one is for somebody else.
    """
    elements = parse_elements(only_line(XFCC, lines))
    if len(elements) != hops:
        raise _invalid(
            "it has several elements: some proxy before ours has its own in it"
            if hops == 1
            else f"it does not have {hops} elements, one of each proxy"
        )
    expected = ours
    for element in reversed(elements[1:]):
        expected = _from(element, expected).id
    return _from(elements[0], expected)


def _from(element: Element, to: str) -> Principal:
    """The workload that showed a certificate to one with this ID."""
    by = _values(element, "by")
    if not by:
        raise _invalid("it does not say for whom it is made, in a `By`")
    if len(by) > 1:
        raise _invalid("its key `by` stands there twice")
    if by[0] != to:
        raise ForwardedError(
            ForwardedFault.ELSEWHERE, "the certificate was shown to another workload than us"
        )
    return workload_of(element)


def workload_of(element: Element) -> Principal:
    """The workload that an element names.

    Raises:
        ForwardedError: It names none, or several, or one that is not of SPIFFE.
    """
    uris = _values(element, "uri")
    if not uris:
        raise _invalid("it does not name a workload, in a `URI`")
    if len(uris) > 1:
        raise _invalid("its key `uri` stands there twice")
    try:
        return spiffe_principal(uris[0])
    except InvalidIdentityError as error:
        raise _invalid(f"its `URI` is not the SPIFFE ID of a workload: {error}") from error


def parse_elements(text: str) -> tuple[Element, ...]:
    """What each proxy said, in the order in which they appended it.

    Raises:
        ForwardedError: Anything about the header is not as Envoy writes it; then nothing of it counts.
    """
    text = text.strip(" \t")
    elements: list[Element] = []
    at = 0
    while True:
        element, at = _element(text, at)
        elements.append(element)
        if at == len(text):
            return tuple(elements)
        comma = _COMMA.match(text, at)
        if comma is None:
            raise _invalid("it cannot be read")
        at = comma.end()


def _element(text: str, at: int) -> tuple[Element, int]:
    """The element that begins at a place, and where it ends."""
    pairs: list[tuple[str, str]] = []
    while match := _PAIR.match(text, at):
        written = match[1].lower()
        key = _OLD_KEYS.get(written, written)
        if key not in _KEYS:
            raise _invalid("it has a key that is not known")
        pairs.append((key, match[3] if match[2] is None else match[2].replace('\\"', '"')))
        at = match.end()
        if text[at : at + 1] != ";":
            for key, count in Counter(key for key, _ in pairs).items():
                if count > 1 and key not in _REPEATED:
                    raise _invalid(f"its key `{key}` stands there twice")
            return tuple(pairs), at
        at += 1
    raise _invalid("it cannot be read")


def _values(element: Element, wanted: str) -> list[str]:
    return [value for key, value in element if key == wanted]


def _invalid(why: str) -> ForwardedError:
    return invalid(XFCC, why)
