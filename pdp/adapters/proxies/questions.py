"""From a proxy's HTTP request to the question that it stands for.

Which lines are believed, the profile says (`pdp.adapters.proxies.profiles`); everything else in the request
is the client's, and only ever an attribute for conditions.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from pdp.adapters.identities import Evidence, Forwarded, UserClaims
from pdp.adapters.proxies.kinds import CARRIERS
from pdp.adapters.proxies.lines import (
    attributes_of,
    bearer_token,
    carried,
    missing,
    plain_lines,
    told_by_envoy,
)
from pdp.adapters.proxies.profiles import Profile
from pdp.adapters.schemas import AskedByProxy
from pdp.identity.forwarded.lines import Headers
from pdp.service.answered import Seen
from pdp.service.authorization import Rights

__all__ = ["Received", "question_of", "service_for", "user_of_token"]

_HOST: Final = b"host"
#: Of `request` the host alone is known.
_HEADERS_ALONE: Final = frozenset({"header"})
_WITH_ADDRESS: Final = frozenset({"header", "source"})


class Received(NamedTuple):
    """A proxy's request.

    Attributes:
        method: Its method.
        target: What stands behind the prefix of our URL, where the proxy sends its client's request on.
        lines: Its headers, every line of its own.
    """

    method: str
    target: str
    lines: Headers


def question_of(received: Received, profile: Profile, rights: Rights) -> AskedByProxy:
    """The question that a proxy asks.

    Args:
        received: Its request.
        profile: What of it is believed.
        rights: What the caller may ask.

    Raises:
        BadQuestionError: What the proxy should have written is not there once, in one spelling.
    """
    lines = received.lines
    method, target, host = _carried(received, profile)
    token = bearer_token(lines) if profile.user_token else None
    service = service_for(profile, rights)
    return AskedByProxy(
        principal=_principal(profile, lines),
        method=method,
        path=target,
        service=service,
        host=host if service is None else None,
        user=user_of_token(token),
        context=_context(profile, lines, host),
        seen=Seen(_HEADERS_ALONE if profile.source_ip is None else _WITH_ADDRESS),
    )


def service_for(profile: Profile, rights: Rights, named: str | None = None) -> str | None:
    """The service that is asked about, or None where the host has to say.

    Args:
        profile: The caller's profile.
        rights: What it may ask: of one service alone, it asks about that one.
        named: The service that the operator names at the proxy, if any.
    """
    return named or profile.service or rights.only_service


def user_of_token(token: str | None) -> UserClaims | None:
    """The user whom a token is evidence of."""
    return None if token is None else UserClaims(jwt=token)


def _carried(received: Received, profile: Profile) -> tuple[str, str, str | None]:
    carriers = CARRIERS.get(profile.kind)
    if carriers is None:
        return received.method, told_by_envoy(received.target), carried(received.lines, _HOST)
    method, target = (_required(received.lines, name) for name in (carriers.method, carriers.target))
    return method, target, carried(received.lines, carriers.host)


def _required(lines: Headers, name: bytes) -> str:
    found = carried(lines, name)
    if found is None:
        raise missing(name)
    return found


def _principal(profile: Profile, lines: Headers) -> Evidence:
    found = plain_lines(lines, profile.evidence)
    if profile.anonymous and _shown_none(profile, found):
        return Evidence(anonymous=True)
    headers: dict[str, list[str]] = {}
    for name, value in found:
        headers.setdefault(name.decode("ascii"), []).append(value.decode("latin-1"))
    given: dict[str, str | tuple[str, ...]] = {name: tuple(values) for name, values in headers.items()}
    return Evidence(forwarded=Forwarded(form=profile.form.value, headers=given))


def _shown_none(profile: Profile, found: Headers) -> bool:
    """Whether the proxy says that its client has shown no certificate."""
    if profile.verify is None:
        return not found
    return [value for name, value in found if name == profile.verify] == [b"NONE"]


def _context(profile: Profile, lines: Headers, host: str | None) -> dict[str, Any]:
    """What the proxy happens to know; of that counts what its entry supplies."""
    apart = {_HOST, *profile.evidence, *_names(profile)}
    context: dict[str, Any] = dict(attributes_of(lines, apart))
    if host is not None:
        context["request.host"] = host
    if profile.source_ip is not None:
        context["source.ip"] = _required(lines, profile.source_ip)
    return context


def _names(profile: Profile) -> Iterable[bytes]:
    yield from CARRIERS.get(profile.kind, ())
    if profile.source_ip is not None:
        yield profile.source_ip
