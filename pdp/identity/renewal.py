"""A trust store as its files change: what it becomes, and what changed.

Each trust domain is renewed by itself. A file that is broken keeps the roots that it held before,
and nothing else: a root that is removed from one file is removed, whatever lies in the others.
"""

from collections.abc import Mapping
from pathlib import Path

from cryptography import x509

from pdp.diagnostics import escape
from pdp.identity.certificates import fingerprint
from pdp.identity.trust import TrustError, TrustStore, roots_in

__all__ = ["renewed", "trust_changes"]


def renewed(
    serving: TrustStore, files: Mapping[str, Path], contents: Mapping[Path, bytes | str]
) -> tuple[TrustStore, tuple[str, ...]]:
    """The trust store that files lead to, and what is wrong with them.

    Args:
        serving: The store in force; it has every trust domain of `files`.
        files: Trust domain name to the file with its roots.
        contents: What each file holds, or why that cannot be told.
    """
    domains: dict[str, tuple[x509.Certificate, ...]] = {}
    wrong: list[str] = []
    for domain, path in files.items():
        found = contents[path]
        try:
            if isinstance(found, str):
                raise TrustError(f"{escape(str(path))}: {found}")  # noqa: TRY301 -- as any other fault of it
            domains[domain] = roots_in(found, path, domain)
        except TrustError as error:
            domains[domain] = serving.domains[domain]
            wrong.append(f"{error}; the roots of `{domain}` stay as they were")
    return TrustStore(domains=domains, dns=serving.dns), tuple(wrong)


def trust_changes(before: TrustStore, after: TrustStore) -> tuple[str, ...]:
    """What changed from one store to the next, one phrase for each trust domain."""
    found = []
    for domain in sorted({*before.domains, *after.domains}):
        old = set(map(fingerprint, before.domains.get(domain, ())))
        new = set(map(fingerprint, after.domains.get(domain, ())))
        counts = [(len(new - old), "added"), (len(old - new), "removed")]
        told = ", ".join(
            f"{count} {'root' if count == 1 else 'roots'} {how}" for count, how in counts if count
        )
        if told:
            found.append(f"`{domain}`: {told}")
    return tuple(found)
