"""Base64url as JOSE writes it: every octet string in exactly one way.

RFC 7515 section 2: RFC 4648's alphabet for URLs, no padding, no line breaks, no other characters.
RFC 4648 section 3.5: the bits that are left over are zero. A decoder that is not so strict reads
several texts as one signature, and two decoders may read one text as two.
"""

import base64
import binascii

__all__ = ["decode_base64url", "encode_base64url"]


def decode_base64url(text: str) -> bytes:
    """The octets that a text stands for.

    Raises:
        ValueError: It is not how anything is written in base64url.
    """
    if not text.isascii():
        raise ValueError("it holds a character that is not of base64url")
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("it is not base64url") from None
    if encode_base64url(found) != text:  # the other alphabet, padding, bits left over
        raise ValueError("it is not the canonical base64url of anything")
    return found


def encode_base64url(data: bytes) -> str:
    """The text that stands for octets."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
