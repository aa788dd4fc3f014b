"""When what we hold ends: our certificate, roots, revocation lists; for whoever has to renew them in time.

This module says what there is. When somebody is warned is the business of `pdp.process.expiring`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, final

from cryptography import x509

from pdp.identity.certificates import shown
from pdp.identity.trust import TrustStore, owner_text
from pdp.vocabulary import Millis

__all__ = ["Ending", "end", "endings", "ends"]


@final
class Ending(NamedTuple):
    """Something that holds from one instant to another.

    Attributes:
        name: What it is called among metrics.
        what: What it is called among people, safe to print.
        begins: The first instant at which it is valid.
        ends: The last one.
        then: What becomes of it, in words.
        told: Whether what has ended is told of by whoever loads it.
    """

    name: str
    what: str
    begins: Millis
    ends: Millis
    then: str
    told: bool = True


def endings(certificate: bytes, trust: TrustStore) -> Iterator[Ending]:
    """Our certificate, the roots and the revocation lists.

    Args:
        certificate: Our chain as it is presented, PEM, the leaf first.
        trust: What callers are verified by.
    """
    ours = x509.load_pem_x509_certificate(certificate)
    begins, ends_ = _millis(ours.not_valid_before_utc), _end(ours)
    yield Ending("server", "our certificate", begins, ends_, "callers refuse it", told=False)
    for domain, roots in trust.pools.items():
        for number, root in enumerate(roots):
            begins, ends_ = _millis(root.not_valid_before_utc), _end(root)
            what = f"the root `{shown(root)}` of {owner_text(domain)}"
            yield Ending(f"root {number} of {_owner(domain)}", what, begins, ends_, "nothing verifies to it")
    for domain, lists in trust.crls.items():
        for number, each in enumerate(lists):
            what = f"the revocation list of `{each.shown}`, of {owner_text(domain)},"
            begins, ends_ = _millis(each.this_update), _millis(each.next_update)
            then = "nothing that its authority signed verifies, but by a newer one"
            yield Ending(f"crl {number} of {_owner(domain)}", what, begins, ends_, then)


def ends(certificate: bytes, trust: TrustStore) -> Iterator[tuple[str, Millis]]:
    """The names of the same for metrics, each with the last instant at which it is valid."""
    return ((each.name, each.ends) for each in endings(certificate, trust))


def end(certificate: bytes) -> Millis:
    """The last instant at which the first certificate of a PEM text is valid.

    Raises:
        ValueError: It is none.
    """
    return _end(x509.load_pem_x509_certificate(certificate))


def _owner(domain: str) -> str:
    return domain or "DNS identities"


def _end(certificate: x509.Certificate) -> Millis:
    return _millis(certificate.not_valid_after_utc)


def _millis(instant: datetime) -> Millis:
    return round(instant.timestamp() * 1000)
