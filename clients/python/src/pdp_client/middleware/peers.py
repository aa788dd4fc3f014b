"""Who is at the other end, as servers say it. An application that knows better brings its own function.

uvicorn and hypercorn do not tell applications who their peer is. Behind Envoy that is no matter (`xfcc`);
else terminate mTLS in a proxy, or use a server that tells (`gunicorn`, or the TLS extension of ASGI).
"""

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

from pdp_client.question import Certificate, Forwarded

__all__ = ["asgi_tls", "asgi_xfcc", "grpc_peer", "gunicorn", "socket_peer", "wsgi_xfcc"]

_XFCC: Final = "x-forwarded-client-cert"
_SPIFFE: Final = "spiffe://"


def asgi_xfcc(scope: MutableMapping[str, Any]) -> Forwarded | None:
    """Behind Envoy, which puts the peer into `x-forwarded-client-cert`: that header as evidence.

    Our entry in the policy set says `may present xfcc`, and nobody but Envoy reaches us. A line that only
    differs by `_` is a forgery, and makes it nobody.
    """
    lines = [
        (name, value.decode("latin-1"))
        for raw, value in scope["headers"]
        if (name := raw.decode("latin-1").lower()).replace("_", "-") == _XFCC
    ]
    if not lines or any(name != _XFCC for name, _ in lines):
        return None
    return Forwarded("xfcc", tuple(lines))


def wsgi_xfcc(environ: Mapping[str, Any]) -> Forwarded | None:
    """The same in WSGI, where the server has to drop names with `_`: gunicorn and waitress do."""
    value = environ.get("HTTP_X_FORWARDED_CLIENT_CERT")
    return Forwarded("xfcc", ((_XFCC, value),)) if value else None


def asgi_tls(scope: MutableMapping[str, Any]) -> Certificate | None:
    """By the TLS extension of ASGI: the chain as evidence; our entry says `may present certificate`."""
    tls = (scope.get("extensions") or {}).get("tls") or {}
    chain = tls.get("client_cert_chain") or ()
    return Certificate("".join(chain)) if chain and not tls.get("client_cert_error") else None


def gunicorn(environ: Mapping[str, Any]) -> str | None:
    """By gunicorn's socket, with `cert_reqs = 2`, and `ca_certs` of the one trust domain of its callers."""
    return socket_peer(environ.get("gunicorn.socket"))


def socket_peer(socket: Any) -> str | None:
    """The SPIFFE ID of the verified peer of a TLS socket of Python's."""
    get = getattr(socket, "getpeercert", None)
    certificate = get() if get is not None else None
    if not certificate:  # there is none, or it was not verified
        return None
    return _only_id(value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI")


def grpc_peer(context: Any) -> str | None:
    """The SPIFFE ID of the peer of a gRPC call, on a server that requires and verifies certificates."""
    said = context.auth_context()
    if list(said.get("transport_security_type", ())) != [b"ssl"]:
        return None
    return _only_id(value.decode("utf-8", "replace") for value in said.get("peer_spiffe_id", ()))


def _only_id(uris: Iterable[str]) -> str | None:
    """SPIFFE X509-SVID section 2: a certificate names one workload, by its one URI."""
    found = list(uris)
    return found[0] if len(found) == 1 and found[0].startswith(_SPIFFE) else None
