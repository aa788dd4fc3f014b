"""Patterns of principals as a part: the states that a SPIFFE ID is walked through, and sets for explanations.

As in `pdp.image.states`, a state is made when a walk first comes to it.
"""

from collections.abc import Iterator, Mapping
from typing import Final, final
from weakref import ref

from pdp.compiler.atoms import Atom, ExactAtom
from pdp.image.atoms import AtomsWriter, Digests
from pdp.image.keeper import Keeper
from pdp.image.layout import Buffer, ImageError, Part, build_part, column, there
from pdp.image.maps import MAPS, Find, Maps, MapsWriter
from pdp.image.sequences import BLOBS, TUPLES, Blobs, BlobsWriter, Tuples, TuplesWriter
from pdp.index.principal_states import PrincipalState
from pdp.index.principals import PatternTable, PrincipalTable

__all__ = ["WALKS", "Walks", "write_walks"]

#: The kind of these parts.
WALKS: Final = 4
_SECTIONS: Final = 6 + 2 * MAPS + TUPLES + BLOBS
#: Maps beside those of the states.
_DOMAINS, _SUFFIXES, _DIGESTS = range(3)
_SLOTS: Final = frozenset({"beyond", "children", "here", "other"})


def write_walks(table: PrincipalTable) -> bytes:
    """The part of a table's patterns and sets."""
    return _Writer(table).part()


@final
class _Writer:
    def __init__(self, table: PrincipalTable) -> None:
        self._table = table
        self._states: list[PrincipalState] = []
        self._numbers: dict[int, int] = {}
        self._children, self._tuples = MapsWriter(), TuplesWriter()
        self._here, self._beyond, self._other = column("I"), column("I"), column("I")

    def part(self) -> bytes:
        table, tuples = self._table, self._tuples
        patterns, maps = table.patterns, MapsWriter()
        maps.add((domain, self._number(state)) for domain, state in patterns.domains.items())
        maps.add((suffix, tuples.number(atoms)) for suffix, atoms in patterns.suffixes.items())
        ends = [
            self._number(patterns.other_domain), tuples.number(patterns.anonymous),
            tuples.number(patterns.other_dns),
        ]  # fmt: skip
        for state in self._states:  # grows on the way
            self._state(state)
        sets, digest = AtomsWriter({name: at for at, name in enumerate(table.known)}), Digests()
        numbered = sorted((n, atom) for atom, n in table.numbers().items() if not isinstance(atom, ExactAtom))
        entries = [sets.number(atom) for _, atom in numbered]
        maps.add((digest(atom), number) for number, atom in numbered)
        blobs = BlobsWriter()
        for entry in sets.entries:
            blobs.number(entry)
        numbers = column("I", [number for number, _ in numbered])
        return build_part(
            WALKS,
            [
                self._here, self._beyond, self._other, column("I", ends), numbers, column("I", entries),
                *maps.sections(), *self._children.sections(), *tuples.sections(), *blobs.sections(),
            ],
        )  # fmt: skip

    def _number(self, state: PrincipalState) -> int:
        number = self._numbers.get(id(state))
        if number is None:
            number = self._numbers[id(state)] = len(self._states)
            self._states.append(state)
        return number

    def _state(self, state: PrincipalState) -> None:
        self._here.append(self._tuples.number(state.here))
        self._beyond.append(self._tuples.number(state.beyond))
        self._children.add((segment, self._number(child)) for segment, child in state.children.items())
        self._other.append(0 if state.other is None else self._number(state.other) + 1)


@final
class _Pending(PrincipalState):
    """A state that is not made yet; `source` says of what."""

    __slots__ = ()
    source: "tuple[ref[Walks], int]"

    def __init__(self, source: "tuple[ref[Walks], int]") -> None:
        self.source = source

    def __getattr__(self, name: str) -> object:
        """Called for a slot that is empty: make the state, all of it."""
        if name not in _SLOTS:
            raise AttributeError(name)
        walks, number = self.source
        there(walks()).fill(self, number)
        return getattr(self, name)


@final
class Walks:
    """Patterns and sets in a part.

    Attributes:
        patterns: Atoms of principals that nothing names.
        sets: How many atoms have a number that are no single principals.
    """

    def __init__(self, buffer: Buffer, start: int, length: int, keeper: Keeper) -> None:
        """Read the part at a place in a buffer.

        Raises:
            ImageError: There is none.
        """
        part = Part(buffer, start, length, WALKS, _SECTIONS)
        self._here, self._beyond = part.numbers(0, "I"), part.numbers(1, "I")
        self._other, ends = part.numbers(2, "I"), part.numbers(3, "I")
        self._numbers, self._entries = part.numbers(4, "I"), part.numbers(5, "I")
        self._maps, self._children = Maps(part, 6), Maps(part, 6 + MAPS)
        self._tuples, self._sets = Tuples(part, 6 + 2 * MAPS), Blobs(part, 6 + 2 * MAPS + TUPLES)
        self._keeper = keeper
        self.sets: Final = len(self._numbers)
        if len(ends) != 3:
            raise ImageError("there is no end for those whom no pattern names")
        self._own = ref(self)  # as in `States`
        self._made: dict[int, PrincipalState] = {}
        self.patterns: Final = PatternTable(
            anonymous=self._tuples[ends[1]],
            domains={domain: self.state(number) for domain, number in self._maps.items(_DOMAINS)},
            other_domain=self.state(ends[0]),
            suffixes={suffix: self._tuples[number] for suffix, number in self._maps.items(_SUFFIXES)},
            other_dns=self._tuples[ends[2]],
        )
        self._roots = dict(self._made)

    def drop(self) -> None:
        """Have only the states with which walks begin, and those not made."""
        self._made = dict(self._roots)
        for root in self._roots.values():
            if root.__class__ is PrincipalState:
                root.__class__ = _Pending  # first: whoever reads it meanwhile finds full slots, or fills them
                for name in _SLOTS:
                    delattr(root, name)

    def state(self, number: int) -> PrincipalState:
        """The state of this number, made or not."""
        found = self._made.get(number)
        if found is None:
            if number >= len(self._here):
                raise ImageError("there is no such state of principals")
            found = self._made.setdefault(number, _Pending((self._own, number)))
        return found

    def fill(self, state: PrincipalState, number: int) -> None:
        """Make a state: called once its first slot is read.

        Raises:
            ImageError: The image is damaged.
        """
        with self._keeper.lock:
            if state.__class__ is PrincipalState:  # another thread was faster
                return
            self._keeper.count(self)
            find = self._children.find(number)
            if find is None:
                items = self._children.items(number)
                state.children = {segment: self.state(child) for segment, child in items}
            else:
                state.children = _Children(self._own, self._children, number, find)
            other = self._other[number]
            state.other = self.state(other - 1) if other else None
            state.here, state.beyond = self._tuples[self._here[number]], self._tuples[self._beyond[number]]
            state.__class__ = PrincipalState  # the same slots, all full

    # -- for explanations ----------------------------------------------------------------

    def numbered(self) -> Iterator[tuple[int, int]]:
        """Numbers of atoms that are no single principals, each with its entry."""
        return zip(self._numbers, self._entries, strict=True)

    def entry(self, number: int) -> bytes:
        """An entry of the list of atoms, for `read_atom`."""
        return self._sets[number]

    def number(self, atom: Atom) -> int | None:
        """The number of an atom that is no single principal."""
        wanted = Digests()(atom)
        find = self._maps.find(_DIGESTS)
        if find is not None:
            number = find(wanted)
            return None if number < 0 else number
        return next((number for digest, number in self._maps.items(_DIGESTS) if digest == wanted), None)


@final
class _Children(Mapping[str, PrincipalState]):
    """What follows in a state that has many children."""

    __slots__ = ("_find", "_maps", "_number", "_walks")

    def __init__(self, walks: "ref[Walks]", maps: Maps, number: int, find: Find) -> None:
        self._walks, self._maps, self._number, self._find = walks, maps, number, find

    def get(self, segment: str, default: PrincipalState | None = None) -> PrincipalState | None:  # type: ignore[override]
        """The state that follows on a segment."""
        number = self._find(segment)
        return default if number < 0 else there(self._walks()).state(number)

    def __getitem__(self, segment: str) -> PrincipalState:
        found = self.get(segment)
        if found is None:
            raise KeyError(segment)
        return found

    def __iter__(self) -> Iterator[str]:
        return (segment for segment, _ in self._maps.items(self._number))

    def __len__(self) -> int:
        return len(self._maps.span(self._number))
