"""Compiled conditions, and Kleene's *and*, *or* and *not* of them.

A condition says what it reads: regions and the next change in time rest on that. What an
expression comes to is left to `pdp.compiler.conditions.expressions`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

from pdp.compiler.evaluation import Evaluation, Truth
from pdp.compiler.windows import WeekWindow

__all__ = ["Condition", "Test", "conjoin", "disjoin", "negate", "together"]

Test: TypeAlias = Callable[[Evaluation], Truth]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A compiled condition and what it reads.

    Attributes:
        test: Its truth for one evaluation.
        reads: Names of the attributes it may read.
        places: Segments of the path that it may read.
        principal: Whether it reads the principal.
        windows: The times of week it tests.
        tests: How many tests it is made of, names unfolded.
        meaning: Equal for conditions that say the same, within one process.
    """

    test: Test
    reads: frozenset[str] = frozenset()
    places: frozenset[int] = frozenset()
    principal: bool = False
    windows: tuple[WeekWindow, ...] = ()
    tests: int = 1
    meaning: int = 0


def together(parts: list[Condition], test: Test, word: str = "") -> Condition:
    """A condition that reads what its parts read; `word` is how it joins them."""
    return Condition(
        test=test,
        reads=frozenset().union(*(part.reads for part in parts)),
        places=frozenset().union(*(part.places for part in parts)),
        principal=any(part.principal for part in parts),
        windows=tuple(window for part in parts for window in part.windows),
        tests=sum(part.tests for part in parts),
        meaning=hash((word, *(part.meaning for part in parts))),
    )


def conjoin(parts: list[Condition]) -> Condition:
    """Kleene's *and* of one or more."""
    if len(parts) == 1:
        return parts[0]
    tests = tuple(part.test for part in parts)

    def test(evaluation: Evaluation) -> Truth:
        result: Truth = True
        for one in tests:
            truth = one(evaluation)
            if truth is False:
                return False
            if truth is None:
                result = None
        return result

    return together(parts, test, "and")


def disjoin(parts: list[Condition]) -> Condition:
    """Kleene's *or* of one or more."""
    tests = tuple(part.test for part in parts)

    def test(evaluation: Evaluation) -> Truth:
        result: Truth = False
        for one in tests:
            truth = one(evaluation)
            if truth is True:
                return True
            if truth is None:
                result = None
        return result

    return together(parts, test, "or")


def negate(part: Condition) -> Condition:
    """Kleene's *not*."""
    inner = part.test

    def test(evaluation: Evaluation) -> Truth:
        truth = inner(evaluation)
        return None if truth is None else not truth

    return together([part], test, "not")
