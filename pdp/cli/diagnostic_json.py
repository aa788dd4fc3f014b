"""A diagnostic as data, for every command that prints JSON."""

from collections.abc import Mapping
from typing import Any

from pdp.diagnostics import Diagnostic, Source, Span

__all__ = ["diagnostic_as_json"]


def diagnostic_as_json(diagnostic: Diagnostic, sources: Mapping[str, Source]) -> dict[str, Any]:
    """A diagnostic as data; lines and columns count from one, the end is exclusive."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.name.lower(),
        "message": diagnostic.message,
        "label": diagnostic.label,
        "help": diagnostic.help,
        **_place_as_json(diagnostic.span, sources),
        "related": [{"message": text, **_place_as_json(span, sources)} for span, text in diagnostic.related],
    }


def _place_as_json(span: Span, sources: Mapping[str, Source]) -> dict[str, Any]:
    """A place as data; without a line where the file could not be read."""
    source = sources.get(span.file)
    if source is None:
        return {"file": span.file}
    (line, column), (end_line, end_column) = source.position(span.start), source.position(span.end)
    return {"file": span.file, "line": line, "column": column, "end_line": end_line, "end_column": end_column}
