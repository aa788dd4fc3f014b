"""Declarations that lead back to themselves: conditions by name, roles within roles.

Found before anything is lowered, each circle once, whether a rule uses it or not.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

from pdp.lang import ast

__all__ = ["circles", "names_in", "roles_in"]

K = TypeVar("K", bound=Hashable)


def circles(uses: Mapping[K, Sequence[K]]) -> list[list[K]]:
    """Every circle that a walk from each key in turn closes, each from the key it was entered by.

    Args:
        uses: The keys that each key uses; others than its own keys lead nowhere.
    """
    found: list[list[K]] = []
    done = set[K]()
    for key in uses:
        path: dict[K, None] = {}
        pending: list[tuple[K | None, Iterator[K]]] = [(None, iter([key]))]
        while pending:
            step = next(pending[-1][1], None)
            if step is None:
                left = pending.pop()[0]
                if left is not None:
                    done.add(left)
                    del path[left]
            elif step in path:
                way = list(path)
                found.append(way[way.index(step) :])
            elif step in uses and step not in done:
                path[step] = None
                pending.append((step, iter(uses[step])))
    return found


def names_in(expr: ast.Expr) -> Iterator[str]:
    """The conditions that an expression names."""
    match expr:
        case ast.NamedCondition(name=name):
            yield name
        case ast.Not(item=item):
            yield from names_in(item)
        case ast.And(items=items) | ast.Or(items=items):
            for item in items:
                yield from names_in(item)
        case _:
            pass


def roles_in(role: ast.RoleDecl) -> Iterator[str]:
    """The roles that a role names."""
    return (target.name for target in role.targets if isinstance(target, ast.RoleRef))
