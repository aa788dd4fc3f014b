"""Where a rule stands, and what it says: rows know no more of it than its number and its offset.

Looked up only for a rule that something is wrong with.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import final

from pdp.compiler.rows import Unit
from pdp.diagnostics import Span
from pdp.lang import ast
from pdp.lang.parser import Parsed

__all__ = ["Heads"]


@final
class Heads:
    """The rules of a policy set by their places."""

    def __init__(self, parsed: Sequence[Parsed]) -> None:
        self._parsed = parsed

    @cached_property
    def _rules(self) -> Mapping[tuple[str, int], ast.Rule]:
        rules = (
            rule
            for file in self._parsed
            for item in file.file.items
            for rule in (item.items if isinstance(item, ast.ServiceBlock) else (item,))
            if isinstance(rule, ast.Rule)
        )
        return {(rule.span.file, rule.span.start): rule for rule in rules}

    def rule(self, unit: Unit, number: int) -> ast.Rule | None:
        """The rule as it is written; None for a line of a table."""
        return self._rules.get((unit.texts.file, unit.texts.starts[number]))

    def span(self, unit: Unit, number: int) -> Span:
        """The rule without its clauses; of a line of a table, where that begins."""
        rule = self.rule(unit, number)
        if rule is not None:
            return rule.span
        start = unit.texts.starts[number]
        return Span(file=unit.texts.file, start=start, end=start + 1)

    def name(self, unit: Unit, number: int) -> ast.Name:
        """The name that an author gave the rule."""
        rule = self.rule(unit, number)
        if rule is not None and rule.clause.name is not None:
            return rule.clause.name
        return ast.Name(text=unit.texts.names[number], span=self.span(unit, number))
