"""Envoy's `CheckRequest`, read: from a message to the question that it stands for.

The messages are Envoy's own (`envoy.service.auth.v3`); of them only what is named here is read, and what a
later Envoy adds is not. A client's bytes reach us in `headers` alone, which are attributes for conditions,
and in `path` and `host`, which are what it asked for.
"""

from typing import Any, Final

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf.message import DecodeError

from pdp.adapters.bad_question import BadQuestionError
from pdp.adapters.identities import Evidence
from pdp.adapters.proxies.lines import attributes_of, bearer_token, told_by_envoy
from pdp.adapters.proxies.profiles import Profile
from pdp.adapters.proxies.questions import service_for, user_of_token
from pdp.adapters.schemas import AskedByProxy
from pdp.identity.forwarded.envoy import peer_named
from pdp.identity.forwarded.lines import Headers
from pdp.identity.forwarded.refusal import ForwardedError
from pdp.limits import MAX_MESSAGE_BYTES
from pdp.principals import PrincipalKind
from pdp.service.answered import Seen
from pdp.service.authorization import Rights
from pdp.service.errors import EvidenceRefusedError
from pdp.vocabulary import Millis

__all__ = ["profile_named", "question_of", "read_check"]

#: In which a route names the service and the profile; clients cannot.
_SERVICE: Final = "service"
_PROFILE: Final = "profile"
#: What a connection is asked about that carries no HTTP that anybody reads.
_ANY_METHOD: Final = "CONNECT"
_ANY_PATH: Final = "/"
#: Families of attributes that Envoy tells in full. Of `tls` it tells the name that was asked for alone.
_OF_CONNECTIONS: Final = frozenset({"source"})
_OF_REQUESTS: Final = frozenset({"source", "header", "request"})


def read_check(data: bytes) -> CheckRequest:
    """The message.

    Raises:
        BadQuestionError: It is none, or too long.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise BadQuestionError("body_too_large", f"the message has more than {MAX_MESSAGE_BYTES} bytes")
    try:
        return CheckRequest.FromString(data)
    except DecodeError:
        message = "the message is not an `envoy.service.auth.v3.CheckRequest`"
        raise BadQuestionError("invalid_protobuf", message) from None


def profile_named(request: CheckRequest) -> str | None:
    """The profile that the route names, if it does."""
    name: str | None = request.attributes.context_extensions.get(_PROFILE)
    return name


def question_of(request: CheckRequest, profile: Profile, rights: Rights, now: Millis) -> AskedByProxy:
    """The question that Envoy asks.

    Args:
        request: Its message.
        profile: How what is not said in it is read.
        rights: What the caller may ask.
        now: The instant.

    Raises:
        BadQuestionError: A header stands there in several spellings.
        EvidenceRefusedError: It is not said who calls.
    """
    attributes = request.attributes
    principal, serial = _principal(attributes, profile, now)
    service = service_for(profile, rights, attributes.context_extensions.get(_SERVICE))
    context = _connection(attributes)
    if not attributes.request.HasField("http"):
        return AskedByProxy(
            principal=principal, method=_ANY_METHOD, path=_ANY_PATH, service=service, context=context,
            serial=serial, seen=Seen(_OF_CONNECTIONS, everything=True),
        )  # fmt: skip
    http = attributes.request.http
    lines = _lines(http)
    token = bearer_token(lines) if profile.user_token else None
    context |= attributes_of(lines, apart=())
    context["request.host"] = http.host or None
    context["request.scheme"] = http.scheme or None
    context["request.port"] = attributes.destination.address.socket_address.port_value or None
    return AskedByProxy(
        principal=principal,
        method=http.method,
        path=_target(http),
        service=service,
        host=http.host if service is None else None,
        user=user_of_token(token),
        context=context,
        seen=Seen(_OF_REQUESTS),
        serial=serial,
    )


def _principal(attributes: AttributeContext, profile: Profile, now: Millis) -> tuple[str | Evidence, str]:
    source = attributes.source
    try:
        peer = peer_named(source.principal, source.certificate)
    except ForwardedError as error:
        raise EvidenceRefusedError(error.message) from error
    if peer is None:
        if profile.anonymous:
            return Evidence(anonymous=True), ""
        raise EvidenceRefusedError("`source.principal` is empty: the client has shown no certificate")
    if peer.not_after is not None and now > peer.not_after * 1000:
        raise EvidenceRefusedError("the certificate in `source.certificate` has expired")
    principal = peer.principal
    if principal.kind is PrincipalKind.SPIFFE:
        return principal.id, peer.serial
    return Evidence(dns=source.principal), peer.serial


def _connection(attributes: AttributeContext) -> dict[str, Any]:
    context: dict[str, Any] = {"source.ip": attributes.source.address.socket_address.address or None}
    if attributes.HasField("tls_session"):
        context["tls.sni"] = attributes.tls_session.sni or None
    return context


def _target(http: Any) -> str:
    """The target as it was received.

    Where Envoy sends headers as they are, each byte is there. No path with any but ASCII has a reading, so
    each may stand for a character.

    Raises:
        BadQuestionError: It is not sure that the path is the one that was received.
    """
    for each in http.header_map.headers:
        if each.key == ":path":
            raw: bytes = each.raw_value or each.value.encode()
            return raw.decode("latin-1")
    return told_by_envoy(http.path)


def _lines(http: Any) -> Headers:
    """The client's headers without what stands in fields of their own."""
    if http.header_map.headers:
        return [
            (name.encode(), each.raw_value or each.value.encode())
            for each in http.header_map.headers
            if (name := each.key)[:1] != ":"
        ]
    return [(name.encode(), value.encode()) for name, value in http.headers.items() if name[:1] != ":"]
