"""Checked conditions, and Kleene's *and*, *or* and *not* of them.

A condition says what it reads: regions and the next change in time rest on that. What an
expression comes to is left to `pdp.compiler.conditions.expressions`.
"""

from dataclasses import dataclass
from typing import final

from pdp.compiler.terms import And, Not, Or, Term
from pdp.compiler.windows import WeekWindow

__all__ = ["Condition", "conjoin", "disjoin", "negate", "together"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition and what it reads.

    Attributes:
        term: What it says; equal for conditions that say the same.
        reads: Names of the attributes it may read.
        places: Segments of the path that it may read.
        principal: Whether it reads the principal.
        windows: The times of week it tests.
        tests: How many tests it is made of, names unfolded.
    """

    term: Term
    reads: frozenset[str] = frozenset()
    places: frozenset[int] = frozenset()
    principal: bool = False
    windows: tuple[WeekWindow, ...] = ()
    tests: int = 1


def together(parts: list[Condition], term: Term) -> Condition:
    """A condition that reads what its parts read."""
    return Condition(
        term=term,
        reads=frozenset().union(*(part.reads for part in parts)),
        places=frozenset().union(*(part.places for part in parts)),
        principal=any(part.principal for part in parts),
        windows=tuple(window for part in parts for window in part.windows),
        tests=sum(part.tests for part in parts),
    )


def conjoin(parts: list[Condition]) -> Condition:
    """Kleene's *and* of one or more."""
    return parts[0] if len(parts) == 1 else together(parts, And(tuple(part.term for part in parts)))


def disjoin(parts: list[Condition]) -> Condition:
    """Kleene's *or* of one or more."""
    return together(parts, Or(tuple(part.term for part in parts)))


def negate(part: Condition) -> Condition:
    """Kleene's *not*."""
    return together([part], Not(part.term))
