"""Roots of two trust domains that a TLS library cannot tell apart.

Handshakes pool the roots of all trust domains, and those of DNS identities. Of two with one name and one key
identifier OpenSSL takes the one that it was given first, and tries no other: whoever makes a twin of somebody
else's root shuts out all who are verified to that. Both name and identifier are public. So is the key: nobody
asks whether a root has signed itself, and one with that very key may say that it is worth less. Nobody gains
belief by it: chains are verified again, to the roots of their own trust domain (`pdp.identity.x509`).

A twin of an intermediate does the same, for roots are looked at before what is sent along. Those in our own
chain are known, and come before all roots; others are known to nobody before a chain is presented.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import NamedTuple, final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pdp.identity.certificates import CertificateTextError, key_of, read_der, shown
from pdp.identity.chain import issued_by, signers
from pdp.identity.trust import DNS, TrustStore, owner_text

__all__ = ["known_intermediates", "pooled", "without_twins"]


@final
class _Held(NamedTuple):
    """A certificate that stays, whose, and how that is told."""

    domain: str
    certificate: x509.Certificate
    told: str
    is_root: bool = True


def known_intermediates(ours: bytes, trust: TrustStore) -> dict[str, tuple[x509.Certificate, ...]]:
    """The intermediates in our own chain, by the trust domain, or `DNS`, to whose roots they lead.

    One that might be taken for a root of its own trust domain is left out: the root comes first then.

    Args:
        ours: Our chain as it is presented, PEM.
        trust: The store.
    """
    presented = dict.fromkeys(_certificates(ours))
    found = {}
    for domain, roots in trust.pools.items():
        usable, _faults = signers(presented, roots, domain or None)
        found[domain] = tuple(each for each in usable if not any(_alike(each, root) for root in roots))
    return found


def pooled(ours: bytes, trust: TrustStore, now: datetime) -> list[x509.Certificate]:
    """What a TLS library is given, in this order: the intermediates that are known, and all roots.

    In the order in which twins are told apart. But of those with one name and one key that comes first which
    has begun, and of several that which ends last: the library of gRPC takes the first though it has ended.

    Args:
        ours: Our chain as it is presented, PEM.
        trust: The store.
        now: The instant, with a time zone.
    """
    parts = (*known_intermediates(ours, trust).values(), *trust.pools.values())
    groups: dict[tuple[bytes, bytes], dict[x509.Certificate, None]] = {}
    for each in chain.from_iterable(parts):
        groups.setdefault((each.subject.public_bytes(), key_of(each)), {})[each] = None

    def worth(each: x509.Certificate) -> tuple[bool, datetime]:
        return each.not_valid_before_utc <= now, each.not_valid_after_utc

    return [each for group in groups.values() for each in sorted(group, key=worth, reverse=True)]


def _certificates(pem: bytes) -> Iterator[x509.Certificate]:
    """What is in our chain, but for what OpenSSL has read and we do not."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        return
    for number, each in enumerate(found, start=1):
        with suppress(CertificateTextError):
            yield read_der(each.public_bytes(Encoding.DER), number)


def without_twins(after: TrustStore, before: TrustStore, ours: bytes) -> tuple[TrustStore, tuple[str, ...]]:
    """A store without those roots that would stand in another trust domain's way, and a phrase for each.

    DNS identities count as a trust domain of their own. Intermediates that are known stay. Of two roots the
    one stays that has been in force; else that of DNS identities, or of the trust domain that comes first.
    But of two with one key that stays which has signed itself, if the other has not.

    Args:
        after: The store as its sources have it.
        before: The store in force.
        ours: Our chain as it is presented, PEM.
    """
    kept: dict[bytes, list[_Held]] = {}
    for domain, found in known_intermediates(ours, after).items():
        for each in found:
            held = _Held(domain, each, f"an intermediate of {owner_text(domain)}", is_root=False)
            kept.setdefault(each.subject.public_bytes(), []).append(held)
    left_out: dict[tuple[str, x509.Certificate], str] = {}
    for domain, root in (*_roots(after, before, known=True), *_roots(after, before, known=False)):
        others = kept.setdefault(root.subject.public_bytes(), [])
        for gone, stays in _settled(others, _Held(domain, root, f"one of {owner_text(domain)}")):
            left_out[gone.domain, gone.certificate] = _phrase(gone, stays)
    if not left_out:
        return after, ()
    pools = {
        domain: tuple(root for root in roots if (domain, root) not in left_out)
        for domain, roots in after.pools.items()
    }
    dns = pools.pop(DNS, None)
    return replace(after, domains=pools, dns=dns), tuple(left_out.values())


def _settled(others: list[_Held], new: _Held) -> list[tuple[_Held, _Held]]:
    """What is left out once another root comes to those of its name that stay, and for which."""
    twins = [
        each for each in others if each.domain != new.domain and _unlike(new.certificate, each.certificate)
    ]
    stays = next((each for each in twins if not _is_forged(each, new.certificate)), None)
    if stays is not None:
        return [(new, stays)]
    others[:] = [*(each for each in others if each not in twins), new]
    return [(each, new) for each in twins]


def _phrase(gone: _Held, stays: _Held) -> str:
    return (
        f"root `{shown(gone.certificate)}` of {owner_text(gone.domain)} is left out: it has name and"
        f" key identifier of {stays.told}, and {_unlike(gone.certificate, stays.certificate)}"
    )


def _roots(after: TrustStore, before: TrustStore, *, known: bool) -> Iterator[tuple[str, x509.Certificate]]:
    """Roots that are in force already, or those that are not."""
    in_force = before.pools
    for domain, roots in after.pools.items():
        held = set(in_force.get(domain, ()))
        for root in roots:
            if (root in held) is known:
                yield domain, root


def _is_forged(held: _Held, root: x509.Certificate) -> bool:
    """Whether a root was made by somebody who has not its key, unlike another one that has the same."""
    one = held.certificate
    return held.is_root and key_of(one) == key_of(root) and issued_by(root, root) and not issued_by(one, one)


def _unlike(root: x509.Certificate, other: x509.Certificate) -> str:
    """What would go wrong were one of both taken for the other; empty where nothing would, or none can be."""
    if root == other or not _alike(root, other):
        return ""
    if key_of(root) != key_of(other):
        return "another key"
    same = all(each.subject == each.issuer for each in (root, other)) and _said(root) == _said(other)
    return "" if same else "its very key, but says something else of it"


def _alike(one: x509.Certificate, other: x509.Certificate) -> bool:
    """Whether OpenSSL might take one for the other."""
    identifiers = {_identifier(one), _identifier(other)}
    return one.subject == other.subject and (len(identifiers) == 1 or None in identifiers)


def _said(root: x509.Certificate) -> dict[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]:
    """What a root says of what may be signed with its key; whose it is, is another matter."""
    names = x509.SubjectAlternativeName.oid
    return {each.oid: each for each in root.extensions if each.oid != names}


def _identifier(root: x509.Certificate) -> bytes | None:
    try:
        return root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None
