"""What proxies write about the client that called them, each as its own source has it.

None of it uses `pdp`: what is read there is held against what is written here.
"""

import base64
from collections.abc import Callable, Sequence
from urllib.parse import quote

__all__ = ["CHAINS", "Line", "alb", "alb_passthrough", "base64_of", "client_cert", "nginx", "pem", "traefik"]

Line = tuple[bytes, bytes]


def base64_of(der: bytes) -> str:
    return base64.b64encode(der).decode()


def pem(der: bytes) -> str:
    """As OpenSSL and Go write it: lines of 64 characters, each with its end."""
    text = base64_of(der)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def nginx(chain: Sequence[bytes], verify: str = "SUCCESS") -> list[Line]:
    """`ngx_escape_uri()` with NGX_ESCAPE_URI_COMPONENT: all but unreserved characters; the leaf alone."""
    escaped = quote(pem(chain[0]), safe="-._~")
    return [(b"ssl-client-cert", escaped.encode()), (b"ssl-client-verify", verify.encode())]


def traefik(chain: Sequence[bytes]) -> list[Line]:
    """`sanitize()` and `getCertificates()`: no frame, no line ends, joined by commas."""
    return [(b"x-forwarded-tls-client-cert", ",".join(base64_of(der) for der in chain).encode())]


def alb(chain: Sequence[bytes]) -> list[Line]:
    """Verify mode, with its summaries."""
    leaf = quote(pem(chain[0]), safe="+=/-._~").encode()
    return [
        (b"x-amzn-mtls-clientcert-serial-number", b"03A5B1"),
        (b"x-amzn-mtls-clientcert-issuer", b"CN=root"),
        (b"x-amzn-mtls-clientcert-subject", b"CN=somebody else"),
        (b"x-amzn-mtls-clientcert-validity", b"NotBefore=2023-09-21T01:50:17Z;NotAfter=2024-09-20T01:50:17Z"),
        (b"x-amzn-mtls-clientcert-leaf", leaf),
    ]


def alb_passthrough(chain: Sequence[bytes]) -> list[Line]:
    whole = quote("".join(pem(der) for der in chain), safe="+=/-._~")
    return [(b"x-amzn-mtls-clientcert", whole.encode())]


def client_cert(chain: Sequence[bytes]) -> list[Line]:
    """RFC 9440, with RFC 9651, section 4.1: a List without members is not written."""
    leaf, *others = [f":{base64_of(der)}:".encode() for der in chain]
    rest = [(b"client-cert-chain", b", ".join(others))] if others else []
    return [(b"client-cert", leaf), *rest]


#: How each form with certificates is written, and whether it holds more than the leaf.
CHAINS: dict[str, tuple[Callable[[Sequence[bytes]], list[Line]], bool]] = {
    "nginx": (nginx, False),
    "traefik": (traefik, True),
    "alb": (alb, False),
    "alb-passthrough": (alb_passthrough, True),
    "client-cert": (client_cert, True),
}
