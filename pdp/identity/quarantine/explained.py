"""What is made of evidence where whom it names is quarantined: for people, as the rest of it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from pdp.identity.explained import Explained
from pdp.identity.quarantine.entries import Entry
from pdp.identity.quarantine.lists import Quarantine
from pdp.principals import InvalidIdentityError, dns_principal, spiffe_principal
from pdp.vocabulary import Millis

__all__ = ["under_quarantine"]


def under_quarantine(found: Explained, quarantine: Quarantine, now: Millis) -> Explained:
    """What was accepted is refused if an entry is about it, and says which."""
    entry = _about(found.parts, quarantine, now) if found.accepted and quarantine.entries else None
    if entry is None:
        return found
    reason = f"{found.reason}; it is quarantined until {entry.until}, by {entry.who}: {entry.why}"
    parts = {**found.parts, "code": "quarantined", "quarantine": msgspec.to_builtins(entry)}
    return Explained(accepted=False, reason=reason, parts=parts)


def _about(parts: Mapping[str, Any], quarantine: Quarantine, now: Millis) -> Entry | None:
    entry = _about_workload(parts.get("spiffe_id") or parts.get("id") or "", quarantine, now)
    if entry is None and "serial" in parts:
        entry = quarantine.certificate(parts["trust_domain"], parts["serial"], now)
    if entry is None and "claims" in parts:
        token_id = parts["claims"].get("jti")
        named = token_id if isinstance(token_id, str) else None
        entry = quarantine.token(parts["issuer"], parts["subject"], named, now)
    return entry


def _about_workload(id_: str, quarantine: Quarantine, now: Millis) -> Entry | None:
    dns = "dns:"
    try:
        named = dns_principal(id_.removeprefix(dns)) if id_.startswith(dns) else spiffe_principal(id_)
    except InvalidIdentityError:
        return None  # a user, or a trust domain as a whole
    return quarantine.workload(named.id, named.trust_domain, named.segments, now)
