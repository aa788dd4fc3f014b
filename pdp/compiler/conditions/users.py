"""`on behalf of`: the condition that a rule's users come to."""

from pdp.compiler.conditions.logic import Condition
from pdp.compiler.environment import Environment
from pdp.compiler.terms import OnBehalf
from pdp.lang import ast

__all__ = ["user_condition"]


def user_condition(patterns: tuple[ast.UserPattern, ...], environment: Environment) -> Condition:
    """`on behalf of`: false without a user where the family is supplied, unknown where it is not."""
    issuers = environment.issuers
    wanted = tuple((pattern.kind, issuers.get(pattern.issuer, ""), pattern.name) for pattern in patterns)
    reads = {"user.iss"}
    if any(kind is ast.UserKind.SUBJECT for kind, _, _ in wanted):
        reads.add("user.sub")
    if any(kind is ast.UserKind.GROUP for kind, _, _ in wanted):
        reads.add("user.groups")
    return Condition(term=OnBehalf(wanted), reads=frozenset(reads))
