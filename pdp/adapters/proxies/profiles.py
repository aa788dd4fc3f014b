"""Profiles: what is believed of a proxy's requests, by the proxy's own identity.

Made from the settings (`pdp.config.proxies`). A profile opens nothing: which services its callers may ask
about, and whom they may assert or prove, their entries in the policy set say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, final

from pdp.adapters.proxies.kinds import FORMS_BY_KIND
from pdp.config.proxies import ProxyKind, ProxySettings, WithoutCertificate
from pdp.identity.caller import Caller
from pdp.identity.forwarded.forms import FORMS, headers_of
from pdp.identity.forwarded.nginx import NginxHeaders
from pdp.identity.local import LocalCaller
from pdp.service.errors import NotPermittedError
from pdp.vocabulary import EvidenceKind

__all__ = ["NO_PROFILES", "UNNAMED", "Profile", "profile_for", "profiles"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How proxies of one kind ask.

    Attributes:
        kind: Which kind.
        callers: The ids of callers that are such proxies.
        service: The service that they ask about; None where callers' entries or the host say which.
        form: The form in which the client's certificate is forwarded.
        evidence: The headers of that form, in lower case.
        verify: Of nginx's form the header that says `NONE` where there was no certificate.
        anonymous: Whether a client without a certificate is anonymous; else it is refused.
        user_token: Whether a bearer token is evidence of the user.
        headers: Headers that the proxy takes over from answers, so that the client's own never arrive.
        source_ip: The header with the client's address, in lower case, if there is one.
    """

    kind: ProxyKind
    callers: frozenset[str]
    service: str | None
    form: EvidenceKind
    evidence: frozenset[bytes]
    verify: bytes | None
    anonymous: bool
    user_token: bool
    headers: frozenset[str]
    source_ip: bytes | None


NO_PROFILES: Final[Mapping[str, Profile]] = MappingProxyType({})
#: Of Envoy over gRPC, where it names no profile: it needs none to say what it was asked.
UNNAMED: Final = Profile(
    kind=ProxyKind.ENVOY,
    callers=frozenset(),
    service=None,
    form=FORMS_BY_KIND[ProxyKind.ENVOY],
    evidence=frozenset(),
    verify=None,
    anonymous=False,
    user_token=False,
    headers=frozenset(),
    source_ip=None,
)


def profiles(settings: Mapping[str, ProxySettings], nginx: NginxHeaders) -> dict[str, Profile]:
    """The profiles of the settings, by name; `nginx` is how the operator names nginx's headers."""
    return {name: _profile(each, nginx) for name, each in settings.items()}


def _profile(settings: ProxySettings, nginx: NginxHeaders) -> Profile:
    form = FORMS_BY_KIND[settings.kind] if settings.principal is None else FORMS[settings.principal]
    source_ip = settings.source_ip_header
    return Profile(
        kind=settings.kind,
        callers=settings.callers,
        service=settings.service,
        form=form,
        evidence=headers_of(form, nginx),
        verify=nginx.verify if form is EvidenceKind.NGINX else None,
        anonymous=settings.without_certificate is WithoutCertificate.ANONYMOUS,
        user_token=settings.user_token,
        headers=settings.headers,
        source_ip=None if source_ip is None else source_ip.encode("ascii"),
    )


def profile_for(known: Mapping[str, Profile], name: str, caller: Caller, *, forwards: bool) -> Profile:
    """The profile that a caller uses.

    Args:
        known: All of them.
        name: The one that it names.
        caller: The caller.
        forwards: Whether it sends its client's request on, as Envoy does, or one of its own.

    Raises:
        NotPermittedError: There is none that it may use; which of them there are is not told.
    """
    profile = known.get(name)
    if (
        profile is None
        or caller.id not in profile.callers
        or isinstance(caller, LocalCaller)
        or (profile.kind is ProxyKind.ENVOY) != forwards
    ):
        message = "this caller may not ask by this profile, or there is none"
        raise NotPermittedError("profile_not_permitted", message)
    return profile
