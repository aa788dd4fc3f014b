"""What rules come to: rows, one for each principal term and target.

A row is flat and small, since there may be a million. What most rows do without (conditions,
exceptions, equalities between captures, obligations, dates) is in a `Detail` beside it.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self, final, overload

import msgspec

from pdp.compiler.conditions import Condition, Test
from pdp.compiler.evaluation import Place
from pdp.compiler.packed_patterns import pack_pattern, unpack_pattern
from pdp.compiler.rule_texts import RuleTexts
from pdp.diagnostics import Diagnostic
from pdp.lang import ast
from pdp.vocabulary import Millis, Obligation

__all__ = [
    "ANY_METHOD",
    "Detail",
    "ExceptedPath",
    "Row",
    "RowKind",
    "Rows",
    "Unit",
    "Written",
]

#: The mask of `any`: every method that has a number, and all that have none (bit 0).
ANY_METHOD: Final = (1 << 63) - 1


class RowKind:
    """What a row does, as bits; the index keeps them in one byte.

    Plain integers: an `IntFlag` takes longer to test than a whole decision may.
    """

    ALLOW: Final = 0
    DENY: Final = 1
    SHADOW: Final = 2
    DETAILED: Final = 4  # it has a Detail
    RESTRICTS: Final = 8  # a deny, or an allow with obligations: its absence matters to an allow


@final
class Written(msgspec.Struct, frozen=True, gc=False):
    """What a row's condition was compiled from, for explanations; nothing that decides reads it.

    Attributes:
        users: `on behalf of`, or empty.
        when: The condition that has to be true, or None.
        unless: The condition that has to be false, or None.
        captures: What each capture stands for.
    """

    users: tuple[ast.UserPattern, ...]
    when: ast.Expr | None
    unless: ast.Expr | None
    captures: Mapping[str, Place]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """The rare parts of a row.

    Attributes:
        condition: `when`, `unless` and the user, or None.
        test: What decides the condition.
        equalities: Pairs of a path index and the index of a principal's segment that must be equal.
        path_equalities: Pairs of path indexes that must be equal.
        principal_equalities: Pairs of indexes of the principal's segments that must be equal.
        exceptions: Excepted path patterns, with the equalities that make each one apply.
        obligations: What an allow demands.
        valid_from: First instant at which it holds, or None.
        until: First instant at which it no longer holds, or None.
        written: What its author wrote, where there is a condition or the principal has a capture twice.
    """

    condition: Condition | None = None
    test: Test | None = None
    equalities: tuple[tuple[int, int], ...] = ()
    path_equalities: tuple[tuple[int, int], ...] = ()
    principal_equalities: tuple[tuple[int, int], ...] = ()
    exceptions: tuple["ExceptedPath", ...] = ()
    obligations: tuple[Obligation, ...] = ()
    valid_from: Millis | None = None
    until: Millis | None = None
    written: Written | None = None

    @property
    def timed(self) -> bool:
        """Whether its truth can change with time alone."""
        windows = self.condition is not None and bool(self.condition.windows)
        return windows or self.valid_from is not None or self.until is not None

    @property
    def reads_principal(self) -> bool:
        """Whether it reads the principal beyond its atom."""
        return (
            bool(self.equalities or self.principal_equalities)
            or any(exception.equalities for exception in self.exceptions)
            or (self.condition is not None and self.condition.principal)
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptedPath:
    """One excepted path: it applies where the pattern matches and all equalities hold."""

    pattern: tuple[ast.Segment, ...]
    equalities: tuple[tuple[int, int], ...]
    path_equalities: tuple[tuple[int, int], ...]


@final
class Row(msgspec.Struct, frozen=True, gc=False):
    """One rule for one principal term and one target.

    Attributes:
        atom: Number of the principal atom.
        mask: Bit mask of method numbers.
        path: The path pattern.
        kind: What it does: bits of `RowKind`.
        rule: The rule's number within its unit.
        detail: Its rare parts, or None.
    """

    atom: int
    mask: int
    path: tuple[ast.Segment, ...]
    kind: int
    rule: int
    detail: Detail | None


@final
class Rows(Sequence[Row]):
    """Rows in columns: a row is made of them when somebody asks for it.

    As objects a million rows take half a gigabyte, and nearly all of them are only kept so that the next
    version need not lower their file again.

    Attributes:
        atoms: Number of the principal atom of each.
        masks: Bit mask of method numbers.
        kinds: Bits of `RowKind`.
        rules: The rule's number within its unit.
        details: The rare parts, of the rows that have any.
    """

    __slots__ = ("_blob", "_ends", "_known", "_patterns", "atoms", "details", "kinds", "masks", "rules")

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        """Begin with these rows."""
        self.atoms, self.masks, self.rules = array("I"), array("Q"), array("I")
        self.kinds = bytearray()
        self.details: dict[int, Detail] = {}
        self._patterns, self._ends, self._blob = array("I"), array("I", (0,)), bytearray()
        self._known: dict[bytes, int] = {}
        self.extend(rows)

    def extend(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        for row in rows:
            if row.detail is not None:
                self.details[len(self.atoms)] = row.detail
            self.atoms.append(row.atom)
            self.masks.append(row.mask)
            self.kinds.append(row.kind)
            self.rules.append(row.rule)
            self._patterns.append(self._number(pack_pattern(row.path)))

    def _number(self, pattern: bytes) -> int:
        number = self._known.setdefault(pattern, len(self._known))
        if number == len(self._ends) - 1:
            self._blob += pattern
            self._ends.append(len(self._blob))
        return number

    def finished(self) -> Self:
        """The same rows, once there will be no more, without the room that was kept for others."""
        self._known = {}
        self.kinds, self._blob = bytearray(self.kinds), bytearray(self._blob)
        self.atoms, self.masks, self.rules = (
            array("I", self.atoms),
            array("Q", self.masks),
            array("I", self.rules),
        )
        self._patterns, self._ends = array("I", self._patterns), array("I", self._ends)
        return self

    def packed_pattern(self, row: int) -> bytes:
        """The path pattern of a row, as `pack_pattern` writes it."""
        at = self._patterns[row]
        return bytes(self._blob[self._ends[at] : self._ends[at + 1]])

    def pattern(self, row: int) -> tuple[ast.Segment, ...]:
        """The path pattern of a row."""
        return unpack_pattern(self.packed_pattern(row))

    def __len__(self) -> int:
        return len(self.atoms)

    @overload
    def __getitem__(self, row: int) -> Row: ...

    @overload
    def __getitem__(self, row: slice) -> tuple[Row, ...]: ...

    def __getitem__(self, row: int | slice) -> Row | tuple[Row, ...]:
        if isinstance(row, slice):
            return tuple(self[each] for each in range(*row.indices(len(self))))
        at = row if row >= 0 else row + len(self)
        return Row(
            self.atoms[at],
            self.masks[at],
            self.pattern(at),
            self.kinds[at],
            self.rules[at],
            self.details.get(at),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment] # what grows has none


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One file, lowered.

    Attributes:
        texts: Its rules, for people.
        by_service: Rows about one service.
        on_any: Rows about every service.
        scopes: Where its rules are written: services, or `platform`.
        demanding: The rows that demand something of a header, by service, None for every one.
        diagnostics: What is wrong with it.
    """

    texts: RuleTexts
    by_service: Mapping[str, Rows]
    on_any: Rows
    scopes: frozenset[str]
    demanding: Mapping[str | None, tuple[Row, ...]]
    diagnostics: tuple[Diagnostic, ...]
