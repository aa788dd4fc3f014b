"""Conditions: type-checked against the known attributes, compiled once to closures.

`ConditionCompiler` turns an expression into a `Condition`; the `closure` of its term never raises and
never walks a tree of nodes. `docs/language-reference.md`, section 4, defines what it answers.
Truth is `True`, `False` or `None` for unknown (Kleene).
"""

from pdp.compiler.conditions.closures import Test, closure
from pdp.compiler.conditions.expressions import ConditionCompiler
from pdp.compiler.conditions.logic import Condition, conjoin, negate
from pdp.compiler.conditions.users import user_condition

__all__ = ["Condition", "ConditionCompiler", "Test", "closure", "conjoin", "negate", "user_condition"]
