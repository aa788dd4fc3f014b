"""Whether two rows can hold together: by principal, path and date.

Conservative: where this module is not sure, they can. Conditions are not looked at, nor what
makes captures equal.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, final

from pdp.compiler.atoms import (
    Atom,
    AuthenticatedAtom,
    DnsSuffixAtom,
    EveryoneAtom,
    ExactAtom,
    PatternAtom,
    SetAtom,
)
from pdp.compiler.matchers import rest_index, segment_matches, segments_overlap
from pdp.compiler.rows import Detail, ExceptedPath, Row
from pdp.lang import ast

__all__ = ["can_hold_together", "paths_overlap", "principals_overlap"]

_MAX_PAIRS: Final = 100_000  # of members of two sets: beyond it they are taken to overlap
_MAX_DEPTH: Final = 64  # of sets in sets; the language nests groups less deep
#: A part of a set: an atom that is no set, and what is taken away from it.
_Part = tuple[Atom, frozenset[Atom]]


def can_hold_together(one: Row, two: Row, first: Atom, second: Atom) -> bool:
    """Whether some request at some instant may satisfy both rows, whose atoms are given."""
    return (
        bool(one.mask & two.mask)
        and _dates_overlap(one.detail, two.detail)
        and paths_overlap(one.path, two.path)
        and not _taken_away(one.detail, two.path)
        and not _taken_away(two.detail, one.path)
        and principals_overlap(first, second)
    )


def _dates_overlap(one: Detail | None, two: Detail | None) -> bool:
    if one is None or two is None:
        return True
    return _starts_before_end(one, two) and _starts_before_end(two, one)


def _starts_before_end(one: Detail, two: Detail) -> bool:
    return one.valid_from is None or two.until is None or one.valid_from < two.until


# -- paths -----------------------------------------------------------------------------


def paths_overlap(one: Sequence[ast.Segment], two: Sequence[ast.Segment]) -> bool:
    """Whether some path matches both patterns; captures are any segment."""
    if not one or not two:
        return all(isinstance(segment, ast.RestSegments) for segment in (*one, *two))
    if rest_index(one) == 0:
        return paths_overlap(one[1:], two) or paths_overlap(one, two[1:])
    if rest_index(two) == 0:
        return paths_overlap(two, one)
    return segments_overlap(one[0], two[0]) and paths_overlap(one[1:], two[1:])


def _taken_away(detail: Detail | None, path: Sequence[ast.Segment]) -> bool:
    """Whether a row's exceptions cover all of a path."""
    exceptions: tuple[ExceptedPath, ...] = () if detail is None else detail.exceptions
    return any(
        not exception.equalities and not exception.path_equalities and _path_covers(exception.pattern, path)
        for exception in exceptions
    )


def _path_covers(wide: Sequence[ast.Segment], narrow: Sequence[ast.Segment]) -> bool:
    """Whether every path that matches `narrow` matches `wide`."""
    if not wide:
        return not narrow
    if isinstance(wide[0], ast.RestSegments):
        return _path_covers(wide[1:], narrow) or (bool(narrow) and _path_covers(wide, narrow[1:]))
    if not narrow or isinstance(narrow[0], ast.RestSegments):
        return False
    return _segment_covers(wide[0], narrow[0]) and _path_covers(wide[1:], narrow[1:])


def _segment_covers(wide: ast.Segment, narrow: ast.Segment) -> bool:
    match wide, narrow:
        case (_, ast.LiteralSegment(text=text)):
            return segment_matches(wide, text)
        case (ast.AnySegment() | ast.Capture(), _):
            return True
        case (ast.PrefixSegment(text=short), ast.PrefixSegment(text=long)):
            return long.startswith(short)
        case (ast.SuffixSegment(text=short), ast.SuffixSegment(text=long)):
            return long.endswith(short)
        case _:
            return False


# -- principals ------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def principals_overlap(one: Atom, two: Atom) -> bool:
    """Whether some principal may be in both atoms."""
    first, second = _Members.of(one), _Members.of(two)
    if any(
        _parts_overlap((atom, without), (atom, other))
        for atom in first.exact.keys() & second.exact.keys()
        for without in first.exact[atom]
        for other in second.exact[atom]
    ):
        return True
    if first.size * len(second.rest) + second.size * len(first.rest) > _MAX_PAIRS:
        return True
    return any(_parts_overlap(a, b) for a in first.rest for b in second.every()) or any(
        _parts_overlap(a, b) for a in first.every() for b in second.rest
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Members:
    """The parts of an atom: those that name one principal, by it, and the others."""

    exact: Mapping[ExactAtom, Sequence[frozenset[Atom]]]
    rest: Sequence[_Part]

    @classmethod
    def of(cls, atom: Atom) -> "_Members":
        exact: dict[ExactAtom, list[frozenset[Atom]]] = {}
        rest: list[_Part] = []
        for part, without in _parts(atom):
            if isinstance(part, ExactAtom):
                exact.setdefault(part, []).append(without)
            else:
                rest.append((part, without))
        return cls(exact=exact, rest=rest)

    @property
    def size(self) -> int:
        return len(self.exact) + len(self.rest)

    def every(self) -> Iterator[_Part]:
        yield from self.rest
        for atom, taken in self.exact.items():
            for without in taken:
                yield atom, without


def _parts(atom: Atom, without: frozenset[Atom] = frozenset(), depth: int = 0) -> Iterator[_Part]:
    """What a set is made of, each part with everything that is taken away from it."""
    if not isinstance(atom, SetAtom) or depth > _MAX_DEPTH:
        yield atom, without
        return
    for term in atom.terms:
        yield from _parts(term, without | atom.excluded, depth + 1)


def _parts_overlap(one: _Part, two: _Part) -> bool:
    common = _common(one[0], two[0])
    return common is not None and not any(_covers(taken, common) for taken in (*one[1], *two[1]))


def _common(one: Atom, two: Atom) -> Atom | None:
    """The atom of those in both of two atoms that are no sets, or None if there are none.

    A superset of it where there is no such atom.
    """
    match one, two:
        case (EveryoneAtom(), other) | (other, EveryoneAtom()):
            return other
        case (AuthenticatedAtom(), other) | (other, AuthenticatedAtom()):
            return other
        case (ExactAtom(), other) | (other, ExactAtom()):
            exact = one if isinstance(one, ExactAtom) else two
            return exact if _covers(other, exact) else None
        case (PatternAtom(), PatternAtom()):
            common = _common_pattern(one, two)
            return common if common is None else _single(common)
        case (DnsSuffixAtom(suffix=a), DnsSuffixAtom(suffix=b)):
            return one if a == b else None
        case (DnsSuffixAtom(), PatternAtom()) | (PatternAtom(), DnsSuffixAtom()):
            return None
        case _:
            return one


def _common_pattern(one: PatternAtom, two: PatternAtom) -> PatternAtom | None:
    if one.trust_domain and two.trust_domain and one.trust_domain != two.trust_domain:
        return None
    short, long = sorted((one, two), key=lambda atom: len(atom.segments))
    if len(short.segments) < len(long.segments) and not short.open:
        return None
    segments = list(long.segments)
    for index, segment in enumerate(short.segments):
        if segment is None:
            continue
        if segments[index] not in {None, segment}:
            return None
        segments[index] = segment
    return PatternAtom(one.trust_domain or two.trust_domain, tuple(segments), short.open and long.open)


def _single(pattern: PatternAtom) -> PatternAtom | ExactAtom:
    """A pattern that leaves nothing open as the one principal that it matches."""
    if pattern.trust_domain is None or pattern.open or None in pattern.segments:
        return pattern
    return ExactAtom(f"spiffe://{pattern.trust_domain}/{'/'.join(map(str, pattern.segments))}")


def _covers(wide: Atom, narrow: Atom) -> bool:
    """Whether everybody in an atom that is no set is in another one."""
    match wide, narrow:
        case (EveryoneAtom(), _):
            return True
        case (AuthenticatedAtom(), _):
            return not isinstance(narrow, EveryoneAtom)
        case (SetAtom(terms=terms, excluded=excluded), _):
            return any(_covers(term, narrow) for term in terms) and not any(
                principals_overlap(taken, narrow) for taken in excluded
            )
        case (PatternAtom(), PatternAtom()):
            return _common_pattern(wide, narrow) == narrow
        case (PatternAtom(), ExactAtom(id=id_)):
            return _matches(wide, id_)
        case (DnsSuffixAtom(suffix=suffix), ExactAtom(id=id_)):
            label = id_.removeprefix("dns:").removesuffix(suffix)
            return id_.startswith("dns:") and id_.endswith(suffix) and bool(label) and "." not in label
        case _:
            return wide == narrow


def _matches(pattern: PatternAtom, id_: str) -> bool:
    scheme, _, rest = id_.partition("://")
    domain, *segments = rest.split("/")
    if scheme != "spiffe" or (pattern.trust_domain or domain) != domain:
        return False
    if len(segments) < len(pattern.segments) or (len(segments) > len(pattern.segments) and not pattern.open):
        return False
    return all(
        wanted is None or wanted == segment
        for wanted, segment in zip(pattern.segments, segments, strict=False)
    )
