"""When certificates end, for whoever has to renew them in time."""

from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from pdp.identity.trust import TrustStore
from pdp.vocabulary import Millis

__all__ = ["ends"]


def ends(certificate: Path, trust: TrustStore) -> Iterator[tuple[str, Millis]]:
    """Our certificate and the roots, each by a name, with the last instant at which it is valid.

    The file is read now, since it may have been renewed; one that cannot be read is left out.
    """
    try:
        ours = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        pass
    else:
        yield "server", _end(ours)
    for domain, roots in trust.domains.items():
        for number, root in enumerate(roots):
            yield f"root {number} of {domain}", _end(root)


def _end(certificate: x509.Certificate) -> Millis:
    return round(certificate.not_valid_after_utc.timestamp() * 1000)
