"""Whom we believe: the authorities of each trust domain, apart from each other, and what they have revoked.

This module holds the trust store and its loading from PEM files. Verification against
it is in `pdp.identity.x509`; what becomes of it when the files change is in
`pdp.identity.renewal`, when to look at them in `pdp.store.file_watch`.

INVARIANT: the roots of two trust domains never meet in one collection. Whoever holds
the key of a pooled root could mint identities of every domain in the pool
(SPIFFE Federation, section 4.2: bundles of different trust domains are not merged).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, final

from cryptography import x509

from pdp.diagnostics import escape
from pdp.identity.certificates import (
    CertificateTextError,
    fingerprint,
    handshake_fault,
    key_of,
    read_pem,
    shown,
    signing_fault,
)
from pdp.identity.crl import CrlError, RevocationList, crls_in
from pdp.identity.revocation import is_of
from pdp.limits import MAX_ROOTS_PER_TRUST_DOMAIN, MAX_TRUST_FILE_BYTES
from pdp.principals import InvalidIdentityError, spiffe_principal

__all__ = [
    "DNS", "TrustError", "TrustFiles", "TrustStore", "check_trust_domain", "foreign_lists", "load_trust",
    "owner_text", "roots_in", "trust_warnings",
]  # fmt: skip

#: In the place of a trust domain's name, where DNS identities are meant.
DNS: Final = ""


class TrustError(Exception):
    """Trust that cannot be established as it was configured; the operator's to mend."""


@final
class TrustFiles(NamedTuple):
    """Files that a trust store is read from.

    Attributes:
        domains: Trust domain name to the file with its roots.
        dns: The file with the roots of DNS identities; None refuses those.
        crls: Trust domain name, or `DNS`, to the file with its revocation lists.
    """

    domains: Mapping[str, Path]
    dns: Path | None = None
    crls: Mapping[str, Path] = MappingProxyType({})

    @property
    def paths(self) -> list[Path]:
        """All of them."""
        dns = [] if self.dns is None else [self.dns]
        return [*self.domains.values(), *dns, *self.crls.values()]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrustStore:
    """The roots of every trust domain. Immutable; equal exactly when the contents are.

    Attributes:
        domains: Trust domain name to its roots. With no roots nothing verifies.
        dns: Roots of a private authority for DNS identities; None refuses every one.
        crls: Trust domain name, or `DNS`, to the revocation lists of its authorities.
        digest: SHA-256 of the contents, hexadecimal, the same on every replica.
        epoch: 53 bits of `digest`, exact in JSON as well. Unchanged contents keep it, so
            reading the same files again does not close a single connection.

    Raises:
        TrustError: A name is not a trust domain, or a root may not sign for it.
    """

    domains: Mapping[str, tuple[x509.Certificate, ...]] = field(compare=False)
    dns: tuple[x509.Certificate, ...] | None = field(default=None, compare=False)
    crls: Mapping[str, tuple[RevocationList, ...]] = field(
        default_factory=lambda: MappingProxyType({}), compare=False
    )
    digest: str = field(init=False)
    epoch: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        domains = {check_trust_domain(name): _roots(name, roots) for name, roots in self.domains.items()}
        dns = None if self.dns is None else _roots(None, self.dns)
        crls = {name: tuple(dict.fromkeys(lists)) for name, lists in self.crls.items() if lists}
        digest = _digest(domains, dns, crls)
        object.__setattr__(self, "domains", MappingProxyType(domains))
        object.__setattr__(self, "dns", dns)
        object.__setattr__(self, "crls", MappingProxyType(crls))
        object.__setattr__(self, "digest", digest)
        object.__setattr__(self, "epoch", int(digest, 16) >> (256 - 53))

    @property
    def pools(self) -> dict[str, tuple[x509.Certificate, ...]]:
        """All roots: first those of DNS identities, under `DNS`, where it believes those, then by domain."""
        return {**({} if self.dns is None else {DNS: self.dns}), **self.domains}


def check_trust_domain(name: str) -> str:
    """The name itself, if it is one (SPIFFE-ID, section 2.1).

    Raises:
        TrustError: It is not.
    """
    try:
        principal = spiffe_principal(f"spiffe://{name}/x")
    except InvalidIdentityError as error:
        msg = f"`{escape(name)[:80]}` is not a trust domain: {error}"
        raise TrustError(msg) from error
    if principal.trust_domain != name:
        msg = f"`{escape(name)[:80]}` is not a trust domain: it has a path"
        raise TrustError(msg)
    return name


def _roots(domain: str | None, roots: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...]:
    """The roots without repetitions, each fit to sign for `domain` (None: for DNS identities)."""
    owner = owner_text(domain)
    unique = tuple(dict.fromkeys(roots))
    if len(unique) > MAX_ROOTS_PER_TRUST_DOMAIN:
        msg = f"{len(unique)} roots for {owner}: at most {MAX_ROOTS_PER_TRUST_DOMAIN} are allowed"
        raise TrustError(msg)
    for root in unique:
        fault = signing_fault(root, domain) or handshake_fault(root)
        if fault is not None:
            msg = f"`{shown(root)}` cannot be a root of {owner}: {fault}"
            raise TrustError(msg)
    return unique


def owner_text(domain: str | None) -> str:
    """Whose roots or lists are meant, in words; None and `DNS` for DNS identities."""
    return f"`{domain}`" if domain else "DNS identities"


def _digest(
    domains: Mapping[str, tuple[x509.Certificate, ...]],
    dns: tuple[x509.Certificate, ...] | None,
    crls: Mapping[str, tuple[RevocationList, ...]],
) -> str:
    contents: dict[str, object] = {
        "domains": {name: sorted(map(fingerprint, roots)) for name, roots in domains.items()},
        "dns": None if dns is None else sorted(map(fingerprint, dns)),
    }
    if crls:
        contents["crls"] = {name: sorted(each.fingerprint for each in lists) for name, lists in crls.items()}
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()


def load_trust(
    domains: Mapping[str, Path],
    *,
    dns: Path | None = None,
    crls: Mapping[str, Path] = MappingProxyType({}),
) -> TrustStore:
    """Read the roots of each trust domain from its own PEM file, and its revocation lists.

    Expired roots are loaded, since they become harmless rather than dangerous and the
    file may hold their successors; expired lists as well, since nothing verifies by them.
    `trust_warnings` names both.

    Args:
        domains: As in `TrustFiles`.
        dns: As there.
        crls: As there.

    Raises:
        TrustError: A file cannot be read or is too large, holds no certificate, a
            malformed one or a private key, or one that may not sign for its domain; or no
            revocation list, or one that cannot be used.
    """
    return TrustStore(
        domains={
            check_trust_domain(name): roots_in(_read(path), path, name) for name, path in domains.items()
        },
        dns=None if dns is None else roots_in(_read(dns), dns, None),
        crls={name: _load_crls(path) for name, path in crls.items()},
    )


def _load_crls(path: Path) -> tuple[RevocationList, ...]:
    try:
        return crls_in(_read(path), path)
    except CrlError as error:
        raise TrustError(str(error)) from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TRUST_FILE_BYTES + 1)
    except OSError as error:
        msg = f"{escape(str(path))}: cannot be read: {error.strerror or 'input or output failed'}"
        raise TrustError(msg) from error
    if len(data) > MAX_TRUST_FILE_BYTES:
        msg = f"{escape(str(path))}: larger than {MAX_TRUST_FILE_BYTES} bytes, the limit for a trust file"
        raise TrustError(msg)
    return data


def roots_in(data: bytes, path: Path, domain: str | None) -> tuple[x509.Certificate, ...]:
    """The roots in the content of a trust file.

    Args:
        data: The content.
        path: Where it was read, to be named.
        domain: The trust domain, or None for DNS identities.

    Raises:
        TrustError: It holds no certificate, a malformed one or a private key, or one that may
            not sign for its domain.
    """
    try:
        return _roots(domain, read_pem(data))
    except (CertificateTextError, TrustError) as error:
        msg = f"{escape(str(path))}: {error}"
        raise TrustError(msg) from error


def trust_warnings(trust: TrustStore, now: datetime) -> tuple[str, ...]:
    """What is doubtful about a trust store, one sentence each, in a stable order.

    Reported are roots and revocation lists outside their validity, trust domains for which
    nothing can verify, lists in the name of a root that are not its own, and a key that signs
    for more than one domain: its holder can mint the identities of both, which is right only
    while a trust domain is being renamed.

    Args:
        trust: The store.
        now: The instant to judge validity at, with a time zone.
    """
    pools = {owner_text(name): roots for name, roots in sorted(trust.pools.items())}
    lists = {owner_text(name): each for name, each in sorted(trust.crls.items())}
    return (
        *(f"no root is trusted for {owner}: nothing verifies" for owner, roots in pools.items() if not roots),
        *(
            warning
            for owner, roots in pools.items()
            for root in roots
            for warning in _dated(owner, root, now)
        ),
        *chain.from_iterable(_crl_warnings(owner, each, now) for owner, each in lists.items()),
        *(
            f"{fault}: nothing that it signed verifies"
            for owner, each in lists.items()
            for fault in foreign_lists(each, pools.get(owner, ()))
        ),
        *_shared(pools),
    )


def foreign_lists(lists: tuple[RevocationList, ...], roots: tuple[x509.Certificate, ...]) -> tuple[str, ...]:
    """Those lists that bear the name of a root and are not made by one, in words.

    Of other authorities nothing is known before one of their certificates is presented.
    """
    return tuple(
        f"the revocation list of `{each.shown}` is not signed by the root of that name"
        for each in lists
        if (named := [root for root in roots if root.subject == each.issuer])
        and not any(is_of(each, root) for root in named)
    )


def _crl_warnings(owner: str, lists: tuple[RevocationList, ...], now: datetime) -> list[str]:
    ended = [
        f"the revocation list of `{each.shown}` of {owner} held until {each.next_update:%Y-%m-%dT%H:%M:%SZ}:"
        " nothing that it signed verifies unless there is a newer one"
        for each in lists
        if now > each.next_update
    ]
    return ended + [
        f"the revocation list of `{each.shown}` of {owner} holds from {each.begins:%Y-%m-%dT%H:%M:%SZ}"
        for each in lists
        if now < each.begins
    ]


def _dated(owner: str, root: x509.Certificate, now: datetime) -> list[str]:
    if now > root.not_valid_after_utc:
        return [f"root `{shown(root)}` of {owner} expired at {root.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"]
    if now < root.not_valid_before_utc:
        return [
            f"root `{shown(root)}` of {owner} is valid from {root.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
        ]
    return []


def _shared(pools: Mapping[str, tuple[x509.Certificate, ...]]) -> list[str]:
    # The key, not the certificate: a renewed root with the old key mints just as well.
    keys = {owner: {key_of(root) for root in roots} for owner, roots in pools.items()}
    shared = {key for key, count in Counter(k for ks in keys.values() for k in ks).items() if count > 1}
    owners = [[owner for owner, ks in keys.items() if key in ks] for key in shared]
    return sorted(f"one authority's key signs for {' and '.join(names)}" for names in owners)
