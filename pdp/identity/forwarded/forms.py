"""Every form in which proxies forward who called them, read by one function.

Which form holds is the operator's to say, for each place where requests come from, and never the request's: a
request could choose the form whose header its proxy does not replace. The headers of all other forms are not
looked at.

A header is as good as the proxy that wrote it: that nobody else can have written it is the business of
whoever listens. What the forms prove:

- `xfcc` and `linkerd` name a workload that the proxy vouches for.
- All others hold certificates, which `pdp.identity.x509.verify_caller` has to verify again, to the roots of
  their own trust domain.
"""

from enum import Enum
from typing import Final, TypeAlias, final

from pdp.identity.forwarded.alb import read_alb, read_alb_passthrough
from pdp.identity.forwarded.chain import ForwardedChain
from pdp.identity.forwarded.client_cert import read_client_cert
from pdp.identity.forwarded.lines import Headers, lines_of
from pdp.identity.forwarded.linkerd import read_linkerd
from pdp.identity.forwarded.nginx import NGINX_HEADERS, NginxHeaders, read_nginx
from pdp.identity.forwarded.traefik import read_traefik
from pdp.identity.forwarded.xfcc import XFCC, forwarded_identity
from pdp.principals import Principal

__all__ = ["VOUCHED_FOR", "Forwarded", "ForwardedForm", "read_forwarded"]

#: What a form comes to: certificates that nobody has verified yet, or a workload that the proxy vouches for.
Forwarded: TypeAlias = ForwardedChain | Principal


@final
class ForwardedForm(Enum):
    """How a proxy writes who called it. The values are stable: settings name them."""

    XFCC = "xfcc"
    LINKERD = "linkerd"
    NGINX = "nginx"
    TRAEFIK = "traefik"
    ALB = "alb"
    ALB_PASSTHROUGH = "alb-passthrough"
    CLIENT_CERT = "client-cert"


#: The forms without certificates.
VOUCHED_FOR: Final = frozenset({ForwardedForm.XFCC, ForwardedForm.LINKERD})


def read_forwarded(
    form: ForwardedForm,
    headers: Headers,
    *,
    ours: str | None = None,
    hops: int = 1,
    nginx: NginxHeaders = NGINX_HEADERS,
) -> Forwarded:
    """Whom a request's headers name, in the one form in which the operator expects it.

    Args:
        form: The form.
        headers: The headers of the request, each line as it arrived.
        ours: Our own SPIFFE ID. `xfcc` needs it: the header says for whom it is made.
        hops: How many proxies are in a header of `xfcc`.
        nginx: How the operator names nginx's headers.

    Raises:
        ForwardedError: They name nobody.
        ValueError: The form is `xfcc`, and `ours` is not given: a defect of whoever calls.
    """
    match form:
        case ForwardedForm.XFCC:
            if ours is None:
                raise ValueError("`xfcc` needs our own SPIFFE ID")
            return forwarded_identity(lines_of(headers, XFCC), ours, hops)
        case ForwardedForm.LINKERD:
            return read_linkerd(headers)
        case ForwardedForm.NGINX:
            return read_nginx(headers, nginx)
        case ForwardedForm.TRAEFIK:
            return read_traefik(headers)
        case ForwardedForm.ALB:
            return read_alb(headers)
        case ForwardedForm.ALB_PASSTHROUGH:
            return read_alb_passthrough(headers)
        case ForwardedForm.CLIENT_CERT:
            return read_client_cert(headers)
