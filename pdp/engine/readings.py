"""Services with relaxed paths: every reading of the path has to be allowed.

Such an answer has no region: it is for this very request only.
"""

from collections.abc import Callable
from typing import TypeAlias

from pdp.index.rule_index import RuleIndex, ServiceIndex
from pdp.paths import readings
from pdp.vocabulary import Decision, Effect, Obligation, ObligationKind, Reason, Request

__all__ = ["decide_readings"]

DecidePath: TypeAlias = Callable[[RuleIndex, ServiceIndex, int, Request, str], Decision]


def decide_readings(
    index: RuleIndex, service: ServiceIndex, bit: int, request: Request, decide_path: DecidePath
) -> Decision:
    """The answer to a request whose path may have several readings.

    Raises:
        AmbiguousPathError: The path has no reading even under the service's relaxations.
    """
    paths = readings(request.path, service.relaxations)
    decisions = [decide_path(index, service, bit, request, path) for path in paths]
    if len(decisions) == 1 and paths[0] == request.path:
        return _without_region(decisions[0])
    for decision in decisions:
        if decision.effect is Effect.DENY:
            return _without_region(decision)
    obligations = _merged([duty for decision in decisions for duty in decision.obligations])
    if obligations is None:
        return Decision(Effect.DENY, Reason.AMBIGUOUS_PATH, True, (), None, None, (), None)
    first = decisions[0]
    return Decision(
        effect=Effect.ALLOW,
        reason=first.reason,
        enforced=all(decision.enforced for decision in decisions),
        rules=tuple(sorted({rule for decision in decisions for rule in decision.rules})),
        region=None,
        valid_until=min((at for d in decisions if (at := d.valid_until) is not None), default=None),
        obligations=obligations,
        shadow=next((d.shadow for d in decisions if d.shadow is not None), None),
    )


def _without_region(decision: Decision) -> Decision:
    return Decision(
        decision.effect,
        decision.reason,
        decision.enforced,
        decision.rules,
        None,
        decision.valid_until,
        decision.obligations,
        decision.shadow,
    )


def _merged(duties: list[Obligation]) -> tuple[Obligation, ...] | None:
    """The union of all readings' obligations, or None where two contradict each other."""
    headers: dict[str, Obligation] = {}
    limits: list[int] = []
    for duty in duties:
        if duty.kind is ObligationKind.REUSE_AT_MOST:
            limits.append(int(duty.value))
        elif headers.setdefault(duty.name, duty) != duty:
            return None
    found = list(headers.values())
    if limits:
        found.append(Obligation(ObligationKind.REUSE_AT_MOST, "", str(min(limits))))
    return tuple(sorted(found, key=lambda duty: (duty.kind.value, duty.name, duty.value)))
