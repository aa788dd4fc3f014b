"""Members: whether one principal is in an atom, and what an atom is made of."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TypeAlias, final

from pdp.compiler.atoms import (
    Atom,
    AuthenticatedAtom,
    DnsSuffixAtom,
    EveryoneAtom,
    ExactAtom,
    PatternAtom,
    SetAtom,
)
from pdp.principals import Principal, PrincipalKind, dns_principal, spiffe_principal

__all__ = ["Leaf", "Members", "NumberedMembers", "known_texts", "leaves_of", "principal_of"]

Leaf: TypeAlias = ExactAtom | PatternAtom | DnsSuffixAtom


@final
class Members:
    """The atoms that one principal is in; also by number, as conditions ask."""

    __slots__ = ("_known", "principal")

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self._known: dict[Atom, bool] = {}

    def holds(self, atom: Atom) -> bool:
        """Whether the principal is in the atom."""
        known = self._known.get(atom)
        if known is None:
            known = self._known[atom] = self._decide(atom)
        return known

    def _decide(self, atom: Atom) -> bool:
        principal = self.principal
        match atom:
            case EveryoneAtom():
                return True
            case AuthenticatedAtom():
                return principal.kind is not PrincipalKind.ANONYMOUS
            case ExactAtom(id=id_):
                return principal.id == id_
            case DnsSuffixAtom(suffix=suffix):
                _, dot, rest = principal.id.removeprefix("dns:").partition(".")
                return principal.kind is PrincipalKind.DNS and dot + rest == suffix
            case PatternAtom():
                return principal.kind is PrincipalKind.SPIFFE and _matches(atom, principal)
            case SetAtom(terms=terms, excluded=excluded):
                return any(map(self.holds, terms)) and not any(map(self.holds, excluded))

    def numbers(self, atoms: Mapping[int, Atom]) -> "NumberedMembers":
        """The same by the numbers of the atoms."""
        return NumberedMembers(self, atoms)


@final
class NumberedMembers(Collection[int]):
    """The numbers of the atoms that a principal is in, found when asked for."""

    __slots__ = ("_atoms", "_members")

    def __init__(self, members: Members, atoms: Mapping[int, Atom]) -> None:
        self._members = members
        self._atoms = atoms

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self._members.holds(self._atoms[number])

    def __iter__(self) -> Iterator[int]:
        return iter([number for number in self._atoms if number in self])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _matches(atom: PatternAtom, principal: Principal) -> bool:
    if atom.trust_domain is not None and atom.trust_domain != principal.trust_domain:
        return False
    given, wanted = principal.segments, atom.segments
    if len(given) < len(wanted) or (len(given) > len(wanted) and not atom.open):
        return False
    return all(text is None or text == segment for text, segment in zip(wanted, given, strict=False))


@lru_cache(maxsize=1 << 14)
def principal_of(id_: str) -> Principal:
    """The principal with an id that a rule names."""
    return dns_principal(id_[len("dns:") :]) if id_.startswith("dns:") else spiffe_principal(id_)


def known_texts(atoms: Iterable[Atom]) -> set[str]:
    """Every segment, trust domain and DNS name that the atoms speak of."""
    found: set[str] = set()
    for leaf in (leaf for atom in atoms for leaf in leaves_of(atom)):
        match leaf:
            case ExactAtom(id=id_):
                found.update(id_.split("/"))
            case DnsSuffixAtom(suffix=suffix):
                found.add(suffix)
            case PatternAtom(trust_domain=domain, segments=segments):
                found.update(text for text in (domain, *segments) if text is not None)
    return found


def leaves_of(atom: Atom) -> Iterator[Leaf]:
    """The names and patterns that an atom is made of, those that it excludes among them."""
    if isinstance(atom, SetAtom):
        for part in (*atom.terms, *atom.excluded):
            yield from leaves_of(part)
    elif not isinstance(atom, EveryoneAtom | AuthenticatedAtom):
        yield atom
