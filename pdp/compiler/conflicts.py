"""Allows that demand contradictory things of a header, alone or where two can hold together.

Conditions are not looked at: two allows that could meet if their conditions did are reported.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from pdp.compiler.atoms import Atom
from pdp.compiler.heads import Heads
from pdp.compiler.meetings import possible_pairs
from pdp.compiler.numbers import ByNumber, Numbers
from pdp.compiler.overlap import can_hold_together
from pdp.compiler.rows import Row, RowKind, Unit
from pdp.diagnostics import Diagnostic, Span
from pdp.lang import ast
from pdp.limits import MAX_ERRORS_PER_FILE
from pdp.vocabulary import ObligationKind

__all__ = ["conflicting_obligations", "demands"]


def conflicting_obligations(units: Sequence[Unit], numbers: Numbers, heads: Heads) -> list[Diagnostic]:
    """One diagnostic for each rule that contradicts itself, and for each pair that do each other.

    After `MAX_ERRORS_PER_FILE` pairs of one service no more are looked for.
    """
    services = _by_service(units)
    if not services:
        return []
    atoms = ByNumber(numbers.atoms)
    found: list[Diagnostic] = []
    for rows in services.values():
        found += [_report_one(unit, row, heads) for unit, row in rows if _twofold(row)]
        plain = [(unit, row) for unit, row in rows if not _twofold(row)]
        pairs = (
            _report(header, one, two, heads)
            for one, two in possible_pairs(_disputing(plain), atoms)
            if (header := _contradiction(one[1], two[1])) and _meet(one[1], two[1], atoms)
        )
        found += islice(pairs, MAX_ERRORS_PER_FILE)
    return list(dict.fromkeys(found))


def demands(row: Row) -> bool:
    """Whether the row is an enforced allow that demands something of a header."""
    return not row.kind & (RowKind.DENY | RowKind.SHADOW) and bool(_demanded(row))


def _meet(row: Row, other: Row, atoms: Mapping[int, Atom]) -> bool:
    return can_hold_together(row, other, atoms[row.atom], atoms[other.atom])


def _by_service(units: Iterable[Unit]) -> dict[str | None, list[tuple[Unit, Row]]]:
    """The rules with header obligations of each service, those on every service among them."""
    found: dict[str | None, list[tuple[Unit, Row]]] = {}
    for unit in units:
        for service, rows in unit.demanding.items():
            found.setdefault(service, []).extend((unit, row) for row in rows)
    everywhere = found.get(None, [])
    return {service: rows if service is None else rows + everywhere for service, rows in found.items()}


def _disputing(rows: Iterable[tuple[Unit, Row]]) -> list[tuple[Unit, Row]]:
    """Those that demand something of a header of which another one demands something else."""
    rows = list(rows)
    values: dict[str, set[str | None]] = {}
    for _, row in rows:
        for name, value in _demanded(row):
            values.setdefault(name, set()).add(value)
    return [(unit, row) for unit, row in rows if any(len(values[name]) > 1 for name, _ in _demanded(row))]


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
    places = [
        duty.span
        for clause in heads.clauses(unit, row.rule)
        for duty in clause.obligations
        if isinstance(duty, ast.HeaderObligation) and duty.header == header
    ]
    return Diagnostic(
        code="PDP341",
        message=f"`{name}` demands two things of header `{header}`",
        span=places[-1],
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
