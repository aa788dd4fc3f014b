"""The decision: an index and a request to an answer, with the region over which it holds.

`decide` is total: every index and request have exactly one decision, and no exception is one.
The short way through is for cells whose rows say nothing but principal, method and path; the
rest is `pdp.engine.conditional`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pdp.compiler.numbers import EVERYONE_NUMBER
from pdp.compiler.rows import ANY_METHOD, RowKind
from pdp.engine.conditional import decide_conditional, evaluation_of
from pdp.engine.readings import decide_readings
from pdp.engine.region import summarise, unread_by_allow, unread_by_default
from pdp.engine.walk import Cell, walk
from pdp.index.cells import LeafOrRow
from pdp.index.columns import Columns
from pdp.index.rule_index import RuleIndex, ServiceIndex
from pdp.paths import AmbiguousPathError, Relaxation, canonical, method_problem
from pdp.vocabulary import AttributeValue, Decision, Effect, Reason, Region, Request

__all__ = ["decide"]

OTHER_METHOD: Final = 1
_OVERRIDES: Final = ("header.x-http-method-override", "header.x-method-override", "header.x-http-method")
_NOT_PLAIN: Final = RowKind.DENY | RowKind.SHADOW | RowKind.DETAILED
_NOTHING: Final[Mapping[str, AttributeValue | None]] = MappingProxyType({})


def decide(index: RuleIndex, request: Request) -> Decision:
    """The answer to one request under one index. Never raises."""
    service = index.services.get(request.service)
    if service is None:
        service = index.undeclared
    bit = index.methods.get(request.method)
    if bit is None:
        if method_problem(request.method) is not None:
            return _refused(Reason.AMBIGUOUS_METHOD)
        bit = OTHER_METHOD
    if request.context and _overridden(request):
        return _refused(Reason.AMBIGUOUS_METHOD)
    try:
        if service.relaxations is not Relaxation.NONE:
            return decide_readings(index, service, bit, request, decide_path)
        path = canonical(request.path)
    except AmbiguousPathError:
        return _refused(Reason.AMBIGUOUS_PATH)
    return decide_path(index, service, bit, request, path)


def decide_path(index: RuleIndex, service: ServiceIndex, bit: int, request: Request, path: str) -> Decision:
    """The answer for one reading of the path."""
    atoms = index.principals.atoms(request.principal)
    segments = path[1:].split("/")
    cell = walk(service.root, segments)
    columns = service.columns
    near = _near(cell.leaves, columns, atoms)
    if service.plain:
        if not near:
            return _default(service, cell, bit, request)
        if len(near) == 1:
            row = near[0]
            if not columns.kinds[row] & _NOT_PLAIN and columns.masks[row] & bit and len(cell.leaves) == 1:
                return _allow_alone(columns, row, cell, bit, request)
    return decide_conditional(service, cell, near, bit, request, evaluation_of(request, atoms, segments))


def _near(leaves: tuple[LeafOrRow, ...], columns: Columns, atoms: tuple[int, ...]) -> list[int]:
    """The rows of a cell whose atom holds the principal."""
    near: list[int] = []
    for leaf in leaves:
        if isinstance(leaf, int):
            if columns.atoms[leaf] in atoms:
                near.append(leaf)
            continue
        rows = leaf.rows
        for atom in atoms:
            found = rows.get(atom)
            if found is None:
                continue
            if isinstance(found, tuple):
                near += found
            else:
                near.append(found)
    return near


def _default(service: ServiceIndex, cell: Cell, bit: int, request: Request) -> Decision:
    """Denied: no row of the cell is about this principal."""
    summary = summarise(cell.leaves, service.columns)
    principal, method = unread_by_default((), service.columns, summary, bit, request)
    region = Region(request.service, principal, method, tuple(cell.steps), cell.rest, _NOTHING)
    return Decision(Effect.DENY, Reason.NO_RULE_MATCHED, True, (), region, None, (), None)


def _allow_alone(columns: Columns, row: int, cell: Cell, bit: int, request: Request) -> Decision:
    """Allowed: one plain row is about this principal, and none other in the cell is."""
    principal: str | None = request.principal.id
    method: str | None = request.method
    if columns.atoms[row] == EVERYONE_NUMBER or columns.masks[row] == ANY_METHOD:
        summary = summarise(cell.leaves, columns)
        principal, method = unread_by_allow(row, (row,), columns, summary, bit, request)
    region = Region(request.service, principal, method, tuple(cell.steps), cell.rest, _NOTHING)
    return Decision(Effect.ALLOW, Reason.ALLOWED, True, (columns.rules[row],), region, None, (), None)


def _overridden(request: Request) -> bool:
    """Whether the context holds a method override that differs (frameworks honour these headers)."""
    for name in _OVERRIDES:
        value = request.context.get(name)
        if value and value not in (request.method, (request.method,)):
            return True
    return False


def _refused(reason: Reason) -> Decision:
    """Denied before any rule was looked at, for this very request only."""
    return Decision(Effect.DENY, reason, True, (), None, None, (), None)
