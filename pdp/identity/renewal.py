"""A trust store as its files change: what it becomes, and what changed.

Each trust domain is renewed by itself, its roots and its revocation lists apart. A file that is broken keeps
what it held before, and nothing else: a root that is removed from one file is removed, whatever lies in the
others.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from cryptography import x509

from pdp.diagnostics import escape
from pdp.identity.certificates import fingerprint
from pdp.identity.crl import CrlError, RevocationList, crls_in
from pdp.identity.trust import (
    DNS,
    TrustError,
    TrustFiles,
    TrustStore,
    foreign_lists,
    owner_text,
    roots_in,
)

__all__ = ["renewed", "trust_changes"]


def renewed(
    serving: TrustStore, files: TrustFiles, contents: Mapping[Path, bytes | str], now: datetime
) -> tuple[TrustStore, tuple[str, ...]]:
    """The trust store that files lead to, and what is wrong with them.

    Args:
        serving: The store in force; it has what is in `files`.
        files: Where its parts are.
        contents: What each file holds, or why that cannot be told.
        now: The instant, with a time zone.
    """
    domains: dict[str, tuple[x509.Certificate, ...]] = {}
    wrong: list[str] = []
    named: dict[str, Path] = dict(files.domains)
    if files.dns is not None:
        named[DNS] = files.dns
    before = serving.pools
    for domain, path in named.items():
        try:
            domains[domain] = roots_in(_content(contents, path), path, domain or None)
        except TrustError as error:
            domains[domain] = before[domain]
            wrong.append(f"{error}; the roots of {owner_text(domain)} stay as they were")
    pools = before | domains
    dns = domains.pop(DNS, serving.dns)
    crls: dict[str, tuple[RevocationList, ...]] = {}
    for domain, path in files.crls.items():
        try:
            crls[domain] = crls_in(_content(contents, path), path)
            _check_lists(path, serving.crls.get(domain, ()), crls[domain], pools.get(domain, ()), now)
        except (CrlError, TrustError) as error:
            crls[domain] = serving.crls.get(domain, ())
            wrong.append(f"{error}; the revocation lists of {owner_text(domain)} stay as they were")
    return TrustStore(domains=domains, dns=dns, crls=crls), tuple(wrong)


def _content(contents: Mapping[Path, bytes | str], path: Path) -> bytes:
    found = contents[path]
    if isinstance(found, str):
        raise TrustError(f"{escape(str(path))}: {found}")
    return found


def _check_lists(
    path: Path,
    before: Iterable[RevocationList],
    after: tuple[RevocationList, ...],
    roots: tuple[x509.Certificate, ...],
    now: datetime,
) -> None:
    """Refuse lists that a root would have signed and has not, and such as are older than those in force.

    An older one would let pass what was revoked since. One that has not begun is not in force: a list that is
    made in a hurry comes before it.
    """
    for fault in foreign_lists(after, roots):
        raise CrlError(f"{escape(str(path))}: {fault}")
    newest = _newest(before, now)
    for each, instant in _newest(after, now).items():
        if each in newest and instant < newest[each]:
            raise CrlError(
                f"{escape(str(path))}: the revocation list of"
                f" `{escape(each[0].rfc4514_string())[:120]}` is older than the one in force"
            )


def _newest(lists: Iterable[RevocationList], now: datetime) -> dict[tuple[x509.Name, bytes | None], datetime]:
    """From when the newest list of each authority holds, of those that have begun.

    Authorities of one name differ by their keys.
    """
    found: dict[tuple[x509.Name, bytes | None], datetime] = {}
    for each in (one for one in lists if one.begins <= now):
        key = each.issuer, each.authority_key
        found[key] = max(each.this_update, found.get(key, each.this_update))
    return found


def trust_changes(before: TrustStore, after: TrustStore) -> tuple[str, ...]:
    """What changed from one store to the next, in phrases about the roots and lists of each trust domain."""
    return (*_root_changes(before.pools, after.pools), *_list_changes(before, after))


def _root_changes(
    before: Mapping[str, tuple[x509.Certificate, ...]], after: Mapping[str, tuple[x509.Certificate, ...]]
) -> Iterator[str]:
    for domain in sorted({*before, *after}):
        old, new = (set(map(fingerprint, each.get(domain, ()))) for each in (before, after))
        told = _told(len(new - old), len(old - new), "root", "roots", ("added", "removed"))
        if told:
            yield f"{owner_text(domain)}: {told}"


def _list_changes(before: TrustStore, after: TrustStore) -> Iterator[str]:
    for domain in sorted({*before.crls, *after.crls}):
        old, new = before.crls.get(domain, ()), after.crls.get(domain, ())
        if set(old) == set(new):
            continue
        was, now = (
            {(each.issuer, serial) for each in lists for serial in each.revoked} for lists in (old, new)
        )
        how = ("revoked", "revoked no more")
        told = _told(len(now - was), len(was - now), "certificate", "certificates", how)
        yield f"{owner_text(domain)}: new revocation lists: {told or 'nothing else is revoked'}"
        for gone in sorted({each.shown for each in old} - {each.shown for each in new}):
            yield f"{owner_text(domain)}: there is no revocation list of `{gone}` any more"


def _told(more: int, less: int, one: str, many: str, how: tuple[str, str]) -> str:
    counts = zip((more, less), how, strict=True)
    return ", ".join(f"{count} {one if count == 1 else many} {what}" for count, what in counts if count)
