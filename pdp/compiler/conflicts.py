"""Allows that demand contradictory things of a header, alone or where two can hold together.

Conditions are not looked at: two allows that could meet if their conditions did are reported.
"""

from collections.abc import Iterable, Sequence

from pdp.compiler.atoms import Atom
from pdp.compiler.heads import Heads
from pdp.compiler.numbers import Numbers
from pdp.compiler.overlap import can_hold_together, paths_overlap
from pdp.compiler.rows import Row, RowKind, Unit
from pdp.diagnostics import Diagnostic, Span
from pdp.lang import ast
from pdp.vocabulary import ObligationKind

__all__ = ["conflicting_obligations", "paths_overlap"]


def conflicting_obligations(units: Sequence[Unit], numbers: Numbers, heads: Heads) -> list[Diagnostic]:
    """One diagnostic for each rule that contradicts itself, and for each pair that do each other."""
    atoms = {number: atom for atom, number in numbers.atoms.items()}
    found: list[Diagnostic] = []
    for rows in _by_service(units).values():
        found += [_report_one(unit, row, heads) for unit, row in rows if _twofold(row)]
        plain = [(unit, row) for unit, row in rows if not _twofold(row)]
        for at, (unit, row) in enumerate(plain):
            for other_unit, other in plain[:at]:
                header = _contradiction(row, other)
                if header and _meet(row, other, atoms):
                    found.append(_report(header, (unit, row), (other_unit, other), heads))
    return list(dict.fromkeys(found))


def _meet(row: Row, other: Row, atoms: dict[int, Atom]) -> bool:
    return can_hold_together(row, other, atoms[row.atom], atoms[other.atom])


def _by_service(units: Iterable[Unit]) -> dict[str, list[tuple[Unit, Row]]]:
    """The rules with header obligations of each service, those on every service among them."""
    found: dict[str, list[tuple[Unit, Row]]] = {}
    everywhere: list[tuple[Unit, Row]] = []
    for unit in units:
        everywhere += [(unit, row) for row in unit.on_any if _demands(row)]
        for service, rows in unit.by_service.items():
            demanding = [(unit, row) for row in rows if row.detail is not None and _demands(row)]
            if demanding:
                found.setdefault(service, []).extend(demanding)
    return {service: rows + everywhere for service, rows in found.items()} | {"": everywhere}


def _demands(row: Row) -> bool:
    return not row.kind & (RowKind.DENY | RowKind.SHADOW) and bool(_demanded(row))


def _demanded(row: Row) -> list[tuple[str, str | None]]:
    """What a row demands of headers: names with the values to set, or None for those to remove."""
    duties = row.detail.obligations if row.detail is not None else ()
    return [
        (duty.name, duty.value if duty.kind is ObligationKind.SET_HEADER else None)
        for duty in duties
        if duty.kind is not ObligationKind.REUSE_AT_MOST
    ]


def _twofold(row: Row) -> str:
    """The header of which a row demands two things, or nothing."""
    demanded = _demanded(row)
    first = dict(reversed(demanded))
    return next((name for name, value in demanded if first[name] != value), "")


def _contradiction(one: Row, two: Row) -> str:
    first, second = dict(_demanded(one)), dict(_demanded(two))
    return next((name for name in sorted(first.keys() & second.keys()) if first[name] != second[name]), "")


def _report_one(unit: Unit, row: Row, heads: Heads) -> Diagnostic:
    header, name = _twofold(row), unit.texts.text(row.rule).name
    rule = heads.rule(unit, row.rule)
    duties = rule.clause.obligations if rule is not None else ()
    places = [
        duty.span for duty in duties if isinstance(duty, ast.HeaderObligation) and duty.header == header
    ]
    return Diagnostic(
        code="PDP341",
        message=f"`{name}` demands two things of header `{header}`",
        span=places[-1] if places else heads.span(unit, row.rule),
        help="keep one of them: the order of clauses means nothing",
    )


def _report(header: str, one: tuple[Unit, Row], two: tuple[Unit, Row], heads: Heads) -> Diagnostic:
    (unit, row), (other_unit, other) = one, two
    names = sorted((unit.texts.text(row.rule).name, other_unit.texts.text(other.rule).name))
    other_span: Span = heads.span(other_unit, other.rule)
    return Diagnostic(
        code="PDP341",
        message=f"`{names[0]}` and `{names[1]}` can hold together and disagree about header `{header}`",
        span=heads.span(unit, row.rule),
        related=((other_span, "the other rule"),),
        help="make them demand the same, or keep them apart by principal, method, path or date",
    )
