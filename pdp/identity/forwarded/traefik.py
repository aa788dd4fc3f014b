"""Traefik's `x-forwarded-tls-client-cert`: the certificates that a client showed, leaf first.

Its middleware PassTLSClientCert with `pem` writes each as PEM without its frame and its line ends, which is
base64, and joins them by commas (Traefik, `pass_tls_client_cert.go`). Depending on `clientAuthType` it has
verified them or not; they are verified again in any case. Where no certificate was shown, the middleware lets
stand what the client sent, and the entry point removes it, but not for `forwardedHeaders.trustedIPs` and
`insecure`. Traefik 1 percent-encoded the value; that is not read.

`x-forwarded-tls-client-cert-info` is a summary in a quoting that certificates can break out of. It names
nobody.
"""

from typing import Final

from pdp.identity.forwarded.chain import ForwardedChain, check_count
from pdp.identity.forwarded.encodings import decode_base64
from pdp.identity.forwarded.lines import Headers, lines_of, only_line
from pdp.identity.forwarded.refusal import missing

__all__ = ["TRAEFIK", "TRAEFIK_INFO", "read_traefik"]

TRAEFIK: Final = b"x-forwarded-tls-client-cert"
TRAEFIK_INFO: Final = b"x-forwarded-tls-client-cert-info"


def read_traefik(headers: Headers) -> ForwardedChain:
    """The chain that was shown to Traefik.

    Raises:
        ForwardedError: There is none, or it is not written as Traefik does.
    """
    lines = lines_of(headers, TRAEFIK)
    if not lines and lines_of(headers, TRAEFIK_INFO):
        raise missing(TRAEFIK, f"`{TRAEFIK_INFO.decode()}` is a summary, and no evidence: set `pem`")
    text = only_line(TRAEFIK, lines)
    check_count(TRAEFIK, text.count(",") + 1)
    leaf, *others = (decode_base64(TRAEFIK, each) for each in text.split(","))
    return ForwardedChain(leaf, tuple(others))
