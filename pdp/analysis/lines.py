"""Lines: rows of rules and invariants, with everything that they can tell apart.

A `Line` is one row, seen from where questions about whole policy sets are asked: its principals as
an atom, its methods by name, the places and values that it reads. Which lines can meet is the
business of `pdp.analysis.books`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from posixpath import dirname, join, normpath
from typing import Final, TypeAlias, final

from pdp.analysis.facts import NOTHING, Facts, combine, facts_of
from pdp.compiler.atoms import Atom
from pdp.compiler.environment import Environment
from pdp.compiler.matchers import capture_places
from pdp.compiler.resolve import Resolver
from pdp.compiler.rows import ANY_METHOD, Detail, ExceptedPath, Row, RowKind, Unit
from pdp.lang import ast
from pdp.lang.parsed import Parsed

__all__ = ["Line", "Scribe", "make_line"]


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
        detail = self.row.detail
        if detail is None:
            return True
        return self.unconditional and not (self.of_principal or self.of_path or detail.exceptions)

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
