"""What the other end of a TLS connection presented, as yet unproven.

That its key is at the other end is what the handshake has proven. Whether anybody vouches for it is asked in
`pdp.identity.x509`.
"""

import ssl
from typing import Any

__all__ = ["peer_chain"]


def peer_chain(tls: ssl.SSLObject | ssl.SSLSocket) -> tuple[bytes, ...]:
    """The peer's certificate, and what it sent after it, in DER; nothing where it presented none.

    Public as `SSLObject.get_unverified_chain` from Python 3.13; before, the method stands on the object
    inside and yields certificates that encode themselves. A session that was resumed has the first alone.
    """
    leaf = tls.getpeercert(binary_form=True)
    if leaf is None:
        return ()
    inside: Any = getattr(tls, "_sslobj", tls)
    chain = inside.get_unverified_chain() or ()
    return leaf, *(
        each if isinstance(each, bytes) else ssl.PEM_cert_to_DER_cert(each.public_bytes())
        for each in chain[1:]
    )
