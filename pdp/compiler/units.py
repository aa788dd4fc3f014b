"""One file, or one table, to a `Unit`: its rows, and all that is wrong with it.

No other file is looked at but through the environment, so a unit stays valid as long as its file
and the environment do. What only the whole set shows is the business of `pdp.compiler.checks`.
"""

from collections.abc import Iterable

from pdp.compiler.conflicts import demands
from pdp.compiler.environment import Environment
from pdp.compiler.file_checks import check_file
from pdp.compiler.lower import Lowerer
from pdp.compiler.numbers import Numbers
from pdp.compiler.resolve import Resolver
from pdp.compiler.rows import Row, Rows, Unit
from pdp.compiler.rule_texts import RuleTexts
from pdp.diagnostics import Diagnostic, Source, sort
from pdp.lang import ast
from pdp.lang.parsed import Parsed
from pdp.lang.tables import read_grants

__all__ = ["lower_file", "lower_table", "without_rules"]


def lower_file(
    parsed: Parsed, source: Source, environment: Environment, numbers: Numbers, resolver: Resolver
) -> Unit:
    """Lower the rules of one file, and check what else it says. Never raises."""
    path = parsed.file.path
    before = len(resolver.diagnostics)
    lowerer = Lowerer(
        source=source,
        environment=environment,
        numbers=numbers,
        resolver=resolver,
        directory=path.rpartition("/")[0],
        texts=RuleTexts(file=path),
    )
    for item in parsed.file.items:
        if isinstance(item, ast.ServiceBlock):
            for part in item.items:
                if isinstance(part, ast.Rule):
                    lowerer.rule(part, item.name.text)
        elif isinstance(item, ast.Rule):
            lowerer.rule(item, None)
    found = check_file(parsed, environment, resolver)
    return _unit(lowerer, [*found, *resolver.diagnostics[before:]])


def lower_table(
    item: ast.BulkGrants,
    service: str,
    source: Source,
    environment: Environment,
    numbers: Numbers,
    resolver: Resolver,
) -> Unit:
    """Lower the lines of a table that a service's `allow from` names. Never raises."""
    before = len(resolver.diagnostics)
    lowerer = Lowerer(
        source=source,
        environment=environment,
        numbers=numbers,
        resolver=resolver,
        directory=item.span.file.rpartition("/")[0],
        texts=RuleTexts(file=source.path),
    )
    found: list[Diagnostic] = []
    for rule in read_grants(source, item.clause, found):
        lowerer.rule(rule, service)
    return _unit(lowerer, [*found, *resolver.diagnostics[before:]])


def without_rules(file: str, diagnostics: tuple[Diagnostic, ...]) -> Unit:
    """What a file comes to that could not be read."""
    return Unit(
        texts=RuleTexts(file=file),
        by_service={},
        on_any=Rows(),
        scopes=frozenset(),
        demanding={},
        diagnostics=diagnostics,
    )


def _unit(lowerer: Lowerer, found: Iterable[Diagnostic]) -> Unit:
    by_service = {service: rows.finished() for service, rows in lowerer.by_service.items()}
    on_any = lowerer.on_any.finished()
    return Unit(
        texts=lowerer.texts.finished(),
        by_service=by_service,
        on_any=on_any,
        scopes=frozenset(lowerer.texts.scopes),
        demanding={
            service: rows
            for service, own in ((None, on_any), *by_service.items())
            if (rows := _demanding(own))
        },
        diagnostics=sort([*lowerer.diagnostics, *found]),
    )


def _demanding(rows: Rows) -> tuple[Row, ...]:
    return tuple(row for row in map(rows.__getitem__, rows.details) if demands(row))
