"""Who is in which atoms, answered from parts: those who are named, newest first, and patterns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, final

from pdp.compiler.atoms import Atom, ExactAtom
from pdp.image.atoms import read_atom
from pdp.image.names import Names
from pdp.image.walks import Walks
from pdp.index.principals import Namer, describe_atom, unnamed
from pdp.principals import Principal

__all__ = ["FlatPrincipals"]


@final
class FlatPrincipals:
    """Who is in which atoms; see `pdp.index.principals.Principals`."""

    def __init__(self, names: Sequence[Names], walks: Walks) -> None:
        """Answer from these parts.

        Args:
            names: Those who are named, oldest first: what a newer part says counts. Sets refer to the first.
            walks: Patterns and sets.
        """
        self._names: Final = tuple(names)
        self._newest: Final = tuple(part.find for part in reversed(names))
        self._walks: Final = walks
        self._patterns: Final = walks.patterns

    def atoms(self, principal: Principal) -> tuple[int, ...]:
        """Numbers of the atoms in use that hold the principal, ascending."""
        for find in self._newest:
            found = find(principal.id)
            if found is not None:
                return found
        return self._patterns.atoms(principal)

    def numbers(self) -> "_Numbers":
        """Every atom with its number; slow but for `get`."""
        return _Numbers(self._names, self._walks)

    @property
    def known(self) -> Mapping[str, tuple[int, ...]]:
        """Atoms of the principals that are named somewhere, by the principal's id; slow but for `get`."""
        return _Known(self._names)

    def describe(self, number: int, name: Namer = unnamed) -> str:
        """What people call the atom with this number; slow, for explanations."""
        atom = self.numbers().atom(number)
        return "nobody" if atom is None else describe_atom(atom, name)


@final
class _Known(Mapping[str, tuple[int, ...]]):
    """Those who are named: what a newer part says counts."""

    def __init__(self, names: Sequence[Names]) -> None:
        self._names = names
        self._newest = tuple(part.find for part in reversed(names))

    def get(self, name: str, default: object = None) -> tuple[int, ...] | None:  # type: ignore[override]
        """The atoms of a principal, or None."""
        del default
        return next((found for find in self._newest if (found := find(name)) is not None), None)

    def __getitem__(self, name: str) -> tuple[int, ...]:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        """Oldest first, as sets refer to them."""
        if len(self._names) == 1:
            return self._names[0].all_names()
        return iter(dict.fromkeys(name for part in self._names for name in part.all_names()))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@final
class _Numbers(Mapping[Atom, int]):
    """The numbers of atoms."""

    def __init__(self, names: Sequence[Names], walks: Walks) -> None:
        self._names, self._walks = names, walks

    def __getitem__(self, atom: Atom) -> int:
        number = self._exact(atom.id) if isinstance(atom, ExactAtom) else self._walks.number(atom)
        if number is None:
            raise KeyError(atom)
        return number

    def _exact(self, name: str) -> int | None:
        """The number of a single principal: of the atoms that it is in, the one that is it alone."""
        for part in reversed(self._names):
            for number in part.find(name) or ():
                if any(each.named(number) == name for each in self._names):
                    return number
        return None

    def atom(self, number: int) -> Atom | None:
        """The atom that has a number."""
        for part in self._names:
            found = part.named(number)
            if found is not None:
                return ExactAtom(found)
        entry = next((entry for known, entry in self._walks.numbered() if known == number), None)
        return None if entry is None else read_atom(entry, self._walks.entry, self._names[0].name, {})

    def named_from(self, number: int) -> Iterator[tuple[str, int]]:
        """Ids of single principals whose atom has that number or a higher one, ascending."""
        for part in self._names:
            yield from part.numbered(number)

    def __iter__(self) -> Iterator[Atom]:
        made: dict[int, Atom] = {}
        for part in self._names:
            yield from (ExactAtom(name) for name, _ in part.numbered())
        for _, entry in self._walks.numbered():
            yield read_atom(entry, self._walks.entry, self._names[0].name, made)

    def __len__(self) -> int:
        return sum(len(part) for part in self._names) + self._walks.sets
