"""The allow that is the fewest steps away from a denied request.

A step is one thing that would have to be otherwise: the principal, the method, one segment of the
path that differs, is missing or is too many, one capture, date or test of a condition. Of rows as
many steps away the nearer one is on the path itself; else it is about this principal; else it is
the one whose path differs later.
"""

from collections.abc import Iterator
from itertools import chain, islice
from typing import TypeAlias, final

from pdp.compiler.matchers import matches
from pdp.engine.explanation import Coordinate, Difference, Nearest
from pdp.engine.group_names import GroupNames
from pdp.engine.neighbours import neighbours
from pdp.engine.path_steps import differs_before_the_end, fewest_steps, path_steps
from pdp.engine.reading import Reading, considered
from pdp.engine.unmet import shown_path
from pdp.limits import MAX_NEAREST_COMPARED, MAX_NEAREST_SCANNED, MAX_NEAREST_TAKEN_APART
from pdp.vocabulary import Decision, Reason

__all__ = ["nearest"]

#: How near a row is: steps, and what decides between rows of as many.
_Rank: TypeAlias = tuple[int, bool, bool, int, int]


def nearest(reading: Reading, decision: Decision) -> Nearest | None:
    """The nearest enforced allow with all its differences; None if there is none in the service.

    In a service of more rows than can be compared it is the nearest of those that are.
    """
    if not reading.service.declared:  # nothing can open it
        return None
    search = _Search(reading)
    row = search.nearest()
    if row is None:
        return None
    differences = (*_denied(reading, decision), *search.differences(row))
    return Nearest(rule=reading.columns.rules[row], differences=differences)


def _denied(reading: Reading, decision: Decision) -> Iterator[Difference]:
    """Each deny that stands in the way of every allow: without one of several it is a deny still."""
    if decision.reason is not Reason.DENIED_BY_RULE:
        return
    for told in considered([reading], decision)[: len(decision.rules)]:  # deciding ones come first
        given = reading.columns.text(told.rule).name
        if told.differences:
            missing = ", ".join(one.given for one in told.differences)
            given = f"{given}, whose condition is unknown: {missing}"
        yield Difference(coordinate=Coordinate.DENIED, given=given, wanted="no deny")


@final
class _Search:
    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.columns = reading.columns
        self.atoms = frozenset(reading.atoms)
        self.index = reading.index

    def nearest(self) -> int | None:
        """The row that is the fewest steps away.

        All candidates are ranked by what is seen of them at a glance; only the first of these have
        their conditions taken apart.
        """
        best: tuple[_Rank, int] | None = None
        apart: list[tuple[_Rank, int]] = []
        for row in self.candidates():
            rank = self.rank(row, None if best is None else best[0][0])
            if rank is None:
                continue
            if row in self.columns.details:
                apart.append((rank, row))
            elif best is None or (rank, row) < best:
                best = rank, row
        for (steps, elsewhere, other, distance, rule), row in sorted(apart)[:MAX_NEAREST_TAKEN_APART]:
            if best is not None and steps > best[0][0]:
                break
            rank = steps + len(self._rare(row)), elsewhere, other, distance, rule
            best = (rank, row) if best is None else min(best, (rank, row))
        return None if best is None else best[1]

    def candidates(self) -> Iterator[int]:
        """The enforced allows that may be nearest, each once.

        First those on the path and on paths one step away; then so many of the others, those about
        the principal before all.
        """
        atoms = self.columns.atoms
        beside = islice(self.reading.about_others(), MAX_NEAREST_COMPARED)
        near = neighbours(self.reading.service.root, self.reading.segments)
        first = dict.fromkeys((*self.reading.rows, *beside, *near))
        scanned = range(min(len(atoms), MAX_NEAREST_SCANNED))
        about = (row for row in scanned if atoms[row] in self.atoms)
        others = (row for row in scanned if atoms[row] not in self.atoms)
        rest = (row for row in chain(about, others) if row not in first)
        yield from filter(self.columns.is_enforced_allow, first)
        yield from islice(filter(self.columns.is_enforced_allow, rest), MAX_NEAREST_COMPARED)

    def rank(self, row: int, most: int | None) -> _Rank | None:
        """How near a row is but for its rare parts; None if its length shows that it is too far away.

        Args:
            row: The row.
            most: How many steps the nearest of those seen so far is away.
        """
        pattern, segments = self.reading.patterns[row], self.reading.segments
        other = self.columns.atoms[row] not in self.atoms
        elsewhere, distance = not matches(pattern, segments), 0
        steps = other + (not self.columns.masks[row] & self.reading.bit)
        if elsewhere:
            if most is not None and steps + fewest_steps(pattern, segments) > most:
                return None
            steps += path_steps(pattern, segments)
            distance = differs_before_the_end(pattern, segments)
        return steps, elsewhere, other, distance, self.columns.rules[row]

    def differences(self, row: int) -> list[Difference]:
        """Everything that keeps a row from holding."""
        found, reading = [], self.reading
        request = reading.request
        if self.columns.atoms[row] not in self.atoms:
            names = GroupNames(self.index.environment)
            wanted = self.index.principals.describe(self.columns.atoms[row], names)
            found.append(
                Difference(coordinate=Coordinate.PRINCIPAL, given=request.principal.id, wanted=wanted)
            )
        if not self.columns.masks[row] & reading.bit:
            wanted = self._methods(self.columns.masks[row])
            found.append(Difference(coordinate=Coordinate.METHOD, given=request.method, wanted=wanted))
        if not matches(reading.patterns[row], reading.segments):
            wanted = shown_path(reading.patterns[row])
            found.append(Difference(coordinate=Coordinate.PATH, given=reading.path, wanted=wanted))
        return found + self._rare(row)

    def _rare(self, row: int) -> list[Difference]:
        """What of its rare parts keeps a row from holding; captures are read where both patterns match."""
        detail = self.columns.details.get(row)
        if detail is None:
            return []
        unmet, pattern = self.reading.unmet, self.reading.patterns[row]
        if self.columns.atoms[row] in self.atoms and matches(pattern, self.reading.segments):
            return unmet.of(detail, pattern)
        if detail.written is not None and detail.written.captures:
            return unmet.dates(detail)
        return unmet.elsewhere(detail)

    def _methods(self, mask: int) -> str:
        return ", ".join(method for method, bit in self.index.methods.items() if mask & bit)
