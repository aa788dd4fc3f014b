"""The whole decision procedure, for cells whose rows say more than principal, method and path."""

from collections.abc import Mapping
from typing import Final

from pdp.compiler.evaluation import Evaluation
from pdp.compiler.rows import ANY_METHOD, RowKind
from pdp.engine.evaluate import Satisfied, applies, merge_obligations, next_flip, satisfied
from pdp.engine.region import Narrowing, reads_principal, summarise, unread_by_allow, unread_by_default
from pdp.engine.walk import Cell
from pdp.index.columns import Columns
from pdp.index.rule_index import ServiceIndex
from pdp.limits import MAX_TIME_FLIPS
from pdp.vocabulary import (
    AttributeValue,
    Decision,
    Effect,
    Millis,
    Obligation,
    Reason,
    Region,
    Request,
    ShadowOutcome,
)

__all__ = ["decide_conditional", "evaluation_of"]

_USER_ATTRIBUTES: Final = ("user.iss", "user.sub", "user.groups")


def evaluation_of(request: Request, atoms: tuple[int, ...], segments: list[str]) -> Evaluation:
    """The request as conditions read it; the user's attributes are those of the user."""
    context: Mapping[str, AttributeValue | None] = request.context
    user = request.user
    if user is not None:
        context = {
            **context,
            "user.iss": user.issuer,
            "user.sub": user.subject,
            "user.groups": user.groups or None,
        }
    elif not context.keys().isdisjoint(_USER_ATTRIBUTES):
        context = {name: value for name, value in context.items() if name not in _USER_ATTRIBUTES}
    return Evaluation(
        atoms=atoms,
        principal=request.principal.segments,
        path=segments,
        context=context,
        supplied=request.supplied,
        user=user,
        now=request.now,
    )


class _Question:
    """One request in its cell: the rows that match it, and what they come to at an instant."""

    def __init__(
        self,
        service: ServiceIndex,
        cell: Cell,
        near: list[int],
        bit: int,
        request: Request,
        evaluation: Evaluation,
    ) -> None:
        self.service = service
        self.columns = service.columns
        self.cell = cell
        self.request = request
        self.evaluation = evaluation
        self.bit = bit
        self.near = near
        masks, details = self.columns.masks, self.columns.details
        self.candidates = [row for row in near if masks[row] & bit]
        self.rows = [
            row
            for row in self.candidates
            if (detail := details.get(row)) is None or applies(detail, evaluation)
        ]
        kinds = self.columns.kinds
        self.enforced = [row for row in self.rows if not kinds[row] & RowKind.SHADOW]
        self.observed = service.observe_until is not None and request.now < service.observe_until

    def outcome(self, held: Satisfied, now: Millis) -> tuple[Effect, Reason, tuple[int, ...]]:
        """Effect, reason and deciding rows, by section 6 of the definition."""
        if held.denies:
            return Effect.DENY, Reason.DENIED_BY_RULE, held.denies
        if held.allows and self.service.declared:
            return Effect.ALLOW, Reason.ALLOWED, held.allows
        if self.service.observe_until is not None and now < self.service.observe_until:
            return Effect.ALLOW, Reason.OBSERVED, ()
        return Effect.DENY, Reason.NO_RULE_MATCHED if self.service.declared else Reason.UNKNOWN_SERVICE, ()

    def can_open(self) -> bool:
        """Whether anything but a deny can ever come of it."""
        if not self.service.declared:
            return False
        kinds = self.columns.kinds
        return self.observed or any(not kinds[row] & RowKind.DENY for row in self.enforced)

    def answer_at(self, now: Millis) -> tuple[Effect, bool, tuple[Obligation, ...]]:
        """What `valid_until` watches for a change of."""
        evaluation = self.evaluation
        if now != evaluation.now:
            evaluation = Evaluation(
                evaluation.atoms,
                evaluation.principal,
                evaluation.path,
                evaluation.context,
                evaluation.supplied,
                evaluation.user,
                now,
            )
        held = satisfied(self.columns, self.enforced, evaluation, shadow=False)
        effect, reason, rows = self.outcome(held, now)
        duties = merge_obligations(self.columns, rows) if reason is Reason.ALLOWED else ()
        return effect, reason is not Reason.OBSERVED, duties

    def valid_until(self) -> Millis | None:
        """The first instant at which the answer differs, as far as is looked."""
        if not self.can_open():
            return None
        now = self.request.now
        rows, date = self._that_time_can_matter_to()
        first = None
        for _ in range(MAX_TIME_FLIPS):
            following = next_flip(self.columns, rows, date, now)
            if following is None:
                return None
            if first is None:
                first = self.answer_at(now)
            now = following
            if self.answer_at(now) != first:
                return now
        more = next_flip(self.columns, rows, date, now)
        return None if more is None else now

    def _that_time_can_matter_to(self) -> tuple[list[int], Millis | None]:
        """Rows whose flips count, and the date of an observed service if it does.

        INVARIANT: beside an allow that always holds, other allows count by their obligations alone.
        The region of such an answer may be everybody's, without those allows being read for each.
        """
        if not any(_always_allows(self.columns, row) for row in self.enforced):
            return self.enforced, self.service.observe_until
        return [row for row in self.enforced if self.columns.kinds[row] & RowKind.RESTRICTS], None

    def shadow(self, effect: Effect, reason: Reason) -> ShadowOutcome | None:
        """The would-be outcome, where shadow rows change it."""
        if len(self.rows) == len(self.enforced):
            return None
        held = satisfied(self.columns, self.rows, self.evaluation, shadow=True)
        would, why, rows = self.outcome(held, self.request.now)
        if (would, why) == (effect, reason):
            return None
        return ShadowOutcome(would, why, _rules(self.columns, rows))


def _always_allows(columns: Columns, row: int) -> bool:
    """Whether an enforced row allows at any instant and in any context."""
    detail = columns.details.get(row)
    plain = detail is None or (detail.condition is None and not detail.timed)
    return plain and not columns.kinds[row] & RowKind.DENY


def _rules(columns: Columns, rows: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted({columns.rules[row] for row in rows}))


def decide_conditional(
    service: ServiceIndex, cell: Cell, near: list[int], bit: int, request: Request, evaluation: Evaluation
) -> Decision:
    """The answer for one reading of the path.

    Args:
        service: The service's index.
        cell: Where the walk ended.
        near: The cell's rows whose atom holds the principal, whatever their method.
        bit: The method's bit.
        request: The request.
        evaluation: The same as conditions read it.
    """
    question = _Question(service, cell, near, bit, request, evaluation)
    columns = service.columns
    held = satisfied(columns, question.enforced, evaluation, shadow=False)
    effect, reason, rows = question.outcome(held, request.now)
    return Decision(
        effect=effect,
        reason=reason,
        enforced=reason is not Reason.OBSERVED,
        rules=_rules(columns, rows),
        region=_region(question, reason, rows),
        valid_until=question.valid_until(),
        obligations=merge_obligations(columns, rows) if reason is Reason.ALLOWED else (),
        shadow=question.shadow(effect, reason),
    )


def _region(question: _Question, reason: Reason, rows: tuple[int, ...]) -> Region:
    service, request = question.service, question.request
    if not service.declared:  # nothing can open it, whatever is asked
        return Region(request.service, None, None, (), True, {})
    columns = service.columns
    summary = summarise(question.cell[0], columns)
    narrowing = Narrowing(question.cell[1], question.evaluation)
    enforced = [row for row in question.candidates if not columns.kinds[row] & RowKind.SHADOW]
    principal: str | None = request.principal.id
    method: str | None = request.method
    if question.observed or summary.timed & summary.allow & question.bit:
        narrowing.read(columns, enforced)  # whatever could change the answer with time is kept
    elif reason is Reason.NO_RULE_MATCHED:
        narrowing.read(columns, [row for row in enforced if columns.is_enforced_allow(row)])
        principal, method = unread_by_default(question.near, columns, summary.allow, question.bit, request)
    else:
        chosen = min(rows, key=lambda row: _cost(columns, row))
        narrowing.read(columns, [chosen])
        if reason is Reason.ALLOWED:
            narrowing.read(columns, [row for row in enforced if columns.kinds[row] & RowKind.RESTRICTS])
            principal, method = unread_by_allow(
                chosen, question.near, columns, summary, question.bit, request
            )
        else:
            principal = principal if reads_principal(columns, chosen) else None
            free = columns.masks[chosen] == ANY_METHOD and not summary.timed & summary.allow
            method = None if free else method
    steps = tuple(narrowing.steps)
    return Region(request.service, principal, method, steps, question.cell[2], narrowing.context)


def _cost(columns: Columns, row: int) -> tuple[int, int, int]:
    """How much a region loses by resting on this row."""
    detail = columns.details.get(row)
    read = 0
    if detail is not None:
        read = len(detail.equalities) + len(detail.path_equalities) + len(detail.exceptions)
        if detail.condition is not None:
            read += len(detail.condition.reads) + len(detail.condition.places)
    return read, reads_principal(columns, row) + (columns.masks[row] != ANY_METHOD), row
