r"""Who asks, as our own sidecar says it in `x-forwarded-client-cert`.

A sidecar of Envoy that has terminated mTLS says whom it has verified:
`By=spiffe://.../pdp;Hash=...;Subject="CN=...";URI=spiffe://.../proxy` (Envoy's documentation of HTTP headers,
*x-forwarded-client-cert*). Every proxy on the way may append an element of its own, and what came before
is only what somebody claimed: exactly one element is read here, and it has to be made for us.

Envoy writes `By`, `URI` and `DNS` as they stand in the certificates, neither quoted nor escaped: a name
with `;` or `,` in it looks like more keys, or more elements. So a key stands once, and there is one URI.
Of a backslash before a quote it is not certain whether it escapes; one does, and of several nobody knows.
"""

import re
from collections.abc import Sequence
from enum import Enum
from typing import Final, final

from pdp.principals import InvalidIdentityError, Principal, spiffe_principal

__all__ = ["XFCC", "ForwardedError", "ForwardedFault", "forwarded_identity", "parse_element"]

XFCC: Final = b"x-forwarded-client-cert"
_KEYS: Final = frozenset({"by", "hash", "cert", "chain", "subject", "uri", "dns"})
_REPEATED: Final = frozenset(
    {"dns"}
)  # Envoy repeats `By` and `URI` as well; here they name one workload each
_PAIR: Final = re.compile(
    r"""([A-Za-z]{1,16})=
        (?: "( (?: [\ !#-\[\]-~] | \\+(?=[^"\\]) | \\" )* )"   # quoted: printable ASCII
        |   ( [!#-+\--:<-~]* ) )                               # bare: nothing that separates or quotes
    """,
    re.ASCII | re.VERBOSE,
)


class ForwardedFault(Enum):
    """Why a header names nobody."""

    MISSING = "missing"
    INVALID = "invalid"
    ELSEWHERE = "elsewhere"


@final
class ForwardedError(Exception):
    """A header that names no caller.

    Attributes:
        fault: What kind of fault it is.
        message: One sentence in plain words; holds nothing of the header.
    """

    def __init__(self, fault: ForwardedFault, message: str) -> None:
        super().__init__(message)
        self.fault: Final = fault
        self.message: Final = message


def forwarded_identity(lines: Sequence[bytes], ours: str) -> Principal:
    """The workload that our sidecar verified.

    Args:
        lines: The values of every header line of this name.
        ours: Our own SPIFFE ID, which the sidecar's certificate names.

    Raises:
        ForwardedError: There is none, or not exactly one, or it is for somebody else.
    """
    if not lines:
        raise ForwardedError(ForwardedFault.MISSING, "the sidecar says of nobody that they ask")
    if len(lines) > 1:
        raise _invalid("it stands there more than once")
    said = dict(parse_element(lines[0].decode("latin-1").strip(" \t")))  # these two stand there once
    if "by" not in said:
        raise _invalid("it does not say for whom it is made, in a `By`")
    if said["by"] != ours:
        raise ForwardedError(
            ForwardedFault.ELSEWHERE, "the certificate was shown to another workload than us"
        )
    if "uri" not in said:
        raise _invalid("it does not name a workload, in a `URI`")
    try:
        return spiffe_principal(said["uri"])
    except InvalidIdentityError as error:
        raise _invalid(f"its `URI` is not the SPIFFE ID of a workload: {error}") from error


def parse_element(text: str) -> tuple[tuple[str, str], ...]:
    """The keys, in lower case, and the values of a header that holds exactly one element, in order.

    Raises:
        ForwardedError: It holds anything else.
    """
    pairs: list[tuple[str, str]] = []
    at = 0
    while match := _PAIR.match(text, at):
        key = match[1].lower()
        if key not in _KEYS:
            raise _invalid("it has a key that is not known")
        if key not in _REPEATED and any(key == seen for seen, _ in pairs):
            raise _invalid(f"its key `{key}` stands there twice")
        pairs.append((key, match[3] if match[2] is None else match[2].replace('\\"', '"')))
        at = match.end()
        if at == len(text):
            return tuple(pairs)
        if text[at] == ",":
            raise _invalid("it has several elements: some proxy before ours has its own in it")
        if text[at] != ";":
            break
        at += 1
    raise _invalid("it cannot be read")


def _invalid(why: str) -> ForwardedError:
    return ForwardedError(ForwardedFault.INVALID, f"`{XFCC.decode()}` is refused: {why}")
