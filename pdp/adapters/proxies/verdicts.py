"""What a proxy is told: let it through, with these headers; or not.

INVARIANT: only `allowed` lets anything through, and it is set here alone, in `verdict_of`, from a decision
that allows and whose every obligation the proxy can fulfil. Whatever else happens is a refusal.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, final
from urllib.parse import quote

from pdp.adapters.bad_question import BadQuestionError
from pdp.config.proxies import NEVER_TAKEN_OVER
from pdp.identity.refusal import UntrustedCertificateError
from pdp.principals import ANONYMOUS
from pdp.service.answered import Answered
from pdp.service.errors import EvidenceRefusedError, ServiceError
from pdp.vocabulary import Effect, ObligationKind, User

__all__ = ["CHALLENGE", "DECISION_ID", "ERROR", "PRINCIPAL", "USER", "Verdict", "refusal", "verdict_of"]

PRINCIPAL: Final = "x-pdp-principal"
USER: Final = "x-pdp-user"
DECISION_ID: Final = "x-pdp-decision-id"
#: Why there is no decision: a code of `docs/api.md`.
ERROR: Final = "x-pdp-error"
#: To whom is not let through for want of evidence (RFC 9110, section 15.5.2).
CHALLENGE: Final = "Bearer"
_log: Final = logging.getLogger("pdp.proxies")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a proxy is told.

    Attributes:
        allowed: Whether the request may go through.
        unauthenticated: Whether it would need other evidence of who asks.
        code: Why there is no decision; empty where there is one.
        decision_id: The decision's name; empty where there is none.
        headers: What the request goes through with, by name in lower case; an empty value says that there is
            nothing to say, and that what a client has sent under that name does not count.
        removed: Headers that it goes through without.
        answered: The decision, if there is one.
    """

    allowed: bool
    unauthenticated: bool = False
    code: str = ""
    decision_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    answered: Answered | None = None

    @property
    def set(self) -> list[tuple[str, str]]:
        """For proxies that do as they are told: the headers that are set."""
        return [(name, value) for name, value in self.headers if value]

    @property
    def unset(self) -> list[str]:
        """And those that are removed: of what is empty a client's own counts for nothing."""
        return [*self.removed, *(name for name, value in self.headers if not value)]


def verdict_of(
    answered: Answered,
    taken_over: Collection[str],
    *,
    sets_others: bool = False,
    removes_others: bool = False,
) -> Verdict:
    """What a decision comes to.

    Args:
        answered: The decision.
        taken_over: Headers that the proxy takes over from every answer.
        sets_others: Whether it sets other headers as well, if an answer says so.
        removes_others: The same of removing.
    """
    decision, id_ = answered.decision, answered.decision_id
    if decision.effect is not Effect.ALLOW:
        return Verdict(allowed=False, decision_id=id_, answered=answered)
    headers = _identity(answered)
    removed = sorted(taken_over)
    for duty in decision.obligations:
        if duty.kind is ObligationKind.REUSE_AT_MOST:
            continue  # a proxy keeps no answers
        sets = duty.kind is ObligationKind.SET_HEADER
        as_told = (sets_others if sets else removes_others) and duty.name not in NEVER_TAKEN_OVER
        if duty.name in headers or not (as_told or duty.name in taken_over):
            return Verdict(allowed=False, code="obligation_not_possible", decision_id=id_, answered=answered)
        if sets:
            headers[duty.name] = duty.value
        elif duty.name not in removed:
            removed.append(duty.name)
    return Verdict(
        allowed=True,
        decision_id=id_,
        headers=tuple(headers.items()),
        removed=tuple(name for name in removed if name not in headers),
        answered=answered,
    )


def _identity(answered: Answered) -> dict[str, str]:
    """Whom a request was let through for: said always, lest what a client says be taken for it."""
    principal, user = answered.request.principal, answered.request.user
    return {
        PRINCIPAL: "" if principal == ANONYMOUS else principal.id,
        USER: "" if user is None else _user(user),
        DECISION_ID: answered.decision_id,
    }


def _user(user: User) -> str:
    """Issuer and subject, the latter so that it holds no slash and nothing that a header cannot hold."""
    return f"{quote(user.issuer, safe=':/')}/{quote(user.subject, safe='')}"


def refusal(error: BaseException) -> Verdict:
    """What an error comes to. An unexpected one is ours, and tells nothing."""
    match error:
        case BadQuestionError() | ServiceError():
            return Verdict(
                allowed=False, code=error.code, unauthenticated=isinstance(error, EvidenceRefusedError)
            )
        case UntrustedCertificateError():
            return Verdict(allowed=False, code="caller_untrusted")
        case _:
            _log.error("a proxy's question failed by a defect of pdp", exc_info=error)
            return Verdict(allowed=False, code="internal")
