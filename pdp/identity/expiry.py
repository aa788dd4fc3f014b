"""When certificates end, for whoever has to renew them in time."""

from collections.abc import Iterator

from cryptography import x509

from pdp.identity.trust import TrustStore
from pdp.vocabulary import Millis

__all__ = ["end", "ends"]


def ends(certificate: bytes, trust: TrustStore) -> Iterator[tuple[str, Millis]]:
    """Our certificate and the roots, each by a name, with the last instant at which it is valid.

    Args:
        certificate: Our chain as it is presented, PEM, the leaf first.
        trust: The roots that callers are verified to.
    """
    yield "server", end(certificate)
    for domain, roots in trust.domains.items():
        for number, root in enumerate(roots):
            yield f"root {number} of {domain}", _end(root)


def end(certificate: bytes) -> Millis:
    """The last instant at which the first certificate of a PEM text is valid.

    Raises:
        ValueError: It is none.
    """
    return _end(x509.load_pem_x509_certificate(certificate))


def _end(certificate: x509.Certificate) -> Millis:
    return round(certificate.not_valid_after_utc.timestamp() * 1000)
