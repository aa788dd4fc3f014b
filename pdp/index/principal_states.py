"""Patterns of SPIFFE IDs as states, and sets of atoms closed over groups.

The subset construction over the patterns: each state knows, for a principal whose walk ends there or
cannot go on, every atom that holds it, groups with their exceptions included. Principals that are named
exactly have been answered before any walk begins, so that no state has to tell them apart.
"""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import final

from pdp.compiler.atoms import AUTHENTICATED, EVERYONE, Atom, DnsSuffixAtom, ExactAtom, PatternAtom, SetAtom
from pdp.compiler.numbers import AtomNumbers
from pdp.index.cells import TooManyCellsError, cells_bound

__all__ = ["AtomSets", "PrincipalState", "build_states"]


class PrincipalState:
    """Where the walk of a SPIFFE ID stands. Its only subclass is one not made yet (`pdp.image.walks`).

    Attributes:
        children: Next state by segment.
        other: Next state for any other segment.
        here: Atoms of a principal that ends here.
        beyond: Atoms of a principal that goes on where no state follows.
        source: Where a state that is not made yet is found; not set in others.
    """

    __slots__ = ("beyond", "children", "here", "other", "source")
    source: object

    def __init__(self, here: tuple[int, ...], beyond: tuple[int, ...]) -> None:
        self.children: Mapping[str, PrincipalState] = {}
        self.other: PrincipalState | None = None
        self.here = here
        self.beyond = beyond


@final
@dataclass(slots=True)
class _Node:
    """One step of the tree of patterns."""

    children: dict[str, "_Node"] = field(default_factory=dict)
    any_child: "_Node | None" = None
    closed: list[Atom] = field(default_factory=list)
    open: list[Atom] = field(default_factory=list)


@final
class AtomSets:
    """Every atom in use and what it is made of; answers which atoms follow from some.

    Attributes:
        numbers: Atoms that rows and conditions speak of, with their numbers.
        exact: Principals that are named.
        suffixes: DNS patterns.
        roots: Trees of SPIFFE patterns by trust domain, None for every one.
        groups: Sets that are in use or part of one.
        patterns: How many SPIFFE patterns there are.
    """

    def __init__(self, numbers: AtomNumbers) -> None:
        self.numbers = numbers
        self.exact: dict[ExactAtom, None] = {}
        self.suffixes: dict[DnsSuffixAtom, None] = {}
        self.roots: dict[str | None, _Node] = {}
        self.groups: dict[SetAtom, None] = {}
        self.patterns = 0
        self._containing: dict[Atom, list[SetAtom]] = {}
        self._shared: dict[tuple[int, ...], tuple[int, ...]] = {}

    @property
    def always(self) -> tuple[int, ...]:
        """Numbers of the atoms that hold every authenticated principal, where no set is in use."""
        return tuple(self.numbers[atom] for atom in (EVERYONE, AUTHENTICATED) if atom in self.numbers)

    def renumbered(self, numbers: AtomNumbers) -> "AtomSets":
        """The same sets where more atoms have numbers."""
        other = copy(self)
        other.numbers = numbers
        return other

    def at_rest(self, numbers: AtomNumbers) -> "AtomSets":
        """The same sets without those who are named: an image knows them."""
        other = self.renumbered(numbers)
        other.exact, other._shared = {}, {}  # noqa: SLF001 - the sets are ours
        return other

    def add(self, atom: Atom) -> None:
        """Add an atom and what it is made of."""
        match atom:
            case ExactAtom():
                self.exact[atom] = None
            case DnsSuffixAtom():
                self.suffixes[atom] = None
            case PatternAtom():
                self._pattern(atom)
            case SetAtom(terms=terms, excluded=excluded) if atom not in self.groups:
                self.groups[atom] = None
                for term in terms:
                    self.add(term)
                    self._containing.setdefault(term, []).append(atom)
                for term in excluded:
                    self.add(term)
            case _:
                pass

    def _pattern(self, atom: PatternAtom) -> None:
        node = self.roots.setdefault(atom.trust_domain, _Node())
        for segment in atom.segments:
            if segment is None:
                if node.any_child is None:
                    node.any_child = _Node()
                node = node.any_child
            else:
                node = node.children.setdefault(segment, _Node())
        ends = node.open if atom.open else node.closed
        if atom not in ends:
            ends.append(atom)
            self.patterns += 1

    def close(self, members: Iterable[Atom]) -> tuple[int, ...]:
        """Numbers of the atoms in use that hold a principal: these are the atoms, sets aside, that do."""
        held = set(members)
        candidates: set[SetAtom] = set()
        queue: list[Atom] = list(held)
        while queue:
            for group in self._containing.get(queue.pop(), ()):
                if group not in candidates:
                    candidates.add(group)
                    queue.append(group)
        verdicts: dict[Atom, bool] = {}
        found = [self.numbers[atom] for atom in held if atom in self.numbers]
        found += [
            self.numbers[group]
            for group in candidates
            if group in self.numbers and _holds(group, held, verdicts)
        ]
        numbers = tuple(sorted(found))
        return self._shared.setdefault(numbers, numbers)

    def matching(self, trust_domain: str, segments: tuple[str, ...]) -> set[Atom]:
        """The SPIFFE patterns that hold a principal."""
        found: set[Atom] = set()
        nodes = [self.roots[domain] for domain in (trust_domain, None) if domain in self.roots]
        for segment in segments:
            found.update(atom for node in nodes for atom in node.open)
            nodes = _following(nodes, segment)
        found.update(atom for node in nodes for atom in (*node.open, *node.closed))
        return found


def _following(nodes: list[_Node], segment: str) -> list[_Node]:
    children = [child for node in nodes if (child := node.children.get(segment)) is not None]
    return children + [node.any_child for node in nodes if node.any_child is not None]


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


def build_states(sets: AtomSets, trust_domain: str | None) -> PrincipalState:
    """Where the walk begins in a trust domain; None stands for one that no pattern names.

    Raises:
        TooManyCellsError: The patterns combine in too many ways.
    """
    roots = [sets.roots[domain] for domain in dict.fromkeys((trust_domain, None)) if domain in sets.roots]
    return _States(sets).state(roots, frozenset({EVERYONE, AUTHENTICATED}))


@final
class _States:
    def __init__(self, sets: AtomSets) -> None:
        self.sets = sets
        self.made: dict[tuple[frozenset[int], frozenset[Atom]], PrincipalState] = {}
        self.bound = cells_bound(sets.patterns)

    def state(self, nodes: list[_Node], inherited: frozenset[Atom]) -> PrincipalState:
        """The state in which exactly these nodes are alive, below patterns that hold whatever follows."""
        beyond = inherited.union(*(node.open for node in nodes))
        key = (frozenset(map(id, nodes)), beyond)
        known = self.made.get(key)
        if known is not None:
            return known
        if len(self.made) >= self.bound:
            raise TooManyCellsError(self.bound)
        here = beyond.union(*(node.closed for node in nodes))
        state = self.made[key] = PrincipalState(self.sets.close(here), self.sets.close(beyond))
        anywhere = [node.any_child for node in nodes if node.any_child is not None]
        if anywhere:
            state.other = self.state(anywhere, beyond)
        state.children = {
            segment: self.state(_following(nodes, segment), beyond)
            for segment in dict.fromkeys(segment for node in nodes for segment in node.children)
        }
        return state
