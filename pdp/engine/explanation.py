"""What an explanation is made of: rules considered, differences, the nearest allow, a problem.

How these are found is the business of `pdp.engine.explain` and the modules below it.
"""

from dataclasses import dataclass
from enum import Enum
from typing import final

from pdp.vocabulary import Effect

__all__ = [
    "Considered",
    "Coordinate",
    "Difference",
    "Explanation",
    "Nearest",
    "Outcome",
    "Problem",
    "Verdict",
]


class Outcome(Enum):
    """What became of a rule that stands on the path and is about the principal."""

    SATISFIED = "satisfied"  # a deny also where its condition is unknown
    OTHER_METHOD = "other_method"
    CAPTURES_DIFFER = "captures_differ"
    EXCEPTED = "excepted"
    CONDITION_FALSE = "condition_false"
    CONDITION_UNKNOWN = "condition_unknown"
    OUTSIDE_DATES = "outside_dates"


class Coordinate(Enum):
    """Where a request and a rule can differ."""

    PRINCIPAL = "principal"
    METHOD = "method"
    PATH = "path"
    CAPTURE = "capture"
    ATTRIBUTE = "attribute"
    USER = "user"
    TIME = "time"
    DENIED = "denied_by"


class Verdict(Enum):
    """What a test came to that should have been true."""

    FALSE = "false"
    UNKNOWN = "unknown"  # an attribute is missing, or has several values


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that keeps a rule from holding: what was asked, and what it wants.

    Attributes:
        coordinate: What of the request it is about.
        given: What was asked.
        wanted: What the rule wants, in the words of the policy.
        truth: For a test of a condition what it came to; else None.
    """

    coordinate: Coordinate
    given: str
    wanted: str
    truth: Verdict | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """One rule on this path about this principal.

    Attributes:
        rule: The rule.
        effect: What it says.
        shadow: Whether it is only reported.
        outcome: What became of it.
        differences: What of its captures, exceptions, dates and condition keeps it from holding. Of a
            deny that holds because its condition is unknown: what would have to be otherwise.
    """

    rule: int
    effect: Effect
    shadow: bool
    outcome: Outcome
    differences: tuple[Difference, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The allow that is closest to the request."""

    rule: int
    differences: tuple[Difference, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What kept any rule from being looked at: a stable code, and a sentence about it.

    It is about the path, the method or the version.
    """

    code: str
    sentence: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a decision came out as it did.

    Attributes:
        considered: Rules on the path about the principal, deciding ones first.
        nearest: For a deny, the allow with the fewest differences; None if the service has none.
        reading: How the path was read, where it was not as it stood in the request; None also where
            several readings were allowed.
        problem: What is ambiguous about the path or the method, or that the version is stale, where that
            decided.
    """

    considered: tuple[Considered, ...]
    nearest: Nearest | None
    reading: str | None = None
    problem: Problem | None = None
