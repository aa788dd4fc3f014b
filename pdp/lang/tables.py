"""Table files beside the policies: grants and group members that programs write.

Grants are CSV with the header `principal,methods,path`; methods are separated by spaces, or
the word `any`. Members are one principal term a line; `#` begins a comment. A line comes to
the same AST as the statement it stands for, so that nothing below knows of tables.
"""

import csv
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeVar

from pdp.diagnostics import Diagnostic, Source, Span
from pdp.lang import ast, patterns
from pdp.lang.hidden import all_mistakes
from pdp.lang.patterns import PatternError
from pdp.vocabulary import Effect

__all__ = ["Cells", "cells_at", "read_grants", "read_members"]

T = TypeVar("T")

_HEADER: Final = ["principal", "methods", "path"]
_FIELDS: Final = len(_HEADER)
_NEEDED: Final = (
    "write who may: a principal, or the name of a group",
    "write `GET POST`, or `any`",
    "write a path, such as `/v1/orders/**`",
)
# Lines end where those of a `Source` end: elsewhere, places would be others than those that are shown.
_LINE: Final = re.compile(r"[^\r\n]+")
# Where the fields of a line stand, with the spaces behind them; what they hold is for the `csv` module
# to say. Nothing is given back, so that a line of spaces takes no longer than another.
_PLACES: Final = re.compile(r'(?:\A|,)\s*+("(?:[^"]|"")*+"(?=\s*+(?:,|\Z))|[^,]*+)')


class Cells(NamedTuple):
    """Where a line of a table of grants stands, and its cells."""

    line: Span
    principal: Span
    methods: Span
    path: Span


class _Field(NamedTuple):
    text: str
    span: Span
    plain: bool  # whether the span covers the text as it is, so that offsets in it are known


def read_grants(source: Source, clause: ast.Clause, found: list[Diagnostic]) -> Iterator[ast.Rule]:
    """One allow for each line of a table, with the clauses of the statement that names it.

    One after the other, since there may be a million. What is wrong is added to `found` at the end.
    """
    if not source.readable:
        return
    lines = _lines(source)
    first = next(lines, None)
    if first is None or _texts(first[0]) != _HEADER:
        span = first[1] if first else Span(file=source.path, start=0, end=0)
        message = "a table of grants begins with the line `principal,methods,path`"
        help_ = "write it as the first line: it says what the columns are"
        found.append(Diagnostic(code="PDP108", message=message, span=span, help=help_))
        return
    diagnostics: list[Diagnostic] = []
    for text, span in lines:
        fields = _fields(text, span)
        if len(fields) != _FIELDS:
            message = "a line of grants has three fields: principal, methods, path"
            help_ = "write `prod/ns/web/sa/frontend,GET HEAD,/v1/orders`: methods are separated by spaces"
            diagnostics.append(Diagnostic(code="PDP108", message=message, span=span, help=help_))
            continue
        rule = _grant(fields, span, clause, diagnostics)
        if rule is not None:
            yield rule
    found += all_mistakes(source, diagnostics)


def cells_at(source: Source, start: int) -> Cells:
    """The line of a table that begins at an offset, and that `read_grants` has made a rule of."""
    number, column = source.position(start)
    line = source.line(number)[column - 1 :]
    span = Span(file=source.path, start=start, end=start + len(line))
    principal, methods, path = (field.span for field in _fields(line, span))
    return Cells(span, principal, methods, path)


def _grant(
    fields: list[_Field], span: Span, clause: ast.Clause, diagnostics: list[Diagnostic]
) -> ast.Rule | None:
    diagnostics += [_empty(*cell) for cell in zip(_HEADER, _NEEDED, fields, strict=True) if not cell[2].text]
    principal, methods, path = fields
    term = _attempt(principal, _term, diagnostics)
    named = (
        ()
        if methods.text == "any"
        else _attempt(methods, lambda text, _: patterns.methods(text), diagnostics)
    )
    pattern = _attempt(path, patterns.path_pattern, diagnostics)
    if term is None or named is None or pattern is None:
        return None
    return ast.Rule(
        effect=Effect.ALLOW,
        shadow=False,
        principals=ast.PrincipalSet(terms=(term,), excluded=(), span=principal.span),
        users=(),
        targets=(ast.Target(methods=named or None, path=pattern, span=path.span),),
        services=None,
        clause=clause,
        span=span,
    )


def _empty(column: str, needed: str, field: _Field) -> Diagnostic:
    return Diagnostic(code="PDP108", message=f"the field `{column}` is empty", span=field.span, help=needed)


def _attempt(field: _Field, make: Callable[[str, Span], T], diagnostics: list[Diagnostic]) -> T | None:
    """What `make` reads from a field, or None: with a diagnostic, unless there is nothing in it."""
    if not field.text:
        return None
    try:
        return make(field.text, field.span)
    except PatternError as error:
        span = field.span
        if field.plain and span.start < span.end:
            start = min(span.start + error.start, span.end - 1)
            end = min(span.end, max(span.start + error.end, start + 1))
            span = Span(file=span.file, start=start, end=end)
        diagnostics.append(Diagnostic(code=error.code, message=error.message, span=span, help=error.help))
        return None


def read_members(source: Source) -> tuple[tuple[ast.PrincipalTerm, ...], list[Diagnostic]]:
    """The principal terms of a file of members."""
    if not source.readable:
        return (), []
    terms: list[ast.PrincipalTerm] = []
    diagnostics: list[Diagnostic] = []
    for text, span in _lines(source):
        word = text.partition("#")[0].strip()
        if not word:
            continue
        start = span.start + len(text) - len(text.lstrip())
        at = Span(file=span.file, start=start, end=start + len(word))
        term = _attempt(_Field(word, at, plain=True), _term, diagnostics)
        terms += [term] if term is not None else []
    return tuple(terms), list(all_mistakes(source, diagnostics))


def _term(text: str, span: Span) -> ast.PrincipalTerm:
    if text.startswith("spiffe://"):
        return patterns.uri_pattern(text, span)
    if text.startswith("dns "):
        return patterns.dns_pattern(text[4:].strip(), span)
    if "/" in text:
        return patterns.principal_pattern(text, span)
    return ast.GroupRef(name=text, span=span)


def _lines(source: Source) -> Iterator[tuple[str, Span]]:
    """Each line that is not empty, with its place."""
    for line in _LINE.finditer(source.text):
        if line[0].strip():
            yield line[0], Span(file=source.path, start=line.start(), end=line.end())


def _fields(line: str, span: Span) -> list[_Field]:
    """The fields of a line with their places; none if it is not CSV."""
    texts = _texts(line)
    places = [(match.start(1), match.start(1) + len(match[1].rstrip())) for match in _PLACES.finditer(line)]
    if len(places) != len(texts):
        return [_Field(text, span, plain=False) for text in texts]
    return [
        _Field(
            text,
            Span(file=span.file, start=span.start + start, end=span.start + end),
            plain=line[start:end] == text,
        )
        for text, (start, end) in zip(texts, places, strict=True)
    ]


def _texts(line: str) -> list[str]:
    if '"' not in line:
        return [field.strip() for field in line.split(",")]
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error:
        return []
    return [field.strip() for field in rows[0]] if rows else []
