"""One identity that is believed no more: which, by whose word, why, and until when.

An entry names exactly one thing: a workload or a pattern of workloads, the serial number of a certificate, a
token, or the subject of an issuer. It always ends: what has to last longer belongs into the policy set.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, final

import msgspec

from pdp.identity.certificates import serial_text
from pdp.identity.quarantine.workloads import WorkloadPattern, workload_pattern
from pdp.limits import MAX_QUARANTINE_SECONDS, MAX_QUARANTINE_TEXT
from pdp.principals import parse_spiffe_id
from pdp.strictness import quoted
from pdp.vocabulary import Millis

__all__ = ["TARGETS", "BadEntryError", "Entry", "entry_of", "instant_text"]

#: What an entry may name; of these it has one.
TARGETS: Final = ("spiffe_id", "dns", "serial", "jti", "sub")
_BESIDE: Final = {"serial": "trust_domain", "jti": "issuer", "sub": "issuer"}
_KEYS: Final = frozenset({"id", "who", "why", "since", "until", *TARGETS, *_BESIDE.values()})
_SCHEME: Final = "spiffe://"
_TEXTS: Final = ("id", "who", "why")
_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_SERIAL: Final = re.compile(r"(?:[0-9a-f]{2}:?)*[0-9a-f]{1,2}", re.ASCII | re.IGNORECASE)
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z", re.ASCII)


class BadEntryError(ValueError):
    """Something that is no entry; the message says why."""


@final
class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry, as it stands in a list.

    Attributes:
        id: Its name.
        who: By whose word.
        why: What happened, in words.
        since: When that was said, RFC 3339.
        until: When it ends, RFC 3339.
        spiffe_id: A SPIFFE ID, or a pattern of them.
        dns: A DNS name, or `*.` and one.
        serial: The serial number of a workload's certificate, lower-case hexadecimal.
        trust_domain: Of which trust domain that certificate is; empty for whichever.
        jti: The name that its issuer gave a token.
        sub: The subject of an issuer.
        issuer: The issuer, or the trust domain whose tokens are meant.
    """

    id: str
    who: str
    why: str
    since: str
    until: str
    spiffe_id: str = ""
    dns: str = ""
    serial: str = ""
    trust_domain: str = ""
    jti: str = ""
    sub: str = ""
    issuer: str = ""

    @property
    def ends(self) -> Millis:
        """When it ends."""
        return _millis(self.until)

    @property
    def target(self) -> tuple[str, str]:
        """What it names: one of `TARGETS`, and its value."""
        return next((name, value) for name in TARGETS if (value := getattr(self, name)))

    @property
    def pattern(self) -> WorkloadPattern | None:
        """The workloads that it names, if it names any."""
        if self.spiffe_id or self.dns:
            return workload_pattern(self.spiffe_id or f"dns:{self.dns}")
        return None


def entry_of(value: object) -> Entry:
    """An entry of what a document holds.

    Raises:
        BadEntryError: It is none.
    """
    if not isinstance(value, Mapping):
        raise BadEntryError("an entry is an object")
    for name, text in value.items():
        if name not in _KEYS:
            raise BadEntryError(f"an entry has no {quoted(name)}")
        if not isinstance(text, str) or not text or len(text) > MAX_QUARANTINE_TEXT:
            raise BadEntryError(f"`{name}` is a text of 1 to {MAX_QUARANTINE_TEXT} characters")
        if not text.isprintable():
            raise BadEntryError(f"`{name}` holds characters that do not print")
    for name in (*_TEXTS, "since", "until"):
        if name not in value:
            raise BadEntryError(f"an entry has `{name}`")
    if not _ID.fullmatch(value["id"]):
        raise BadEntryError("`id` is made of letters, digits and `-`")
    entry = Entry(**{**value, **_named(value)})
    if not 0 < entry.ends - _millis(entry.since) <= MAX_QUARANTINE_SECONDS * 1000:
        days = MAX_QUARANTINE_SECONDS // 86_400
        raise BadEntryError(f"`until` is after `since`, by {days} days at most: it ends, and is said anew")
    return entry


def _named(value: Mapping[str, Any]) -> dict[str, str]:
    """The one thing that an entry names, in its one spelling."""
    given = [name for name in TARGETS if name in value]
    if len(given) != 1:
        raise BadEntryError(f"an entry names one of {', '.join(f'`{name}`' for name in TARGETS)}")
    (target,) = given
    for beside in ("trust_domain", "issuer"):
        if beside in value and _BESIDE.get(target) != beside:
            raise BadEntryError(f"`{beside}` does not go with `{target}`")
    if target in {"jti", "sub"} and "issuer" not in value:
        raise BadEntryError(f"`{target}` goes with `issuer`: two issuers may give the same")
    text = value[target]
    try:
        match target:
            case "spiffe_id":
                return {target: workload_pattern(_with_scheme(text)).text}
            case "dns":
                return {target: workload_pattern(f"dns:{text}").text.removeprefix("dns:")}
            case "serial":
                domain = {"trust_domain": _domain(value["trust_domain"])} if "trust_domain" in value else {}
                return {target: serial_text(_serial(text)), **domain}
            case _:
                return {"issuer": _issuer(value["issuer"])}
    except ValueError as error:
        raise BadEntryError(f"`{target}`: {error}") from error


def _domain(text: str) -> str:
    domain, segments = parse_spiffe_id(f"{_SCHEME}{text}")
    if segments:
        raise ValueError("a trust domain has no path")
    return domain


def _issuer(text: str) -> str:
    if text.startswith(_SCHEME):
        raise ValueError(f"of JWT-SVIDs the issuer is the trust domain by name, without `{_SCHEME}`")
    return text


def _with_scheme(text: str) -> str:
    if not text.startswith(_SCHEME):
        raise ValueError("a SPIFFE ID begins with `spiffe://`, in lower case")
    return text


def _serial(text: str) -> int:
    if not _SERIAL.fullmatch(text):
        raise ValueError("a serial number is written in hexadecimal, with or without colons")
    return int(text.replace(":", ""), 16)


def _millis(text: str) -> Millis:
    if not _INSTANT.fullmatch(text):
        raise BadEntryError("an instant is RFC 3339 in UTC, such as `2027-03-31T09:00:00Z`")
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError as error:
        raise BadEntryError("an instant is one of the calendar") from error


def instant_text(instant: Millis) -> str:
    """An instant as entries have it, in whole seconds; what is left of the last one belongs to it."""
    return f"{datetime.fromtimestamp(-(-instant // 1000), UTC):%Y-%m-%dT%H:%M:%SZ}"
