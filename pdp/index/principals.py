"""From a principal to the numbers of the atoms it is in.

Principals that some rule or group names are found in one dictionary. Any other is matched
against the patterns, which form a tree of their own, and then against the groups that hold a
matching pattern; that costs what the patterns of its shape cost, whatever the number of rules.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, final

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
from pdp.compiler.numbers import AUTHENTICATED_NUMBER, EVERYONE_NUMBER
from pdp.principals import Principal, PrincipalKind, dns_principal, spiffe_principal

__all__ = ["PrincipalTable", "build_principals", "describe_atom"]

_SHOWN: Final = 3  # members of a set that a description names


@final
@dataclass(slots=True)
class _Node:
    """One step of the tree of patterns."""

    children: dict[str, "_Node"] = field(default_factory=dict)
    any_child: "_Node | None" = None
    closed: list[Atom] = field(default_factory=list)
    open: list[Atom] = field(default_factory=list)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalTable:
    """Who is in which atoms.

    Attributes:
        known: Atoms of the principals that are named somewhere, by id.
        anonymous: Atoms of the unauthenticated.
        used: Numbers of the atoms that rows or conditions speak of.
    """

    known: Mapping[str, tuple[int, ...]]
    anonymous: tuple[int, ...]
    _used: Mapping[Atom, int]
    _domains: Mapping[str | None, _Node]
    _suffixes: Mapping[str, DnsSuffixAtom]
    _containing: Mapping[Atom, tuple[SetAtom, ...]]

    def atoms(self, principal: Principal) -> tuple[int, ...]:
        """Numbers of the atoms in use that hold the principal, ascending."""
        found = self.known.get(principal.id)
        return found if found is not None else self._match(principal)

    def describe(self, number: int) -> str:
        """What people call the atom with this number; slow, for explanations."""
        for atom, known in self._used.items():
            if known == number:
                return describe_atom(atom)
        return "nobody"

    def _match(self, principal: Principal) -> tuple[int, ...]:
        if principal.kind is PrincipalKind.ANONYMOUS:
            return self.anonymous
        return self._numbers(self.patterns(principal))

    def patterns(self, principal: Principal) -> set[Atom]:
        """The atoms other than sets that hold an authenticated principal."""
        found: set[Atom] = {EVERYONE, AUTHENTICATED, ExactAtom(principal.id)}
        if principal.kind is PrincipalKind.DNS:
            suffix = principal.id[len("dns:") :].partition(".")[2]
            if suffix and (atom := self._suffixes.get(f".{suffix}")) is not None:
                found.add(atom)
            return found
        for domain in (principal.trust_domain, None):
            root = self._domains.get(domain)
            if root is not None:
                _walk(root, principal.segments, found)
        return found

    def _numbers(self, members: set[Atom]) -> tuple[int, ...]:
        """Add the sets that follow, innermost first, and translate what is in use."""
        verdicts: dict[Atom, bool] = {}
        candidates: set[SetAtom] = set()
        queue = list(members)
        while queue:
            for group in self._containing.get(queue.pop(), ()):
                if group not in candidates:
                    candidates.add(group)
                    queue.append(group)
        found = [self._used[atom] for atom in members if atom in self._used]
        found += [
            self._used[group]
            for group in candidates
            if group in self._used and _holds(group, members, verdicts)
        ]
        return tuple(sorted(found))


def describe_atom(atom: Atom) -> str:
    """A set of principals in words."""
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
            shown = _listed(terms)
            return f"{shown} except {_listed(excluded)}" if excluded else shown


def _listed(atoms: frozenset[Atom]) -> str:
    names = sorted(map(describe_atom, atoms))
    more = f" or {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ("one of " if len(names) > 1 else "") + (", ".join(names[:_SHOWN]) or "nobody") + more


def _walk(root: _Node, segments: tuple[str, ...], found: set[Atom]) -> None:
    nodes = [root]
    for segment in segments:
        following = []
        for node in nodes:
            found.update(node.open)
            if (child := node.children.get(segment)) is not None:
                following.append(child)
            if node.any_child is not None:
                following.append(node.any_child)
        nodes = following
    for node in nodes:
        found.update(node.open)
        found.update(node.closed)


def _holds(atom: Atom, members: set[Atom], verdicts: dict[Atom, bool]) -> bool:
    if not isinstance(atom, SetAtom):
        return atom in members
    verdict = verdicts.get(atom)
    if verdict is None:
        verdict = any(_holds(term, members, verdicts) for term in atom.terms) and not any(
            _holds(term, members, verdicts) for term in atom.excluded
        )
        verdicts[atom] = verdict
    return verdict


def build_principals(used: Mapping[Atom, int]) -> PrincipalTable:
    """Build the table for the atoms that rows and conditions speak of."""
    builder = _Builder()
    for atom in used:
        builder.add(atom)
    table = PrincipalTable(
        known={},
        anonymous=(),
        _used=used,
        _domains=builder.domains,
        _suffixes=builder.suffixes,
        _containing={atom: tuple(groups) for atom, groups in builder.containing.items()},
    )
    anonymous = table._numbers({EVERYONE})  # noqa: SLF001 - the table is ours, half built
    known = _known(table, builder.exact, used)
    return PrincipalTable(
        known=known,
        anonymous=anonymous,
        _used=used,
        _domains=table._domains,  # noqa: SLF001 - as above
        _suffixes=table._suffixes,  # noqa: SLF001 - as above
        _containing=table._containing,  # noqa: SLF001 - as above
    )


def _known(
    table: PrincipalTable, exact: Iterable[str], used: Mapping[Atom, int]
) -> dict[str, tuple[int, ...]]:
    """Atoms of every named principal; tuples that recur are shared."""
    shared: dict[tuple[int, ...], tuple[int, ...]] = {}
    simple = not (used.keys() - {EVERYONE, AUTHENTICATED}) - {
        atom for atom in used if isinstance(atom, ExactAtom)
    }
    base = tuple(n for n in (EVERYONE_NUMBER, AUTHENTICATED_NUMBER) if n in used.values()) if simple else ()
    found = {}
    for id_ in exact:
        # Where nothing but single principals is named, there is nothing to match.
        atoms = (*base, used[ExactAtom(id_)]) if simple else table._match(_principal(id_))  # noqa: SLF001 - as above
        found[id_] = shared.setdefault(atoms, atoms)
    return found


def _principal(id_: str) -> Principal:
    return dns_principal(id_[len("dns:") :]) if id_.startswith("dns:") else spiffe_principal(id_)


@final
class _Builder:
    """Collects the patterns, and which sets each atom is a term or an exception of."""

    def __init__(self) -> None:
        self.domains: dict[str | None, _Node] = {}
        self.suffixes: dict[str, DnsSuffixAtom] = {}
        self.containing: dict[Atom, list[SetAtom]] = {}
        self.exact: dict[str, None] = {}
        self._seen: set[Atom] = set()

    def add(self, atom: Atom) -> None:
        """Add an atom and what it is made of."""
        if atom in self._seen:
            return
        self._seen.add(atom)
        match atom:
            case ExactAtom(id=id_):
                self.exact[id_] = None
            case PatternAtom():
                self._pattern(atom)
            case DnsSuffixAtom(suffix=suffix):
                self.suffixes[suffix] = atom
            case SetAtom(terms=terms, excluded=excluded):
                for term in terms:
                    self.add(term)
                    self.containing.setdefault(term, []).append(atom)
                for term in excluded:
                    self.add(term)
            case EveryoneAtom() | AuthenticatedAtom():
                pass

    def _pattern(self, atom: PatternAtom) -> None:
        node = self.domains.setdefault(atom.trust_domain, _Node())
        for segment in atom.segments:
            if segment is None:
                if node.any_child is None:
                    node.any_child = _Node()
                node = node.any_child
            else:
                node = node.children.setdefault(segment, _Node())
        (node.open if atom.open else node.closed).append(atom)
