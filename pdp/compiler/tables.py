"""Table files: found beside the policy that names them, read, and lowered like rules."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from posixpath import dirname, join, normpath

from pdp.compiler.environment import Environment
from pdp.compiler.numbers import Numbers
from pdp.compiler.resolve import Resolver
from pdp.compiler.rows import Unit
from pdp.compiler.units import lower_table, without_rules
from pdp.diagnostics import Diagnostic, Source, Span
from pdp.lang import ast
from pdp.lang.parsed import Parsed
from pdp.lang.tables import read_members

__all__ = ["TableCache", "lower_tables", "read_table", "with_group_files"]

#: Lowered tables by table, service and place: what they were made from, and the unit.
TableCache = dict[tuple[str, str, int], tuple[Source, ast.BulkGrants, Unit]]


def read_table(
    name: str, span: Span, sources: Mapping[str, Source]
) -> tuple[Source | None, tuple[Diagnostic, ...]]:
    """The table that a statement names, relative to its own file."""
    path = normpath(join(dirname(span.file), name))
    if path.startswith(("/", "..")) or name.startswith("/"):
        message = f"`{name}` lies outside the policy set"
        help_ = "put the table into the policy set, and name it from the directory of this file"
        return None, (Diagnostic(code="PDP231", message=message, span=span, help=help_),)
    source = sources.get(path)
    if source is None:
        help_ = "tables are `.csv` and `.txt` files beside the policy that names them"
        return None, (
            Diagnostic(code="PDP231", message=f"there is no table `{name}`", span=span, help=help_),
        )
    return source, ()


def with_group_files(
    environment: Environment, sources: Mapping[str, Source]
) -> tuple[Environment, tuple[Diagnostic, ...]]:
    """The environment with the members of the groups that are kept in files."""
    members: dict[str, ast.PrincipalSet] = {}
    diagnostics: list[Diagnostic] = []
    for name, group in environment.groups.items():
        if group.file is None:
            continue
        source, problems = read_table(group.file, group.span, sources)
        diagnostics.extend(problems)
        if source is not None:
            terms, found = read_members(source)
            diagnostics.extend(found)
            members[name] = ast.PrincipalSet(terms=terms, excluded=(), span=group.span)
    return replace(environment, group_files=members), tuple(diagnostics)


def lower_tables(
    parsed: Sequence[Parsed],
    sources: Mapping[str, Source],
    environment: Environment,
    numbers: Numbers,
    resolver: Resolver,
    cache: TableCache,
) -> list[Unit]:
    """A unit for each `allow from`, taken from the cache where nothing changed."""
    blocks = [item for file in parsed for item in file.file.items if isinstance(item, ast.ServiceBlock)]
    return [
        _lower(item, block.name.text, sources, environment, numbers, resolver, cache)
        for block in blocks
        for item in block.items
        if isinstance(item, ast.BulkGrants)
    ]


def _lower(
    item: ast.BulkGrants,
    service: str,
    sources: Mapping[str, Source],
    environment: Environment,
    numbers: Numbers,
    resolver: Resolver,
    cache: TableCache,
) -> Unit:
    source, problems = read_table(item.file, item.span, sources)
    if source is None:
        return without_rules(item.span.file, problems)
    key = (source.path, service, item.span.start)
    kept = cache.get(key)
    if kept is not None and kept[0] is source and kept[1] == item:
        return kept[2]
    unit = lower_table(item, service, source, environment, numbers, resolver)
    source.let_go()
    cache[key] = (source, item, unit)
    return unit
