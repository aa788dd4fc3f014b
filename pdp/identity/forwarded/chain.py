"""A certificate chain as a proxy forwards it: read, and not yet verified by anybody here.

How each proxy writes one is in the modules of the forms; `pdp.identity.x509` verifies it.
"""

from dataclasses import dataclass
from typing import final

from pdp.identity.forwarded.refusal import invalid
from pdp.limits import MAX_CHAIN_CERTIFICATES

__all__ = ["ForwardedChain", "check_count"]


@final
@dataclass(frozen=True, slots=True)
class ForwardedChain:
    """Certificates that a client showed to a proxy, by what the proxy says.

    It makes no caller. Certificates are public: that this client holds the leaf's key, only the proxy has
    seen, so only a header that nobody else can have written means anything. And whether the leaf's own trust
    domain vouches for it, `pdp.identity.x509.verify_caller` has to say, whatever the proxy has verified.

    Attributes:
        leaf: The client's certificate, in DER, as far as anybody has looked.
        intermediates: The others, in DER, in the order in which they were forwarded.
    """

    leaf: bytes
    intermediates: tuple[bytes, ...] = ()


def check_count(name: bytes, count: int) -> None:
    """Refuse more certificates than are read, before any is decoded.

    Args:
        name: The header's name, for what is said of it.
        count: How many certificates there are, the leaf included.

    Raises:
        ForwardedError: These are too many.
    """
    if count > MAX_CHAIN_CERTIFICATES:
        raise invalid(name, f"it has more than {MAX_CHAIN_CERTIFICATES} certificates, the leaf included")
