"""Conditional rows: which are satisfied, what was read, until when that holds.

Reached only where a row of the cell has more to it than principal, method and path. What is
answered here is defined in `docs/language-reference.md`, sections 4 to 6.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from pdp.compiler.evaluation import Evaluation, Truth
from pdp.compiler.matchers import matches
from pdp.compiler.rows import Detail, RowKind
from pdp.index.columns import Columns
from pdp.vocabulary import Millis, Obligation, ObligationKind

__all__ = ["Satisfied", "applies", "merge_obligations", "next_flip", "satisfied", "truth"]


def applies(detail: Detail, evaluation: Evaluation) -> bool:
    """Whether the equalities between captures hold and no exception does."""
    path, principal = evaluation.path, evaluation.principal
    for index, other in detail.equalities:
        if path[index] != principal[other]:
            return False
    for index, other in detail.path_equalities:
        if path[index] != path[other]:
            return False
    for index, other in detail.principal_equalities:
        if principal[index] != principal[other]:
            return False
    return not any(
        matches(exception.pattern, path)
        and all(path[index] == principal[other] for index, other in exception.equalities)
        and all(path[index] == path[other] for index, other in exception.path_equalities)
        for exception in detail.exceptions
    )


def truth(detail: Detail | None, evaluation: Evaluation) -> Truth:
    """The truth of a row's condition; a row outside its dates is false."""
    if detail is None:
        return True
    if detail.valid_from is not None and evaluation.now < detail.valid_from:
        return False
    if detail.until is not None and evaluation.now >= detail.until:
        return False
    return True if detail.test is None else detail.test(evaluation)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Satisfied:
    """The rows of one kind that hold."""

    denies: tuple[int, ...]
    allows: tuple[int, ...]


def satisfied(columns: Columns, rows: Iterable[int], evaluation: Evaluation, *, shadow: bool) -> Satisfied:
    """Which of the matching rows hold; shadow rows only where they are asked for."""
    denies, allows = [], []
    for row in rows:
        kind = columns.kinds[row]
        if kind & RowKind.SHADOW and not shadow:
            continue
        held = truth(columns.details.get(row), evaluation)
        if kind & RowKind.DENY:
            if held is not False:
                denies.append(row)
        elif held is True:
            allows.append(row)
    return Satisfied(denies=tuple(denies), allows=tuple(allows))


def merge_obligations(columns: Columns, allows: Sequence[int]) -> tuple[Obligation, ...]:
    """The union of what the allows demand; of reuse limits the least."""
    found: set[Obligation] = set()
    reuse: int | None = None
    for row in allows:
        detail = columns.details.get(row)
        for duty in detail.obligations if detail is not None else ():
            if duty.kind is ObligationKind.REUSE_AT_MOST:
                reuse = int(duty.value) if reuse is None else min(reuse, int(duty.value))
            else:
                found.add(duty)
    if reuse is not None:
        found.add(Obligation(ObligationKind.REUSE_AT_MOST, "", str(reuse)))
    return tuple(sorted(found, key=lambda duty: (duty.kind.value, duty.name, duty.value)))


def next_flip(columns: Columns, rows: Iterable[int], date: Millis | None, now: Millis) -> Millis | None:
    """The next instant at which a date or a window of one of the rows, or `date`, passes."""
    found: list[Millis] = [date] if date is not None and date > now else []
    for row in rows:
        detail = columns.details.get(row)
        if detail is None:
            continue
        found += [at for at in (detail.valid_from, detail.until) if at is not None and at > now]
        if detail.condition is not None:
            flips = (window.next_flip(now) for window in detail.condition.windows)
            found += [at for at in flips if at is not None]
    return min(found, default=None)
