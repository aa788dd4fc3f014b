"""Linkerd's `l5d-client-id`: the name of the workload that its inbound proxy verified.

The proxy sets it where the peer showed a certificate of the mesh, and removes it everywhere else, whatever
the client sent (linkerd2-proxy, `set_identity_header.rs`). The value is the name in the certificate: a DNS
name such as `web.shop.serviceaccount.identity.linkerd.cluster.local`, or a SPIFFE ID. There is no certificate
to verify again, and nothing says for whom the header is made: it is as good as the connection that it came
over.
"""

from typing import Final

from pdp.identity.forwarded.lines import Headers, lines_of, only_line
from pdp.identity.forwarded.refusal import invalid
from pdp.principals import InvalidIdentityError, Principal, dns_principal, spiffe_principal

__all__ = ["L5D_CLIENT_ID", "read_linkerd"]

L5D_CLIENT_ID: Final = b"l5d-client-id"


def read_linkerd(headers: Headers) -> Principal:
    """The workload that the inbound proxy names.

    Raises:
        ForwardedError: It names none, or it is not one name, written in the one way in which it is.
    """
    text = only_line(L5D_CLIENT_ID, lines_of(headers, L5D_CLIENT_ID))
    if text.startswith("spiffe://"):
        try:
            return spiffe_principal(text)
        except InvalidIdentityError as error:
            raise invalid(L5D_CLIENT_ID, f"it is not the SPIFFE ID of a workload: {error}") from error
    try:
        found = dns_principal(text)
    except InvalidIdentityError as error:
        raise invalid(L5D_CLIENT_ID, f"it is neither a SPIFFE ID nor a DNS name: {error}") from error
    # Who parses names leniently writes several texts for one; the proxy writes one.
    if found.id != f"dns:{text}":
        raise invalid(L5D_CLIENT_ID, "its DNS name is not in lower case, or ends with a dot")
    if found.segments[-1].isdigit():  # RFC 1123, section 2.1: else it could be an address
        raise invalid(L5D_CLIENT_ID, "its DNS name ends in a number: that is no host")
    return found
