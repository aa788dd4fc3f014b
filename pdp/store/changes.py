"""What changed between two versions, as one line tells it: rules in counts, the rest in words.

Counted are rows, by what they mean: names are resolved, so a group, a role or a condition that
changed counts for each rule that uses it. Exactly whose access changed is not the business of
this module: two rules may say the same, or one may change nothing beside another.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, TypeAlias, final

from pdp.compiler.atoms import Atom, SetAtom
from pdp.compiler.callers import CallerEntry
from pdp.compiler.numbers import ByNumber
from pdp.compiler.rows import Detail, Row, RowKind, Unit
from pdp.index.rule_index import RuleIndex
from pdp.store.snapshot import Snapshot

__all__ = ["NOTHING", "Changes", "changes"]

_SHOWN: Final = 3  # services that are named


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changed.

    Attributes:
        granted: Allows added or widened, and denies removed or narrowed.
        revoked: Allows removed or narrowed, and denies added or widened. What is neither wider nor
            narrower counts as both.
        notes: What else can change answers, in words.
    """

    granted: int
    revoked: int
    notes: tuple[str, ...]

    def __str__(self) -> str:
        counts = f"{self.granted} granted, {self.revoked} revoked" if self.granted or self.revoked else ""
        return ", ".join(part for part in (counts, *self.notes) if part) or "no rule changed"


NOTHING: Final = Changes(granted=0, revoked=0, notes=())


def changes(before: Snapshot, after: Snapshot) -> Changes:
    """What changed from one version to the next."""
    kept = {id(unit) for unit in before.units} & {id(unit) for unit in after.units}
    same = before.generation == after.generation
    old, new = _Reader(before, numbers=same), _Reader(after, numbers=same)
    removed = Counter(old.rows(unit for unit in before.units if id(unit) not in kept))
    added = Counter(new.rows(unit for unit in after.units if id(unit) not in kept))
    granted, revoked = _count(
        [old.rule(row) for row in (removed - added).elements()],
        [new.rule(row) for row in (added - removed).elements()],
    )
    return Changes(granted=granted, revoked=revoked, notes=tuple(_notes(before, after)))


# -- rules ---------------------------------------------------------------------------------

#: Service (None for every one), methods (None for all), path, whether it denies.
_Place: TypeAlias = tuple[str | None, frozenset[str] | None, tuple[Any, ...], bool]
_Meaning: TypeAlias = tuple[_Place, Atom | int, tuple[Any, ...]]
_NO_DETAIL: Final[tuple[Any, ...]] = ()


class _Reader:
    """Rows of one version as what they mean: with the numbers of its generation, or without any."""

    def __init__(self, snapshot: Snapshot, *, numbers: bool) -> None:
        self._snapshot = snapshot
        self._numbers = numbers
        self._methods = lru_cache(maxsize=None)(lambda mask: _methods(snapshot.index, mask))

    @cached_property
    def _atoms(self) -> Mapping[int, Atom]:
        return _by_number(self._snapshot)

    def rows(self, units: Iterable[Unit]) -> Iterator[_Meaning]:
        """Every row that is enforced."""
        for unit in units:
            for service, rows in ((None, unit.on_any), *unit.by_service.items()):
                yield from (self._row(service, row) for row in rows if not row.kind & RowKind.SHADOW)

    def _row(self, service: str | None, row: Row) -> _Meaning:
        place = (service, self._methods(row.mask), row.path, bool(row.kind & RowKind.DENY))
        atom = row.atom if self._numbers else self._atoms[row.atom]
        return place, atom, _NO_DETAIL if row.detail is None else _detail(row.detail)

    def rule(self, row: _Meaning) -> _Meaning:
        """A row of `rows` without numbers."""
        place, atom, detail = row
        return place, self._atoms[atom] if isinstance(atom, int) else atom, detail


def _by_number(snapshot: Snapshot) -> Mapping[int, Atom]:
    """The atoms of a version."""
    return ByNumber(snapshot.index.principals.numbers())


def _methods(index: RuleIndex, mask: int) -> frozenset[str] | None:
    """The methods of a mask; None for all, those that no rule names included."""
    return None if mask & 1 else frozenset(method for method, bit in index.methods.items() if mask & bit)


def _detail(detail: Detail) -> tuple[Any, ...]:
    condition = None if detail.condition is None else detail.condition.term
    return (
        condition,
        detail.equalities,
        detail.path_equalities,
        detail.principal_equalities,
        detail.exceptions,
        detail.obligations,
        detail.valid_from,
        detail.until,
    )


def _count(removed: list[_Meaning], added: list[_Meaning]) -> tuple[int, int]:
    """Grants and revocations; a rule that was only widened or narrowed is one of them."""
    granted = revoked = 0
    by_place: dict[_Place, list[_Meaning]] = {}
    for rule in removed:
        by_place.setdefault(rule[0], []).append(rule)
    for rule in added:
        earlier = by_place.get(rule[0], [])
        before = next((old for old in earlier if _within(old, rule) or _within(rule, old)), None)
        denies = rule[0][3]
        if before is None:
            granted, revoked = granted + (not denies), revoked + denies
            continue
        earlier.remove(before)
        opens = _within(before, rule) is not denies
        granted, revoked = granted + opens, revoked + (not opens)
    for rules in by_place.values():
        for rule in rules:
            denies = rule[0][3]
            granted, revoked = granted + denies, revoked + (not denies)
    return granted, revoked


def _within(narrow: _Meaning, wide: _Meaning) -> bool:
    """Whether one rule plainly holds wherever the other, in the same place, does: by group or by detail."""
    _, one, detail = narrow
    _, two, wider = wide
    if one == two:
        return wider == _NO_DETAIL
    if detail != wider or not isinstance(two, SetAtom) or isinstance(one, int):
        return False
    terms, excluded = (
        (one.terms, one.excluded) if isinstance(one, SetAtom) else (frozenset({one}), frozenset())
    )
    return terms <= two.terms and excluded >= two.excluded


# -- the rest ------------------------------------------------------------------------------


def _notes(before: Snapshot, after: Snapshot) -> Iterator[str]:
    old, new = before.index.services, after.index.services
    both = [name for name in old if name in new]
    yield from _named("new", [name for name in new if name not in old])
    yield from _named("gone", [name for name in old if name not in new])
    yield from _named("observed", [n for n in both if old[n].observe_until is None and new[n].observe_until])
    yield from _named(
        "no longer observed", [n for n in both if old[n].observe_until and new[n].observe_until is None]
    )
    yield from _named(
        "observed until another date",
        [
            name
            for name in both
            if (was := old[name].observe_until) and (now := new[name].observe_until) and was != now
        ],
    )
    yield from _named(
        "read in other ways", [n for n in both if old[n].relaxations != new[n].relaxations], "paths of "
    )
    if before.callers != after.callers and _callers(before) != _callers(after):
        yield "callers changed"
    if before.index.hosts != after.index.hosts:
        yield "hosts changed"


def _named(what: str, services: list[str], of: str = "") -> Iterator[str]:
    """`orders and 2 more are observed`."""
    if services:
        names = ", ".join(f"`{name}`" for name in sorted(services)[:_SHOWN])
        more = f" and {len(services) - _SHOWN} more" if len(services) > _SHOWN else ""
        yield f"{of}{names}{more} {'are' if of or len(services) > 1 else 'is'} {what}"


def _callers(snapshot: Snapshot) -> Counter[tuple[Any, ...]]:
    """The caller table without the numbers of its version."""
    atoms = _by_number(snapshot)
    return Counter(_caller(entry, atoms) for entry in snapshot.callers)


def _caller(entry: CallerEntry, atoms: Mapping[int, Atom]) -> tuple[Any, ...]:
    return (
        atoms[entry.who],
        entry.services,
        entry.templates,
        frozenset(atoms[number] for number in entry.asserts),
        entry.itself,
        entry.claims,
        tuple(
            sorted(
                (kind.value, frozenset(atoms[number] for number in numbers))
                for kind, numbers in entry.presents.items()
            )
        ),
        entry.user_tokens,
        entry.explain,
        entry.supplies,
    )
