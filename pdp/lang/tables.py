"""Table files beside the policies: grants and group members that programs write.

Grants are CSV with the header `principal,methods,path`; methods are separated by spaces, or
the word `any`. Members are one principal term a line; `#` begins a comment. A line comes to
the same AST as the statement it stands for, so that nothing below knows of tables.
"""

import csv
from collections.abc import Iterator
from typing import Final

from pdp.diagnostics import Diagnostic, Source, Span
from pdp.lang import ast, patterns
from pdp.lang.patterns import PatternError
from pdp.vocabulary import Effect

__all__ = ["read_grants", "read_members"]

_HEADER: Final = ["principal", "methods", "path"]
_FIELDS: Final = len(_HEADER)


def read_grants(source: Source, clause: ast.Clause) -> tuple[list[ast.Rule], list[Diagnostic]]:
    """One allow for each line of a table, with the clauses of the statement that names it."""
    rules: list[ast.Rule] = []
    diagnostics: list[Diagnostic] = []
    lines = _lines(source)
    first = next(lines, None)
    if first is None or _fields(first[0]) != _HEADER:
        span = first[1] if first else Span(file=source.path, start=0, end=0)
        message = "a table of grants begins with the line `principal,methods,path`"
        return [], [Diagnostic(code="PDP108", message=message, span=span)]
    for text, span in lines:
        fields = _fields(text)
        if fields is None or len(fields) != _FIELDS:
            message = "a line of grants has three fields: principal, methods, path"
            diagnostics.append(Diagnostic(code="PDP108", message=message, span=span))
            continue
        try:
            rules.append(_grant(fields, span, clause))
        except PatternError as error:
            diagnostics.append(Diagnostic(code=error.code, message=error.message, span=span, help=error.help))
    return rules, diagnostics


def _grant(fields: list[str], span: Span, clause: ast.Clause) -> ast.Rule:
    principal, methods, path = fields
    term = _term(principal, span)
    target = ast.Target(
        methods=None if methods == "any" else patterns.methods(methods),
        path=patterns.path_pattern(path, span),
        span=span,
    )
    return ast.Rule(
        effect=Effect.ALLOW,
        shadow=False,
        principals=ast.PrincipalSet(terms=(term,), excluded=(), span=span),
        users=(),
        targets=(target,),
        services=None,
        clause=clause,
        span=span,
    )


def read_members(source: Source) -> tuple[tuple[ast.PrincipalTerm, ...], list[Diagnostic]]:
    """The principal terms of a file of members."""
    terms: list[ast.PrincipalTerm] = []
    diagnostics: list[Diagnostic] = []
    for text, span in _lines(source):
        word = text.partition("#")[0].strip()
        if not word:
            continue
        try:
            terms.append(_term(word, span))
        except PatternError as error:
            diagnostics.append(Diagnostic(code=error.code, message=error.message, span=span, help=error.help))
    return tuple(terms), diagnostics


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
    start = 0
    for line in source.text.splitlines(keepends=True):
        text = line.rstrip("\r\n")
        if text.strip():
            yield text, Span(file=source.path, start=start, end=start + len(text))
        start += len(line)


def _fields(line: str) -> list[str] | None:
    if '"' not in line:
        return [field.strip() for field in line.split(",")]
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error:
        return None
    return [field.strip() for field in rows[0]] if rows else None
