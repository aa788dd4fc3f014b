"""The fields that meshes and gateways have, by their documentation, as far as the guides use them.

Istio: `mesh/v1alpha1/config.proto`, `DestinationRule`, `AuthorizationPolicy` and `PeerAuthentication` of
istio/api. Envoy Gateway: `api/v1alpha1`. Gateway API: `apis/v1`, experimental channel. APISIX: the plugin
`forward-auth`, and its standalone mode. A field that is not written here is refused: a slip in a guide would
be ignored by most of them, and leave a default in force.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["ANY", "FIELDS", "unknown"]

#: Whatever stands there is not of the documentation: names of ours, values.
ANY: Final = None

_META: Final = {"name": ANY, "namespace": ANY}
_REF: Final = {"group": ANY, "kind": ANY, "name": ANY}
_BACKEND_REF: Final = {**_REF, "port": ANY}
_SELECTOR: Final = {"matchLabels": ANY}

_SPECS: Final[Mapping[str, Any]] = {
    "install.istio.io/v1alpha1 IstioOperator": {
        "meshConfig": {
            "extensionProviders": {
                "name": ANY,
                "envoyExtAuthzGrpc": {
                    "service": ANY, "port": ANY, "timeout": ANY, "failOpen": ANY, "statusOnError": ANY,
                    "includeRequestBodyInCheck": ANY, "clearRouteCache": ANY,
                },
            }
        }
    },
    "networking.istio.io/v1 DestinationRule": {
        "host": ANY,
        "trafficPolicy": {
            "tls": {"mode": ANY, "subjectAltNames": ANY, "sni": ANY, "caCertificates": ANY},
            "connectionPool": {"tcp": {"connectTimeout": ANY, "maxConnections": ANY}},
        },
    },
    "v1 Service": {"selector": ANY, "ports": {"name": ANY, "port": ANY, "targetPort": ANY}},
    "security.istio.io/v1 AuthorizationPolicy": {
        "selector": _SELECTOR, "action": ANY, "provider": {"name": ANY},
        "rules": {"from": ANY, "to": ANY, "when": ANY},
    },
    "security.istio.io/v1 PeerAuthentication": {"selector": _SELECTOR, "mtls": {"mode": ANY}},
    "gateway.envoyproxy.io/v1alpha1 ClientTrafficPolicy": {
        "targetRefs": _REF,
        "tls": {
            "minVersion": ANY, "maxVersion": ANY,
            "clientValidation": {"optional": ANY, "caCertificateRefs": _REF},
        },
        "path": {"escapedSlashesAction": ANY, "disableMergeSlashes": ANY},
        "headers": {
            "withUnderscoresAction": ANY,
            "xForwardedClientCert": {"mode": ANY, "certDetailsToAdd": ANY},
            "earlyRequestHeaders": {"set": ANY, "add": ANY, "remove": ANY},
        },
    },
    "gateway.envoyproxy.io/v1alpha1 SecurityPolicy": {
        "targetRefs": _REF,
        "extAuth": {
            "timeout": ANY, "failOpen": ANY, "headersToExtAuth": ANY, "recomputeRoute": ANY,
            "grpc": {"backendRefs": _BACKEND_REF},
        },
    },
    "gateway.envoyproxy.io/v1alpha1 Backend": {"endpoints": {"fqdn": {"hostname": ANY, "port": ANY}}},
    "gateway.envoyproxy.io/v1alpha1 EnvoyProxy": {
        "backendTLS": {"minVersion": ANY, "maxVersion": ANY, "clientCertificateRef": _REF},
    },
    "gateway.networking.k8s.io/v1 BackendTLSPolicy": {
        "targetRefs": _REF, "validation": {"hostname": ANY, "caCertificateRefs": _REF},
    },
    "gateway.networking.k8s.io/v1 HTTPRoute": {
        "parentRefs": {"name": ANY, "namespace": ANY},
        "hostnames": ANY,
        "rules": {
            "matches": ANY,
            "filters": {
                "type": ANY,
                "externalAuth": {
                    "protocol": ANY, "backendRef": _BACKEND_REF, "grpc": {"allowedHeaders": ANY},
                    "http": {"path": ANY, "allowedHeaders": ANY, "allowedResponseHeaders": ANY},
                    "forwardBody": ANY,
                },
            },
            "backendRefs": _BACKEND_REF,
        },
    },
}  # fmt: skip

_APISIX: Final = {
    "routes": {
        "uri": ANY, "host": ANY,
        "plugins": {
            "forward-auth": {
                "uri": ANY, "ssl_verify": ANY, "request_method": ANY, "request_headers": ANY,
                "extra_headers": ANY, "upstream_headers": ANY, "client_headers": ANY, "timeout": ANY,
                "keepalive": ANY, "keepalive_timeout": ANY, "keepalive_pool": ANY,
                "allow_degradation": ANY, "status_on_error": ANY,
            },
            "serverless-pre-function": {"phase": ANY, "functions": ANY},
        },
        "upstream": {"type": ANY, "nodes": ANY},
    },
    "ssls": {"snis": ANY, "cert": ANY, "key": ANY, "ssl_protocols": ANY, "client": {"ca": ANY, "depth": ANY}},
}  # fmt: skip

#: By version and kind, or by the only one that has neither.
FIELDS: Final[Mapping[str, Any]] = {
    kind: {"apiVersion": ANY, "kind": ANY, "metadata": _META, "spec": spec} for kind, spec in _SPECS.items()
} | {"": _APISIX}


def unknown(value: Any, fields: Any, at: str = "") -> Iterator[str]:
    """Where something stands that the documentation does not have."""
    if fields is ANY:
        return
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict):
            yield f"{at}: {item!r} is no mapping"
            continue
        for name, inner in item.items():
            if name in fields:
                yield from unknown(inner, fields[name], f"{at}.{name}")
            else:
                yield f"{at}.{name}"
