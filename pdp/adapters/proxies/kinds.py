"""Where each kind of proxy puts what it was asked: the carriers of method, target, host and certificate.

Each is a header that the proxy itself writes, over whatever the client sent; how to have it do so is shown in
`clients/`. Which callers are such proxies is a setting (`pdp.config.proxies`).
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from pdp.config.proxies import ProxyKind
from pdp.vocabulary import EvidenceKind

__all__ = ["CARRIERS", "FORMS_BY_KIND", "Carriers"]


class Carriers(NamedTuple):
    """Headers that say what the proxy was asked, in lower case.

    Attributes:
        method: The method.
        target: The request target as it was received, query included (RFC 9112, section 3.2.1).
        host: The host.
    """

    method: bytes
    target: bytes
    host: bytes


_ORIGINAL: Final = Carriers(b"x-original-method", b"x-original-uri", b"x-original-host")
_FORWARDED: Final = Carriers(b"x-forwarded-method", b"x-forwarded-uri", b"x-forwarded-host")

#: Of each kind that asks by a request of its own. Envoy sends on the client's, below a prefix.
CARRIERS: Final[Mapping[ProxyKind, Carriers]] = {
    ProxyKind.NGINX: _ORIGINAL,  # `proxy_set_header` in the location of `auth_request`
    ProxyKind.HAPROXY: _ORIGINAL,  # our script writes them
    ProxyKind.KONG: _ORIGINAL,  # the same
    ProxyKind.CADDY: _FORWARDED,  # what `forward_auth` is short for
    ProxyKind.TRAEFIK: _FORWARDED,  # `writeHeader` in pkg/middlewares/auth/forward.go
    ProxyKind.APISIX: _FORWARDED,  # the plugin `forward-auth`
}
#: In which form each forwards its client's certificate, where nothing else is set.
FORMS_BY_KIND: Final[Mapping[ProxyKind, EvidenceKind]] = {
    ProxyKind.NGINX: EvidenceKind.NGINX,
    ProxyKind.HAPROXY: EvidenceKind.CLIENT_CERT,
    ProxyKind.KONG: EvidenceKind.NGINX,
    ProxyKind.CADDY: EvidenceKind.CLIENT_CERT,
    ProxyKind.TRAEFIK: EvidenceKind.TRAEFIK,
    ProxyKind.APISIX: EvidenceKind.NGINX,
    ProxyKind.ENVOY: EvidenceKind.XFCC,
}
