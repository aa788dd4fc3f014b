"""The rare parts of rows as bytes, conditions among them; what decides is made when they are read."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from pdp.compiler.conditions import Condition, closure
from pdp.compiler.conditions.closures import window
from pdp.compiler.evaluation import Place
from pdp.compiler.rows import Detail, ExceptedPath, Written
from pdp.compiler.terms import And, During, Not, Or, Term
from pdp.compiler.windows import UnknownZoneError
from pdp.image.layout import ImageError
from pdp.image.patterns import pack_pattern, read_pattern
from pdp.lang import ast
from pdp.vocabulary import Millis, Obligation

__all__ = ["read_detail", "write_detail"]

_Pairs = tuple[tuple[int, int], ...]


class _Condition(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    term: Term
    reads: tuple[str, ...]
    places: tuple[int, ...]
    principal: bool
    tests: int


class _Written(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    users: tuple[ast.UserPattern, ...]
    when: ast.Expr | None
    unless: ast.Expr | None
    captures: dict[str, Place]


class _Detail(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    condition: _Condition | None
    equalities: _Pairs
    path_equalities: _Pairs
    principal_equalities: _Pairs
    exceptions: tuple[tuple[bytes, _Pairs, _Pairs], ...]
    obligations: tuple[Obligation, ...]
    valid_from: Millis | None
    until: Millis | None
    written: _Written | None


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(_Detail)


def write_detail(detail: Detail) -> bytes:
    """A detail as bytes."""
    condition, written = detail.condition, detail.written
    return _encode(
        _Detail(
            condition=None
            if condition is None
            else _Condition(
                condition.term,
                tuple(sorted(condition.reads)),
                tuple(sorted(condition.places)),
                condition.principal,
                condition.tests,
            ),
            equalities=detail.equalities,
            path_equalities=detail.path_equalities,
            principal_equalities=detail.principal_equalities,
            exceptions=tuple(
                (pack_pattern(each.pattern), each.equalities, each.path_equalities)
                for each in detail.exceptions
            ),
            obligations=detail.obligations,
            valid_from=detail.valid_from,
            until=detail.until,
            written=None
            if written is None
            else _Written(written.users, written.when, written.unless, dict(written.captures)),
        )
    )


def read_detail(content: bytes) -> Detail:
    """The detail that bytes hold.

    Raises:
        ImageError: They hold none.
    """
    try:
        found = _decoder.decode(content)
        condition = None if found.condition is None else _condition(found.condition)
        test = None if condition is None else closure(condition.term)
    except (msgspec.MsgspecError, UnknownZoneError, ValueError, RecursionError) as error:
        raise ImageError("the details of a row cannot be read") from error
    return Detail(
        condition=condition,
        test=test,
        equalities=found.equalities,
        path_equalities=found.path_equalities,
        principal_equalities=found.principal_equalities,
        exceptions=tuple(
            ExceptedPath(pattern=read_pattern(pattern), equalities=equalities, path_equalities=others)
            for pattern, equalities, others in found.exceptions
        ),
        obligations=found.obligations,
        valid_from=found.valid_from,
        until=found.until,
        written=None if found.written is None else _written(found.written),
    )


def _condition(found: _Condition) -> Condition:
    return Condition(
        term=found.term,
        reads=frozenset(found.reads),
        places=frozenset(found.places),
        principal=found.principal,
        windows=tuple(map(window, _times(found.term))),
        tests=found.tests,
    )


def _times(term: Term) -> Iterator[During]:
    """The times of week that a term tests, in their order."""
    match term:
        case During():
            yield term
        case And(parts=parts) | Or(parts=parts):
            for part in parts:
                yield from _times(part)
        case Not(part=part):
            yield from _times(part)


def _written(found: _Written) -> Written:
    captures: Mapping[str, Place] = found.captures
    return Written(found.users, found.when, found.unless, captures)
