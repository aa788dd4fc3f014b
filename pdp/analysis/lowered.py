"""Invariants to lines: lowered as if they were rules, with atoms and methods numbered apart.

What an invariant speaks of is not part of the index: no decision needs it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from msgspec.structs import replace

from pdp.analysis.lines import Line, Scribe, make_line
from pdp.compiler.atoms import Atom
from pdp.compiler.environment import Environment
from pdp.compiler.lower import Lowerer
from pdp.compiler.numbers import ByNumber, Numbers
from pdp.compiler.resolve import Resolver
from pdp.compiler.rows import ANY_METHOD, Row
from pdp.compiler.rule_texts import RuleTexts
from pdp.diagnostics import Diagnostic, Source, sort
from pdp.lang import ast
from pdp.vocabulary import Effect

__all__ = ["Obliged", "by_number", "lower_invariant"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Obliged:
    """An invariant, lowered.

    Attributes:
        lines: One for each principal term and target.
        toggled: The same for the paths with their trailing slash added, or taken away.
        diagnostics: What is wrong with it; no lines count then.
    """

    lines: tuple[Line, ...]
    toggled: tuple[Line, ...]
    diagnostics: tuple[Diagnostic, ...]


def lower_invariant(
    item: ast.Invariant, path: str, environment: Environment, resolver: Resolver, scribe: Scribe
) -> Obliged:
    """Lower an invariant of a file.

    Args:
        item: The invariant.
        path: The file.
        environment: What names stand for.
        resolver: Resolves principal terms in that environment.
        scribe: Reads its condition.
    """
    clause = ast.Clause(when=item.when)
    rule = ast.Rule(
        effect=Effect.DENY,
        shadow=False,
        principals=item.principals,
        users=item.users,
        targets=item.targets,
        services=None,
        clause=clause,
        span=item.span,
    )
    directory = path.rpartition("/")[0]
    numbers = Numbers()
    lowerer = Lowerer(
        source=Source(path=path, text=""),
        environment=environment,
        numbers=numbers,
        resolver=resolver,
        directory=directory,
        texts=RuleTexts(file=path),
    )
    before = len(resolver.diagnostics)
    lowerer.rule(rule, "as written")
    flat = _flat(item.targets, environment, directory)
    toggled = tuple(target for target in map(_toggled, flat) if target is not None)
    if toggled:
        lowerer.rule(replace(rule, targets=toggled), "toggled")
    problems = sort([*lowerer.diagnostics, *resolver.diagnostics[before:]])
    if problems:
        return Obliged(lines=(), toggled=(), diagnostics=problems)
    facts = scribe.facts(item.users, clause, directory)
    atoms = by_number(numbers)

    def line(row: Row) -> Line:
        named = frozenset(name for name, bit in numbers.methods.items() if bit & row.mask)
        methods = None if row.mask == ANY_METHOD else named
        return make_line(row, atoms, methods, facts, item.principals.terms)

    found = {name: tuple(map(line, rows)) for name, rows in lowerer.by_service.items()}
    return Obliged(lines=found.get("as written", ()), toggled=found.get("toggled", ()), diagnostics=())


def by_number(numbers: Numbers) -> Mapping[int, Atom]:
    """The atoms by their numbers."""
    return ByNumber(numbers.atoms)


def _flat(
    targets: tuple[ast.Target | ast.RoleRef, ...], environment: Environment, directory: str
) -> list[ast.Target]:
    """The targets with those of roles; that roles end is checked before."""
    found: list[ast.Target] = []
    for target in targets:
        if isinstance(target, ast.Target):
            found.append(target)
        else:
            role = environment.role(target.name, directory)
            found += _flat(role.targets, environment, directory) if role is not None else []
    return found


def _toggled(target: ast.Target) -> ast.Target | None:
    """A target for the same paths with the trailing slash added or taken away; None for `/` alone."""
    path = _toggled_path(target.path)
    if path is None:
        return None
    excluded = tuple(found for found in map(_toggled_path, target.excluded) if found is not None)
    return replace(target, path=path, excluded=excluded)


def _toggled_path(path: ast.PathPattern) -> ast.PathPattern | None:
    last = path.segments[-1]
    if isinstance(last, ast.RestSegments):
        return path
    if last != ast.LiteralSegment(text=""):
        return replace(path, segments=(*path.segments, ast.LiteralSegment(text="")))
    if len(path.segments) == 1:
        return None
    return replace(path, segments=path.segments[:-1])
