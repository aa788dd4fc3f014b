"""Where a rule stands, and what it says: rows know no more of it than its number and its offset.

Looked up only for a rule that something is wrong with.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from posixpath import dirname, join, normpath
from typing import final

from pdp.compiler.rows import Unit
from pdp.diagnostics import Source, Span
from pdp.lang import ast
from pdp.lang.parsed import Parsed
from pdp.lang.tables import Cells, cells_at

__all__ = ["Heads"]


@final
class Heads:
    """The rules of a policy set by their places."""

    def __init__(self, parsed: Sequence[Parsed], sources: Mapping[str, Source]) -> None:
        self._parsed = parsed
        self._sources = sources

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
        """The rule without its clauses; or the line of a table."""
        rule = self.rule(unit, number)
        return self.cells(unit, number).line if rule is None else rule.span

    def cells(self, unit: Unit, number: int) -> Cells:
        """The cells of a rule that is a line of a table."""
        return cells_at(self._sources[unit.texts.file], unit.texts.starts[number])

    @cached_property
    def _statements(self) -> Mapping[tuple[str, str], Sequence[ast.BulkGrants]]:
        """What reads tables, by table and service."""
        found: dict[tuple[str, str], list[ast.BulkGrants]] = {}
        items = (item for file in self._parsed for item in file.file.items)
        for block in items:
            if not isinstance(block, ast.ServiceBlock):
                continue
            for item in block.items:
                if isinstance(item, ast.BulkGrants):
                    table = normpath(join(dirname(item.span.file), item.file))
                    found.setdefault((table, block.name.text), []).append(item)
        return found

    def clauses(self, unit: Unit, number: int) -> Sequence[ast.Clause]:
        """The clauses of the rule; of a line of a table, of each statement it may have been read by."""
        rule = self.rule(unit, number)
        if rule is not None:
            return (rule.clause,)
        table = (unit.texts.file, unit.texts.scopes[number])
        return [statement.clause for statement in self._statements[table]]

    def name(self, unit: Unit, number: int) -> ast.Name:
        """The name that an author gave the rule."""
        text = unit.texts.names[number]
        names = (clause.name for clause in self.clauses(unit, number))
        return next(name for name in names if name is not None and name.text == text)
