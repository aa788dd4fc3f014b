"""Numbers for atoms and methods, kept from one version of the policy set to the next.

Numbers are only ever added, so an index that was built under an earlier version goes on
meaning the same while the next one is built beside it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol, final

from pdp.compiler.atoms import AUTHENTICATED, EVERYONE, Atom, ExactAtom
from pdp.limits import MAX_METHODS

__all__ = ["AUTHENTICATED_NUMBER", "EVERYONE_NUMBER", "AtomNumbers", "ByNumber", "Numbers", "NumbersAtRest"]

EVERYONE_NUMBER: Final = 0
AUTHENTICATED_NUMBER: Final = 1


_FIXED: Final[dict[Atom, int]] = {EVERYONE: EVERYONE_NUMBER, AUTHENTICATED: AUTHENTICATED_NUMBER}


class NumbersAtRest(Protocol):
    """Numbers of atoms that lie in an image."""

    def get(self, atom: Atom, /) -> int | None:
        """The atom's number."""

    def atom(self, number: int) -> Atom | None:
        """The atom that has a number."""

    def named_from(self, number: int) -> Iterator[tuple[str, int]]:
        """Ids of single principals whose atom has that number or a higher one, ascending."""

    def __iter__(self) -> Iterator[Atom]: ...

    def __len__(self) -> int: ...


@final
class AtomNumbers(Mapping[Atom, int]):
    """The number of each atom: the first so many may lie in an image, the others are in the order given."""

    def __init__(self, own: Mapping[Atom, int] | None = None, rest: NumbersAtRest | None = None) -> None:
        """Begin with these, behind those at rest."""
        self._own: dict[Atom, int] = dict(own or {})
        self._rest = rest
        self._rested = 0 if rest is None else len(rest)
        self._by_number: dict[int, Atom] = {}

    def copy(self) -> "AtomNumbers":
        """The numbers so far."""
        return AtomNumbers(self._own, self._rest)

    def add(self, atom: Atom, number: int) -> None:
        """Give an atom a number."""
        self._own[atom] = number

    def rest_on(self, rest: NumbersAtRest) -> None:
        """Let go of the first so many, which lie in an image now."""
        kept = islice(self._own.items(), len(rest) - self._rested, None)
        self._own, self._rest, self._rested, self._by_number = dict(kept), rest, len(rest), {}

    def after(self, count: int) -> Iterator[Atom]:
        """The atoms that have come after so many; those at rest are not told apart, and all of them come."""
        return (
            islice(self, count, None)
            if count < self._rested
            else islice(self._own, count - self._rested, None)
        )

    def named_after(self, count: int) -> Iterator[tuple[str, int]]:
        """Ids of single principals whose atoms have come after so many, with their numbers, ascending."""
        first = count + len(_FIXED)
        if self._rest is not None and count < self._rested:
            yield from self._rest.named_from(first)
        for atom, number in islice(self._own.items(), max(0, count - self._rested), None):
            if isinstance(atom, ExactAtom):
                yield atom.id, number

    def atom(self, number: int) -> Atom | None:
        """The atom that has a number."""
        if len(self._by_number) != len(self._own):
            self._by_number = {given: atom for atom, given in self._own.items()}
        found = self._by_number.get(number)
        return found if found is not None or self._rest is None else self._rest.atom(number)

    def __getitem__(self, atom: Atom) -> int:
        number = self._own.get(atom)
        if number is None and self._rest is not None:
            number = self._rest.get(atom)
        if number is None:
            raise KeyError(atom)
        return number

    def __iter__(self) -> Iterator[Atom]:
        if self._rest is not None:
            yield from self._rest
        yield from self._own

    def __len__(self) -> int:
        return self._rested + len(self._own)


class _Numbered(Protocol):
    def atom(self, number: int) -> Atom | None: ...

    def __len__(self) -> int: ...

    def values(self) -> Iterable[int]: ...


@final
class ByNumber(Mapping[int, Atom]):
    """Atoms by their numbers, each looked up when it is asked for."""

    def __init__(self, numbered: _Numbered) -> None:
        """Look them up there."""
        self._numbered = numbered
        self._found: dict[int, Atom] = {}

    def __getitem__(self, number: int) -> Atom:
        found = self._found.get(number)
        if found is None:
            found = self._numbered.atom(number)
            if found is None:
                raise KeyError(number)
            self._found[number] = found
        return found

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbered.values())

    def __len__(self) -> int:
        return len(self._numbered)


@final
@dataclass(slots=True)
class Numbers:
    """The numbers given so far.

    Attributes:
        atoms: Number of each atom.
        methods: Bit of each method that some rule names; bit 0 stands for all others.
    """

    atoms: AtomNumbers = field(default_factory=AtomNumbers)
    methods: dict[str, int] = field(default_factory=dict)

    def atom(self, atom: Atom) -> int:
        """The atom's number."""
        number = self.atoms.get(atom)
        if number is None:
            number = _FIXED.get(atom, len(self.atoms) + len(_FIXED))
            self.atoms.add(atom, number)
        return number

    def method(self, method: str) -> int | None:
        """The method's bit, or None if no more can be told apart."""
        bit = self.methods.get(method)
        if bit is None:
            if len(self.methods) >= MAX_METHODS:
                return None
            bit = self.methods[method] = 1 << (len(self.methods) + 1)
        return bit
