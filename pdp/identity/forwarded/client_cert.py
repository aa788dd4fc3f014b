"""RFC 9440's `client-cert` and `client-cert-chain`: the one form that is a standard.

`client-cert` is the client's certificate, a Byte Sequence in one line (section 2.2); `client-cert-chain`,
which a proxy may leave out, a List of the others, in the order of TLS, in as many lines as it likes (section
2.3). How Byte Sequences are read is in `pdp.identity.forwarded.structured`.
"""

from typing import Final

from pdp.identity.forwarded.chain import ForwardedChain
from pdp.identity.forwarded.lines import Headers, all_lines, lines_of, only_line
from pdp.identity.forwarded.refusal import invalid, missing
from pdp.identity.forwarded.structured import byte_sequence, byte_sequences

__all__ = ["CLIENT_CERT", "CLIENT_CERT_CHAIN", "read_client_cert"]

CLIENT_CERT: Final = b"client-cert"
CLIENT_CERT_CHAIN: Final = b"client-cert-chain"


def read_client_cert(headers: Headers) -> ForwardedChain:
    """The chain that was shown to the proxy.

    Raises:
        ForwardedError: There is none, or one of the two fields is not as RFC 9440 has it.
    """
    lines, rest = lines_of(headers, CLIENT_CERT), lines_of(headers, CLIENT_CERT_CHAIN)
    if rest and not lines:
        # Nothing in it is the client's: whoever took its first for the leaf would take an authority for a
        # caller.
        raise missing(CLIENT_CERT, "there is a chain without the certificate that it belongs to")
    leaf = byte_sequence(CLIENT_CERT, only_line(CLIENT_CERT, lines))
    others = byte_sequences(CLIENT_CERT_CHAIN, all_lines(CLIENT_CERT_CHAIN, rest), besides=1)
    if leaf in others:
        raise invalid(CLIENT_CERT_CHAIN, "it has the client's own certificate in it")
    return ForwardedChain(leaf, others)
