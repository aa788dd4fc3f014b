"""One reading of a request's path: the rows that are on it, and what became of each."""

from collections.abc import Iterable, Iterator
from typing import Final, final

from pdp.compiler.rows import RowKind
from pdp.engine.conditional import evaluation_of
from pdp.engine.decide import OTHER_METHOD
from pdp.engine.evaluate import applies, truth
from pdp.engine.explanation import Considered, Difference, Outcome
from pdp.engine.unmet import Unmet
from pdp.engine.walk import walk
from pdp.index.cells import LeafOrRow
from pdp.index.columns import Columns
from pdp.index.rule_index import RuleIndex, ServiceIndex
from pdp.vocabulary import Decision, Effect, Request

__all__ = ["Reading", "considered"]

_SHOWN: Final = 50  # a longer list of considered rules helps nobody


@final
class Reading:
    """The rows on a path about the principal, and what keeps rows from holding for the request."""

    def __init__(self, index: RuleIndex, service: ServiceIndex, request: Request, path: str) -> None:
        self.index = index
        self.service = service
        self.columns = service.columns
        self.request = request
        self.path = path
        self.segments = path[1:].split("/")
        self.atoms = index.principals.atoms(request.principal)
        self.bit = index.methods.get(request.method, OTHER_METHOD)
        self.evaluation = evaluation_of(request, self.atoms, self.segments)
        self._cell = walk(service.root, self.segments)[0]
        self.rows = [row for atom, row in _rows(self._cell, self.columns) if atom in self.atoms]
        self.unmet = Unmet(index, self.evaluation, request.principal.id)
        self.patterns = self.columns.patterns(service.name)

    def about_others(self) -> Iterator[int]:
        """The rows on the path about other principals."""
        return (row for atom, row in _rows(self._cell, self.columns) if atom not in self.atoms)

    def outcome(self, row: int) -> Outcome:
        """What became of a row on the path about the principal."""
        if not self.columns.masks[row] & self.bit:
            return Outcome.OTHER_METHOD
        detail = self.columns.details.get(row)
        if detail is None:
            return Outcome.SATISFIED
        if not applies(detail, self.evaluation):
            differ = self.unmet.captures(detail, self.patterns[row])
            return Outcome.CAPTURES_DIFFER if differ else Outcome.EXCEPTED
        if self.unmet.dates(detail):
            return Outcome.OUTSIDE_DATES
        held = truth(detail, self.evaluation)
        if held is None and not self.columns.kinds[row] & RowKind.DENY:
            return Outcome.CONDITION_UNKNOWN
        return Outcome.CONDITION_FALSE if held is False else Outcome.SATISFIED

    def entry(self, row: int, outcome: Outcome) -> Considered:
        """What is told of a rule, by this row."""
        kind, detail = self.columns.kinds[row], self.columns.details.get(row)
        differences: Iterable[Difference] = ()
        if outcome is Outcome.SATISFIED:
            differences = self.unmet.unknown(detail)
        elif detail is not None and outcome is not Outcome.OTHER_METHOD:
            differences = self.unmet.of(detail, self.patterns[row])
        return Considered(
            rule=self.columns.rules[row],
            effect=Effect.DENY if kind & RowKind.DENY else Effect.ALLOW,
            shadow=bool(kind & RowKind.SHADOW),
            outcome=outcome,
            differences=tuple(differences),
        )


def considered(readings: Iterable[Reading], decision: Decision) -> tuple[Considered, ...]:
    """One entry a rule, by its best row in any reading; deciding rules first."""
    found: dict[int, tuple[Reading, int, Outcome]] = {}
    for reading in readings:
        for row in reading.rows:
            rule, outcome = reading.columns.rules[row], reading.outcome(row)
            if rule not in found or outcome is Outcome.SATISFIED:
                found[rule] = reading, row, outcome
    deciding = set(decision.rules)
    shown = sorted(found, key=lambda rule: (rule not in deciding, rule))[:_SHOWN]
    return tuple(reading.entry(row, outcome) for reading, row, outcome in map(found.__getitem__, shown))


def _rows(leaves: Iterable[LeafOrRow], columns: Columns) -> Iterator[tuple[int, int]]:
    """The rows of a cell, each with its atom."""
    for leaf in leaves:
        if isinstance(leaf, int):
            yield columns.atoms[leaf], leaf
            continue
        for atom, rows in leaf.rows.items():
            for row in (rows,) if isinstance(rows, int) else rows:
                yield atom, row
