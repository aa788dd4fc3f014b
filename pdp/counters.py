"""Numbers that one process counts and all processes of the service may read.

A page holds named cells. It lies in memory that processes share where there are several, so a count
outlives the process that made it. One process at a time counts on a page; whoever reads sees each cell
whole, and names only of cells that are complete. What is counted, and how it is shown, is others' business.
"""

import mmap
from collections import Counter
from collections.abc import Iterable
from typing import Final, TypeAlias, final

from pdp.limits import MAX_METRIC_LABELS, MAX_SERVICE_NAME_CHARS

__all__ = ["PAGE_BYTES", "Counters", "Name", "read", "total"]

#: What a cell is called, such as `("decisions", "pay.shop", "allowed")`.
Name: TypeAlias = tuple[str, ...]

_CELL_BYTES: Final = 8
_CELLS: Final = MAX_METRIC_LABELS + 1024  # those with labels, and those without
_NAMES_AT: Final = _CELL_BYTES * (1 + _CELLS)  # after the length of the names, and the cells
_LENGTH_BYTES: Final = 2
_SEPARATOR: Final = "\x1f"
#: How large a page is. Memory that nothing was written to takes no room.
PAGE_BYTES: Final = _NAMES_AT + _CELLS * (_LENGTH_BYTES + 4 * MAX_SERVICE_NAME_CHARS)


@final
class Counters:
    """The writer's side of a page.

    Attributes:
        values: The cells; `values[cell] += 1` counts.
    """

    def __init__(self, memory: mmap.mmap | memoryview | None = None) -> None:
        """Go on counting on a page of `PAGE_BYTES`, or begin one that nobody else sees."""
        self._view = memoryview(memory if memory is not None else mmap.mmap(-1, PAGE_BYTES))
        self._used = self._view[:_CELL_BYTES].cast("Q")
        self.values: Final = self._view[_CELL_BYTES:_NAMES_AT].cast("Q")
        self._cells = {name: cell for cell, name in enumerate(_names(self._view))}

    def cell(self, *name: str) -> int:
        """The cell of a name, made if there is none.

        Raises:
            OverflowError: There is no room for another one.
        """
        known = self._cells.get(name)
        if known is not None:
            return known
        written = _SEPARATOR.join(name).encode()
        start = _NAMES_AT + self._used[0]
        end = start + _LENGTH_BYTES + len(written)
        if len(self._cells) >= _CELLS or end > len(self._view):
            raise OverflowError("there is no room for another counter")
        self._view[start:end] = len(written).to_bytes(_LENGTH_BYTES) + written
        self._used[0] = end - _NAMES_AT  # last: from now on the name is read
        self._cells[name] = len(self._cells)
        return self._cells[name]

    def read(self) -> dict[Name, int]:
        """All counts by name."""
        return read(self._view)


def read(page: mmap.mmap | memoryview) -> dict[Name, int]:
    """The counts of a page by name, whoever writes it."""
    view = memoryview(page)
    values = view[_CELL_BYTES:_NAMES_AT].cast("Q")
    return dict(zip(_names(view), values, strict=False))


def total(pages: Iterable[mmap.mmap | memoryview]) -> Counter[Name]:
    """The sums over several pages."""
    sums: Counter[Name] = Counter()
    for page in pages:
        sums.update(read(page))
    return sums


def _names(view: memoryview) -> list[Name]:
    names, at = [], _NAMES_AT
    end = at + view[:_CELL_BYTES].cast("Q")[0]
    while at < end:
        length = int.from_bytes(view[at : at + _LENGTH_BYTES])
        at += _LENGTH_BYTES
        names.append(tuple(bytes(view[at : at + length]).decode().split(_SEPARATOR)))
        at += length
    return names
