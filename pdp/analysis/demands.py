"""What is searched for: lines that match with a condition as told, others that do not.

How it is found is left to `pdp.analysis.search`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from pdp.analysis.asked import Context, Level
from pdp.analysis.lines import Line
from pdp.analysis.members import Members
from pdp.analysis.values import Calendar
from pdp.lang.ast import AttributeType

__all__ = ["Demand", "Found", "Setting", "is_true", "not_false", "not_true", "only_false"]


def is_true(truth: bool | None) -> bool:  # noqa: FBT001 - a truth value of Kleene's, not a flag
    """An allow that opens; an `always` that demands."""
    return truth is True


def not_false(truth: bool | None) -> bool:  # noqa: FBT001 - as above
    """A deny that closes; a `never` that forbids."""
    return truth is not False


def not_true(truth: bool | None) -> bool:  # noqa: FBT001 - as above
    """An allow that does not open."""
    return truth is not True


def only_false(truth: bool | None) -> bool:  # noqa: FBT001 - as above
    """A deny that does not close."""
    return truth is False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What every search in one policy set shares.

    Attributes:
        declared: Types of the declared attributes.
        families: All families.
        calendar: The instants.
    """

    declared: Mapping[str, AttributeType]
    families: frozenset[str]
    calendar: Calendar


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is searched for.

    Attributes:
        must: The request matches these, and each condition is as told.
        block: Each of these does not match it, or its condition is as told.
    """

    must: tuple[tuple[Line, Level], ...]
    block: tuple[tuple[Line, Level], ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A request that was searched for."""

    who: Members
    method: str
    path: tuple[str, ...]
    context: Context
