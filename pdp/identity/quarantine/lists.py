"""Lists of entries: as a document, and as what questions are held against.

A document is strict JSON: an object with `entries`. It is taken whole or not at all: of a list of which one
entry cannot be read nobody knows whom it was about.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias, final

import msgspec

from pdp.identity.quarantine.entries import BadEntryError, Entry, entry_of
from pdp.identity.quarantine.workloads import PatternTree, WorkloadPattern
from pdp.limits import MAX_QUARANTINE_ENTRIES, MAX_TRUST_FILE_BYTES
from pdp.strictness import BadJsonError, strict_value
from pdp.vocabulary import Millis

__all__ = ["NOBODY", "Quarantine", "QuarantineError", "read_quarantine", "write_quarantine"]

_Ending: TypeAlias = tuple[Millis, Entry]
_Exact: TypeAlias = Mapping[tuple[str, ...], _Ending]


class QuarantineError(ValueError):
    """A document that is no list of entries; the message says why."""


@final
@dataclass(frozen=True, slots=True)
class Quarantine:
    """Who is believed no more. Immutable.

    Attributes:
        entries: The entries, those that have ended among them.
        digest: SHA-256 of them, hexadecimal; empty where there are none.
        names_workloads: Whether some are about workloads by name.
        names_users: Whether some are about subjects.
    """

    entries: tuple[Entry, ...] = ()
    digest: str = field(init=False)
    names_workloads: bool = field(init=False)
    names_users: bool = field(init=False)
    _exact: _Exact = field(init=False, repr=False, compare=False)
    _patterns: PatternTree[_Ending] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        exact: dict[tuple[str, ...], _Ending] = {}
        patterns: list[tuple[WorkloadPattern, _Ending]] = []
        for entry in self.entries:
            kind, value = entry.target
            pattern = entry.pattern
            if pattern is not None:
                if not pattern.exact:
                    patterns.append((pattern, (entry.ends, entry)))
                    continue
                key: tuple[str, ...] = ("workload", pattern.text)
            elif kind == "serial":
                key = (kind, entry.trust_domain, value)
            else:
                key = (kind, entry.issuer, value)
            ends = entry.ends
            if key not in exact or exact[key][0] < ends:  # of several the one that holds longest
                exact[key] = (ends, entry)
        kinds = {entry.target[0] for entry in self.entries}
        written = hashlib.sha256(write_quarantine(self.entries)).hexdigest() if self.entries else ""
        object.__setattr__(self, "digest", written)
        object.__setattr__(self, "names_workloads", not kinds.isdisjoint({"spiffe_id", "dns"}))
        object.__setattr__(self, "names_users", "sub" in kinds)
        object.__setattr__(self, "_exact", MappingProxyType(exact))
        object.__setattr__(self, "_patterns", PatternTree(patterns))

    def workload(self, id_: str, trust_domain: str, segments: tuple[str, ...], now: Millis) -> Entry | None:
        """The entry that is about a workload, by its name.

        Args:
            id_: Its id: `spiffe://...`, or `dns:` and a name.
            trust_domain: Its trust domain; empty for a DNS name.
            segments: Its path, or its labels.
            now: The instant.
        """
        found = self._named(("workload", id_), now)
        if found is None:
            longest = max(self._patterns.about(trust_domain, segments), key=_end, default=None)
            found = None if longest is None or now >= longest[0] else longest[1]
        return found

    def certificate(self, trust_domain: str, serial: str, now: Millis) -> Entry | None:
        """The entry that is about a certificate of a trust domain, by its serial number."""
        return self._named(("serial", trust_domain, serial), now) or self._named(("serial", "", serial), now)

    def token(self, issuer: str, subject: str, token_id: str | None, now: Millis) -> Entry | None:
        """The entry that is about a token, by its own name or by its subject."""
        found = None if token_id is None else self._named(("jti", issuer, token_id), now)
        return found or self.subject(issuer, subject, now)

    def subject(self, issuer: str, subject: str, now: Millis) -> Entry | None:
        """The entry that is about a subject of an issuer."""
        return self._named(("sub", issuer, subject), now)

    def _named(self, key: tuple[str, ...], now: Millis) -> Entry | None:
        found = self._exact.get(key)
        return None if found is None or now >= found[0] else found[1]


def _end(ending: _Ending) -> Millis:
    return ending[0]


#: Everybody is believed whom evidence proves.
NOBODY: Final = Quarantine()


def read_quarantine(data: bytes) -> Quarantine:
    """A list, from a document.

    Raises:
        QuarantineError: It is none, or one of its entries is none.
    """
    if len(data) > MAX_TRUST_FILE_BYTES:
        raise QuarantineError(f"the list has more than {MAX_TRUST_FILE_BYTES} bytes")
    try:
        value = strict_value(data, "the list")
    except BadJsonError as error:
        raise QuarantineError(error.message) from error
    if not isinstance(value, dict) or value.keys() != {"entries"} or not isinstance(value["entries"], list):
        raise QuarantineError("the list is an object with one list, `entries`")
    if len(value["entries"]) > MAX_QUARANTINE_ENTRIES:
        raise QuarantineError(f"the list has more than {MAX_QUARANTINE_ENTRIES} entries")
    entries: list[Entry] = []
    for number, each in enumerate(value["entries"], start=1):
        try:
            entries.append(entry_of(each))
        except BadEntryError as error:
            raise QuarantineError(f"entry {number}: {error}") from error
    if len({entry.id for entry in entries}) < len(entries):
        raise QuarantineError("two entries have one `id`")
    if len(write_quarantine(entries)) > MAX_TRUST_FILE_BYTES:  # as we write it, it could not be read again
        raise QuarantineError(f"the list has more than {MAX_TRUST_FILE_BYTES} bytes")
    return Quarantine(tuple(entries))


def write_quarantine(entries: Iterable[Entry]) -> bytes:
    """A document that holds these entries, a line each."""
    lines = [msgspec.json.encode(entry).decode() for entry in entries]
    inner = ",\n".join(f"  {line}" for line in lines)
    return f'{{"entries": [\n{inner}\n]}}\n'.encode() if lines else b'{"entries": []}\n'
