"""Maps from text to numbers: many small ones and a few large ones, in a handful of sections.

Entries keep their order. A small map is read whole, into a dictionary. A large one has a hash table beside
its entries and is looked up where it lies. Its hash is no secret, so texts can be made that share a bucket;
a crowded bucket is sorted and searched by halves, and costs the logarithm of what is in it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Final, TypeAlias, final
from zlib import crc32

from pdp.image.layout import ImageError, Part, Section, column

__all__ = ["MAPS", "Find", "Maps", "MapsWriter"]

#: How many sections they take.
MAPS: Final = 9
#: Maps with more entries than this have a hash table.
_LARGE: Final = 48
#: Buckets with more entries than this are sorted.
_CROWDED: Final = 8

#: The number that stands with a text, or -1.
Find: TypeAlias = Callable[[str], int]


@final
class MapsWriter:
    """Maps, one after the other."""

    def __init__(self) -> None:
        self._ends = column("I", (0,))  # of each map, among the entries
        self._keys = column("Q", (0,))  # where the text of each entry ends
        self._texts = bytearray()
        self._values = column("Q")
        self._large = column("I")  # maps that have a hash table
        self._masks = column("I")
        self._firsts = column("I")  # where in the buckets each one's begin
        self._buckets = column("I")  # where in the order each bucket begins
        self._order = column("I")  # entries by bucket

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, items: Iterable[tuple[str, int]]) -> tuple[int, int, int]:
        """Write one more map; its number is the one that `len` was.

        Returns:
            Its first entry, the one after its last, and the number of its hash table + 1, or 0.
        """
        first, raws = len(self._values), []
        for text, value in items:
            raw = text.encode()
            raws.append(raw)
            self._texts += raw
            self._keys.append(len(self._texts))
            self._values.append(value)
        self._ends.append(len(self._values))
        is_large = len(raws) > _LARGE
        if is_large:
            self._hash(len(self._ends) - 2, first, raws)
        return first, len(self._values), len(self._large) if is_large else 0

    def _hash(self, number: int, first: int, raws: list[bytes]) -> None:
        mask = (1 << (len(raws) - 1).bit_length()) - 1
        places = [crc32(raw) & mask for raw in raws]
        self._large.append(number)
        self._masks.append(mask)
        self._firsts.append(len(self._buckets))
        counts = [0] * (mask + 1)
        for place in places:
            counts[place] += 1
        begin = len(self._order)
        self._buckets.extend(accumulate(counts, initial=begin))
        ordered = sorted(range(len(raws)), key=places.__getitem__)
        for place, count in enumerate(counts) if max(counts) > _CROWDED else ():
            if count > _CROWDED:
                at = self._buckets[self._firsts[-1] + place] - begin
                ordered[at : at + count] = sorted(ordered[at : at + count], key=raws.__getitem__)
        self._order.extend([first + entry for entry in ordered])

    def sections(self) -> tuple[Section, ...]:
        """What `Maps` reads."""
        return (
            self._ends, self._keys, self._texts, self._values,
            self._large, self._masks, self._firsts, self._buckets, self._order,
        )  # fmt: skip


@final
class Maps:
    """Maps in a part."""

    def __init__(self, part: Part, first: int) -> None:
        """Read them from the section `first` on."""
        self._buffer = part.buffer
        self._ends, self._keys = part.numbers(first, "I"), part.numbers(first + 1, "Q")
        self._texts, _ = part.span(first + 2)
        self._values = part.numbers(first + 3, "Q")
        self._large, self._masks = part.numbers(first + 4, "I"), part.numbers(first + 5, "I")
        self._firsts, self._buckets = part.numbers(first + 6, "I"), part.numbers(first + 7, "I")
        self._order = part.numbers(first + 8, "I")

    def span(self, number: int) -> range:
        """The entries of a map."""
        try:
            return range(self._ends[number], self._ends[number + 1])
        except IndexError as error:
            raise ImageError("there is no such map") from error

    def entry(self, entry: int) -> tuple[str, int]:
        """Text and number of an entry."""
        try:
            start, end = self._keys[entry], self._keys[entry + 1]
            return self._buffer[self._texts + start : self._texts + end].decode(), self._values[entry]
        except (IndexError, UnicodeDecodeError) as error:
            raise ImageError("there is no such entry") from error

    def items(self, number: int) -> Iterator[tuple[str, int]]:
        """A map's entries, in their order."""
        return map(self.entry, self.span(number))

    def find(self, number: int) -> Find | None:
        """What finds the entries of a large map; None for one that is small."""
        at = bisect_left(self._large, number)
        if at == len(self._large) or self._large[at] != number:
            return None
        return self.table(at)

    def table(self, number: int) -> Find:
        """What finds the entries of the map that has this hash table."""
        try:
            mask, first = self._masks[number], self._firsts[number]
        except IndexError as error:
            raise ImageError("a hash table is missing") from error
        # Everything is taken out of `self`: this is called for every decision.
        buffer, buckets, order, keys = self._buffer, self._buckets, self._order, self._keys
        values, texts = self._values, self._texts

        def find(text: str) -> int:
            try:
                raw = text.encode()
            except UnicodeEncodeError:  # a lone surrogate: no text of a policy has one
                return -1
            at = first + (crc32(raw) & mask)
            try:
                begin, end = buckets[at], buckets[at + 1]
                if end - begin > _CROWDED:
                    begin = bisect_left(order, raw, begin, end, key=key)
                    end = min(begin + 1, end)
                for at in range(begin, end):
                    entry = order[at]
                    if buffer[texts + keys[entry] : texts + keys[entry + 1]] == raw:
                        return values[entry]
            except IndexError as error:
                raise ImageError("a hash table is not whole") from error
            return -1

        def key(entry: int) -> bytes:
            return buffer[texts + keys[entry] : texts + keys[entry + 1]]

        return find
