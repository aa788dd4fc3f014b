"""What is told of a list that has become another one: a sentence for each entry, safe to print."""

from collections.abc import Iterator

from pdp.diagnostics import escape
from pdp.identity.quarantine.entries import Entry
from pdp.identity.quarantine.lists import Quarantine

__all__ = ["added", "lifted"]


def added(before: Quarantine, after: Quarantine) -> Iterator[str]:
    """Who is believed no more."""
    return (f"quarantined: {_about(entry)}" for entry in _without(after, before))


def lifted(before: Quarantine, after: Quarantine) -> Iterator[str]:
    """Who is believed again."""
    return (f"no longer quarantined: {_about(entry)}" for entry in _without(before, after))


def _without(one: Quarantine, other: Quarantine) -> list[Entry]:
    """The entries of one that the other does not have."""
    known = set(other.entries)
    return [entry for entry in one.entries if entry not in known]


def _about(entry: Entry) -> str:
    kind, value = entry.target
    beside = entry.trust_domain or entry.issuer
    of = f" of {escape(beside)}" if beside else ""
    return (
        escape(f"{kind} {value}")
        + f"{of} until {entry.until}, by {escape(entry.who)}: {escape(entry.why)} ({entry.id})"
    )
