"""What each proxy sends for one request of its client, by its own documentation.

Written from the documentation of the proxies, not from our code. The real programs are in
`tests/e2e/proxies`; here a request is any request, one that no client could send included.
"""

import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import grpc
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from tests.e2e.running import PROD, Service, parse_replies

__all__ = [
    "FORWARD_AUTH",
    "PROXY",
    "Asked",
    "by_forward_auth",
    "by_http_mode",
    "check",
    "check_request",
    "leaf_of",
]

PROXY: Final = f"spiffe://{PROD}/ns/edge/sa/proxy"
CHECK: Final = "/envoy.service.auth.v3.Authorization/Check"
#: Kinds, with their headers of method, target and host.
FORWARD_AUTH: Final = {
    "nginx": ("x-original-method", "x-original-uri", "x-original-host"),
    "haproxy": ("x-original-method", "x-original-uri", "x-original-host"),
    "kong": ("x-original-method", "x-original-uri", "x-original-host"),
    "caddy": ("X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"),
    "traefik": ("X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"),
    "apisix": ("X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"),
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A client's request, and who it is: a SPIFFE ID and the file of its leaf, or nobody."""

    method: str = "GET"
    path: str = "/"
    host: str = "web.shop.example.com"
    principal: str = ""
    leaf: Path | None = None
    headers: tuple[tuple[str, str], ...] = ()
    address: str = "192.0.2.7"
    extensions: dict[str, str] = field(default_factory=dict)


def leaf_of(service: Service, principal: str, name: str) -> Path:
    """The file with a principal's leaf; made once."""
    path = service.pki.folder / f"{name}.pem"
    if not path.exists():
        issuer = service.pki.root if principal.startswith(f"spiffe://{PROD}/") else service.pki.partner_root
        kind = {"uris": [principal]} if "://" in principal else {"uris": [], "dns": [principal]}
        service.pki.issue(name, issuer, **kind)
    return path


def certificate_lines(kind: str, leaf: Path | None) -> list[tuple[str, str]]:
    """How a kind of proxy forwards its client's certificate."""
    pem = "" if leaf is None else leaf.read_text("ascii")
    base64 = b64encode(ssl.PEM_cert_to_DER_cert(pem)).decode() if pem else ""
    match kind:
        case "nginx" | "kong" | "apisix":
            verdict = "SUCCESS" if pem else "NONE"
            return [
                ("ssl-client-verify", verdict),
                *([("ssl-client-cert", quote(pem, safe=""))] if pem else []),
            ]
        case "haproxy" | "caddy":
            return [("client-cert", f":{base64}:")] if pem else []
        case "traefik":
            return [("X-Forwarded-Tls-Client-Cert", base64)] if pem else []
    raise AssertionError(kind)


def forward_auth_lines(kind: str, asked: Asked) -> list[tuple[str, str]]:
    """The headers of the request of a kind of proxy."""
    method, target, host = FORWARD_AUTH[kind]
    return [
        ("host", "pdp"),
        (method, asked.method),
        (target, asked.path),
        (host, asked.host),
        ("x-real-ip", asked.address),
        *certificate_lines(kind, asked.leaf),
        *asked.headers,
    ]


def by_forward_auth(service: Service, kind: str, profile: str, asked: Asked) -> Any:
    """What a proxy of a kind is answered."""
    return send(service, "GET", f"/v1/forward-auth/{profile}", forward_auth_lines(kind, asked))


def by_http_mode(service: Service, profile: str, asked: Asked) -> Any:
    """What Envoy is answered in its HTTP mode."""
    said = [("x-forwarded-client-cert", f"By={PROXY};URI={asked.principal}")] if asked.principal else []
    merged: dict[str, str] = {}  # Envoy sends on the lines of a name as one
    for name, value in asked.headers:
        merged[name.lower()] = f"{merged[name.lower()]},{value}" if name.lower() in merged else value
    lines = [("host", asked.host), ("x-real-ip", asked.address), *said, *merged.items()]
    return send(service, asked.method, f"/v1/ext-authz/{profile}{asked.path}", lines)


def send(
    service: Service, method: str, target: str, lines: list[tuple[str, str]], caller: str = "proxy"
) -> Any:
    """One request as bytes, whatever is in it; None where it is closed without an answer."""
    head = [
        f"{method} {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in lines),
        "connection: close",
    ]
    replies = parse_replies(service.raw("\r\n".join([*head, "", ""]).encode("utf-8"), caller=caller))
    return replies[0] if replies else None


def check_request(asked: Asked, *, raw: bool = True, certificate: bool = True) -> CheckRequest:
    """Envoy's message, with headers as they are or merged."""
    message = CheckRequest()
    attributes: AttributeContext = message.attributes
    attributes.source.principal = asked.principal
    attributes.source.address.socket_address.address = asked.address
    if asked.leaf is not None and certificate:
        attributes.source.certificate = quote(asked.leaf.read_text("ascii"), safe="")
    for name, value in asked.extensions.items():
        attributes.context_extensions[name] = value
    http = attributes.request.http
    http.method, http.path, http.host, http.scheme = asked.method, asked.path, asked.host, "https"
    lines = [(":method", asked.method), (":path", asked.path), (":authority", asked.host), *asked.headers]
    for name, value in lines:
        if raw:
            http.header_map.headers.add(key=name.lower(), raw_value=value.encode())
        else:
            before = http.headers.get(name.lower())
            http.headers[name.lower()] = value if before is None else f"{before},{value}"
    return message


def check(on: grpc.Channel, message: CheckRequest | bytes) -> CheckResponse:
    """What Envoy is answered over gRPC."""
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return CheckResponse.FromString(on.unary_unary(CHECK)(data, timeout=15))
