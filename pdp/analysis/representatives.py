"""Representatives: for each way in which patterns can match, one sequence of segments that does.

All patterns are followed at once, segment by segment. Two beginnings that leave the same patterns
at the same places have the same future, so one of them is kept; what is left is finite, and
usually small. Where values are compared (captures, conditions), the segments at the places that are
read are part of what tells two beginnings apart, and the values that they are compared with are
tried there.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count, product
from typing import NamedTuple, TypeAlias, final

from pdp.analysis.budget import Budget, TooLargeError
from pdp.compiler.matchers import segment_matches
from pdp.lang import ast
from pdp.limits import MAX_PATH_SEGMENTS

__all__ = ["Explorer", "Observed", "Representative", "fresh_texts", "texts_of"]

Pattern: TypeAlias = Sequence[ast.Segment]
_Item: TypeAlias = tuple[int, int]
_State: TypeAlias = frozenset[_Item]

_FRESH_TRIED = 10_000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The places whose values are read, and what they are compared with.

    Attributes:
        front: Places from the start.
        back: How many places from the end.
        values: Texts to try at those places.
    """

    front: frozenset[int] = frozenset()
    back: int = 0
    values: tuple[str, ...] = ()


class Representative(NamedTuple):
    """Segments, and the patterns that match them, by number."""

    segments: tuple[str, ...]
    matched: frozenset[int]


def texts_of(patterns: Iterable[Pattern]) -> set[str]:
    """Every literal, prefix and suffix of the patterns."""
    return {
        segment.text
        for pattern in patterns
        for segment in pattern
        if isinstance(segment, ast.LiteralSegment | ast.PrefixSegment | ast.SuffixSegment)
    }


def fresh_texts(known: Iterable[str], wanted: int) -> tuple[str, ...]:
    """Short texts that no known text holds, and that make none when put beside one.

    Raises:
        TooLargeError: The known texts use up everything that is tried.
    """
    taken = [text for text in known if text]
    joined = "\n".join(taken)
    ends = {text[-length:] for text in taken for length in (1, 2, 3)}
    begins = {text[:length] for text in taken for length in (1, 2, 3)}
    found: list[str] = []
    for text in _candidates():
        if text in joined or not ends.isdisjoint({text[:1], text[:2], text[:3]}):
            continue
        if not begins.isdisjoint({text[-1:], text[-2:], text[-3:]}):
            continue
        found.append(text)
        if len(found) == wanted:
            return tuple(found)
    raise TooLargeError


def _candidates() -> Iterable[str]:
    """Letters, then letters around a number: at most three characters can meet a known text."""
    letters = "xyzwvutsrqponmlkjihgfedcba"
    yield from letters
    for number, first in zip(count(), letters * (_FRESH_TRIED // len(letters)), strict=False):
        yield f"{first}{number}{letters[number // len(letters) % len(letters)]}"


@final
class _Branches:
    """The items of a state by what they wait for."""

    __slots__ = ("affixes", "anything", "literals", "rests")

    def __init__(self, patterns: Sequence[Pattern], state: _State) -> None:
        self.literals: dict[str, list[_Item]] = {}
        self.affixes: list[tuple[ast.Segment, _Item]] = []
        self.anything: list[_Item] = []
        self.rests: list[_Item] = []
        for number, at in state:
            pattern = patterns[number]
            if at == len(pattern):
                continue
            following = (number, at + 1)
            match pattern[at]:
                case ast.LiteralSegment(text=text):
                    self.literals.setdefault(text, []).append(following)
                case ast.RestSegments():
                    self.rests.append((number, at))
                case ast.PrefixSegment() | ast.SuffixSegment():
                    self.affixes.append((pattern[at], following))
                case _:
                    self.anything.append(following)

    def after(self, text: str) -> list[_Item]:
        """The items that a segment leads to."""
        found = [*self.literals.get(text, ()), *self.rests]
        found += [item for segment, item in self.affixes if segment_matches(segment, text)]
        return found + self.anything if text else found

    def letters(self, fresh: Sequence[str]) -> list[str]:
        """One text for each combination of what can be told apart here."""
        prefixes = {segment.text for segment, _ in self.affixes if isinstance(segment, ast.PrefixSegment)}
        suffixes = {segment.text for segment, _ in self.affixes if isinstance(segment, ast.SuffixSegment)}
        made = [
            prefix + middle + suffix
            for middle in fresh
            for prefix, suffix in product(sorted(prefixes | {""}), sorted(suffixes | {""}))
        ]
        return list(dict.fromkeys([*(text for text in self.literals if text), *made]))


@final
class Explorer:
    """Finds the representatives of some patterns."""

    def __init__(
        self,
        patterns: Sequence[Pattern],
        required: Sequence[frozenset[int]],
        observed: Observed,
        fresh: Sequence[str],
        budget: Budget,
    ) -> None:
        """Prepare.

        Args:
            patterns: The patterns.
            required: Of each of these sets of patterns one has to match.
            observed: What of the segments is read besides.
            fresh: Texts that none of the patterns knows, more than one where values are compared.
            budget: What it may cost.
        """
        self._patterns = patterns
        self._required = required
        self._observed = observed
        self._fresh = fresh
        self._budget = budget

    def run(self, valid: Callable[[str], bool], *, empty_end: bool) -> list[Representative]:
        """The representatives, short ones first.

        Args:
            valid: Whether a text can be a segment.
            empty_end: Whether the last segment may be empty.

        Raises:
            TooLargeError: There are too many.
        """
        found: dict[object, Representative] = {}
        start = self._closed((number, 0) for number in range(len(self._patterns)))
        seen: set[object] = set()
        layer: list[tuple[_State, tuple[str, ...]]] = [(start, ())]
        for _ in range(MAX_PATH_SEGMENTS):
            following: list[tuple[_State, tuple[str, ...]]] = []
            for state, segments in layer:
                branches = _Branches(self._patterns, state)
                self._budget.spend(1 + len(state) // 8)
                for text in self._letters(branches, len(segments)):
                    if not valid(text):
                        continue
                    after, reached = self._closed(branches.after(text)), (*segments, text)
                    self._budget.spend(1 + len(after) // 8)
                    key = (after, self._read(reached))
                    if key not in seen and self._can_match(after):
                        seen.add(key)
                        following.append((after, reached))
                        self._end(after, reached, found)
                if empty_end:
                    self._end(self._closed(branches.after("")), (*segments, ""), found)
            if not following:
                break
            layer = following
        return sorted(found.values(), key=lambda one: (len(one.segments), one.segments[-1] == ""))

    def _letters(self, branches: _Branches, at: int) -> Iterable[str]:
        if at in self._observed.front or self._observed.back:
            return dict.fromkeys((*branches.letters(self._fresh), *self._observed.values))
        return branches.letters(self._fresh[:1])

    def _closed(self, items: Iterable[_Item]) -> _State:
        """With the places that `**` can be left for."""
        found = set(items)
        for number, at in tuple(found):
            pattern = self._patterns[number]
            if at < len(pattern) and isinstance(pattern[at], ast.RestSegments):
                found.add((number, at + 1))
        return frozenset(found)

    def _read(self, segments: tuple[str, ...]) -> tuple[object, ...]:
        front = tuple(segments[at] for at in sorted(self._observed.front) if at < len(segments))
        back = segments[-self._observed.back :] if self._observed.back else ()
        # Which places are read from the end depends on the length, while that is below what is read.
        return front, back

    def _can_match(self, state: _State) -> bool:
        alive = {number for number, _ in state}
        return all(not alive.isdisjoint(wanted) for wanted in self._required)

    def _end(self, state: _State, segments: tuple[str, ...], found: dict[object, Representative]) -> None:
        matched = frozenset(number for number, at in state if at == len(self._patterns[number]))
        if all(not matched.isdisjoint(wanted) for wanted in self._required):
            found.setdefault((matched, self._read(segments)), Representative(segments, matched))
