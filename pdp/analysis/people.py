"""Principals: which atoms can share a member, and who is enough to try."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from pdp.analysis.budget import Budget, TooLargeError
from pdp.analysis.members import Leaf, Members, known_texts, leaves_of, principal_of
from pdp.analysis.representatives import Explorer, Observed, fresh_texts
from pdp.compiler.atoms import (
    Atom,
    AuthenticatedAtom,
    DnsSuffixAtom,
    EveryoneAtom,
    ExactAtom,
    PatternAtom,
    SetAtom,
)
from pdp.lang import ast
from pdp.principals import (
    ANONYMOUS,
    InvalidIdentityError,
    Principal,
    dns_principal,
    spiffe_principal,
)

__all__ = ["principals", "share"]

_ANY: Final = ast.AnySegment()
_REST: Final = ast.RestSegments()
_Open: TypeAlias = EveryoneAtom | AuthenticatedAtom


# -- whether two atoms can share a member ----------------------------------------------


def share(one: Atom, other: Atom) -> bool:
    """Whether some principal is in both; also true where that takes too long to find out."""
    if not _may_share(one, other):
        return False
    if not (_excludes(one) or _excludes(other)):
        return True
    try:
        fresh = fresh_texts(known_texts((one, other)), 1)
        return bool(principals((one, other), (), Observed(), fresh, Budget(_STEPS_TO_TELL)))
    except TooLargeError:
        return True


_STEPS_TO_TELL: Final = 10_000


def _excludes(atom: Atom) -> bool:
    return isinstance(atom, SetAtom) and (bool(atom.excluded) or any(map(_excludes, atom.terms)))


def _may_share(one: Atom, other: Atom) -> bool:
    """False only if no principal is in both; what sets exclude is looked at only for exact members."""
    if isinstance(one, ExactAtom):
        return Members(principal_of(one.id)).holds(other)
    if isinstance(other, ExactAtom):
        return _may_share(other, one)
    if isinstance(one, SetAtom):
        return any(_may_share(term, other) for term in one.terms)
    if isinstance(other, SetAtom):
        return any(_may_share(one, term) for term in other.terms)
    if isinstance(one, PatternAtom) and isinstance(other, PatternAtom):
        return _patterns_meet(one, other)
    if isinstance(one, DnsSuffixAtom) and isinstance(other, DnsSuffixAtom):
        return one == other
    return isinstance(one, _Open) or isinstance(other, _Open)


def _patterns_meet(one: PatternAtom, other: PatternAtom) -> bool:
    if one.trust_domain and other.trust_domain and one.trust_domain != other.trust_domain:
        return False
    shorter, longer = sorted((one, other), key=lambda atom: len(atom.segments))
    if len(shorter.segments) < len(longer.segments) and not shorter.open:
        return False
    pairs = zip(one.segments, other.segments, strict=False)
    return all(left is None or right is None or left == right for left, right in pairs)


# -- representatives -------------------------------------------------------------------


def principals(
    required: Sequence[Atom],
    atoms: Iterable[Atom],
    observed: Observed,
    fresh: Sequence[str],
    budget: Budget,
) -> list[Members]:
    """Principals in all required atoms, one for each way of being in the other atoms.

    Args:
        required: Atoms that the principal has to be in.
        atoms: Atoms that make a difference.
        observed: Segments whose values make a difference.
        fresh: Texts that nothing knows.
        budget: What it may cost.

    Raises:
        TooLargeError: There are too many.
    """
    exact = next((atom for atom in required if isinstance(atom, ExactAtom)), None)
    if exact is not None:
        members = Members(principal_of(exact.id))
        return [members] if all(map(members.holds, required)) else []
    telling = list(dict.fromkeys((*required, *atoms)))
    leaves = list(dict.fromkeys(leaf for atom in telling for leaf in leaves_of(atom)))
    found: dict[object, Members] = {}
    for principal in _candidates(required, leaves, observed, fresh, budget):
        budget.spend(1 + len(telling) // 4)
        members = Members(principal)
        if all(map(members.holds, required)):
            values = tuple(principal.segments[at] for at in observed.front if at < len(principal.segments))
            found.setdefault((tuple(map(members.holds, telling)), values), members)
    return list(found.values())


def _is_open(atom: Atom) -> bool:
    """Whether an atom can hold principals that no pattern or name stands for."""
    if isinstance(atom, SetAtom):
        return any(map(_is_open, atom.terms))
    return isinstance(atom, _Open)


def _candidates(
    required: Sequence[Atom],
    leaves: Sequence[Leaf],
    observed: Observed,
    fresh: Sequence[str],
    budget: Budget,
) -> Iterable[Principal]:
    by_domain: dict[str | None, list[tuple[PatternAtom | ExactAtom, tuple[ast.Segment, ...]]]] = {}
    dns: list[str] = []
    for leaf in leaves:
        match leaf:
            case ExactAtom(id=id_) if id_.startswith("dns:"):
                dns.append(id_[len("dns:") :])
            case DnsSuffixAtom(suffix=suffix):
                dns.append(f"{fresh[0]}{suffix}")
            case ExactAtom(id=id_):
                known = principal_of(id_)
                literals = tuple(ast.LiteralSegment(text=text) for text in known.segments)
                by_domain.setdefault(known.trust_domain, []).append((leaf, literals))
            case PatternAtom(trust_domain=domain):
                by_domain.setdefault(domain, []).append((leaf, _pattern(leaf)))
    shared = by_domain.pop(None, [])
    unknown = f"{fresh[0]}.test"
    domains = [domain for domain in by_domain if domain is not None]
    for domain in (*domains, unknown):
        patterns = [*by_domain.get(domain, ()), *shared]
        yield from _of_domain(domain, patterns, required, observed, fresh, budget)
    for name in (*dns, f"{fresh[0]}.{fresh[0]}.test"):
        try:
            yield dns_principal(name)
        except InvalidIdentityError:
            continue  # a suffix that leaves no room for one label more has no member
    yield ANONYMOUS


def _pattern(atom: PatternAtom) -> tuple[ast.Segment, ...]:
    segments = tuple(_ANY if text is None else ast.LiteralSegment(text=text) for text in atom.segments)
    return (*segments, _REST) if atom.open else segments


def _of_domain(
    domain: str,
    patterns: Sequence[tuple[Atom, tuple[ast.Segment, ...]]],
    required: Sequence[Atom],
    observed: Observed,
    fresh: Sequence[str],
    budget: Budget,
) -> Iterable[Principal]:
    numbers: Mapping[Atom, int] = {atom: number for number, (atom, _) in enumerate(patterns)}
    needed = [
        frozenset(numbers[leaf] for leaf in leaves_of(atom) if leaf in numbers)
        for atom in required
        if not _is_open(atom)
    ]
    explorer = Explorer([segments for _, segments in patterns], needed, observed, fresh, budget)
    for found in explorer.run(_is_segment(domain), empty_end=False):
        try:
            yield spiffe_principal(f"spiffe://{domain}/{'/'.join(found.segments)}")
        except InvalidIdentityError:
            continue  # longer than an ID can be


def _is_segment(domain: str) -> Callable[[str], bool]:
    def valid(text: str) -> bool:
        try:
            spiffe_principal(f"spiffe://{domain}/{text}")
        except InvalidIdentityError:
            return False
        return "/" not in text

    return valid
