"""The identity of whoever talks to us.

This module holds the type alone. It is made by `pdp.identity.x509` from a verified
certificate chain, and by nothing else; `pdp.identity.local` makes the lesser kind that
plaintext listeners have. What a caller may ask is the business of `pdp.service`.

INVARIANT: a `Caller` never equals, and is never used as, a `pdp.principals.Principal`.
The caller is who asks; the principal is whom the question is about. A request that
lacks its principal is an error and is never answered for the caller instead.
"""

from enum import Enum

import msgspec

from pdp.vocabulary import Millis

__all__ = ["Caller", "CallerKind"]


class CallerKind(Enum):
    """The forms of identity that a client certificate can carry."""

    SPIFFE = "spiffe"
    DNS = "dns"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """An enforcement point, authenticated by its own certificate.

    Attributes:
        kind: Which form of identity it is.
        id: Canonical text, unique across kinds: `spiffe://...` or `dns:...`.
        trust_domain: The SPIFFE trust domain; empty for a DNS identity.
        segments: The SPIFFE path, or the DNS labels, as a tuple.
        fingerprint: SHA-256 of the leaf certificate's DER, lower-case hexadecimal. A key
            for what was verified, never a name to refuse somebody by: an ECDSA signature
            has a second valid form that anybody can compute, so the holder of a
            certificate can give it another fingerprint. Refuse by `id`.
        not_after: The last instant at which every certificate of the verified chain is
            valid, root included (RFC 5280, section 4.1.2.5: inclusive), and is known not to
            be revoked, where its authorities have revocation lists.
        epoch: `TrustStore.epoch` under which the chain was verified. Under another epoch
            the verification says nothing and has to be made again.
        serial: The leaf's serial number, hexadecimal; empty without a certificate.
    """

    kind: CallerKind
    id: str
    trust_domain: str
    segments: tuple[str, ...]
    fingerprint: str
    not_after: Millis
    epoch: int
    serial: str
