"""Contexts: attributes, a user, families and an instant under which some conditions hold and others do not.

Each condition is a constraint on the few things that it reads. Constraints that share nothing are
solved apart, and within a group a choice is given up as soon as one constraint that is complete
fails. So the work grows with what belongs together and not with everything that is read.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import final

from pdp.analysis.asked import NOW, OVERRIDES, SUPPLY, USER, Asked, Choice, Constraint, Context
from pdp.analysis.budget import Budget
from pdp.analysis.facts import Facts, combine
from pdp.analysis.members import Members
from pdp.analysis.values import Calendar, Stock, attribute_values, users
from pdp.compiler.attributes import attribute_type
from pdp.lang.ast import AttributeType
from pdp.vocabulary import Millis

__all__ = ["Solver"]


@final
class Solver:
    """Finds a context for constraints, for one principal, method and path after another."""

    def __init__(
        self,
        declared: Mapping[str, AttributeType],
        families: frozenset[str],
        calendar: Calendar,
        fresh: tuple[str, ...],
        budget: Budget,
    ) -> None:
        self._declared = declared
        self._families = families
        self._calendar = calendar
        self._fresh = fresh
        self._budget = budget

    def solve(
        self, constraints: Sequence[Constraint], who: Members, method: str, path: tuple[str, ...]
    ) -> Context | None:
        """A context under which all constraints are as they have to be, or None if there is none.

        Raises:
            TooLargeError: There are too many to try.
        """
        facts = combine(constraint.line.facts for constraint in constraints)
        choices = _Choices(self, constraints, facts, method, (*who.principal.segments, *path))
        asked = Asked(constraints, who, list(path), self._families, self._calendar.now)
        for group in _groups([asked.reads(number) for number in range(len(constraints))]):
            if not self._settle(asked, group, choices):
                return None
        return asked.context()

    def _settle(self, asked: "Asked", group: list[int], choices: "_Choices") -> bool:
        """Choose for one group of constraints that share something."""
        order: dict[str, None] = {}
        due: list[list[int]] = []
        for number in group:
            order.update(dict.fromkeys(sorted(asked.reads(number) - order.keys())))
        names = list(order)
        known: set[str] = set()
        waiting = set(group)
        for name in ("", *names):
            known.add(name)
            ready = [number for number in group if number in waiting and asked.reads(number) <= known]
            waiting.difference_update(ready)
            due.append(ready)
        return asked.all_hold(due[0]) and self._choose(asked, names, due, 0, choices)

    def _choose(
        self, asked: "Asked", names: list[str], due: list[list[int]], at: int, choices: "_Choices"
    ) -> bool:
        if at == len(names):
            return True
        name = names[at]
        for value in choices.of(name):
            self._budget.spend(1 + len(due[at + 1]))
            asked.set(name, value)
            if asked.all_hold(due[at + 1]) and self._choose(asked, names, due, at + 1, choices):
                return True
        asked.unset(name)
        return False

    # -- what there is to choose from ----------------------------------------------------

    def values(
        self, name: str, facts: Facts, stock: Stock, dates: frozenset[Millis], method: str
    ) -> Sequence[Choice]:
        """The values of one variable that are enough to try."""
        if name == USER:
            return users(facts, stock, self._budget)
        if name == NOW:
            return self._calendar.instants(facts.windows, dates)
        if name.startswith(SUPPLY):
            return (True, False)
        if name in OVERRIDES:
            return (None, (method,))
        type_ = attribute_type(name, self._declared)
        assert isinstance(type_, AttributeType)  # noqa: S101 - the checker has looked every name up
        return attribute_values(name, type_, facts, stock, self._budget)

    def stock(self, facts: Facts, segments: Iterable[str], method: str) -> Stock:
        """What compared values are drawn from."""
        return Stock.of(facts, (*segments, method) if OVERRIDES & facts.pairs else segments, self._fresh)


@final
class _Choices:
    """The values of each variable, made when first asked for."""

    def __init__(
        self,
        solver: Solver,
        constraints: Sequence[Constraint],
        facts: Facts,
        method: str,
        segments: Iterable[str],
    ) -> None:
        self._solver = solver
        self._facts = facts
        self._method = method
        self._stock = solver.stock(facts, segments, method)
        details = [c.line.row.detail for c in constraints if c.line.row.detail is not None]
        self._dates = frozenset(
            date for detail in details for date in (detail.valid_from, detail.until) if date is not None
        )
        self._known: dict[str, Sequence[Choice]] = {}

    def of(self, name: str) -> Sequence[Choice]:
        """The values of a variable."""
        found = self._known.get(name)
        if found is None:
            found = self._solver.values(name, self._facts, self._stock, self._dates, self._method)
            self._known[name] = found
        return found


def _groups(reads: Sequence[frozenset[str]]) -> list[list[int]]:
    """The constraints by number, those that share a variable together, small groups first."""
    groups: list[tuple[set[str], list[int]]] = []
    for number, names in enumerate(reads):
        together = [group for group in groups if not group[0].isdisjoint(names)]
        apart = [group for group in groups if group[0].isdisjoint(names)]
        merged = set(names).union(*(group[0] for group in together))
        numbers = sorted([number, *(one for group in together for one in group[1])])
        groups = [*apart, (merged, numbers)]
    return [numbers for names, numbers in sorted(groups, key=lambda group: len(group[0]))]
