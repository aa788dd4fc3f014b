"""How much a named condition or a role comes to once the names in it are unfolded.

A name that is used twice counts twice, so a few lines can stand for more tests than any decision
may cost. What passes a bound is found here, before anything is unfolded.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from graphlib import TopologicalSorter
from typing import NamedTuple, TypeVar

from pdp.lang import ast
from pdp.limits import MAX_NAME_NESTING

__all__ = ["Excess", "excesses", "targets_in", "tests_in"]

K = TypeVar("K", bound=Hashable)


class Excess(NamedTuple):
    """By how much a declaration passes its bounds.

    Attributes:
        depth: How many declarations nest in it, itself included.
        size: How many tests or targets it comes to.
    """

    depth: int
    size: int

    @property
    def too_deep(self) -> bool:
        """Whether it is its depth; else it is its size."""
        return self.depth > MAX_NAME_NESTING


def excesses(uses: Mapping[K, Counter[K]], own: Callable[[K], int], most: int) -> Mapping[K, Excess]:
    """The declarations that pass a bound, each after those that it uses.

    A declaration that uses one of them is measured as if that were one test or target, so that each is
    reported once, where it begins, and still nothing grows without bound.

    Args:
        uses: How often each uses which others; no circles.
        own: What a declaration comes to but for those.
        most: How large one may be.
    """
    measured: dict[K, Excess] = {}
    found: dict[K, Excess] = {}
    for key in TopologicalSorter(uses).static_order():
        parts = [(measured[used], times) for used, times in uses[key].items()]
        measure = Excess(
            depth=1 + max((part.depth for part, _ in parts), default=0),
            size=own(key) + sum(part.size * times for part, times in parts),
        )
        if measure.too_deep or measure.size > most:
            found[key], measure = measure, Excess(0, 1)
        measured[key] = measure
    return found


def tests_in(expr: ast.Expr) -> int:
    """How many tests an expression writes out, names aside."""
    match expr:
        case ast.NamedCondition():
            return 0
        case ast.Not(item=item):
            return tests_in(item)
        case ast.And(items=items) | ast.Or(items=items):
            return sum(map(tests_in, items))
        case _:
            return 1


def targets_in(role: ast.RoleDecl) -> int:
    """How many targets a role writes out, roles aside."""
    return sum(isinstance(target, ast.Target) for target in role.targets)
