"""What we make of the headers of one request, and why: for people who look for what is wrong with them.

Nothing here decides whom a service believes: `pdp.identity.forwarded.forms` reads the headers, and
`pdp.identity.x509` verifies what is in them. That a proxy wrote them, and nobody else, is assumed.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pdp.identity.certificates import CertificateTextError, read_der, shown
from pdp.identity.explained import Explained, explain_chain
from pdp.identity.forwarded.chain import ForwardedChain
from pdp.identity.forwarded.forms import read_forwarded
from pdp.identity.forwarded.lines import Headers
from pdp.identity.forwarded.refusal import ForwardedError
from pdp.identity.trust import TrustStore
from pdp.principals import Principal
from pdp.vocabulary import EvidenceKind

__all__ = ["explain_forwarded"]


def explain_forwarded(
    form: EvidenceKind, headers: Headers, trust: TrustStore, now: datetime, *, ours: str | None = None
) -> Explained:
    """The headers of a request, in the form in which a proxy is expected to write them.

    Args:
        form: The form.
        headers: The headers, each line of its own.
        trust: The roots of each trust domain, for the forms with certificates.
        now: The instant, with a time zone.
        ours: Our own SPIFFE ID, for `xfcc`.

    Raises:
        ValueError: The form is `xfcc`, and `ours` is not given.
    """
    try:
        found = read_forwarded(form, headers, ours=ours)
    except ForwardedError as error:
        return Explained(
            accepted=False, reason=error.message, parts={"form": form.value, "code": error.fault.value}
        )
    if isinstance(found, Principal):
        return _vouched_for(form, found)
    return _chain(form, found, trust, now)


def _vouched_for(form: EvidenceKind, found: Principal) -> Explained:
    parts = {"form": form.value, "kind": found.kind.value, "id": found.id, "trust_domain": found.trust_domain}
    return Explained(accepted=True, reason=f"the proxy vouches for {found.id}", parts=parts)


def _chain(form: EvidenceKind, found: ForwardedChain, trust: TrustStore, now: datetime) -> Explained:
    parts: dict[str, Any] = {"form": form.value, "certificates": 1 + len(found.intermediates)}
    try:
        chain = [read_der(each, number) for number, each in enumerate((found.leaf, *found.intermediates), 1)]
    except CertificateTextError as error:
        return Explained(accepted=False, reason=str(error), parts=parts)
    explained = explain_chain(chain, trust, now)
    above: Mapping[str, Any] = {"intermediates": [shown(each) for each in chain[1:]]} if chain[1:] else {}
    return Explained(
        accepted=explained.accepted,
        reason=explained.reason,
        parts={**parts, **explained.parts, **above},
    )
