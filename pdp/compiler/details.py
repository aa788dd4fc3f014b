"""What the rare parts of a row are made from: captures and where they are bound, exceptions, obligations."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from pdp.compiler.evaluation import Place
from pdp.compiler.matchers import capture_places
from pdp.compiler.rows import ExceptedPath, Written
from pdp.lang import ast
from pdp.vocabulary import Obligation, ObligationKind

__all__ = ["AnyCapture", "bind", "excepted", "obligations", "pairs", "written"]


class AnyCapture(dict[str, Place]):
    """Every capture is bound, somewhere: for expressions that are checked and never evaluated."""

    def get(self, key: str, default: object = None) -> Place:
        """A place, whatever the name: nothing reads it."""
        del key, default
        return Place(principal=True, index=0)


def bind(
    bound: dict[str, Place], segments: Sequence[ast.Segment], *, principal: bool
) -> list[tuple[Place, Place]]:
    """Bind the captures of a pattern; returns the pairs of places that one name makes equal."""
    equal = []
    for name, place in capture_places(segments, principal=principal):
        other = bound.setdefault(name, place)
        if other != place:
            equal.append((place, other))
    return equal


def pairs(equal: list[tuple[Place, Place]], *, principal: bool) -> tuple[tuple[int, int], ...]:
    """Indexes of the pairs whose second place is in the principal, or in the path."""
    return tuple((place.index, other.index) for place, other in equal if other.principal is principal)


def excepted(pattern: ast.PathPattern, bound: Mapping[str, Place]) -> ExceptedPath:
    """Captures that the rule does not bind are the exception's own."""
    equal = bind(dict(bound), pattern.segments, principal=False)
    return ExceptedPath(
        pattern=pattern.segments,
        equalities=pairs(equal, principal=True),
        path_equalities=pairs(equal, principal=False),
    )


def obligations(clause: ast.Clause) -> tuple[Obligation, ...]:
    """What an allow with this clause demands, sorted."""
    found = set()
    for duty in clause.obligations:
        if isinstance(duty, ast.ReuseLimit):
            found.add(Obligation(ObligationKind.REUSE_AT_MOST, "", str(duty.millis)))
        elif duty.value is None:
            found.add(Obligation(ObligationKind.REMOVE_HEADER, duty.header))
        else:
            found.add(Obligation(ObligationKind.SET_HEADER, duty.header, duty.value))
    return tuple(sorted(found, key=lambda duty: (duty.kind.value, duty.name, duty.value)))


_UNBOUND: Final[Mapping[str, Place]] = MappingProxyType({})


def written(rule: ast.Rule, bound: Mapping[str, Place]) -> Written:
    """What the condition of a row is compiled from, with the captures that the row binds."""
    return Written(rule.users, rule.clause.when, rule.clause.unless, bound or _UNBOUND)
