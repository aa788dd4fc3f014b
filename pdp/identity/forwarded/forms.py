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

from collections.abc import Mapping
from typing import Final, TypeAlias

from pdp.identity.forwarded.alb import ALB_CHAIN, ALB_LEAF, ALB_SUMMARIES, read_alb, read_alb_passthrough
from pdp.identity.forwarded.chain import ForwardedChain
from pdp.identity.forwarded.client_cert import CLIENT_CERT, CLIENT_CERT_CHAIN, read_client_cert
from pdp.identity.forwarded.lines import Headers, lines_of
from pdp.identity.forwarded.linkerd import L5D_CLIENT_ID, read_linkerd
from pdp.identity.forwarded.nginx import NGINX_HEADERS, NginxHeaders, read_nginx
from pdp.identity.forwarded.traefik import TRAEFIK, TRAEFIK_INFO, read_traefik
from pdp.identity.forwarded.xfcc import XFCC, forwarded_identity
from pdp.principals import Principal
from pdp.vocabulary import EvidenceKind

__all__ = ["FORMS", "VOUCHED_FOR", "Forwarded", "headers_of", "read_forwarded"]

#: What a form comes to: certificates that nobody has verified yet, or a workload that the proxy vouches for.
Forwarded: TypeAlias = ForwardedChain | Principal


#: The kinds of evidence that are such forms, by name.
FORMS: Final[Mapping[str, EvidenceKind]] = {
    kind.value: kind
    for kind in EvidenceKind
    if kind not in {EvidenceKind.JWT_SVID, EvidenceKind.SERVICE_ACCOUNT_TOKEN, EvidenceKind.CERTIFICATE}
}
#: The forms without certificates.
VOUCHED_FOR: Final = frozenset({EvidenceKind.XFCC, EvidenceKind.LINKERD})


def headers_of(form: EvidenceKind, nginx: NginxHeaders = NGINX_HEADERS) -> frozenset[bytes]:
    """The headers that a form is read from, summaries that are no evidence among them.

    Raises:
        ValueError: It is no form: a defect of whoever calls.
    """
    match form:
        case EvidenceKind.XFCC:
            return frozenset({XFCC})
        case EvidenceKind.LINKERD:
            return frozenset({L5D_CLIENT_ID})
        case EvidenceKind.NGINX:
            return frozenset({nginx.certificate, nginx.verify})
        case EvidenceKind.TRAEFIK:
            return frozenset({TRAEFIK, TRAEFIK_INFO})
        case EvidenceKind.ALB | EvidenceKind.ALB_PASSTHROUGH:
            return frozenset({ALB_LEAF, ALB_CHAIN, *ALB_SUMMARIES})
        case EvidenceKind.CLIENT_CERT:
            return frozenset({CLIENT_CERT, CLIENT_CERT_CHAIN})
        case _:
            raise ValueError("that kind of evidence is in no header")


def read_forwarded(
    form: EvidenceKind,
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
        ValueError: The form is `xfcc`, and `ours` is not given; or it is no form: a defect of whoever calls.
    """
    match form:
        case EvidenceKind.XFCC:
            if ours is None:
                raise ValueError("`xfcc` needs our own SPIFFE ID")
            return forwarded_identity(lines_of(headers, XFCC), ours, hops)
        case EvidenceKind.LINKERD:
            return read_linkerd(headers)
        case EvidenceKind.NGINX:
            return read_nginx(headers, nginx)
        case EvidenceKind.TRAEFIK:
            return read_traefik(headers)
        case EvidenceKind.ALB:
            return read_alb(headers)
        case EvidenceKind.ALB_PASSTHROUGH:
            return read_alb_passthrough(headers)
        case EvidenceKind.CLIENT_CERT:
            return read_client_cert(headers)
        case _:
            raise ValueError("that kind of evidence is in no header")
