"""The rows of one service, in columns."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Protocol, final

from pdp.compiler.packed_patterns import unpack_pattern
from pdp.compiler.rows import Detail, RowKind, Rows, Unit
from pdp.compiler.rule_texts import RuleText
from pdp.lang import ast

__all__ = ["BuiltColumns", "Columns", "PathPatterns", "Patterns", "build_columns"]


class PathPatterns(Protocol):
    """The path pattern of each row."""

    def __getitem__(self, row: int, /) -> tuple[ast.Segment, ...]:
        """The segments of a row's pattern."""

    def packed(self, row: int, /) -> bytes:
        """A row's pattern as `pack_pattern` writes it."""


class Columns(Protocol):
    """What is known of each row, by its number, wherever it is kept.

    Attributes:
        atoms: Number of the principal atom.
        masks: Bit mask of methods.
        kinds: Bits of `RowKind`.
        rules: The rule, as unit << 32 | number within the unit.
        details: The rare parts, where there are any.
    """

    @property
    def atoms(self) -> Sequence[int]: ...  # noqa: D102 - above

    @property
    def masks(self) -> Sequence[int]: ...  # noqa: D102 - above

    @property
    def kinds(self) -> Sequence[int]: ...  # noqa: D102 - above

    @property
    def rules(self) -> Sequence[int]: ...  # noqa: D102 - above

    @property
    def details(self) -> Mapping[int, Detail]: ...  # noqa: D102 - above

    def text(self, rule: int) -> RuleText:
        """What people are told about a rule of these rows."""

    def start(self, rule: int) -> int:
        """Offset of a rule in its file."""

    def patterns(self, service: str) -> PathPatterns:
        """The path patterns of the rows, which are a service's; the index has no need of them."""

    def is_enforced_allow(self, row: int) -> bool:
        """Whether the row can open anything."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltColumns:
    """Columns as they are built, a byte in `kinds` each.

    Attributes:
        units: The units that the rows come from, in the order of their files.
    """

    atoms: "array[int]"
    masks: "array[int]"
    kinds: bytes
    rules: "array[int]"
    details: dict[int, Detail]
    units: tuple[Unit, ...]

    def text(self, rule: int) -> RuleText:
        """What people are told about a rule of these rows."""
        return self.units[rule >> 32].texts.text(rule & 0xFFFF_FFFF)

    def start(self, rule: int) -> int:
        """Offset of a rule in its file."""
        return self.units[rule >> 32].texts.starts[rule & 0xFFFF_FFFF]

    def patterns(self, service: str) -> "Patterns":
        """The path patterns of the rows."""
        return Patterns(service, self)

    def is_enforced_allow(self, row: int) -> bool:
        """Whether the row can open anything."""
        return not self.kinds[row] & (RowKind.DENY | RowKind.SHADOW)


@final
class Patterns:
    """The path patterns of a service's rows, found again in the units that they come from.

    The index has no need of them; explanations do.
    """

    def __init__(self, service: str, columns: BuiltColumns) -> None:
        self._rows = [_rows(service, unit) for unit in columns.units]
        ends = accumulate(sum(map(len, rows)) for rows in self._rows)
        self._starts = [0, *ends]
        self._columns = columns

    def __getitem__(self, row: int) -> tuple[ast.Segment, ...]:
        return unpack_pattern(self.packed(row))

    def packed(self, row: int) -> bytes:
        """A row's pattern as `pack_pattern` writes it."""
        unit = self._columns.rules[row] >> 32
        own, on_any = self._rows[unit]
        at = row - self._starts[unit]
        return own.packed_pattern(at) if at < len(own) else on_any.packed_pattern(at - len(own))


_NO_ROWS: Final = Rows()


def _rows(service: str, unit: Unit) -> tuple[Rows, Rows]:
    """The rows of a unit that are about a service: its own, and those on every service."""
    return unit.by_service.get(service, _NO_ROWS), unit.on_any


def build_columns(service: str, units: Sequence[Unit]) -> BuiltColumns:
    """Columns of a service's rows, those on every service among them.

    `service` is empty for services that are not declared: no unit has rules of its own for that.
    """
    atoms, masks, rules = array("I"), array("Q"), array("Q")
    kinds = bytearray()
    details: dict[int, Detail] = {}
    for number, unit in enumerate(units):
        for rows in _rows(service, unit):
            details |= {len(atoms) + row: detail for row, detail in rows.details.items()}
            atoms += rows.atoms
            masks += rows.masks
            kinds += rows.kinds
            rules.extend([number << 32 | rule for rule in rows.rules])
    return BuiltColumns(
        atoms=atoms, masks=masks, kinds=bytes(kinds), rules=rules, details=details, units=tuple(units)
    )
