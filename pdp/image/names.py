"""Principals that are named somewhere, as parts: each with the atoms that it is in.

A version that names more principals writes only those, in a part that goes before the older ones.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, final

from pdp.image.layout import Buffer, Part, build_part, column
from pdp.image.maps import MAPS, Maps, MapsWriter
from pdp.image.sequences import TUPLES, Tuples, TuplesWriter

__all__ = ["NAMES", "Names", "write_names"]

#: The kind of these parts.
NAMES: Final = 3
_SECTIONS: Final = 2 + MAPS + TUPLES


def write_names(known: Mapping[str, tuple[int, ...]], numbered: Iterable[tuple[str, int]]) -> bytes:
    """A part of named principals.

    Args:
        known: Their atoms by id.
        numbered: Those whose atoms have a number, with it, ascending.
    """
    maps, tuples = MapsWriter(), TuplesWriter()
    maps.add((name, tuples.number(atoms)) for name, atoms in known.items())
    places = {name: place for place, name in enumerate(known)}
    numbers, entries = column("I"), column("I")
    for name, number in numbered:
        numbers.append(number)
        entries.append(places[name])
    return build_part(NAMES, [numbers, entries, *maps.sections(), *tuples.sections()])


@final
class Names:
    """Named principals in a part.

    Attributes:
        find: The atoms of a principal that is named here, by its id, or None.
    """

    def __init__(self, buffer: Buffer, start: int, length: int) -> None:
        """Read the part at a place in a buffer.

        Raises:
            ImageError: There is none.
        """
        part = Part(buffer, start, length, NAMES, _SECTIONS)
        self._numbers, self._entries = part.numbers(0, "I"), part.numbers(1, "I")
        self._maps, self._tuples = Maps(part, 2), Tuples(part, 2 + MAPS)
        self.find: Final = self._finder()

    def _finder(self) -> Callable[[str], tuple[int, ...] | None]:
        tuples, found = self._tuples, self._maps.find(0)
        if found is None:
            return {name: tuples[number] for name, number in self._maps.items(0)}.get
        place = found

        def find(name: str) -> tuple[int, ...] | None:
            number = place(name)
            return None if number < 0 else tuples[number]

        return find

    def name(self, entry: int) -> str:
        """The id of the principal at this place among those of the part."""
        return self._maps.entry(entry)[0]

    def named(self, number: int) -> str | None:
        """The id of the single principal whose atom has a number, if it is here."""
        at = bisect_left(self._numbers, number)
        if at == len(self._numbers) or self._numbers[at] != number:
            return None
        return self.name(self._entries[at])

    def numbered(self, first: int = 0) -> Iterator[tuple[str, int]]:
        """All ids of single principals whose atoms have a number, from that one on."""
        at = bisect_left(self._numbers, first)
        return ((self.name(self._entries[each]), self._numbers[each]) for each in range(at, len(self)))

    def all_names(self) -> Iterator[str]:
        """All ids, in their order."""
        return (name for name, _ in self._maps.items(0))

    def __len__(self) -> int:
        """How many single principals there are whose atoms have a number."""
        return len(self._numbers)
