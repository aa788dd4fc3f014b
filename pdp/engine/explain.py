"""Why: the rules that a decision considered, and the nearest one that would have allowed.

Slower than deciding, and told only to callers with that right. What it names is what stands in the
way now; fixing it may uncover the next thing, so all differences of the nearest rule are listed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from pdp.compiler.evaluation import Evaluation
from pdp.compiler.rows import ANY_METHOD, RowKind
from pdp.engine.conditional import evaluation_of
from pdp.engine.evaluate import applies, truth
from pdp.engine.neighbours import Neighbour, neighbours
from pdp.engine.walk import walk
from pdp.index.cells import LeafOrRow
from pdp.index.rule_index import RuleIndex, ServiceIndex
from pdp.paths import AmbiguousPathError, canonical
from pdp.vocabulary import Decision, Effect, Reason, Request

__all__ = ["Considered", "Coordinate", "Difference", "Explanation", "Nearest", "Outcome", "explain"]

_FAR: Final = 99
_SHOWN: Final = 50  # a longer list of considered rules helps nobody


class Outcome(Enum):
    """What became of a rule that stands on the path and is about the principal."""

    SATISFIED = "satisfied"
    OTHER_METHOD = "other_method"
    EXCEPTED = "excepted"  # an exception applies, or captures differ
    CONDITION_FALSE = "condition_false"
    CONDITION_UNKNOWN = "condition_unknown"
    OUTSIDE_DATES = "outside_dates"


class Coordinate(Enum):
    """Where a request and a rule can differ."""

    PRINCIPAL = "principal"
    METHOD = "method"
    PATH = "path"
    CONDITION = "condition"
    DENIED = "denied_by"
    SERVICE = "service"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """One rule on this path about this principal."""

    rule: int
    effect: Effect
    shadow: bool
    outcome: Outcome


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that keeps a rule from allowing: what was asked, and what it wants."""

    coordinate: Coordinate
    given: str
    wanted: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The allow that is closest to the request."""

    rule: int
    differences: tuple[Difference, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a decision came out as it did.

    Attributes:
        considered: Rules on the path about the principal, deciding ones first.
        nearest: For a deny, the allow with the fewest differences; None if nothing is near.
    """

    considered: tuple[Considered, ...]
    nearest: Nearest | None


def explain(index: RuleIndex, request: Request, decision: Decision) -> Explanation:
    """Explain a decision that was made for a request under an index. Never raises."""
    service = index.service(request.service)
    try:
        path = canonical(request.path)
    except AmbiguousPathError:
        return Explanation(considered=(), nearest=None)
    if decision.reason in {Reason.AMBIGUOUS_METHOD, Reason.UNKNOWN_SERVICE}:
        return Explanation(considered=(), nearest=None)
    question = _Question(index, service, request, path)
    nearest = question.nearest(decision) if decision.effect is Effect.DENY else None
    return Explanation(considered=question.considered(decision), nearest=nearest)


@final
class _Question:
    def __init__(self, index: RuleIndex, service: ServiceIndex, request: Request, path: str) -> None:
        self.index = index
        self.columns = service.columns
        self.root = service.root
        self.request = request
        self.segments = path[1:].split("/")
        self.atoms = index.principals.atoms(request.principal)
        self.bit = index.methods.get(request.method, 1)
        self.evaluation: Evaluation = evaluation_of(request, self.atoms, self.segments)
        self.rows = _rows(walk(service.root, self.segments)[0])

    def considered(self, decision: Decision) -> tuple[Considered, ...]:
        """One entry a rule: its best row."""
        found: dict[int, Considered] = {}
        for row in self.rows:
            if self.columns.atoms[row] not in self.atoms:
                continue
            kind, rule = self.columns.kinds[row], self.columns.rules[row]
            entry = Considered(
                rule=rule,
                effect=Effect.DENY if kind & RowKind.DENY else Effect.ALLOW,
                shadow=bool(kind & RowKind.SHADOW),
                outcome=self._outcome(row),
            )
            if rule not in found or entry.outcome is Outcome.SATISFIED:
                found[rule] = entry
        deciding = set(decision.rules)
        ordered = sorted(found.values(), key=lambda entry: (entry.rule not in deciding, entry.rule))
        return tuple(ordered[:_SHOWN])

    def _outcome(self, row: int) -> Outcome:
        if not self.columns.masks[row] & self.bit:
            return Outcome.OTHER_METHOD
        detail = self.columns.details.get(row)
        if detail is None:
            return Outcome.SATISFIED
        if not applies(detail, self.evaluation):
            return Outcome.EXCEPTED
        now = self.request.now
        if (detail.valid_from is not None and now < detail.valid_from) or (
            detail.until is not None and now >= detail.until
        ):
            return Outcome.OUTSIDE_DATES
        held = truth(detail, self.evaluation)
        if held is None and not self.columns.kinds[row] & RowKind.DENY:
            return Outcome.CONDITION_UNKNOWN
        return Outcome.CONDITION_FALSE if held is False else Outcome.SATISFIED

    # -- the nearest allow -------------------------------------------------------------

    def nearest(self, decision: Decision) -> Nearest | None:
        """The enforced allow with the fewest differences; ties go to the earliest rule."""
        denied = self._denied(decision)
        found = [
            self._ranked(row, [*denied, *self._differences(row)], 0)
            for row in self.rows
            if self.columns.is_enforced_allow(row)
        ]
        if min((entry[0] for entry in found), default=_FAR) > 1:
            found += [
                self._near_path(neighbour, denied)
                for neighbour in neighbours(self.root, self.segments)
                if self.columns.is_enforced_allow(neighbour.row)
            ]
        return min(found, key=lambda entry: entry[:3])[3] if found else None

    def _ranked(
        self, row: int, differences: list[Difference], distance: int
    ) -> tuple[int, int, int, Nearest]:
        rule = self.columns.rules[row]
        return len(differences), distance, rule, Nearest(rule=rule, differences=tuple(differences))

    def _near_path(self, neighbour: Neighbour, denied: list[Difference]) -> tuple[int, int, int, Nearest]:
        differences = [*denied, *self._static_differences(neighbour.row)]
        differences.append(
            Difference(coordinate=Coordinate.PATH, given=self.request.path, wanted=neighbour.pattern)
        )
        return self._ranked(neighbour.row, differences, neighbour.distance)

    def _denied(self, decision: Decision) -> list[Difference]:
        if decision.reason is not Reason.DENIED_BY_RULE:
            return []
        text = self.columns.text(decision.rules[0])
        return [Difference(coordinate=Coordinate.DENIED, given=text.name, wanted="no deny")]

    def _static_differences(self, row: int) -> list[Difference]:
        found = []
        if self.columns.atoms[row] not in self.atoms:
            wanted = self.index.principals.describe(self.columns.atoms[row])
            found.append(
                Difference(coordinate=Coordinate.PRINCIPAL, given=self.request.principal.id, wanted=wanted)
            )
        if not self.columns.masks[row] & self.bit:
            wanted = self._methods(self.columns.masks[row])
            found.append(Difference(coordinate=Coordinate.METHOD, given=self.request.method, wanted=wanted))
        return found

    def _differences(self, row: int) -> list[Difference]:
        found = self._static_differences(row)
        detail = self.columns.details.get(row)
        if detail is None or found:
            return found
        outcome = self._outcome(row)
        if outcome is Outcome.EXCEPTED:
            wanted = "a path that the rule's captures and exceptions admit"
            found.append(Difference(coordinate=Coordinate.PATH, given=self.request.path, wanted=wanted))
        elif outcome is not Outcome.SATISFIED:
            reads = detail.condition.reads if detail.condition is not None else ()
            given = ", ".join(f"{name} = {self._shown(name)}" for name in sorted(reads)) or outcome.value
            wanted = (
                "its condition to hold" if outcome is not Outcome.OUTSIDE_DATES else "an instant in its dates"
            )
            found.append(Difference(coordinate=Coordinate.CONDITION, given=given, wanted=wanted))
        return found

    def _shown(self, name: str) -> str:
        value = self.evaluation.context.get(name)
        if value is not None:
            return ", ".join(value) if isinstance(value, tuple) else str(value)
        supplied = name in self.evaluation.context or name.partition(".")[0] in self.evaluation.supplied
        return "absent" if supplied else "not supplied"

    def _methods(self, mask: int) -> str:
        if mask == ANY_METHOD:
            return "any"
        return ", ".join(method for method, bit in self.index.methods.items() if mask & bit)


def _rows(leaves: Iterable[LeafOrRow]) -> list[int]:
    """Every row of a cell."""
    found: list[int] = []
    for leaf in leaves:
        if isinstance(leaf, int):
            found.append(leaf)
            continue
        for rows in leaf.rows.values():
            found += (rows,) if isinstance(rows, int) else rows
    return found
