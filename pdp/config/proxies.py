"""Settings about proxies that ask in their own protocols: for each caller, what of its requests is believed.

Which headers a kind of proxy writes is in `pdp.adapters.proxies.kinds`; what a caller may ask, and about
whom, is part of the policy set.
"""

from enum import Enum
from typing import Annotated, Final, final

from pydantic import AfterValidator, Field

from pdp.config.section import Section
from pdp.config.values import Identity
from pdp.identity.forwarded.forms import FORMS
from pdp.limits import MAX_SERVICE_NAME_CHARS

__all__ = [
    "IDENTITY_HEADERS",
    "NEVER_TAKEN_OVER",
    "ProxyKind",
    "ProxyName",
    "ProxySettings",
    "WithoutCertificate",
]

#: What every allow says of whom it is about; proxies take these over without being told.
IDENTITY_HEADERS: Final = frozenset({"x-pdp-principal", "x-pdp-user", "x-pdp-decision-id"})
#: What frames a request or says where it goes: no answer may change that.
NEVER_TAKEN_OVER: Final = frozenset(
    {"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)


@final
class ProxyKind(Enum):
    """The proxies whose way of asking is known."""

    NGINX = "nginx"
    HAPROXY = "haproxy"
    CADDY = "caddy"
    TRAEFIK = "traefik"
    APISIX = "apisix"
    KONG = "kong"
    ENVOY = "envoy"


@final
class WithoutCertificate(Enum):
    """What a request is whose client has shown no certificate to the proxy."""

    REFUSE = "refuse"
    ANONYMOUS = "anonymous"


def _form(text: str) -> str:
    if text not in FORMS:
        raise ValueError(f"the forms are {', '.join(f'`{form}`' for form in FORMS)}")
    return text


def _taken_over(name: str) -> str:
    if name in NEVER_TAKEN_OVER or name in IDENTITY_HEADERS:
        raise ValueError(f"`{name}` is not taken over from answers by the word of this setting")
    return name


_HeaderName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
#: It stands in a URL.
ProxyName = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]


@final
class ProxySettings(Section):
    """How proxies of one kind ask, and which callers are such proxies."""

    kind: Annotated[ProxyKind, Field(strict=False)]
    callers: frozenset[Identity] = Field(strict=False, min_length=1)
    service: Annotated[str, Field(min_length=1, max_length=MAX_SERVICE_NAME_CHARS)] | None = None
    principal: Annotated[str, AfterValidator(_form)] | None = None
    without_certificate: Annotated[WithoutCertificate, Field(strict=False)] = WithoutCertificate.REFUSE
    user_token: bool = False
    headers: frozenset[Annotated[_HeaderName, AfterValidator(_taken_over)]] = Field(
        default=frozenset(), strict=False
    )
    source_ip_header: _HeaderName | None = None
