"""Invariants: `never` and `always`, decided for every request there can be.

This module asks `pdp.analysis.decisions` about each invariant and service, and remembers what
holds; `pdp.analysis.findings` says what does not. What cannot be decided within
`MAX_INVARIANT_STEPS` is an error of its own: that an invariant holds is said only of those that
do. `docs/language-reference.md`, section 9.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeAlias, final

from pdp.analysis.books import Book, Overlaps
from pdp.analysis.budget import Budget, TooLargeError
from pdp.analysis.decisions import Decider, Shared, Undecided, Verdict
from pdp.analysis.demands import Demand, Setting, is_true, not_false
from pdp.analysis.findings import broken, doubtful, undecided
from pdp.analysis.lines import Line, Scribe
from pdp.analysis.lowered import Obliged, by_number, lower_invariant
from pdp.analysis.search import find
from pdp.analysis.values import KEPT_FOR, Calendar
from pdp.analysis.witnesses import Witness
from pdp.compiler.environment import Environment
from pdp.compiler.numbers import Numbers
from pdp.compiler.resolve import Resolver
from pdp.compiler.rows import Unit
from pdp.diagnostics import Diagnostic
from pdp.index.rule_index import RuleIndex
from pdp.lang import ast
from pdp.lang.parsed import Parsed
from pdp.limits import MAX_INVARIANT_STEPS
from pdp.vocabulary import Millis

__all__ = ["Checked", "Invariants"]

#: An invariant and the file it stands in.
_Key: TypeAlias = tuple[ast.Invariant, str]


class _Sense(Enum):
    """Whether an invariant says anything."""

    MATCHES = "matches"
    NEVER_TRUE = "never true"
    EMPTY = "empty"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A policy set without errors so far, compiled.

    Attributes:
        parsed: The files.
        index: What they came to.
        sources: The units behind each service's index.
        environment: What names stand for.
        resolver: Resolves principal terms in that environment.
        numbers: Numbers of the index's atoms.
    """

    parsed: Sequence[Parsed]
    index: RuleIndex
    sources: Mapping[str, tuple[Unit, ...]]
    environment: Environment
    resolver: Resolver
    numbers: Numbers


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A good answer, and what it rests on."""

    environment: Environment
    units: tuple[Unit, ...]
    since: Millis
    sense: _Sense = _Sense.MATCHES

    def serves(self, environment: Environment, units: Sequence[Unit], now: Millis) -> bool:
        return (
            self.environment is environment
            and len(self.units) == len(units)
            and all(one is other for one, other in zip(self.units, units, strict=True))
            and self.since <= now < self.since + KEPT_FOR
        )


class _Memory(NamedTuple):
    """What is kept of one invariant, by service; None for whether it says anything."""

    before: Mapping[str | None, _Kept]
    after: dict[str | None, _Kept]


@final
@dataclass(slots=True)
class Invariants:
    """Decides the invariants of one version after another; used by one thread at a time.

    What holds is remembered for as long as the files behind it stay the same; nothing else is.
    """

    _kept: "dict[_Key, dict[str | None, _Kept]]" = field(default_factory=dict)

    def check(self, checked: Checked, now: Millis) -> list[Diagnostic]:
        """Everything wrong or doubtful with the invariants of a policy set.

        Args:
            checked: The policy set, without errors so far.
            now: Invariants hold from this instant on.

        Raises:
            DisagreementError: The engine does not confirm what was found: a defect.
        """
        found = [
            (item, file.file.path)
            for file in checked.parsed
            for item in file.file.items
            if isinstance(item, ast.Invariant)
        ]
        if not found:
            self._kept = {}
            return []
        check = _Check(checked, now, self._kept)
        diagnostics = [d for item, path in found for d in check.invariant(item, path)]
        self._kept = check.keep
        return diagnostics


@final
class _Check:
    """The invariants of one version."""

    def __init__(self, checked: Checked, now: Millis, kept: Mapping[_Key, dict[str | None, _Kept]]) -> None:
        self.sources = checked.sources
        self.environment = checked.environment
        self.resolver = checked.resolver
        self.now = now
        self.kept = kept
        self.keep: dict[_Key, dict[str | None, _Kept]] = {}
        self._books: dict[str, Book] = {}
        atoms = by_number(checked.numbers)
        self.shared = Shared(
            index=checked.index,
            environment=checked.environment,
            setting=Setting(
                declared=checked.environment.attributes,
                families=checked.environment.families,
                calendar=Calendar(now),
            ),
            scribe=Scribe(
                checked.parsed, checked.environment, checked.resolver, atoms, checked.index.methods
            ),
            overlaps=Overlaps(atoms),
            book=self._book,
        )

    def invariant(self, item: ast.Invariant, path: str) -> list[Diagnostic]:
        """What is wrong or doubtful with one invariant."""
        obliged = lower_invariant(item, path, self.environment, self.resolver, self.shared.scribe)
        if obliged.diagnostics:
            return list(obliged.diagnostics)
        memory = _Memory(self.kept.get((item, path), {}), self.keep.setdefault((item, path), {}))
        found = self._doubts(item, obliged, memory)
        services = self._services(item)
        unknown: list[Diagnostic] = []
        budget = Budget(MAX_INVARIANT_STEPS)
        for service in services:
            verdict = self._verdict(item, obliged, memory, service, budget)
            if isinstance(verdict, Witness):
                return [*found, broken(item, verdict, self.shared.index)]
            if verdict is not None and not unknown:
                unknown.append(undecided(item, verdict, service))
        return found + unknown

    def _services(self, item: ast.Invariant) -> list[str]:
        """The services it is about; `any service` is every declared one: nothing opens another."""
        if isinstance(item.services, ast.AnyService):
            return list(self.environment.services)
        return list(dict.fromkeys(name.text for name in item.services))

    # -- whether it says anything ----------------------------------------------------------

    def _doubts(self, item: ast.Invariant, obliged: Obliged, memory: _Memory) -> list[Diagnostic]:
        kept = memory.before.get(None)
        if kept is None or not kept.serves(self.environment, (), self.now):
            sense = self._sense(obliged.lines)
            kept = _Kept(environment=self.environment, units=(), since=self.now, sense=sense)
        memory.after[None] = kept
        if kept.sense is _Sense.MATCHES:
            return []
        return [doubtful(item, never_true=kept.sense is _Sense.NEVER_TRUE)]

    def _sense(self, lines: Sequence[Line]) -> _Sense:
        budget = Budget(MAX_INVARIANT_STEPS)
        try:
            for level, sense in ((is_true, _Sense.MATCHES), (not_false, _Sense.NEVER_TRUE)):
                if any(find(Demand(must=((line, level),)), self.shared.setting, budget) for line in lines):
                    return sense
        except TooLargeError:
            return _Sense.MATCHES  # not known to be empty; whether it holds is decided, or not, below
        return _Sense.EMPTY

    # -- whether it holds ------------------------------------------------------------------

    def _verdict(
        self, item: ast.Invariant, obliged: Obliged, memory: _Memory, service: str, budget: Budget
    ) -> Verdict:
        units = self.sources.get(service, ())
        kept = memory.before.get(service)
        if kept is not None and kept.serves(self.environment, units, self.now):
            memory.after[service] = kept
            return None
        try:
            decided = Decider(self.shared, service, obliged, budget).run(always=item.always)
        except TooLargeError:
            return Undecided.TOO_LARGE
        if decided is None:
            memory.after[service] = _Kept(environment=self.environment, units=tuple(units), since=self.now)
        return decided

    def _book(self, service: str) -> Book:
        book = self._books.get(service)
        if book is None:
            book = self._books[service] = Book(service, self.sources.get(service, ()))
        return book
