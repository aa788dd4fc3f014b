"""What proxies ask: requests of forward-auth, and messages of Envoy.

What is let through has to be what a second reader finds in the input that the policy set allows; everything
else is a denial, and there is nothing besides the two.
"""

import asyncio
from collections.abc import Hashable
from itertools import combinations
from typing import Any, Final

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

from pdp.adapters.grpc.ext_authz import ExtAuthz
from pdp.adapters.grpc.open_calls import OpenCalls
from pdp.adapters.proxies.forward_auth import ForwardAuth
from pdp.adapters.proxies.places import is_of_proxy
from pdp.adapters.proxies.profiles import profiles
from pdp.adapters.replies import Head
from pdp.config.proxies import ProxySettings
from pdp.identity.forwarded.nginx import NGINX_HEADERS
from pdp.identity.tokens.issuer import TokenTrust
from pdp.paths import canonical, canonical_host
from pdp.service.evidence import Verifier
from pdp.service.key_looks import KeyLooks
from pdp.service.known_tokens import KnownTokens
from pdp.service.reviews import Reviews
from tests.docs.application import PROXY, WEB, caller, service
from tests.docs.sets import NOW
from tests.fuzz.engine import Target
from tests.fuzz.mutate import ODD_BYTES, Mutator

__all__ = ["TARGETS"]

_POLICY: Final = """language 1
trust domain prod = "prod.example.org"
service payments {
    host "pay.example.com"
    allow prod/ns/checkout/sa/web to GET, POST /v1/** as read
    deny anyone to any /v1/admin/** as no-admin
    deny anyone to any /v1/env when header.x-env == "dev" as no-dev
    deny anyone to any /v1/pair when header.x-env == "a,b" as no-pair
}
service orders { allow prod/ns/checkout/sa/web to GET /** }
caller prod/ns/mesh/sa/proxy fronts payments, orders
    may assert any principal of prod
    may present xfcc of any principal of prod
    supplies source, header, request
"""
_VERIFIER: Final = Verifier(
    tokens=KnownTokens(TokenTrust),
    looks=KeyLooks(lambda *_: None),  # type: ignore[arg-type,return-value]
    reviews=Reviews({}, clock=lambda: NOW, say=lambda _: None),
    chains=None,
    clock=lambda: NOW,
)
_SERVICE: Final = service(_POLICY, _VERIFIER)
_NAMES: Final = {
    "edge": (b"x-original-method", b"x-original-uri"),
    "lane": (b"x-forwarded-method", b"x-forwarded-uri"),
}
_PROFILES: Final = profiles(
    {
        name: ProxySettings.model_validate(
            {"kind": kind, "callers": [PROXY], "principal": "xfcc", "service": "payments"}
        )
        for name, kind in (("edge", "nginx"), ("lane", "traefik"))
    }
    | {"mesh": ProxySettings.model_validate({"kind": "envoy", "callers": [PROXY], "service": "payments"})},
    NGINX_HEADERS,
)
_FORWARD_AUTH: Final = ForwardAuth(_SERVICE, _PROFILES)
_XFCC: Final = f"By={PROXY};URI={WEB}".encode()


def _require_allowed(method: str, target: str, envs: list[bytes]) -> None:
    """That the policy set allows this, read by hand."""
    path = canonical(target).split("/")[1:]
    assert method in {"GET", "POST"}
    assert path[0] == "v1"
    assert path[1:2] != ["admin"]
    assert path != ["v1", "env"] or (envs and b"dev" not in envs)
    assert path != ["v1", "pair"] or (envs and b"a,b" not in envs)


# -- forward-auth ------------------------------------------------------------------------------


def _head(data: bytes) -> Head:
    first, *rest = data.split(b"\r\n")
    method, _, target = first.partition(b" ")
    lines = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in rest)]
    return Head(method.decode("latin-1"), target, lines)


def _forward_auth(data: bytes) -> Hashable:
    """Let through only what stands once in the proxy's own headers, or in Envoy's request line."""
    head = _head(data)
    method, target, written = head
    if not is_of_proxy(target):
        return None
    reply = asyncio.run(_FORWARD_AUTH.answer(head, caller))
    told = dict(reply.headers)
    assert reply.status in {200, 401, 403}
    assert reply.body == b""
    assert "secret" not in str(told)
    if reply.status != 200:
        return reply.status, told.get("x-pdp-error")
    assert told["x-pdp-principal"] == WEB
    lines = [(name.replace(b"_", b"-"), value) for name, value in written]
    envs = [value for name, value in lines if name == b"x-env"]
    name, _, behind = target.removeprefix(b"/v1/ext-authz/").partition(b"/")
    if target.startswith(b"/v1/ext-authz/"):
        assert name == b"mesh"
        _require_allowed(method, "/" + behind.decode("latin-1"), envs)
        return 200, name
    carriers = _NAMES[target.removeprefix(b"/v1/forward-auth/").partition(b"?")[0].decode()]
    # An alias is none of these, and there is none beside them.
    ((asked,), (uri,)) = ([value for name, value in written if name == carrier] for carrier in carriers)
    assert all([each for each, _ in lines].count(carrier) == 1 for carrier in carriers)
    _require_allowed(asked.decode(), uri.decode("latin-1"), envs)
    return 200, carriers


def _request(line: bytes, *lines: tuple[bytes, bytes]) -> bytes:
    return b"\r\n".join([line, *(b"%b: %b" % each for each in lines), b"x-forwarded-client-cert: " + _XFCC])


_REQUESTS: Final = (
    *(
        _request(b"GET /v1/forward-auth/" + name.encode(), (method, b"GET"), (uri, path), *more)
        for name, (method, uri) in _NAMES.items()
        for path, more in (
            (b"/v1/charges/41?x=secret", ()),
            (b"/v1/env", ((b"x-env", b"live"),)),
            (b"/v1/env", ((b"x-env", b"dev"), (b"X_Env", b"live"))),
            (b"/v1/admin", ((b"x-http-method-override", b"DELETE"),)),
            (b"/v1/a,b", ((uri, b"/v1/b"), (method.replace(b"-", b"_"), b"POST"))),
        )
    ),
    _request(b"POST /v1/ext-authz/mesh/v1/charges?x", (b"host", b"pay.example.com")),
    _request(b"GET /v1/ext-authz/mesh/v1/env", (b"host", b"x"), (b"x-env", b"live")),
    _request(b"GET /v1/ext-authz/mesh//v1/admin/../charges", (b"host", b"a,b")),
)
_WORDS: Final = (
    b"\r\n", b": ", b"x-original-uri: /v1/admin", b"x_original_uri: /v1/x", b"x-original-method: GET",
    b"X-Original-URI: /v1/x", b"x-forwarded-uri: /v1/x", b"x-env: dev", b"x_env: live", b"/v1/admin", b"%2f",
    b"/../", b",/v1", b", ", b"{", b"$uri", b"//", b"?", b"#", b"/v1/ext-authz/mesh", b"/v1/forward-auth/",
    b"x-forwarded-client-cert: " + _XFCC, b"upgrade: x", b"connection: upgrade", b"secret",
)  # fmt: skip


# -- Envoy -------------------------------------------------------------------------------------


class _Known:
    """Whoever calls is the proxy."""

    identify = staticmethod(lambda _: caller())
    confirm = staticmethod(lambda *_: None)


_CHECKS: Final = ExtAuthz(_SERVICE, _Known(), OpenCalls(lambda: None), _PROFILES)  # type: ignore[arg-type]


def _message(data: bytes) -> CheckRequest:
    """The message that lines of names and values stand for."""
    message = CheckRequest()
    http = message.attributes.request.http
    message.attributes.source.address.socket_address.address = "192.0.2.7"
    for name, _, value in (line.partition(b": ") for line in data.split(b"\n")):
        text, (key, _, rest) = value.decode("utf-8", "replace"), value.partition(b"=")
        key_text, rest_text = key.decode("utf-8", "replace"), rest.decode("utf-8", "replace")
        match name:
            case b"principal":
                message.attributes.source.principal = text
            case b"certificate":
                message.attributes.source.certificate = text
            case b"method" | b"path" | b"host" | b"scheme":
                setattr(http, name.decode(), text)
            case b"line":
                http.header_map.headers.add(key=key_text, raw_value=rest)
            case b"merged":
                http.headers[key_text] = rest_text
            case b"route":
                message.attributes.context_extensions[key_text] = rest_text
            case b"tcp":
                message.attributes.request.ClearField("http")
                http = CheckRequest().attributes.request.http
    return message


def _values_of_env(http: Any) -> list[bytes]:
    """Whatever `x-env` may have been, by reading it as leniently as anybody could."""
    lines = [(each.key, each.raw_value) for each in http.header_map.headers]
    merged = [
        (name, value[begin:end].encode())
        for name, value in http.headers.items()
        for begin, end in combinations(range(min(len(value), 40) + 1), 2)
        if value[:begin][-1:] in {"", ","} and value[end:][:1] in {"", ","} and value[begin] not in " \t"
    ]
    merged += [(name, value.encode()) for name, value in http.headers.items()]
    return [value for name, value in lines or merged if name.lower().replace("_", "-") == "x-env"]


def _check(data: bytes) -> Hashable:
    """A status, always; and an allow only of what the message says by another reading of it."""
    request = _message(data)

    async def message(_: object) -> bytes:
        return request.SerializeToString()

    told = asyncio.run(_CHECKS.check(None, message))  # type: ignore[arg-type]
    assert told.HasField("status")
    assert told.status.code in {0, 7, 16}
    assert "secret" not in str(told.denied_response)
    errors = [each.header.value for each in told.denied_response.headers if each.header.key == "x-pdp-error"]
    assert errors != ["internal"]
    if told.status.code != 0:
        assert told.WhichOneof("http_response") == "denied_response"
        return told.status.code, *errors
    attributes = request.attributes
    http, named = attributes.request.http, dict(attributes.context_extensions)
    assert attributes.source.principal == WEB
    assert not attributes.source.certificate
    assert attributes.request.HasField("http")
    if named.get("service") == "orders":
        assert http.method == "GET"
        return 0, "orders"
    if not named.get("service") and not named.get("profile"):
        assert canonical_host(http.host)[0] == "pay.example.com"
    _require_allowed(http.method, http.path, _values_of_env(http))
    return 0, bool(http.header_map.headers), bool(named)


def _input(path: bytes, *lines: bytes) -> bytes:
    first = (b"principal: " + WEB.encode(), b"method: GET", b"path: " + path, b"host: pay.example.com")
    return b"\n".join([*first, b"scheme: https", *lines])


_MESSAGES: Final = (
    _input(b"/v1/charges/41?x=secret", b"line: x-b=secret"),
    _input(b"/v1/env", b"line: x-env=live"),
    _input(b"/v1/env", b"merged: x-env=live,test", b"merged: x-b=secret"),
    _input(b"/v1/env", b"merged: x-env=live,dev"),
    _input(b"/v1/pair", b"merged: x-env=c,a,b"),
    _input(b"/v1/pair", b"merged: x-env=c,d, a,e"),
    _input(b"/v1/env", b"line: x-env=live", b"line: x_env=dev", b"route: service=payments"),
    _input(b"/v1/admin", b"route: service=orders"),
    _input(b"/v1/charges", b"route: profile=mesh"),
    _input(b"/v1/charges", b"route: profile=edge"),
    _input(b"/v1/charges", b"certificate: secret"),
    _input(b"/v1/charges", b"route: service=orders", b"tcp: "),
)
_PIECES: Final = (
    b"\n", b": ", b"=", b"line: x-env=dev", b"merged: X_Env=dev", b"merged: x-env=", b",dev", b"dev", b"live",
    b"a,b", b",a", b",", b"/v1/pair",
    b"/v1/admin", b"%2f", b"/../", b"//", b"?", b"#", b"route: service=orders", b"route: profile=mesh",
    b"principal: ", b"tcp: ", b"line: x-http-method-override=DELETE", b"secret",
)  # fmt: skip

TARGETS: Final = (
    Target(
        name="forward-auth",
        seeds=_REQUESTS,
        mutate=Mutator(_REQUESTS, rb"[\w-]+|[^\w]", (*ODD_BYTES, *_WORDS), extra=_WORDS, largest=40_000),
        check=_forward_auth,
        examples=1500,
    ),
    Target(
        name="envoy-checks",
        seeds=_MESSAGES,
        mutate=Mutator(_MESSAGES, rb"[\w-]+|[^\w]", (*ODD_BYTES, *_PIECES), extra=_PIECES, largest=40_000),
        check=_check,
        examples=1500,
    ),
)
