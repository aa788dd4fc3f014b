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
from pdp.engine.region import allowed_methods, summarise, unread_by_allow, unread_by_default
from pdp.engine.walk import Cell, walk
from pdp.index.cells import LeafOrRow
from pdp.index.columns import Columns
from pdp.index.rule_index import RuleIndex, ServiceIndex
from pdp.paths import AmbiguousPathError, canonical, method_problem, overridden_by_query
from pdp.vocabulary import AttributeValue, Decision, Effect, Reason, Region, Request

__all__ = ["OVERRIDES", "decide"]

OTHER_METHOD: Final = 1
#: Headers by which frameworks have another method than that of the request.
OVERRIDES: Final = ("header.x-http-method-override", "header.x-method-override", "header.x-http-method")
_NOT_PLAIN: Final = RowKind.DENY | RowKind.SHADOW | RowKind.DETAILED
# Looking a member up on its enum takes longer than making the answer it goes into.
_ALLOW: Final = Effect.ALLOW
_DENY: Final = Effect.DENY
_ALLOWED: Final = Reason.ALLOWED
_NO_RULE: Final = Reason.NO_RULE_MATCHED
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
    if "?" in request.path and overridden_by_query(request.path, request.method):
        return _refused(Reason.AMBIGUOUS_METHOD)
    try:
        if service.relaxed:
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
    near = _near(cell[0], columns, atoms)
    if service.plain:
        if len(near) == 1:  # as nearly always
            row = near[0]
            mask = columns.masks[row]
            if not columns.kinds[row] & _NOT_PLAIN and mask & bit:
                if columns.atoms[row] == EVERYONE_NUMBER or mask == ANY_METHOD:
                    return _allow_plainly(columns, near, near, cell, bit, request)
                region = Region(
                    request.service, request.principal.id, request.method, tuple(cell[1]), cell[2], _NOTHING
                )
                return Decision(_ALLOW, _ALLOWED, True, (columns.rules[row],), region, None, (), None)
        kinds, kind = columns.kinds, 0
        for row in near:
            kind |= kinds[row]
        if not kind & _NOT_PLAIN:
            matching = [row for row in near if columns.masks[row] & bit]
            if matching:
                return _allow_plainly(columns, near, matching, cell, bit, request)
            return _deny_plainly(columns, near, cell, bit, request)
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


def _deny_plainly(columns: Columns, near: list[int], cell: Cell, bit: int, request: Request) -> Decision:
    """Denied where every row about this principal is an allow with nothing more to it."""
    principal, method = unread_by_default(near, columns, allowed_methods(cell[0], columns), bit, request)
    region = Region(request.service, principal, method, tuple(cell[1]), cell[2], _NOTHING)
    return Decision(_DENY, _NO_RULE, True, (), region, None, (), None)


def _allow_plainly(
    columns: Columns, near: list[int], matching: list[int], cell: Cell, bit: int, request: Request
) -> Decision:
    """Allowed where every row about this principal is an allow with nothing more to it."""
    principal: str | None = request.principal.id
    method: str | None = request.method
    row = matching[0]
    if len(matching) == 1:
        rules: tuple[int, ...] = (columns.rules[row],)
    else:
        row = min(
            matching,
            key=lambda row: (columns.atoms[row] != EVERYONE_NUMBER) + (columns.masks[row] != ANY_METHOD),
        )
        rules = tuple(sorted({columns.rules[row] for row in matching}))
    if columns.atoms[row] == EVERYONE_NUMBER or columns.masks[row] == ANY_METHOD:
        summary = summarise(cell[0], columns)
        principal, method = unread_by_allow(row, near, columns, summary, bit, request)
    region = Region(request.service, principal, method, tuple(cell[1]), cell[2], _NOTHING)
    return Decision(_ALLOW, _ALLOWED, True, rules, region, None, (), None)


def _overridden(request: Request) -> bool:
    """Whether the context holds a method override that differs (frameworks honour these headers)."""
    for name in OVERRIDES:
        value = request.context.get(name)
        if value and value not in (request.method, (request.method,)):
            return True
    return False


def _refused(reason: Reason) -> Decision:
    """Denied before any rule was looked at, for this very request only."""
    return Decision(_DENY, reason, True, (), None, None, (), None)
