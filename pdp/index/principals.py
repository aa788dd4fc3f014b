"""From a principal to the numbers of the atoms it is in.

Principals that some rule or group names are found in one dictionary. Any other is walked through
the states of `pdp.index.principal_states`, segment by segment; where the walk ends stand the atoms.
"""

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Final, Protocol, Self, TypeAlias, cast, final

from pdp.compiler.atoms import (
    AUTHENTICATED,
    EVERYONE,
    Atom,
    AuthenticatedAtom,
    DnsSuffixAtom,
    EveryoneAtom,
    ExactAtom,
    PatternAtom,
    SetAtom,
)
from pdp.compiler.numbers import AtomNumbers
from pdp.index.principal_states import AtomSets, PrincipalState, build_states
from pdp.principals import Principal, PrincipalKind, spiffe_principal

__all__ = [
    "Namer",
    "PatternTable",
    "PrincipalTable",
    "Principals",
    "build_principals",
    "describe_atom",
    "unnamed",
]

_SHOWN: Final = 3  # members of a set that a description names
#: The name of a set of principals, or None.
Namer: TypeAlias = Callable[[SetAtom], str | None]


def unnamed(_: SetAtom) -> None:
    """No set has a name."""
    return


class NumberedAtoms(Protocol):
    """Atoms with their numbers."""

    def get(self, atom: Atom, /) -> int | None:
        """The atom's number."""

    def atom(self, number: int) -> Atom | None:
        """The atom that has a number."""

    def __iter__(self) -> Iterator[Atom]: ...

    def __len__(self) -> int: ...

    def values(self) -> Iterable[int]: ...

    def items(self) -> Iterable[tuple[Atom, int]]: ...


class Principals(Protocol):
    """Who is in which atoms, wherever that is kept."""

    def atoms(self, principal: Principal) -> tuple[int, ...]:
        """Numbers of the atoms in use that hold the principal, ascending."""

    def numbers(self) -> NumberedAtoms:
        """Every atom with its number; slow but for `get` and `atom`."""

    def describe(self, number: int, name: Namer = unnamed) -> str:
        """What people call the atom with this number; slow, for explanations."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PatternTable:
    """Which atoms hold a principal that no rule and no group names.

    Attributes:
        anonymous: Atoms of the unauthenticated.
        domains: Where the walk of a SPIFFE ID begins, by trust domain.
        other_domain: The same for a trust domain that no pattern names.
        suffixes: Atoms of DNS identities by what follows their first label.
        other_dns: Atoms of all other DNS identities.
    """

    anonymous: tuple[int, ...]
    domains: Mapping[str, PrincipalState]
    other_domain: PrincipalState
    suffixes: Mapping[str, tuple[int, ...]]
    other_dns: tuple[int, ...]

    def atoms(self, principal: Principal) -> tuple[int, ...]:
        """Numbers of the atoms in use that hold the principal, ascending."""
        if principal.kind is PrincipalKind.SPIFFE:
            state = self.domains.get(principal.trust_domain, self.other_domain)
            for segment in principal.segments:
                following = state.children.get(segment, state.other)
                if following is None:
                    return state.beyond
                state = following
            return state.here
        if principal.kind is PrincipalKind.DNS:
            return self.suffixes.get(principal.id[len("dns:") :].partition(".")[2], self.other_dns)
        return self.anonymous


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalTable:
    """Who is in which atoms.

    Attributes:
        known: Atoms of the principals that are named somewhere, by the principal's id.
        patterns: Atoms of all others. Tables of which only who is named differs have the very same.
        _sets: The atoms, and what they are made of.
    """

    known: Mapping[str, tuple[int, ...]]
    patterns: PatternTable
    _sets: AtomSets

    def atoms(self, principal: Principal) -> tuple[int, ...]:
        """Numbers of the atoms in use that hold the principal, ascending."""
        found = self.known.get(principal.id)
        return self.patterns.atoms(principal) if found is None else found

    def numbers(self) -> AtomNumbers:
        """Every atom with its number."""
        return self._sets.numbers

    def at_rest(self, known: Mapping[str, tuple[int, ...]], numbers: AtomNumbers) -> Self:
        """The same table, with who is named and every number where an image has them."""
        return replace(self, known=known, _sets=self._sets.at_rest(numbers))

    def describe(self, number: int, name: Namer = unnamed) -> str:
        """What people call the atom with this number; slow, for explanations."""
        atom = self.numbers().atom(number)
        return "nobody" if atom is None else describe_atom(atom, name)


def describe_atom(atom: Atom, name: Namer = unnamed) -> str:
    """A set of principals in words.

    Args:
        atom: The set.
        name: What its author called a set of several, or None.
    """
    match atom:
        case EveryoneAtom():
            return "anyone"
        case AuthenticatedAtom():
            return "any authenticated"
        case ExactAtom(id=id_):
            return id_
        case DnsSuffixAtom(suffix=suffix):
            return f"dns *{suffix}"
        case PatternAtom(trust_domain=domain, segments=segments):
            path = "/".join([segment or "*" for segment in segments] + (["**"] if atom.open else []))
            return f"spiffe://{domain or '*'}/{path}"
        case SetAtom(terms=terms, excluded=excluded):
            named = name(atom)
            if named is not None:
                return named
            shown = _listed(terms, name)
            return f"{shown} except {_listed(excluded, name)}" if excluded else shown


def _listed(atoms: frozenset[Atom], name: Namer) -> str:
    names = sorted(_members(atoms, name))
    more = f" or {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ("one of " if len(names) > 1 else "") + (", ".join(names[:_SHOWN]) or "nobody") + more


def _members(atoms: Iterable[Atom], name: Namer) -> set[str]:
    """Each member in words; sets within that have no name and except nobody are unfolded."""
    found: set[str] = set()
    for atom in atoms:
        if not isinstance(atom, SetAtom) or name(atom) is not None:
            found.add(describe_atom(atom, name))
        elif atom.excluded:
            found.add(f"({describe_atom(atom, name)})")
        else:
            found |= _members(atom.terms, name)
    return found


def build_principals(numbers: Mapping[Atom, int], previous: PrincipalTable | None = None) -> PrincipalTable:
    """Build the table for the atoms that rows and conditions speak of.

    Args:
        numbers: Every atom with its number. Not changed afterwards.
        previous: A table for the first so many of the same atoms, to be extended where that is enough.

    Raises:
        TooManyCellsError: The patterns combine in too many ways.
    """
    numbers = numbers if isinstance(numbers, AtomNumbers) else AtomNumbers(numbers)
    if previous is not None:
        new = list(numbers.after(len(previous.numbers())))
        if all(isinstance(atom, ExactAtom) for atom in new):
            return _extended(previous, numbers, [atom for atom in new if isinstance(atom, ExactAtom)])
    sets = AtomSets(numbers)
    for atom in numbers:
        sets.add(atom)
    return PrincipalTable(
        known={atom.id: _atoms_of(atom, sets) for atom in sets.exact},
        patterns=_pattern_table(sets),
        _sets=sets,
    )


def _pattern_table(sets: AtomSets) -> PatternTable:
    return PatternTable(
        anonymous=sets.close({EVERYONE}),
        domains={domain: build_states(sets, domain) for domain in sets.roots if domain is not None},
        other_domain=build_states(sets, None),
        suffixes={
            atom.suffix.removeprefix("."): sets.close({EVERYONE, AUTHENTICATED, atom})
            for atom in sets.suffixes
        },
        other_dns=sets.close({EVERYONE, AUTHENTICATED}),
    )


def _extended(previous: PrincipalTable, numbers: AtomNumbers, new: list[ExactAtom]) -> PrincipalTable:
    """The same table with more single principals: no pattern and no group is new."""
    sets = previous._sets.renumbered(numbers)  # noqa: SLF001 - the table is ours
    named = {atom.id: _atoms_of(atom, sets) for atom in new}
    known: Mapping[str, tuple[int, ...]]
    match previous.known:
        case dict():
            known = {**previous.known, **named}
        case ChainMap(maps=[newer, rest]):
            known = ChainMap({**newer, **named}, rest)
        case rest:
            known = ChainMap(named, cast("MutableMapping[str, tuple[int, ...]]", rest))  # never written to
    return replace(previous, known=known, _sets=sets)


def _atoms_of(atom: ExactAtom, sets: AtomSets) -> tuple[int, ...]:
    """Atoms of a principal that is named somewhere."""
    if not (sets.roots or sets.suffixes or sets.groups):  # only single principals: there is nothing to match
        return (*sets.always, sets.numbers[atom])
    return sets.close({EVERYONE, AUTHENTICATED, atom, *_patterns(atom, sets)})


def _patterns(atom: ExactAtom, sets: AtomSets) -> set[Atom]:
    """The patterns that hold a named principal."""
    if atom.id.startswith("dns:"):
        suffix = DnsSuffixAtom("." + atom.id[len("dns:") :].partition(".")[2])
        return {suffix} if suffix in sets.suffixes else set()
    principal = spiffe_principal(atom.id)
    return sets.matching(principal.trust_domain, principal.segments)
