"""Amazon's Application Load Balancer, in both modes of mutual TLS.

In verify mode it has verified the client to its trust store, and writes the leaf into
`x-amzn-mtls-clientcert-leaf`; serial number, issuer, subject and validity, in headers of their own, are
summaries of it, and no evidence. In passthrough mode it has verified nothing, and writes the whole chain into
`x-amzn-mtls-clientcert`. Both are PEM, percent-encoded but for `+`, `=` and `/` (AWS, *Mutual authentication
with TLS in Application Load Balancer*, on headers). Which mode holds is the operator's to say, never the
request's.
"""

from typing import Final

from pdp.identity.forwarded.chain import ForwardedChain
from pdp.identity.forwarded.encodings import ALB_SAFE, pem_certificates, percent_decoded
from pdp.identity.forwarded.lines import Headers, lines_of, only_line
from pdp.identity.forwarded.refusal import invalid, missing

__all__ = ["ALB_CHAIN", "ALB_LEAF", "ALB_SUMMARIES", "read_alb", "read_alb_passthrough"]

ALB_LEAF: Final = b"x-amzn-mtls-clientcert-leaf"
ALB_CHAIN: Final = b"x-amzn-mtls-clientcert"
#: What verify mode writes besides.
ALB_SUMMARIES: Final = (
    b"x-amzn-mtls-clientcert-serial-number",
    b"x-amzn-mtls-clientcert-issuer",
    b"x-amzn-mtls-clientcert-subject",
    b"x-amzn-mtls-clientcert-validity",
)


def read_alb(headers: Headers) -> ForwardedChain:
    """The certificate that the balancer has verified, in verify mode.

    Raises:
        ForwardedError: There is none, or not exactly one.
    """
    lines = lines_of(headers, ALB_LEAF)
    if not lines and lines_of(headers, ALB_CHAIN):
        raise missing(ALB_LEAF, "what is there is of passthrough mode, in which nothing is verified")
    if not lines and any(lines_of(headers, name) for name in ALB_SUMMARIES):
        raise missing(ALB_LEAF, "what is there are summaries of a certificate, and no evidence")
    leaf, *more = _certificates(ALB_LEAF, only_line(ALB_LEAF, lines))
    if more:
        raise invalid(ALB_LEAF, "it has more than one certificate: this header is of the leaf alone")
    return ForwardedChain(leaf)


def read_alb_passthrough(headers: Headers) -> ForwardedChain:
    """The chain that was shown to the balancer, in passthrough mode.

    Raises:
        ForwardedError: There is none.
    """
    lines = lines_of(headers, ALB_CHAIN)
    if not lines and lines_of(headers, ALB_LEAF):
        raise missing(ALB_CHAIN, "what is there is of verify mode")
    leaf, *others = _certificates(ALB_CHAIN, only_line(ALB_CHAIN, lines))
    return ForwardedChain(leaf, tuple(others))


def _certificates(name: bytes, text: str) -> tuple[bytes, ...]:
    return pem_certificates(name, percent_decoded(name, text, ALB_SAFE))
