"""The rows of one service, in columns."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol, final

from pdp.compiler.rows import Detail, Row, RowKind, RuleText, Unit
from pdp.lang import ast

__all__ = ["BuiltColumns", "Columns", "PathPatterns", "Patterns", "build_columns"]


class PathPatterns(Protocol):
    """The path pattern of each row."""

    def __getitem__(self, row: int, /) -> tuple[ast.Segment, ...]:
        """The segments of a row's pattern."""


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
        unit = self._columns.rules[row] >> 32
        own, on_any = self._rows[unit]
        at = row - self._starts[unit]
        return (own[at] if at < len(own) else on_any[at - len(own)]).path


def _rows(service: str, unit: Unit) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The rows of a unit that are about a service: its own, and those on every service."""
    return unit.by_service.get(service, ()), unit.on_any


def build_columns(
    service: str, units: Sequence[Unit]
) -> tuple[BuiltColumns, list[tuple[int, tuple[ast.Segment, ...]]]]:
    """Columns of a service's rows, those on every service among them, and each row's path pattern.

    `service` is empty for services that are not declared: no unit has rules of its own for that.
    """
    atoms, masks, rules = array("I"), array("Q"), array("Q")
    kinds = bytearray()
    details: dict[int, Detail] = {}
    patterns: list[tuple[int, tuple[ast.Segment, ...]]] = []
    for number, unit in enumerate(units):
        own, on_any = _rows(service, unit)
        for row in (*own, *on_any):
            if row.detail is not None:
                details[len(atoms)] = row.detail
            patterns.append((len(atoms), row.path))
            atoms.append(row.atom)
            masks.append(row.mask)
            kinds.append(row.kind)
            rules.append(number << 32 | row.rule)
    columns = BuiltColumns(
        atoms=atoms, masks=masks, kinds=bytes(kinds), rules=rules, details=details, units=tuple(units)
    )
    return columns, patterns
