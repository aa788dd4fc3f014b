"""Terms to closures: what a decision calls, and never walks.

The comparisons are made by `pdp.compiler.comparisons`.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

from pdp.compiler.comparisons import compare_constant, contains, equal, member_of
from pdp.compiler.evaluation import Evaluation, Truth
from pdp.compiler.terms import (
    And,
    Compared,
    Contains,
    During,
    Has,
    MemberOf,
    Not,
    OnBehalf,
    Or,
    PrincipalIn,
    SameAs,
    Term,
)
from pdp.compiler.windows import WeekWindow
from pdp.lang.ast import UserKind

__all__ = ["Test", "closure", "window"]

#: The truth of a condition for one request. Total: it never raises.
Test: TypeAlias = Callable[[Evaluation], Truth]

_MISSING: Final = (None, ())  # an empty list is absent


def closure(term: Term) -> Test:
    """What decides a term."""
    match term:
        case And(parts=parts):
            return _and(tuple(map(closure, parts)))
        case Or(parts=parts):
            return _or(tuple(map(closure, parts)))
        case Not(part=part):
            return _not(closure(part))
        case Has(name=name):
            return _has(name)
        case Contains(name=name, text=text):
            return contains(name, text)
        case MemberOf(key=key, kind=kind, values=values):
            return member_of(key, kind, values)
        case Compared(key=key, operator=operator, kind=kind, value=value):
            return compare_constant(key, operator, kind, value)
        case SameAs():
            return equal((term.left, term.left_type), (term.right, term.right_type))
        case PrincipalIn(atom=atom):
            return lambda evaluation: atom in evaluation.atoms
        case During():
            holds = window(term).holds
            return lambda evaluation: holds(evaluation.now)
        case OnBehalf(wanted=wanted):
            return _on_behalf(wanted)


@lru_cache(maxsize=1024)
def window(term: During) -> WeekWindow:
    """The times of week of a term, with what is known of them.

    Raises:
        UnknownZoneError: There is no such zone.
    """
    return WeekWindow(term.days, term.start, term.end, term.zone)


def _and(tests: tuple[Test, ...]) -> Test:
    def test(evaluation: Evaluation) -> Truth:
        result: Truth = True
        for one in tests:
            truth = one(evaluation)
            if truth is False:
                return False
            if truth is None:
                result = None
        return result

    return test


def _or(tests: tuple[Test, ...]) -> Test:
    def test(evaluation: Evaluation) -> Truth:
        result: Truth = False
        for one in tests:
            truth = one(evaluation)
            if truth is True:
                return True
            if truth is None:
                result = None
        return result

    return test


def _not(inner: Test) -> Test:
    def test(evaluation: Evaluation) -> Truth:
        truth = inner(evaluation)
        return None if truth is None else not truth

    return test


def _has(name: str) -> Test:
    family = name.partition(".")[0]

    def test(evaluation: Evaluation) -> Truth:
        if evaluation.context.get(name) not in _MISSING:
            return True
        return False if family in evaluation.supplied else None

    return test


def _on_behalf(wanted: tuple[tuple[UserKind, str, str], ...]) -> Test:
    def test(evaluation: Evaluation) -> Truth:
        user = evaluation.user
        if user is None:
            return False if "user" in evaluation.supplied else None
        for kind, issuer, name in wanted:
            if kind is UserKind.ANY:
                return True
            if user.issuer != issuer:
                continue
            if kind is UserKind.ISSUER or (kind is UserKind.SUBJECT and user.subject == name):
                return True
            if kind is UserKind.GROUP and name in user.groups:
                return True
        return False

    return test
