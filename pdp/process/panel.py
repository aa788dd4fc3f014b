"""Memory that all processes of a service share: what each has counted, and its number of connections."""

import mmap
import os
from collections import Counter
from typing import Final, Self, final

from pdp.counters import PAGE_BYTES, Counters, Name, total

__all__ = ["Panel", "Share"]

_ALIGNED: Final = -(-PAGE_BYTES // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
_ABSENT: Final = 2**64 - 1  # in place of a number of connections


@final
class Panel:
    """A page of counters for each slot, and the connections of each.

    Attributes:
        file: The memory as an open file, to be handed to other processes.
    """

    def __init__(self, file: int, slots: int) -> None:
        """Map the memory that a file stands for."""
        self.file: Final = file
        self._memory = memoryview(mmap.mmap(file, _size(slots)))
        self._slots = slots
        self._connections = self._memory[slots * _ALIGNED :][: 8 * slots].cast("Q")

    @classmethod
    def make(cls, slots: int) -> Self:
        """New memory, all zero but for connections: nobody is there."""
        file = os.memfd_create("pdp-panel", os.MFD_CLOEXEC)
        os.ftruncate(file, _size(slots))
        made = cls(file, slots)
        for slot in range(slots):
            made.leave(slot)
        return made

    def counters(self, slot: int) -> Counters:
        """The page of a slot, to count on."""
        return Counters(self._page(slot))

    def total(self) -> Counter[Name]:
        """What all counted."""
        return total(map(self._page, range(self._slots)))

    def share(self, slot: int) -> "Share":
        """The connections of a slot, among those of the others."""
        return Share(self._connections, slot)

    def leave(self, slot: int) -> None:
        """Nobody has this slot: nobody waits for it to accept connections."""
        self._connections[slot] = _ABSENT

    def connections(self, slot: int) -> int | None:
        """How many connections the worker in a slot has; None where there is none."""
        found = self._connections[slot]
        return None if found == _ABSENT else found

    def _page(self, slot: int) -> memoryview:
        return self._memory[slot * _ALIGNED :][:PAGE_BYTES]


@final
class Share:
    """How many connections one worker has, and whether that is more than another has."""

    def __init__(self, connections: memoryview, slot: int) -> None:
        self._connections = connections
        self._slot = slot

    def has(self, connections: int) -> bool:
        """Note how many we have; whether that is more than another one has."""
        self._connections[self._slot] = connections
        return connections > min(self._connections)


def _size(slots: int) -> int:
    return slots * _ALIGNED + mmap.ALLOCATIONGRANULARITY * (1 + 8 * slots // mmap.ALLOCATIONGRANULARITY)
