"""Callers on a plaintext listener: known by where they stand, not by a certificate of theirs.

Who they are is said by the settings, or by a sidecar that has verified their certificate in our
place. Which of the two holds, and for which peers, is the business of `pdp.adapters.local`.
"""

from typing import Final

from pdp.identity.caller import Caller, CallerKind
from pdp.principals import Principal, PrincipalKind, dns_principal, spiffe_principal
from pdp.vocabulary import Millis

__all__ = ["LocalCaller", "forwarded_caller", "named_caller"]

_NEVER: Final[Millis] = 253_402_300_799_999  # the end of 9999: there is no evidence that could expire
_KINDS: Final = {PrincipalKind.SPIFFE: CallerKind.SPIFFE, PrincipalKind.DNS: CallerKind.DNS}


class LocalCaller(Caller, frozen=True, kw_only=True):
    """A caller that showed us no certificate.

    INVARIANT: it never explains, reads metrics or administers, whatever its entry says. Whoever
    checks such a right asks for this type.

    `fingerprint` is no digest of anything: it says how the caller is known, and its id, so that it never
    equals that of a certificate. `epoch` is 0: no trust store vouched for it.
    """


def named_caller(identity: str) -> LocalCaller:
    """The one caller that the settings name.

    Raises:
        InvalidIdentityError: It is neither a SPIFFE ID nor `dns:` and a name.
    """
    if identity.startswith("dns:"):
        return _caller(dns_principal(identity.removeprefix("dns:")), "named")
    return _caller(spiffe_principal(identity), "named")


def forwarded_caller(identity: Principal) -> LocalCaller:
    """The caller that our own sidecar has verified."""
    return _caller(identity, "forwarded")


def _caller(identity: Principal, known: str) -> LocalCaller:
    return LocalCaller(
        kind=_KINDS[identity.kind],
        id=identity.id,
        trust_domain=identity.trust_domain,
        segments=identity.segments,
        fingerprint=f"{known} {identity.id}",
        not_after=_NEVER,
        epoch=0,
        serial="",
    )
