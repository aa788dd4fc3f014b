"""What we make of one piece of evidence, and why: for people who look for what is wrong with it.

Nothing here decides whom a service believes: the same parsers do, called by whoever listens. The parts are
what was read, also where it was refused, as far as it could be read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pdp.identity.certificates import (
    CertificateTextError,
    dns_names,
    fingerprint,
    read_pem,
    serial_text,
    shown,
    uris,
)
from pdp.identity.forwarded.refusal import ForwardedError
from pdp.identity.forwarded.xfcc import Element, parse_elements, workload_of
from pdp.identity.refusal import UntrustedCertificateError
from pdp.identity.trust import TrustStore
from pdp.identity.x509 import verify_caller
from pdp.limits import MAX_HEAD_BYTES
from pdp.principals import InvalidIdentityError, parse_spiffe_id

__all__ = ["Explained", "explain_certificate", "explain_chain", "explain_spiffe_id", "explain_xfcc"]

_ONCE: Final = ("hash", "subject", "cert", "chain")  # keys of an element; the others may stand there again


@final
@dataclass(frozen=True, slots=True)
class Explained:
    """What was made of it.

    Attributes:
        accepted: Whether it is what it was given as, and names somebody.
        reason: Why, or why not: one sentence.
        parts: What was read.
    """

    accepted: bool
    reason: str
    parts: Mapping[str, Any] = field(default_factory=dict)


def explain_spiffe_id(text: str) -> Explained:
    """A SPIFFE ID, of a workload or of a trust domain (SPIFFE-ID, section 2)."""
    try:
        trust_domain, segments = parse_spiffe_id(text)
    except InvalidIdentityError as error:
        return Explained(accepted=False, reason=str(error))
    path = "".join(f"/{segment}" for segment in segments)
    what = "a workload" if segments else "a trust domain: no workload has it, and no caller"
    parts = {"spiffe_id": text, "trust_domain": trust_domain, "path": path, "workload": bool(segments)}
    return Explained(accepted=True, reason=f"the SPIFFE ID of {what}", parts=parts)


def explain_xfcc(text: str, hops: int = 1) -> Explained:
    """A value of `x-forwarded-client-cert`.

    Args:
        text: The value; of several lines, joined by commas.
        hops: How many proxies have to be in it. The one that is believed is the last, and the workload
            that is meant is the one in the first's element.
    """
    if len(text) > MAX_HEAD_BYTES:
        return Explained(accepted=False, reason=f"the header has more than {MAX_HEAD_BYTES} bytes")
    try:
        elements = parse_elements(text)
    except ForwardedError as error:
        return Explained(accepted=False, reason=error.message)
    parts: dict[str, Any] = {"elements": [_shown(element) for element in elements]}
    if len(elements) != hops:
        reason = f"the header has {len(elements)} elements, one of each proxy, where {hops} are expected"
        return Explained(accepted=False, reason=reason, parts=parts)
    try:
        principal = workload_of(elements[0])
    except ForwardedError as error:
        return Explained(accepted=False, reason=error.message, parts=parts)
    parts["spiffe_id"] = principal.id
    parts["trust_domain"] = principal.trust_domain
    return Explained(accepted=True, reason=f"the header names {principal.id}", parts=parts)


def _shown(element: Element) -> dict[str, Any]:
    found: dict[str, Any] = {"by": [], "uri": [], "dns": []}
    for key, value in element:
        if key in _ONCE:
            found[key] = value
        else:
            found[key].append(value)
    return found


def explain_certificate(pem: bytes, trust: TrustStore, now: datetime) -> Explained:
    """A certificate chain, the leaf first, as a caller would present it.

    Args:
        pem: The chain.
        trust: The roots of each trust domain.
        now: The instant, with a time zone.
    """
    try:
        chain = read_pem(pem)
    except (CertificateTextError, ValueError) as error:
        return Explained(accepted=False, reason=str(error))
    return explain_chain(chain, trust, now)


def explain_chain(chain: Sequence[x509.Certificate], trust: TrustStore, now: datetime) -> Explained:
    """The same of certificates that have been read.

    Args:
        chain: The certificates, the leaf first; at least one.
        trust: As for `explain_certificate`.
        now: As for `explain_certificate`.
    """
    leaf, *others = chain
    parts = _certificate(leaf)
    try:
        caller = verify_caller(_der(leaf), [_der(each) for each in others], trust, now)
    except UntrustedCertificateError as error:
        return Explained(accepted=False, reason=error.message, parts={**parts, "code": error.code.value})
    parts |= {"kind": caller.kind.value, "id": caller.id, "trust_domain": caller.trust_domain}
    return Explained(accepted=True, reason=f"the chain verifies, and names {caller.id}", parts=parts)


def _certificate(leaf: x509.Certificate) -> dict[str, Any]:
    return {
        "subject": shown(leaf),
        "fingerprint": fingerprint(leaf),
        "serial": serial_text(leaf.serial_number),
        "not_before": f"{leaf.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        "not_after": f"{leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "uris": list(uris(leaf)),
        "dns": list(dns_names(leaf)),
    }


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)
