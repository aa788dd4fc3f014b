"""The region over which an answer holds: the cell, narrowed by what the deciding rows read.

Soundness rests on one argument. Within a cell the same rows stand; which of them match is
decided by principal and method; whether those hold, by what their details read. So it is enough
to pin the principal and the method unless no row that matters reads them, and to pin what the
rows that matter read. Which rows matter depends on the answer and is said at each call.

A region is for plain requests only: a canonical path, a method that is an upper-case token, and
no method override in the context. Anything else has to be asked.
"""

from collections.abc import Iterable
from typing import Final, final

from pdp.compiler.evaluation import Evaluation
from pdp.compiler.matchers import matches
from pdp.compiler.numbers import EVERYONE_NUMBER
from pdp.compiler.rows import ANY_METHOD, Detail, ExceptedPath, RowKind
from pdp.engine.evaluate import applies
from pdp.index.cells import LeafOrRow
from pdp.index.columns import Columns
from pdp.limits import MAX_REGION_EXCLUSIONS
from pdp.vocabulary import AttributeValue, Decision, Excluding, PathStep, Region, Request, User

__all__ = [
    "Narrowing",
    "Summary",
    "allowed_methods",
    "covers_service",
    "for_one_principal",
    "for_this_principal",
    "for_this_user",
    "reads_principal",
    "summarise",
    "unread_by_allow",
    "unread_by_default",
]

_NO_ALLOW: Final = RowKind.DENY | RowKind.SHADOW


@final
class Summary:
    """Method masks over all rows of a cell, whoever they are about: see `Leaf`."""

    __slots__ = ("allow", "specific", "timed")

    def __init__(self, allow: int, specific: int, timed: int) -> None:
        self.allow = allow
        self.specific = specific
        self.timed = timed


def summarise(leaves: Iterable[LeafOrRow], columns: Columns) -> Summary:
    """The union over a cell's leaves."""
    allow = specific = timed = 0
    for leaf in leaves:
        if isinstance(leaf, int):
            kind, mask = columns.kinds[leaf], columns.masks[leaf]
            if kind & RowKind.SHADOW:
                continue
            if not kind & RowKind.DENY:
                allow |= mask
            if kind & RowKind.RESTRICTS and reads_principal(columns, leaf):
                specific |= mask
            if kind & RowKind.DETAILED and columns.details[leaf].timed:
                timed |= mask
        else:
            allow |= leaf.allow
            specific |= leaf.specific
            timed |= leaf.timed
    return Summary(allow, specific, timed)


def allowed_methods(leaves: Iterable[LeafOrRow], columns: Columns) -> int:
    """Methods of the enforced allows of a cell, whoever they are about: `summarise(...).allow` alone."""
    allow = 0
    for leaf in leaves:
        if leaf.__class__ is int:
            if not columns.kinds[leaf] & _NO_ALLOW:
                allow |= columns.masks[leaf]
        else:
            allow |= leaf.allow  # type: ignore[union-attr]
    return allow


def reads_principal(columns: Columns, row: int) -> bool:
    """Whether a row tells principals apart."""
    detail = columns.details.get(row)
    return columns.atoms[row] != EVERYONE_NUMBER or (detail is not None and detail.reads_principal)


def unread_by_default(
    near: Iterable[int], columns: Columns, allow: int, bit: int, request: Request
) -> tuple[str | None, str | None]:
    """Principal and method of a region in which no allow is satisfied, None where not read.

    `allow` is `allowed_methods` of the cell.
    """
    if not allow:
        return None, None
    if not allow & bit:
        return None, request.method
    kinds = columns.kinds
    for row in near:
        if not kinds[row] & _NO_ALLOW:
            return request.principal.id, request.method
    return request.principal.id, None


def unread_by_allow(
    chosen: int, near: Iterable[int], columns: Columns, summary: Summary, bit: int, request: Request
) -> tuple[str | None, str | None]:
    """Principal and method of a region that rests on one allow, None where not read."""
    principal: str | None = request.principal.id
    method: str | None = request.method
    if not reads_principal(columns, chosen) and not summary.specific & bit:
        principal = None
    if columns.masks[chosen] == ANY_METHOD and not summary.timed & summary.allow:
        restricted = any(
            columns.kinds[row] & RowKind.RESTRICTS and columns.masks[row] != ANY_METHOD for row in near
        )
        if not restricted and (principal is not None or not summary.specific):
            method = None
    return principal, method


@final
class Narrowing:
    """The cell's steps and the attributes, narrowed row by row to what was read."""

    def __init__(self, steps: list[PathStep], evaluation: Evaluation) -> None:
        self.steps = list(steps)
        self.context: dict[str, AttributeValue | None] = {}
        self._evaluation = evaluation

    def read(self, columns: Columns, rows: Iterable[int]) -> None:
        """Narrow to the requests for which each of these rows holds or fails as it did here."""
        for row in rows:
            detail = columns.details.get(row)
            if detail is not None:
                self._read(detail)

    def _read(self, detail: Detail) -> None:
        if not self._equalities(detail.equalities, detail.path_equalities):
            return
        for exception in detail.exceptions:
            self._exception(exception)
        if detail.condition is not None and applies(detail, self._evaluation):
            for name in detail.condition.reads:
                self.context[name] = self._evaluation.context.get(name)
            for index in detail.condition.places:
                self._pin(index)

    def _equalities(self, equalities: Iterable[tuple[int, int]], path: Iterable[tuple[int, int]]) -> bool:
        """Whether all hold; if not, one that fails is enough to keep."""
        segments, principal = self._evaluation.path, self._evaluation.principal
        for index, other in equalities:
            if segments[index] != principal[other]:
                self._exclude(index, principal[other])
                return False
        for index, other in path:
            if segments[index] != segments[other]:
                self._pin(index)
                self._pin(other)
                return False
        for index, _ in equalities:
            self._pin(index)
        for index, other in path:
            self._pin(index)
            self._pin(other)
        return True

    def _exception(self, exception: ExceptedPath) -> None:
        # Whether the pattern matches is the same in the whole cell: it was built into the cells.
        if matches(exception.pattern, self._evaluation.path):
            self._equalities(exception.equalities, exception.path_equalities)

    def _pin(self, index: int) -> None:
        at = index if index >= 0 else len(self._evaluation.path) + index
        if at < len(self.steps):
            self.steps[at] = self._evaluation.path[at]

    def _exclude(self, index: int, segment: str) -> None:
        at = index if index >= 0 else len(self._evaluation.path) + index
        if at >= len(self.steps) or isinstance(self.steps[at], str):
            return
        step = self.steps[at]
        excluding = step if isinstance(step, Excluding) else Excluding()
        if segment in excluding.segments:
            return
        count = len(excluding.segments) + len(excluding.prefixes) + len(excluding.suffixes)
        if count >= MAX_REGION_EXCLUSIONS:
            self._pin(index)
        else:
            self.steps[at] = Excluding((*excluding.segments, segment), excluding.prefixes, excluding.suffixes)


def covers_service(region: Region | None) -> bool:
    """Whether a region holds every method and every path of its service."""
    return region is not None and region.method is None and region.path == () and region.rest


def for_one_principal(decision: Decision, principal: str) -> Decision:
    """The decision with a region of this principal alone, if it read any attribute.

    For whoever supplies other families of attributes with other principals: that one of them is left
    out does not mean the same there. Without attributes nothing of that was read.
    """
    found = decision.region
    return decision if found is None or not found.context else for_this_principal(decision, principal)


def for_this_principal(decision: Decision, principal: str) -> Decision:
    """The decision with a region of this principal alone."""
    found = decision.region
    if found is None or found.principal is not None:
        return decision
    region = Region(found.service, principal, found.method, found.path, found.rest, found.context)
    return _over(decision, region)


def for_this_user(decision: Decision, user: User | None) -> Decision:
    """The decision with a region of this user alone, or of requests without one."""
    found = decision.region
    if found is None:
        return decision
    issuer, subject = (None, None) if user is None else (user.issuer, user.subject)
    context = {**found.context, "user.iss": issuer, "user.sub": subject}
    region = Region(found.service, found.principal, found.method, found.path, found.rest, context)
    return _over(decision, region)


def _over(decision: Decision, region: Region) -> Decision:
    return Decision(
        effect=decision.effect,
        reason=decision.reason,
        enforced=decision.enforced,
        rules=decision.rules,
        region=region,
        valid_until=decision.valid_until,
        obligations=decision.obligations,
        shadow=decision.shadow,
    )
