"""What is checked over the whole set, once every file is lowered.

Errors keep a version from being served; warnings and notes are what a reviewer should see.
What one file shows alone is found by `pdp.compiler.file_checks`, and whether rules can matter at
all is the business of `pdp.analysis`.
"""

from collections.abc import Mapping, Sequence

from pdp.compiler.cases import test_problems
from pdp.compiler.conflicts import conflicting_obligations
from pdp.compiler.environment import Environment
from pdp.compiler.heads import Heads
from pdp.compiler.letter_case import never_in_lower_case
from pdp.compiler.lower import named_twice, said_twice
from pdp.compiler.numbers import Numbers
from pdp.compiler.resolve import Resolver
from pdp.compiler.rows import Unit
from pdp.diagnostics import Diagnostic, Source
from pdp.lang import ast
from pdp.lang.parsed import Parsed

__all__ = ["check_set"]


def check_set(
    parsed: Sequence[Parsed],
    environment: Environment,
    units: Sequence[Unit],
    numbers: Numbers,
    resolver: Resolver,
    sources: Mapping[str, Source],
) -> list[Diagnostic]:
    """Everything that no single file shows."""
    before = len(resolver.diagnostics)
    heads = Heads(parsed, sources)
    found: list[Diagnostic] = []
    for group in environment.groups.values():
        resolver.term(ast.GroupRef(name=group.name.text, span=group.name.span))
    found += conflicting_obligations(units, numbers, heads)
    found += never_in_lower_case(parsed, environment, units, heads)
    for scope, sharing in _shared_scopes(units).items():
        found += _repeated(scope, sharing, heads)
        found += _named_twice(scope, sharing, heads)
    found += test_problems(parsed, environment, units, resolver)
    return [*found, *resolver.diagnostics[before:]]


def _shared_scopes(units: Sequence[Unit]) -> Mapping[str, list[Unit]]:
    """Services, and the platform, whose rules stand in several files; `lower` looks at each file alone."""
    found: dict[str, list[Unit]] = {}
    for unit in units:
        for scope in unit.scopes:
            found.setdefault(scope, []).append(unit)
    return {scope: sharing for scope, sharing in sorted(found.items()) if len(sharing) > 1}


def _repeated(scope: str, units: Sequence[Unit], heads: Heads) -> list[Diagnostic]:
    """Rules that say what a rule of another file says."""
    found = []
    seen: dict[int, tuple[Unit, int]] = {}
    for unit in units:
        contents = {unit.texts.ids[rule]: rule for rule in reversed(unit.texts.within(scope))}
        for content, rule in contents.items():
            first_unit, first = seen.setdefault(content, (unit, rule))
            if first_unit is not unit:
                found.append(said_twice(heads.span(unit, rule), heads.span(first_unit, first)))
    return found


def _named_twice(scope: str, units: Sequence[Unit], heads: Heads) -> list[Diagnostic]:
    """Names that a rule of another file has."""
    found = []
    seen: dict[str, tuple[Unit, int]] = {}
    for unit in units:
        # Once for all lines of a table, which share one name.
        names = {
            name: rule
            for rule, name in reversed(unit.texts.names.items())
            if unit.texts.scopes[rule] == scope
        }
        for name, rule in names.items():
            first_unit, first = seen.setdefault(name, (unit, rule))
            if first_unit is not unit:
                found.append(named_twice(heads.name(unit, rule), heads.name(first_unit, first).span))
    return found
