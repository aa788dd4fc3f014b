"""Leaves of a service: rows that share a pattern's end. Small ones become dictionaries, large ones stay."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Final, final

from pdp.image.layout import ImageError, Part
from pdp.index.cells import Leaf, LeafOrRow

__all__ = ["Leaves"]

_LARGE: Final = 48


@final
class Leaves:
    """The leaves in a part."""

    def __init__(self, part: Part, first: int) -> None:
        """Read them from the section `first` on."""
        self._ends = part.numbers(first, "I")
        self._atoms, self._rows = part.numbers(first + 1, "I"), part.numbers(first + 2, "I")
        self._allow, self._specific = part.numbers(first + 3, "Q"), part.numbers(first + 4, "Q")
        self._timed = part.numbers(first + 5, "Q")
        self._made: dict[int, Leaf] = {}

    def drop(self) -> None:
        """Keep none of them."""
        self._made = {}

    def of(self, reference: int) -> LeafOrRow | None:
        """What a reference stands for; see `pdp.image.states_out`."""
        return self.there(reference) if reference else None

    def there(self, reference: int) -> LeafOrRow:
        """The same for one that stands for something."""
        if not reference:
            raise ImageError("a leaf is missing")
        if not reference & 1:
            return (reference >> 1) - 1
        number = (reference >> 1) - 1
        leaf = self._made.get(number)
        if leaf is None:
            leaf = self._made[number] = self._leaf(number)
        return leaf

    def _leaf(self, number: int) -> Leaf:
        leaf = Leaf()
        start, end = self._ends[number], self._ends[number + 1]
        if not start <= end <= len(self._rows):
            raise ImageError("a leaf does not lie within its section")
        rows = _Rows(self._atoms, self._rows, start, end)
        leaf.rows = rows if end - start > _LARGE else dict(rows.items())
        leaf.allow, leaf.specific = self._allow[number], self._specific[number]
        leaf.timed = self._timed[number]
        return leaf


@final
class _Rows(Mapping[int, int | tuple[int, ...]]):
    """Rows by atom, sorted, where they lie."""

    __slots__ = ("_atoms", "_end", "_rows", "_start")

    def __init__(self, atoms: "memoryview[int]", rows: "memoryview[int]", start: int, end: int) -> None:
        self._atoms, self._rows, self._start, self._end = atoms, rows, start, end

    def get(self, atom: int, default: object = None) -> int | tuple[int, ...] | None:  # type: ignore[override]
        """The row about an atom, or the rows, or None."""
        del default
        atoms, end = self._atoms, self._end
        at = bisect_left(atoms, atom, self._start, end)
        if at == end or atoms[at] != atom:
            return None
        last = at + 1
        while last < end and atoms[last] == atom:
            last += 1
        return self._rows[at] if last == at + 1 else tuple(self._rows[at:last])

    def __getitem__(self, atom: int) -> int | tuple[int, ...]:
        found = self.get(atom)
        if found is None:
            raise KeyError(atom)
        return found

    def __iter__(self) -> Iterator[int]:
        return (atom for atom, _ in self.items())

    def __len__(self) -> int:
        return sum(1 for _ in self.items())

    def items(self) -> Iterator[tuple[int, int | tuple[int, ...]]]:  # type: ignore[override]
        """All of them, by ascending atom."""
        span = range(self._start, self._end)
        pairs = ((self._atoms[at], self._rows[at]) for at in span)
        for atom, found in groupby(pairs, itemgetter(0)):
            rows = tuple(row for _, row in found)
            yield atom, rows[0] if len(rows) == 1 else rows

    def values(self) -> Iterator[int | tuple[int, ...]]:  # type: ignore[override]
        """The rows alone."""
        return (rows for _, rows in self.items())
