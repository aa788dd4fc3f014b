"""Whether a certificate of a verified chain has been revoked, and until when that is known.

This module applies the lists of one trust domain, or of DNS identities, to a chain that leads to one of its
roots (RFC 5280, section 6.3). How a list is read is in `pdp.identity.crl`; which lists there are, and that
those of two trust domains never meet, is the business of `pdp.identity.trust`.

INVARIANT: an authority that has a list answers for each certificate that it signed by a list of its own that
holds now, or the certificate is refused. An authority without any list is not asked.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import NoReturn

from cryptography import x509

from pdp.identity.certificates import fingerprint, serial_text, shown
from pdp.identity.crl import RevocationList
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.limits import MAX_CRL_SIGNATURES
from pdp.vocabulary import Millis

__all__ = ["check_revocation", "is_of"]


def check_revocation(
    chain: Sequence[x509.Certificate], lists: Sequence[RevocationList], now: datetime
) -> Millis | None:
    """See that nothing below the root of a chain has been revoked.

    Args:
        chain: A verified path, leaf first, root last.
        lists: The lists of the root's trust domain.
        now: The instant, with a time zone.

    Returns:
        The last instant at which that is known without another look; None where no authority of the chain
        has a list.

    Raises:
        UntrustedCertificateError: One is revoked, or that cannot be known now.
    """
    known = [
        until
        for certificate, issuer in pairwise(chain)
        if (until := _check(certificate, issuer, lists, now)) is not None
    ]
    return min(known, default=None)


def is_of(crl: RevocationList, issuer: x509.Certificate) -> bool:
    """Whether an authority has made a list: by its name, its right to and its key (RFC 5280, 6.3.3 f, g)."""
    if crl.issuer != issuer.subject:
        return False
    # On the list itself: what is superseded is held by nobody else, and a list may be large.
    known, key = crl.signed_by, fingerprint(issuer)
    found = known.get(key)
    if found is None:
        if len(known) >= MAX_CRL_SIGNATURES:
            known.clear()
        found = known[key] = _has_signed(issuer, crl)
    return found


def _has_signed(issuer: x509.Certificate, crl: RevocationList) -> bool:
    try:
        if not issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign:
            return False
    except x509.ExtensionNotFound:
        pass  # then its key may be used for anything
    try:
        # One of the kinds that lists are signed with; of another kind no certificate verified.
        return crl.parsed.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _check(
    certificate: x509.Certificate, issuer: x509.Certificate, lists: Sequence[RevocationList], now: datetime
) -> Millis | None:
    named = [each for each in lists if each.issuer == issuer.subject]
    if not named:
        return None
    # By its key as well: authorities of one name with two keys have two lists.
    theirs = [each for each in named if is_of(each, issuer)]
    if not theirs:
        _unknown(
            issuer,
            "has no list of its own: the lists in its name are signed by another key, or it may sign none",
        )
    begun = [each for each in theirs if each.begins <= now]
    if not begun:
        begins = min(each.begins for each in theirs)
        _unknown(issuer, f"has a list that holds only from {begins:%Y-%m-%dT%H:%M:%SZ}")
    newest = max(each.this_update for each in begun)
    current = [each for each in begun if each.this_update == newest]
    until = min(each.next_update for each in current)
    if now > until:
        _unknown(issuer, f"has a list that held until {until:%Y-%m-%dT%H:%M:%SZ}, and no newer one")
    if any(certificate.serial_number in each.revoked for each in current):
        serial = serial_text(certificate.serial_number)
        msg = f"the certificate `{shown(certificate)}`, serial number {serial}, was revoked by its authority"
        raise UntrustedCertificateError(Refusal.REVOKED, msg)
    # What is known now ends as well where a newer list takes over: that may revoke more.
    later = [_millis(each.begins) - 1 for each in theirs if each.begins > now]
    return min([_millis(until), *later])


def _millis(instant: datetime) -> Millis:
    return int(instant.timestamp()) * 1000  # lists know whole seconds


def _unknown(issuer: x509.Certificate, why: str) -> NoReturn:
    msg = f"whether a certificate was revoked is not known: its authority `{shown(issuer)}` {why}"
    raise UntrustedCertificateError(Refusal.REVOCATION_UNKNOWN, msg)
