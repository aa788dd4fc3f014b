"""One service's rules as a part: its rows in columns, their rare parts, their patterns, and its states.

What people are told of the rules lies in parts of their own, one a file: many services may have rules of
one file.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Final, final

from pdp.compiler.rows import Detail, RowKind
from pdp.compiler.rule_texts import RuleText
from pdp.image.details import read_detail, write_detail
from pdp.image.keeper import Keeper
from pdp.image.layout import Buffer, ImageError, Part, build_part, column
from pdp.image.patterns import pack_pattern, read_pattern
from pdp.image.sequences import BLOBS, Blobs, BlobsWriter
from pdp.image.states import States
from pdp.image.states_out import STATES, write_states
from pdp.image.texts import Texts
from pdp.index.columns import Columns
from pdp.index.rule_index import ServiceIndex
from pdp.lang import ast

__all__ = ["RULES", "FlatColumns", "RulesPart", "write_rules"]

#: The kind of these parts.
RULES: Final = 1
_COLUMNS: Final = 7
_SECTIONS: Final = _COLUMNS + 2 * BLOBS + STATES


def write_rules(service: ServiceIndex) -> bytes:
    """The part of a service's index, as it was built or read."""
    columns = service.columns
    patterns, details = BlobsWriter(), BlobsWriter()
    packed = columns.patterns(service.name).packed
    of_rows = column("I", (patterns.number(packed(row)) for row in range(len(columns.atoms))))
    detailed = sorted(columns.details)
    of_details = column("I", [details.number(write_detail(columns.details[row])) for row in detailed])
    states = write_states(service.root, lambda pattern: patterns.number(pack_pattern(pattern)))
    return build_part(
        RULES,
        [
            column("I", columns.atoms), column("Q", columns.masks), column("B", columns.kinds),
            column("Q", columns.rules), of_rows, column("I", detailed), of_details,
            *patterns.sections(), *details.sections(), *states,
        ],
    )  # fmt: skip


@final
class RulesPart:
    """A service's rules in a part.

    Attributes:
        columns: The rows, but for what people are told of them: see `FlatColumns.telling`.
        states: Where walks begin, and go on.
    """

    def __init__(self, buffer: Buffer, start: int, length: int, keeper: Keeper) -> None:
        """Read the part at a place in a buffer.

        Raises:
            ImageError: There is none.
        """
        part = Part(buffer, start, length, RULES, _SECTIONS)
        patterns = Blobs(part, _COLUMNS)
        self.states: Final = States(part, _COLUMNS + 2 * BLOBS, patterns, keeper)
        self.columns: Final = FlatColumns(part, patterns, self.states, keeper)


@final
class FlatColumns:
    """The rows of a service, where they lie; see `pdp.index.columns.Columns`."""

    __slots__ = ("_patterns", "_states", "_texts", "atoms", "details", "kinds", "masks", "rules")

    def __init__(self, part: Part, patterns: Blobs, states: States, keeper: Keeper) -> None:
        details = Blobs(part, _COLUMNS + BLOBS)
        self._states = states  # an index is held by its rows and its root, and the root alone holds nothing
        self.atoms: Final = part.numbers(0, "I")
        self.masks: Final = part.numbers(1, "Q")
        self.kinds: Final = part.numbers(2, "B")
        self.rules: Final = part.numbers(3, "Q")
        self._patterns = _Patterns(part.numbers(4, "I"), patterns)
        self.details: Final = _Details(part.numbers(5, "I"), part.numbers(6, "I"), details, keeper)
        if len({len(each) for each in (self.atoms, self.masks, self.kinds, self.rules)}) != 1:
            raise ImageError("the columns of a service differ in length")
        self._texts: Sequence[Texts] = ()

    def telling(self, texts: Sequence[Texts]) -> "FlatColumns":
        """The same rows, with what people are told of the rules of each file."""
        other = copy(self)
        other._texts = texts  # noqa: SLF001 - the columns are ours
        return other

    def text(self, rule: int) -> RuleText:
        """What people are told about a rule of these rows."""
        return self._texts[rule >> 32].text(rule & 0xFFFF_FFFF)

    def start(self, rule: int) -> int:
        """Offset of a rule in its file."""
        return self._texts[rule >> 32].start(rule & 0xFFFF_FFFF)

    def patterns(self, service: str) -> "_Patterns":
        """The path patterns of the rows."""
        del service  # all rows are its own
        return self._patterns

    def is_enforced_allow(self, row: int) -> bool:
        """Whether the row can open anything."""
        return not self.kinds[row] & (RowKind.DENY | RowKind.SHADOW)


@final
class _Patterns:
    def __init__(self, of_rows: Sequence[int], patterns: Blobs) -> None:
        self._of_rows, self._patterns = of_rows, patterns

    def __getitem__(self, row: int) -> tuple[ast.Segment, ...]:
        return read_pattern(self.packed(row))

    def packed(self, row: int) -> bytes:
        return self._patterns[self._of_rows[row]]


@final
class _Details(Mapping[int, Detail]):
    """The rare parts of rows, made when a decision first needs them."""

    def __init__(self, rows: Sequence[int], numbers: Sequence[int], details: Blobs, keeper: Keeper) -> None:
        self._rows, self._numbers, self._details, self._keeper = rows, numbers, details, keeper
        self._made: dict[int, Detail] = {}

    def drop(self) -> None:
        """Keep none of them."""
        self._made = {}

    def get(self, row: int, default: object = None) -> Detail | None:  # type: ignore[override]
        """The rare parts of a row, or None if it has none."""
        del default
        found = self._made.get(row)
        if found is not None:
            return found
        at = self._at(row)
        if at is None:
            return None
        with self._keeper.lock:
            self._keeper.count(self)
            found = self._made[row] = read_detail(self._details[self._numbers[at]])
        return found

    def __getitem__(self, row: int) -> Detail:
        found = self.get(row)
        if found is None:
            raise KeyError(row)
        return found

    def __contains__(self, row: object) -> bool:
        return isinstance(row, int) and self._at(row) is not None

    def _at(self, row: int) -> int | None:
        """Where a row stands among those that have rare parts."""
        at = bisect_left(self._rows, row)
        return at if at < len(self._rows) and self._rows[at] == row else None

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


_: type[Columns] = FlatColumns  # the type checker compares the two
