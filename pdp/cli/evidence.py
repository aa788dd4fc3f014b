"""One piece of evidence for `pdp identity explain`, from options or a line of a file, and what it comes to.

What is made of evidence is in `pdp.identity.explained`, `pdp.identity.forwarded.explained` and
`pdp.identity.tokens.explained`; this module chooses among them, and says what they lack.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, final

import msgspec

from pdp.adapters.strict_json import BadJsonError, decode
from pdp.cli.forwarded_options import checked_lines, form_of
from pdp.cli.identity_config import Believed
from pdp.identity.explained import Explained, explain_certificate, explain_spiffe_id, explain_xfcc
from pdp.identity.forwarded.explained import explain_forwarded
from pdp.identity.forwarded.forms import VOUCHED_FOR
from pdp.identity.forwarded.lines import Headers
from pdp.identity.quarantine.explained import under_quarantine
from pdp.identity.tokens.explained import explain_jwt
from pdp.identity.trust import TrustStore
from pdp.limits import MAX_BODY_BYTES
from pdp.vocabulary import EvidenceKind, Millis

__all__ = ["KEYS", "Evidence", "Explainer"]

#: How the members of a line are named.
KEYS: Final = "`spiffe_id`, `xfcc`, `cert`, `jwt` and `forwarded`"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@final
class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of a file of evidence: exactly one of these, and `headers` with `forwarded`."""

    spiffe_id: str | None = None
    xfcc: str | None = None
    cert: str | None = None
    jwt: str | None = None
    forwarded: str | None = None
    headers: dict[str, str | list[str]] | None = None


@final
class Evidence(NamedTuple):
    """What is looked at: one of these."""

    spiffe_id: str | None = None
    xfcc: str | None = None
    pem: bytes | None = None
    jwt: str | None = None
    forwarded: tuple[EvidenceKind, Headers] | None = None


@final
class Explainer:
    """Says what evidence comes to.

    Args:
        hops: How many proxies are in a value of `x-forwarded-client-cert` that is looked at by itself.
        believed: Whom we believe.
        ours: Our own SPIFFE ID, where it is known.
        now: The instant of all that is looked at.
    """

    def __init__(self, hops: int, believed: Believed, ours: str | None, now: Millis) -> None:
        self._hops = hops
        self._believed = believed
        self._ours = ours
        self._now = now

    def lacks(self, given: Evidence) -> tuple[str, str] | None:
        """What is needed to look at it and was not given: a code and a sentence."""
        form = None if given.forwarded is None else given.forwarded[0]
        if form is EvidenceKind.XFCC and self._ours is None:
            return "no_identity", "that header has to be for us: give our own SPIFFE ID by --ours"
        certificates = given.pem is not None or (form is not None and form not in VOUCHED_FOR)
        if certificates and self._believed.roots is None:
            return "no_trust", "a certificate is verified to the roots that --trust or --config names"
        return None

    def explain(self, given: Evidence) -> Explained:
        """What it comes to; nothing of what is needed lacks."""
        return under_quarantine(self._explain(given), self._believed.quarantine, self._now)

    def _explain(self, given: Evidence) -> Explained:
        if given.spiffe_id is not None:
            return explain_spiffe_id(given.spiffe_id)
        if given.xfcc is not None:
            return explain_xfcc(given.xfcc, self._hops)
        if given.jwt is not None:
            tokens = self._believed.tokens
            return explain_jwt(given.jwt, tokens.now(), self._now, tokens.latest, self._believed.ask)
        roots = self._believed.roots or TrustStore(domains={})
        now = _EPOCH + timedelta(milliseconds=self._now)
        if given.forwarded is not None:
            form, headers = given.forwarded
            return explain_forwarded(form, headers, roots, now, ours=self._ours)
        return explain_certificate(given.pem or b"", roots, now)

    def line(self, line: bytes) -> Explained:
        """The same for a line of a file; one that holds no evidence is refused."""
        try:
            given = _evidence(decode(line, _Line, max_bytes=MAX_BODY_BYTES, subject="the line"))
        except BadJsonError as error:
            return Explained(accepted=False, reason=error.message, parts={"code": error.code})
        except ValueError as error:
            return Explained(accepted=False, reason=str(error), parts={"code": "wrong_type"})
        lacking = self.lacks(given)
        if lacking is not None:
            code, message = lacking
            return Explained(accepted=False, reason=message, parts={"code": code})
        return self.explain(given)


def _evidence(line: _Line) -> Evidence:
    """What a line holds.

    Raises:
        ValueError: It does not hold exactly one piece of evidence.
    """
    given = (line.spiffe_id, line.xfcc, line.cert, line.jwt, line.forwarded)
    if sum(each is not None for each in given) != 1:
        raise ValueError(f"the line has not exactly one of {KEYS}")
    if (line.headers is None) is not (line.forwarded is None):
        raise ValueError("`forwarded` and `headers` go together")
    forwarded = None
    if line.forwarded is not None:
        forwarded = form_of(line.forwarded), checked_lines(line.headers or {})
    pem = None if line.cert is None else line.cert.encode()
    return Evidence(line.spiffe_id, line.xfcc, pem, line.jwt, forwarded)
