"""The search for one request: some lines match it and hold, others do not.

Every construct of the language tests one part of a request, or that two parts are equal. So it is
enough to try a few principals, methods, paths and contexts: `pdp.analysis.people`,
`representatives` and `values` say which. What is found is a request; that nothing is found means
that there is none; and where that would take too long, `TooLargeError` says so.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import TypeAlias, final

from pdp.analysis.asked import OVERRIDES, Constraint, Context
from pdp.analysis.budget import Budget
from pdp.analysis.contexts import Solver
from pdp.analysis.demands import Demand, Found, Setting
from pdp.analysis.facts import combine
from pdp.analysis.lines import Line
from pdp.analysis.members import Members, known_texts
from pdp.analysis.people import principals
from pdp.analysis.representatives import Explorer, Observed, Representative, fresh_texts, texts_of
from pdp.compiler.evaluation import Evaluation
from pdp.engine.evaluate import applies
from pdp.lang import ast
from pdp.paths import is_canonical_segment

__all__ = ["find"]

_Pattern: TypeAlias = tuple[ast.Segment, ...]


def find(demand: Demand, setting: Setting, budget: Budget) -> Found | None:
    """A request as demanded, or None if there is none.

    Raises:
        TooLargeError: Neither was found within the budget.
    """
    return _Search(demand, setting, budget).run()


@final
class _Search:
    def __init__(self, demand: Demand, setting: Setting, budget: Budget) -> None:
        self.demand = demand
        self.budget = budget
        self.lines = [line for line, _ in (*demand.must, *demand.block)]
        self.facts = combine(line.facts for line in self.lines)
        self.patterns, self.numbers = _numbered(self.lines)
        self.fresh = self._fresh()
        self.solver = Solver(setting.declared, setting.families, setting.calendar, self.fresh, budget)
        self._solved: dict[object, Context | None] = {}

    def _fresh(self) -> tuple[str, ...]:
        """Fresh texts, as many as there are places and attributes that could all have to differ."""
        known = texts_of(self.patterns) | known_texts(line.atom for line in self.lines)
        known |= known_texts(self.facts.atoms) | self.facts.texts
        known |= {str(value) for tests in self.facts.tests.values() for test in tests for value in test}
        places = {at for line in self.lines for at in line.of_path}
        segments = {at for line in self.lines for at in line.of_principal}
        return fresh_texts(known, max(1, len(places) + len(segments) + len(self.facts.pairs)))

    def run(self) -> Found | None:
        who = self._principals()
        paths = self._paths() if who else []
        methods = self._methods() if paths else []
        for path, one, method in product(paths, who, methods):
            self.budget.spend(1 + len(self.demand.block) // 4)
            context = self._context(one, method, path)
            if context is not None:
                return Found(who=one, method=method, path=path.segments, context=context)
        return None

    # -- what there is to try ------------------------------------------------------------

    def _values(self) -> tuple[str, ...]:
        """Texts to try wherever a segment's value is read."""
        segments = [segment for pattern in self.patterns for segment in pattern]
        prefixes = {s.text for s in segments if isinstance(s, ast.PrefixSegment)} | {""}
        suffixes = {s.text for s in segments if isinstance(s, ast.SuffixSegment)} | {""}
        made = [p + f + s for f in self.fresh for p in sorted(prefixes) for s in sorted(suffixes)]
        compared = {
            value
            for name in self.facts.pairs
            for test in self.facts.tests[name]
            for value in test
            if isinstance(value, str)
        }
        known = sorted((texts_of(self.patterns) | self.facts.texts | compared | self._literals()) - {""})
        return tuple(dict.fromkeys((*made, *known)))

    def _literals(self) -> set[str]:
        atoms = [*(line.atom for line in self.lines), *self.facts.atoms]
        return known_texts(atoms) if any(line.of_principal for line in self.lines) else set()

    def _principals(self) -> list[Members]:
        places = frozenset(at for line in self.lines for at in line.of_principal)
        observed = Observed(front=places, values=self._values() if places else ())
        required = [line.atom for line, _ in self.demand.must]
        others = [*(line.atom for line, _ in self.demand.block), *self.facts.atoms]
        return principals(required, others, observed, self.fresh, self.budget)

    def _paths(self) -> list[Representative]:
        places = {at for line in self.lines for at in line.of_path}
        observed = Observed(
            front=frozenset(at for at in places if at >= 0),
            back=-min((at for at in places if at < 0), default=0),
            values=self._values() if places else (),
        )
        required = [frozenset({self.numbers[line.row.path]}) for line, _ in self.demand.must]
        explorer = Explorer(self.patterns, required, observed, self.fresh, self.budget)
        return explorer.run(is_canonical_segment, empty_end=True)

    def _methods(self) -> list[str]:
        """The methods that are named, and one that is not; one for each set of lines that match it."""
        named = {name for line in self.lines for name in line.methods or ()}
        told_apart = not OVERRIDES.isdisjoint(self.facts.tests)
        found: dict[object, str] = {}
        for name in (*sorted(named), _other(named)):
            matching = tuple(line.methods is None or name in line.methods for line in self.lines)
            if all(matching[: len(self.demand.must)]):
                found.setdefault(name if told_apart else matching, name)
        return list(found.values())

    # -- one of them ---------------------------------------------------------------------

    def _context(self, who: Members, method: str, path: Representative) -> Context | None:
        constraints = []
        for line, level in self.demand.must:
            if not self._applies(line, who, path):
                return None
            constraints.append(Constraint(line=line, level=level))
        for line, level in self.demand.block:
            if self._matches(line, who, method, path):
                if line.unconditional and not level(True):
                    return None
                constraints.append(Constraint(line=line, level=level))
        key = self._key(constraints, who, method, path)
        if key not in self._solved:
            self._solved[key] = self.solver.solve(constraints, who, method, path.segments)
        return self._solved[key]

    def _key(
        self, constraints: Iterable[Constraint], who: Members, method: str, path: Representative
    ) -> object:
        """What the context depends on."""
        conditional = [c.line for c in constraints if not c.line.unconditional]
        reads_who = any(line.facts.atoms or line.facts.captures for line in conditional)
        reads_path = any(line.facts.captures for line in conditional)
        reads_method = any(not OVERRIDES.isdisjoint(line.facts.tests) for line in conditional)
        return (
            tuple(map(id, conditional)),
            who.principal.id if reads_who else "",
            path.segments if reads_path else (),
            method if reads_method else "",
        )

    def _matches(self, line: Line, who: Members, method: str, path: Representative) -> bool:
        if self.numbers[line.row.path] not in path.matched:
            return False
        if line.methods is not None and method not in line.methods:
            return False
        return who.holds(line.atom) and self._applies(line, who, path)

    def _applies(self, line: Line, who: Members, path: Representative) -> bool:
        detail = line.row.detail
        if detail is None or not (line.of_path or line.of_principal or detail.exceptions):
            return True
        return applies(
            detail,
            Evaluation(
                atoms=(),
                principal=who.principal.segments,
                path=list(path.segments),
                context={},
                supplied=frozenset(),
                user=None,
                now=0,
            ),
        )


def _numbered(lines: Sequence[Line]) -> tuple[list[_Pattern], dict[_Pattern, int]]:
    """The path patterns that make a difference, exceptions included, each once."""
    numbers: dict[_Pattern, int] = {}
    for line in lines:
        numbers.setdefault(line.row.path, len(numbers))
        for exception in line.row.detail.exceptions if line.row.detail is not None else ():
            numbers.setdefault(exception.pattern, len(numbers))
    return list(numbers), numbers


def _other(named: Iterable[str]) -> str:
    """A method that nothing names."""
    taken = set(named)
    name = "OTHER"
    while name in taken:
        name += "-X"
    return name
