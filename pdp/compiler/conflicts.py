"""Allows that can hold together and demand contradictory things of a header.

Conditions are not looked at: two allows that could meet if their conditions did are reported.
"""

from collections.abc import Iterable, Sequence

from pdp.compiler.atoms import Atom, DnsSuffixAtom, ExactAtom, PatternAtom
from pdp.compiler.matchers import rest_index, segments_overlap
from pdp.compiler.numbers import Numbers
from pdp.compiler.rows import Row, Unit
from pdp.diagnostics import Diagnostic, Severity, Span
from pdp.lang import ast
from pdp.vocabulary import ObligationKind

__all__ = ["conflicting_obligations", "paths_overlap"]


def conflicting_obligations(units: Sequence[Unit], numbers: Numbers) -> list[Diagnostic]:
    """One diagnostic for each pair of rules that contradict each other."""
    atoms = {number: atom for atom, number in numbers.atoms.items()}
    found = []
    for rows in _by_service(units).values():
        for at, (unit, row) in enumerate(rows):
            for other_unit, other in rows[:at]:
                header = _contradiction(row, other)
                if header and _meet(row, other, atoms):
                    found.append(_report(header, unit, row, other_unit, other))
    return list(dict.fromkeys(found))


def _by_service(units: Iterable[Unit]) -> dict[str, list[tuple[Unit, Row]]]:
    """The rows with header obligations of each service, those on every service among them."""
    found: dict[str, list[tuple[Unit, Row]]] = {}
    everywhere: list[tuple[Unit, Row]] = []
    for unit in units:
        everywhere += [(unit, row) for row in unit.on_any if _headers(row)]
        for service, rows in unit.by_service.items():
            demanding = [(unit, row) for row in rows if row.detail is not None and _headers(row)]
            if demanding:
                found.setdefault(service, []).extend(demanding)
    return {service: rows + everywhere for service, rows in found.items()} | {"": everywhere}


def _headers(row: Row) -> dict[str, str | None]:
    if row.detail is None:
        return {}
    return {
        duty.name: duty.value if duty.kind is ObligationKind.SET_HEADER else None
        for duty in row.detail.obligations
        if duty.kind is not ObligationKind.REUSE_AT_MOST
    }


def _contradiction(one: Row, two: Row) -> str:
    first, second = _headers(one), _headers(two)
    return next((name for name in sorted(first.keys() & second.keys()) if first[name] != second[name]), "")


def _meet(one: Row, two: Row, atoms: dict[int, Atom]) -> bool:
    return (
        bool(one.mask & two.mask)
        and paths_overlap(one.path, two.path)
        and _principals_overlap(atoms[one.atom], atoms[two.atom])
    )


def _principals_overlap(one: Atom, two: Atom) -> bool:
    match one, two:
        case (ExactAtom(id=a), ExactAtom(id=b)):
            return a == b
        case (PatternAtom() as a, PatternAtom() as b):
            return _patterns_overlap(a, b)
        case (DnsSuffixAtom(), PatternAtom()) | (PatternAtom(), DnsSuffixAtom()):
            return False
        case _:
            return True


def _patterns_overlap(one: PatternAtom, two: PatternAtom) -> bool:
    if one.trust_domain and two.trust_domain and one.trust_domain != two.trust_domain:
        return False
    if len(one.segments) != len(two.segments):
        shorter, longer = sorted((one, two), key=lambda atom: len(atom.segments))
        if not shorter.open and len(longer.segments) > len(shorter.segments):
            return False
    return all(a is None or b is None or a == b for a, b in zip(one.segments, two.segments, strict=False))


def paths_overlap(one: Sequence[ast.Segment], two: Sequence[ast.Segment]) -> bool:
    """Whether some path matches both patterns; captures are any segment."""
    if not one or not two:
        return all(isinstance(segment, ast.RestSegments) for segment in (*one, *two))
    if rest_index(one) == 0:
        return paths_overlap(one[1:], two) or paths_overlap(one, two[1:])
    if rest_index(two) == 0:
        return paths_overlap(two, one)
    return segments_overlap(one[0], two[0]) and paths_overlap(one[1:], two[1:])


def _report(header: str, unit: Unit, row: Row, other_unit: Unit, other: Row) -> Diagnostic:
    text, second = unit.texts.text(row.rule), other_unit.texts.text(other.rule)
    names = sorted((text.name, second.name))
    return Diagnostic(
        code="PDP341",
        severity=Severity.ERROR,
        message=f"`{names[0]}` and `{names[1]}` can hold together and disagree about header `{header}`",
        span=Span(file=text.file, start=unit.texts.starts[row.rule], end=unit.texts.starts[row.rule] + 1),
        related=(
            (Span(file=second.file, start=other_unit.texts.starts[other.rule], end=0), "the other rule"),
        ),
        help="make them demand the same, or keep them apart by principal, method or path",
    )
