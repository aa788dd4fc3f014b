"""What certificates are written in when they stand in a header: base64, percent-encoding and PEM.

Each is read in the one way in which it is written, or refused. Decoders that are more lenient read several
texts as one certificate, and what two of them skip is not the same. The structured fields of RFC 9440 are in
`pdp.identity.forwarded.structured`.
"""

import base64
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from pdp.identity.forwarded.chain import check_count
from pdp.identity.forwarded.refusal import invalid

__all__ = ["ALB_SAFE", "NGINX_SAFE", "decode_base64", "pem_certificates", "percent_decoded"]

#: What stays as it is beside escapes: RFC 3986, section 2.3, and for Amazon's balancers `+`, `=` and `/` too.
NGINX_SAFE: Final = re.compile(r"[A-Za-z0-9._~-]+")
ALB_SAFE: Final = re.compile(r"[A-Za-z0-9._~+=/-]+")

_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")  # RFC 3986, section 2.1
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
# RFC 7468, section 3, figure 3 (`stricttextualmsg`): lines of 64 characters, and a last one.
_PEM: Final = re.compile(
    _BEGIN + rb"\n((?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/=]{1,64}\n)" + rb"-----END CERTIFICATE-----\n"
)


def decode_base64(name: bytes, text: str) -> bytes:
    """The octets that a text stands for (RFC 4648, section 4).

    Args:
        name: The header's name, for what is said of it.
        text: The text, in ASCII.

    Raises:
        ForwardedError: It is empty, or not how anything is written in base64: padded, in one line, the bits
            that are left over zero (RFC 4648, sections 3.2, 3.3 and 3.5).
    """
    try:
        found = base64.b64decode(text, validate=True)
    except ValueError:
        raise invalid(name, "a certificate in it is not base64") from None
    if base64.b64encode(found).decode("ascii") != text:
        raise invalid(name, "a certificate in it is not the canonical base64 of anything")
    if not found:
        raise invalid(name, "a certificate in it is empty")
    return found


def percent_decoded(name: bytes, text: str, safe: re.Pattern[str]) -> bytes:
    """The octets that a percent-encoded text stands for. A plus is a plus: this is no form of a page.

    Args:
        name: The header's name, for what is said of it.
        text: The text, in ASCII.
        safe: What the proxy leaves as it is.

    Raises:
        ForwardedError: There is an invalid escape in it, or a character that the proxy would have escaped.
    """
    bare = _ESCAPE.sub("", text)
    if "%" in bare:
        raise invalid(name, "a `%` in it is not followed by two hexadecimal digits")
    if bare and not safe.fullmatch(bare):
        raise invalid(name, "it has a character that the proxy would have percent-encoded")
    return unquote_to_bytes(text)


def pem_certificates(name: bytes, data: bytes) -> tuple[bytes, ...]:
    """The certificates of a PEM text, in DER, in order; nothing else is in it.

    Args:
        name: The header's name, for what is said of it.
        data: The text.

    Raises:
        ForwardedError: There is none in it, or anything besides, or one that is not written as
            RFC 7468, section 3, has generators write it.
    """
    check_count(name, data.count(_BEGIN))
    found: list[bytes] = []
    at = 0
    while at < len(data) or not found:
        block = _PEM.match(data, at)
        if block is None:
            raise invalid(name, "it is not PEM of certificates alone, in lines of 64 characters")
        found.append(decode_base64(name, block[1].replace(b"\n", b"").decode("ascii")))
        at = block.end()
    return tuple(found)
