"""Units to an index, taking over from the previous one whatever has not changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from pdp.compiler.environment import Environment
from pdp.compiler.numbers import Numbers
from pdp.compiler.rows import Unit
from pdp.diagnostics import Diagnostic, Span
from pdp.index.build import build_cells
from pdp.index.cells import CrowdedCellError, State, TooManyCellsError
from pdp.index.columns import Columns, build_columns
from pdp.index.principals import PrincipalTable, build_principals
from pdp.index.rule_index import RuleIndex, ServiceIndex
from pdp.limits import MAX_CONDITIONAL_RULES_PER_CELL
from pdp.paths import Relaxation

__all__ = ["Assembly", "assemble"]

_UNDECLARED: Final = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """An index, with what the next one needs to take over its parts.

    Attributes:
        index: The index; None where `diagnostics` has an error.
        diagnostics: Bounds that were passed.
        sources: For each service the units it was built from, by identity.
        atoms: How many atoms the principal table was built for.
        principals: The principal table of the index.
    """

    index: RuleIndex | None
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, tuple[Unit, ...]]
    atoms: int
    principals: PrincipalTable


def assemble(
    units: Sequence[Unit], environment: Environment, numbers: Numbers, previous: Assembly | None = None
) -> Assembly:
    """Build the index of a checked policy set."""
    platform = [unit for unit in units if unit.on_any]
    by_service: dict[str, list[Unit]] = {name: [] for name in environment.services}
    for unit in units:
        for name in unit.by_service:
            by_service[name].append(unit)
    sources: dict[str, tuple[Unit, ...]] = {_UNDECLARED: tuple(platform)}
    for name, own in by_service.items():
        sources[name] = tuple(
            sorted({id(u): u for u in (*own, *platform)}.values(), key=lambda u: u.texts.file)
        )
    services: dict[str, ServiceIndex] = {}
    problems: list[Diagnostic] = []
    for name, used in sources.items():
        kept = _kept(name, used, environment, previous)
        services[name] = kept or _service(name, used, environment, problems)
    undeclared = services.pop(_UNDECLARED)
    principals = _principals(numbers, previous, problems)
    index = RuleIndex(
        services=services,
        undeclared=undeclared,
        principals=principals,
        methods=dict(numbers.methods),
        hosts={host: name for name, info in environment.services.items() for host in info.hosts},
        attributes=environment.attributes,
        declared=lambda: environment,
    )
    return Assembly(
        index=None if problems else index,
        diagnostics=tuple(problems),
        sources=sources,
        atoms=len(numbers.atoms),
        principals=principals,
    )


def _kept(
    name: str, used: tuple[Unit, ...], environment: Environment, previous: Assembly | None
) -> ServiceIndex | None:
    """The previous index of a service, if it would be built from the same units again."""
    if previous is None or previous.index is None:
        return None
    before = previous.sources.get(name)
    if (
        before is None
        or len(before) != len(used)
        or any(a is not b for a, b in zip(before, used, strict=True))
    ):
        return None
    index = previous.index.undeclared if name == _UNDECLARED else previous.index.services[name]
    info = environment.services.get(name)
    same = info is None or (
        index.observe_until == info.observe_until and index.relaxations == info.relaxations
    )
    return index if same else None


def _service(
    name: str, used: tuple[Unit, ...], environment: Environment, problems: list[Diagnostic]
) -> ServiceIndex:
    info = environment.services.get(name)
    columns = build_columns(name, used)
    try:
        root = build_cells(columns, columns.patterns(name))
    except TooManyCellsError as error:
        root = State()
        rules = f"of service `{name}`" if info is not None else "of the rules on any service"
        message = f"the paths {rules} combine in more than {error} ways"
        help_ = "put literal segments before `*`, `{...}` and prefixes"
        at = info.span if info is not None else _place(columns, 0)
        problems.append(Diagnostic(code="PDP917", message=message, span=at, help=help_))
    except CrowdedCellError as error:
        root = State()
        problems.append(_crowded(name, columns, error.row))
    observe_until = info.observe_until if info is not None else None
    relaxations = info.relaxations if info is not None else Relaxation.NONE
    return ServiceIndex(
        name=name,
        declared=info is not None,
        root=root,
        columns=columns,
        observe_until=observe_until,
        relaxations=relaxations,
        relaxed=relaxations is not Relaxation.NONE,
        plain=info is not None and observe_until is None,
    )


def _crowded(service: str, columns: Columns, row: int) -> Diagnostic:
    bound = MAX_CONDITIONAL_RULES_PER_CELL
    message = f"more than {bound} conditional rules of service `{service}` stand in one place"
    help_ = "join their conditions with `or`, or tell the rules apart by principal or path"
    return Diagnostic(code="PDP919", message=message, span=_place(columns, row), help=help_)


def _place(columns: Columns, row: int) -> Span:
    """Where the rule of a row begins."""
    rule = columns.rules[row]
    start = columns.start(rule)
    return Span(file=columns.text(rule).file, start=start, end=start + 1)


def _principals(numbers: Numbers, previous: Assembly | None, problems: list[Diagnostic]) -> PrincipalTable:
    if previous is not None and previous.index is not None and previous.atoms == len(numbers.atoms):
        return previous.principals
    try:
        return build_principals(
            numbers.atoms.copy(),
            previous.principals if previous is not None and previous.index is not None else None,
        )
    except TooManyCellsError as error:
        message = f"the patterns of principals combine in more than {error} ways"
        help_ = "put literal segments before `*` and `{...}`"
        problems.append(
            Diagnostic(code="PDP917", message=message, span=Span(file=".", start=0, end=0), help=help_)
        )
        return build_principals({})
