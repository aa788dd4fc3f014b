"""Lines: rows of rules and invariants, with everything that they can tell apart.

A `Line` is one row, seen from where questions about whole policy sets are asked: its principals as
an atom, its methods by name, the places and values that it reads. A `Book` holds the rows of one
service so that those which can meet a given line are found without looking at all of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from posixpath import dirname, join, normpath
from typing import Final, Generic, TypeAlias, TypeVar, final

from pdp.analysis.facts import NOTHING, Facts, combine, facts_of
from pdp.analysis.people import share
from pdp.compiler.atoms import Atom
from pdp.compiler.conflicts import paths_overlap
from pdp.compiler.environment import Environment
from pdp.compiler.matchers import capture_places
from pdp.compiler.resolve import Resolver
from pdp.compiler.rows import ANY_METHOD, Detail, ExceptedPath, Row, RowKind, Unit
from pdp.lang import ast
from pdp.lang.parser import Parsed

__all__ = ["Book", "Line", "Overlaps", "Scribe", "Shelf", "make_line", "meet"]

T = TypeVar("T")
Pattern: TypeAlias = Sequence[ast.Segment]


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """One row, and what it can tell apart.

    Attributes:
        row: The row.
        atom: Its principals.
        atoms: The atoms by the numbers that its condition knows them by.
        methods: Its methods; None for any.
        facts: What its condition compares.
        deny: Whether it is a deny.
        of_principal: Places of the principal whose segments it reads.
        of_path: Places of the path whose segments it reads, negative from the end.
    """

    row: Row
    atom: Atom
    atoms: Mapping[int, Atom]
    methods: frozenset[str] | None
    facts: Facts
    deny: bool
    of_principal: frozenset[int]
    of_path: frozenset[int]

    @property
    def plain(self) -> bool:
        """Whether it holds wherever its principals, methods and path match."""
        return self.row.detail is None or self.unconditional and not (
            self.of_principal or self.of_path or self.row.detail.exceptions
        )

    @property
    def unconditional(self) -> bool:
        """Whether it holds wherever it matches, at any time."""
        detail = self.row.detail
        return detail is None or (
            detail.condition is None and detail.valid_from is None and detail.until is None
        )


def make_line(
    row: Row,
    atoms: Mapping[int, Atom],
    methods: frozenset[str] | None,
    facts: Facts,
    terms: Iterable[ast.PrincipalTerm] | None,
) -> Line:
    """The line of a row.

    Args:
        row: The row.
        atoms: The atoms by number.
        methods: Its methods by name; None for any.
        facts: What its condition compares.
        terms: The principal terms of its rule, for the places of captures; None if they are not known.
    """
    detail = row.detail
    of_principal: set[int] = set()
    of_path: set[int] = set()
    if detail is not None:
        parts: list[Detail | ExceptedPath] = [detail, *detail.exceptions]
        for part in parts:
            of_path.update(at for at, _ in part.equalities)
            of_principal.update(at for _, at in part.equalities)
            of_path.update(at for pair in part.path_equalities for at in pair)
        of_principal.update(at for pair in detail.principal_equalities for at in pair)
        if detail.condition is not None:
            of_path |= detail.condition.places
            if facts.captures and detail.condition.principal:
                of_principal |= _captured(facts.captures, terms)
    return Line(
        row=row,
        atom=atoms[row.atom],
        atoms=atoms,
        methods=methods,
        facts=facts,
        deny=bool(row.kind & RowKind.DENY),
        of_principal=frozenset(of_principal),
        of_path=frozenset(of_path),
    )


def _captured(names: frozenset[str], terms: Iterable[ast.PrincipalTerm] | None) -> set[int]:
    """Where the captures of these names stand in the principal."""
    if terms is None:
        return set(range(_SEGMENTS_OF_A_TABLE))
    return {
        place.index
        for term in terms
        if isinstance(term, ast.PrincipalPattern)
        for name, place in capture_places(term.segments, principal=True)
        if name in names
    }


_SEGMENTS_OF_A_TABLE: Final = 16  # a table's terms are not kept: any place of an ordinary ID may be read


# -- rows to lines ---------------------------------------------------------------------

_Written: TypeAlias = tuple[ast.Rule, str]


@final
class Scribe:
    """Turns the rows of one checked policy set into lines."""

    def __init__(
        self,
        parsed: Sequence[Parsed],
        environment: Environment,
        resolver: Resolver,
        atoms: Mapping[int, Atom],
        methods: Mapping[str, int],
    ) -> None:
        self._parsed = parsed
        self._environment = environment
        self._resolver = resolver
        self._atoms = atoms
        self._methods = methods
        self._rules: dict[tuple[str, int], _Written] = {}
        self._grants: dict[str, list[tuple[ast.BulkGrants, str]]] = {}
        self._facts: dict[tuple[str, int], Facts] = {}
        self._names: dict[int, frozenset[str] | None] = {ANY_METHOD: None}

    def line(self, unit: Unit, row: Row) -> Line:
        """The line of a row."""
        methods = self.methods(row.mask)
        if row.detail is None or row.detail.condition is None:
            return make_line(row, self._atoms, methods, NOTHING, ())
        key = (unit.texts.file, unit.texts.starts[row.rule])
        facts = self._facts.get(key)
        if facts is None:
            facts = self._facts[key] = self._read(*key)
        written = self._rules.get(key)
        terms = None if written is None else written[0].principals.terms
        return make_line(row, self._atoms, methods, facts, terms)

    def methods(self, mask: int) -> frozenset[str] | None:
        """The methods of a mask; None for any."""
        if mask not in self._names:
            self._names[mask] = frozenset(name for name, bit in self._methods.items() if bit & mask)
        return self._names[mask]

    def _read(self, file: str, start: int) -> Facts:
        if not self._rules and not self._grants:
            self._gather()
        written = self._rules.get((file, start))
        if written is not None:
            rule, directory = written
            return self.facts(rule.users, rule.clause, directory)
        # Statements that share a table have lines at the same places: what all of them read is enough.
        return combine(self.facts((), grants.clause, directory) for grants, directory in self._grants[file])

    def facts(self, users: Iterable[ast.UserPattern], clause: ast.Clause, directory: str) -> Facts:
        """What a condition that is written in a directory can tell apart."""
        return facts_of(users, clause, self._environment, directory, self._resolver.nonempty)

    def _gather(self) -> None:
        for parsed in self._parsed:
            path = parsed.file.path
            directory = path.rpartition("/")[0]
            for item in parsed.file.items:
                parts = item.items if isinstance(item, ast.ServiceBlock) else (item,)
                for part in parts:
                    if isinstance(part, ast.Rule):
                        self._rules[path, part.span.start] = (part, directory)
                    elif isinstance(part, ast.BulkGrants):
                        table = normpath(join(dirname(path), part.file))
                        self._grants.setdefault(table, []).append((part, directory))


# -- the rows of a service -------------------------------------------------------------


@final
@dataclass(slots=True)
class Overlaps:
    """Which atoms can share a member, found once for each pair."""

    _atoms: Mapping[int, Atom]
    _known: dict[Atom, dict[int, bool]] = field(default_factory=dict)

    def of(self, atom: Atom) -> "dict[int, bool]":
        """What is known so far about one atom, by the numbers of the others."""
        return self._known.setdefault(atom, {})

    def may_share(self, known: dict[int, bool], atom: Atom, number: int) -> bool:
        """Whether the atom can share a member with the numbered one."""
        answer = known.get(number)
        if answer is None:
            answer = known[number] = share(atom, self._atoms[number])
        return answer


@final
class Shelf(Generic[T]):
    """Things by the literal segments that their paths begin with."""

    def __init__(self) -> None:
        self._by_prefix: dict[tuple[str, ...], list[T]] = {}
        self._longer: dict[tuple[str, ...], list[tuple[str, ...]]] = {}

    def add(self, path: Pattern, thing: T) -> None:
        """Put a thing in its place."""
        prefix = _literals(path)
        if prefix not in self._by_prefix:
            self._by_prefix[prefix] = []
            for length in range(len(prefix)):
                self._longer.setdefault(prefix[:length], []).append(prefix)
        self._by_prefix[prefix].append(thing)

    def near(self, path: Pattern) -> Iterator[T]:
        """The things whose paths do not differ from this one in a literal that both begin with."""
        prefix = _literals(path)
        for length in range(len(prefix) + 1):
            yield from self._by_prefix.get(prefix[:length], ())
        for longer in self._longer.get(prefix, ()):
            yield from self._by_prefix[longer]


def _literals(path: Pattern) -> tuple[str, ...]:
    texts = []
    for segment in path[:_SORTED_BY]:
        if not isinstance(segment, ast.LiteralSegment):
            break
        texts.append(segment.text)
    return tuple(texts)


_SORTED_BY: Final = 3  # segments: names of services and versions come first, what tells paths apart after


def meet(one: Line, other: Line) -> bool:
    """Whether methods and paths let the two match one request."""
    if one.methods is not None and other.methods is not None and one.methods.isdisjoint(other.methods):
        return False
    return paths_overlap(one.row.path, other.row.path)


@final
class Book:
    """The enforced rows of one service, those on every service among them."""

    def __init__(self, service: str, units: Sequence[Unit]) -> None:
        self._shelf: Shelf[tuple[Unit, Row]] = Shelf()
        for unit in units:
            for row in (*unit.by_service.get(service, ()), *unit.on_any):
                if not row.kind & RowKind.SHADOW:
                    self._shelf.add(row.path, (unit, row))

    def meeting(self, line: Line, scribe: Scribe, overlaps: Overlaps) -> list[Line]:
        """Lines of the rows that can match a request which the given line matches."""
        known = overlaps.of(line.atom)
        found = []
        for unit, row in self._shelf.near(line.row.path):
            if not overlaps.may_share(known, line.atom, row.atom):
                continue
            methods = scribe.methods(row.mask)
            if methods is not None and line.methods is not None and methods.isdisjoint(line.methods):
                continue
            if paths_overlap(line.row.path, row.path):
                found.append(scribe.line(unit, row))
        return found
