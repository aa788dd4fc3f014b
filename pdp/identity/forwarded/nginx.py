"""nginx: the headers that an operator makes of `$ssl_client_escaped_cert` and `$ssl_client_verify`.

The first is the client's certificate as percent-encoded PEM (nginx 1.13.5 and later), the second what nginx's
own verification came to: `SUCCESS`, `FAILED:` and a reason, or `NONE` where no certificate was shown (nginx's
documentation of ngx_http_ssl_module, *Embedded Variables*). nginx forwards the certificate also where it
failed, with `optional_no_ca`, so that one header without the other is nobody. Intermediates are in no
variable.

Both lines replace what a client sent, as they have to:

    proxy_set_header ssl-client-cert $ssl_client_escaped_cert;
    proxy_set_header ssl-client-verify $ssl_client_verify;

A `location` with any `proxy_set_header` of its own inherits none: there what a client sent is passed on.
"""

import re
from dataclasses import dataclass
from typing import Final, final

from pdp.identity.forwarded.chain import ForwardedChain
from pdp.identity.forwarded.encodings import NGINX_SAFE, pem_certificates, percent_decoded
from pdp.identity.forwarded.lines import Headers, lines_of, only_line
from pdp.identity.forwarded.refusal import invalid, missing

__all__ = ["NGINX_HEADERS", "NginxHeaders", "read_nginx"]

_NAME: Final = re.compile(rb"[a-z0-9-]+")
#: What OpenSSL says of a chain that it refuses (`X509_verify_cert_error_string`). Of what stands behind
#: `FAILED:` these are told, word for word; whatever else stands there is somebody's text, and is not.
_FAILURES: Final = frozenset(
    {
        "CRL has expired",
        "certificate chain too long",
        "certificate has expired",
        "certificate is not yet valid",
        "certificate revoked",
        "certificate signature failure",
        "invalid CA certificate",
        "path length constraint exceeded",
        "self signed certificate",  # before OpenSSL 3
        "self signed certificate in certificate chain",
        "self-signed certificate",
        "self-signed certificate in certificate chain",
        "unable to get certificate CRL",
        "unable to get issuer certificate",
        "unable to get local issuer certificate",
        "unable to verify the first certificate",
        "unsuitable certificate purpose",
        "unsupported certificate purpose",
    }
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NginxHeaders:
    """How the operator names the two headers.

    Attributes:
        certificate: The one of `$ssl_client_escaped_cert`.
        verify: The one of `$ssl_client_verify`.

    Raises:
        ValueError: One is not a name in lower case, or both are the same.
    """

    certificate: bytes = b"ssl-client-cert"
    verify: bytes = b"ssl-client-verify"

    def __post_init__(self) -> None:
        # No underscore: nginx drops such names of clients, others take them for the same with `-`.
        if not (_NAME.fullmatch(self.certificate) and _NAME.fullmatch(self.verify)):
            raise ValueError("a header's name is in lower-case letters, digits and `-`")
        if self.certificate == self.verify:
            raise ValueError("the certificate and what became of it stand in two headers")


NGINX_HEADERS: Final = NginxHeaders()


def read_nginx(headers: Headers, names: NginxHeaders = NGINX_HEADERS) -> ForwardedChain:
    """The certificate that nginx has verified.

    Args:
        headers: The headers of a request.
        names: How the operator names the two.

    Raises:
        ForwardedError: nginx does not say that it has verified one, or it is not exactly one.
    """
    _require_success(names.verify, only_line(names.verify, lines_of(headers, names.verify)))
    text = only_line(names.certificate, lines_of(headers, names.certificate))
    decoded = percent_decoded(names.certificate, text, NGINX_SAFE)
    leaf, *more = pem_certificates(names.certificate, decoded)
    if more:
        raise invalid(names.certificate, "it has more than one certificate: nginx forwards the leaf alone")
    return ForwardedChain(leaf)


def _require_success(name: bytes, said: str) -> None:
    if said == "SUCCESS":
        return
    if said == "NONE":
        raise missing(name, "nginx says `NONE`: no certificate was shown to it")
    verdict, _, why = said.partition(":")
    if verdict != "FAILED":
        raise invalid(name, "it says neither `SUCCESS` nor `FAILED` nor `NONE`")
    told = f": {why}" if why in _FAILURES else ""
    raise invalid(name, f"nginx says `FAILED`, it did not verify the certificate{told}")
