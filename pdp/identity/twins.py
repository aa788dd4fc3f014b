"""Roots of two trust domains that a TLS library cannot tell apart.

Handshakes pool the roots of all trust domains. Of two with one name and one key identifier OpenSSL takes the
one that it was given first, and tries no other: whoever makes a twin of somebody else's root shuts out all
who are verified to that. Both name and identifier are public. Nobody is believed by it: chains are verified
again, to the roots of their own trust domain (`pdp.identity.x509`).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pdp.identity.certificates import shown
from pdp.identity.trust import TrustStore

__all__ = ["without_twins"]

_DER: Final = Encoding.DER


def without_twins(after: TrustStore, before: TrustStore) -> tuple[TrustStore, tuple[str, ...]]:
    """A store without those roots that would stand in another trust domain's way, and a phrase for each.

    Of two the one stays that has been in force; else that of the trust domain that comes first.

    Args:
        after: The store as its sources have it.
        before: The store in force.
    """
    kept: dict[bytes, list[tuple[str, x509.Certificate]]] = {}
    told: list[str] = []
    left_out: set[tuple[str, x509.Certificate]] = set()
    for domain, root in (*_roots(after, before, known=True), *_roots(after, before, known=False)):
        others = kept.setdefault(root.subject.public_bytes(), [])
        twin = next((name for name, other in others if name != domain and _is_twin(root, other)), None)
        if twin is None:
            others.append((domain, root))
        else:
            left_out.add((domain, root))
            told.append(
                f"root `{shown(root)}` of `{domain}` is left out: it has name and key identifier of one"
                f" of `{twin}`, and another key"
            )
    if not told:
        return after, ()
    domains = {
        domain: tuple(root for root in roots if (domain, root) not in left_out)
        for domain, roots in after.domains.items()
    }
    return replace(after, domains=domains), tuple(told)


def _roots(after: TrustStore, before: TrustStore, *, known: bool) -> Iterator[tuple[str, x509.Certificate]]:
    """Roots that are in force already, or those that are not."""
    for domain, roots in after.domains.items():
        held = set(before.domains.get(domain, ()))
        for root in roots:
            if (root in held) is known:
                yield domain, root


def _is_twin(one: x509.Certificate, other: x509.Certificate) -> bool:
    """Whether OpenSSL might take one for the other, whose names are the same."""
    identifiers = {_identifier(one), _identifier(other)}
    return (len(identifiers) == 1 or None in identifiers) and _key(one) != _key(other)


def _identifier(root: x509.Certificate) -> bytes | None:
    try:
        return root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def _key(root: x509.Certificate) -> bytes:
    return root.public_key().public_bytes(_DER, PublicFormat.SubjectPublicKeyInfo)
