"""Diagnostics in the formats that programs read: JSON, SARIF, and annotations of CI systems.

Each format is a function from a `Report` to text, or to a value that is printed as JSON.
Messages come from policy text: control and bidirectional characters are escaped in all of
them, and then whatever else means something in the format.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final
from urllib.parse import quote

from pdp import __version__
from pdp.cli.diagnostic_json import diagnostic_as_json
from pdp.diagnostics import Diagnostic, Severity, Source, Span, escape

__all__ = ["FORMATS", "Report"]

_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_SARIF_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_GITHUB_COMMANDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_GITLAB_SEVERITIES: Final = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.NOTE: "info"}


@final
@dataclass(frozen=True, kw_only=True)
class Report:
    """What a check found.

    Attributes:
        diagnostics: Everything, by file and position.
        sources: The texts by path; files that could not be read are missing.
        files: How many policy files there are.
        rules: How many rules there are, or None where errors left them uncounted.
    """

    diagnostics: list[Diagnostic]
    sources: Mapping[str, Source]
    files: int
    rules: int | None

    @cached_property
    def counts(self) -> Mapping[Severity, int]:
        """How many diagnostics there are of each severity."""
        return {
            severity: sum(found.severity is severity for found in self.diagnostics) for severity in Severity
        }

    def start(self, span: Span) -> tuple[int, int]:
        """Line and column, counted from one; the file's beginning where it could not be read."""
        source = self.sources.get(span.file)
        return (1, 1) if source is None else source.position(span.start)

    def end(self, span: Span) -> tuple[int, int]:
        """Line and column behind the span."""
        source = self.sources.get(span.file)
        return (1, 1) if source is None else source.position(span.end)


def _full_message(diagnostic: Diagnostic) -> str:
    """Everything said about it, on one line."""
    said = [diagnostic.message, *([diagnostic.label] if diagnostic.label else [])]
    text = ": ".join(said)
    return escape(f"{text}; {diagnostic.help}" if diagnostic.help else text)


def _relative(file: str) -> str:
    """A path as CI systems want it: relative to where the command runs, if it lies below."""
    path = Path(file)
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.as_posix()


# -- JSON ------------------------------------------------------------------------------


def _json(report: Report) -> dict[str, Any]:
    counts = {f"{severity.name.lower()}s": count for severity, count in report.counts.items()}
    diagnostics = [diagnostic_as_json(found, report.sources) for found in report.diagnostics]
    return {"files": report.files, "rules": report.rules, **counts, "diagnostics": diagnostics}


# -- SARIF 2.1.0 -----------------------------------------------------------------------


def _sarif(report: Report) -> dict[str, Any]:
    codes = sorted({found.code for found in report.diagnostics})
    return {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "pdp", "version": __version__, "rules": [{"id": code} for code in codes]
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_sarif_result(found, codes, report) for found in report.diagnostics],
            }
        ],
    }  # fmt: skip


def _sarif_result(diagnostic: Diagnostic, codes: list[str], report: Report) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": codes.index(diagnostic.code),
        "level": _SARIF_LEVELS[diagnostic.severity],
        "message": {"text": _sarif_text(_full_message(diagnostic))},
        "locations": [_sarif_location(diagnostic.span, report)],
    }
    if diagnostic.related:
        result["relatedLocations"] = [
            {"id": number, "message": {"text": _sarif_text(escape(text))}, **_sarif_location(span, report)}
            for number, (span, text) in enumerate(diagnostic.related)
        ]
    return result


def _sarif_text(text: str) -> str:
    """A message without placeholders and links (SARIF sections 3.11.5 and 3.11.6), whoever wrote it."""
    return text.replace("{", "{{").replace("}", "}}").replace("](", "] (")


def _sarif_location(span: Span, report: Report) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(span.file)}}
    if span.file in report.sources:
        (line, column), (end_line, end_column) = report.start(span), report.end(span)
        # An empty region is one that ends where it starts (SARIF section 3.30.8).
        place["region"] = {
            "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column
        }  # fmt: skip
    return {"physicalLocation": place}


def _uri(file: str) -> str:
    """A relative reference, or a `file:` URI for what lies elsewhere (RFC 3986, sections 2.1 and 4.2)."""
    path = quote(_relative(file))  # colons too, so that no first segment looks like a scheme
    return f"file://{path}" if path.startswith("/") else path


# -- CI annotations --------------------------------------------------------------------


def _github(report: Report) -> str:
    """Workflow commands, a line each (actions/toolkit, `command.ts`)."""
    lines = []
    for found in report.diagnostics:
        (line, column), (end_line, end_column) = report.start(found.span), report.end(found.span)
        fields: dict[str, str | int] = {"file": _relative(found.span.file), "line": line, "endLine": end_line}
        if line == end_line:  # columns are for one line only
            fields |= {"col": column, "endColumn": max(column, end_column - 1)}
        fields["title"] = found.code
        shown = ",".join(f"{name}={_github_property(str(value))}" for name, value in fields.items())
        lines.append(f"::{_GITHUB_COMMANDS[found.severity]} {shown}::{_github_data(_full_message(found))}\n")
    return "".join(lines)


def _github_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _github_property(text: str) -> str:
    return _github_data(text).replace(":", "%3A").replace(",", "%2C")


def _gitlab(report: Report) -> list[dict[str, Any]]:
    """A code quality report. Fingerprints survive edits above; the number tells repetitions apart."""
    seen: dict[tuple[str, str, str], int] = {}
    listed = []
    for found in report.diagnostics:
        path = _relative(found.span.file)
        key = (found.code, path, found.message)
        seen[key] = seen.get(key, 0) + 1
        fingerprint = hashlib.sha256("\0".join([*key, str(seen[key])]).encode()).hexdigest()
        listed.append(
            {
                "description": _full_message(found),
                "check_name": found.code,
                "fingerprint": fingerprint,
                "severity": _GITLAB_SEVERITIES[found.severity],
                "location": {"path": path, "lines": {"begin": report.start(found.span)[0]}},
            }
        )
    return listed


#: By the name of the format.
FORMATS: Final[Mapping[str, Callable[[Report], str | dict[str, Any] | list[dict[str, Any]]]]] = {
    "json": _json,
    "sarif": _sarif,
    "github": _github,
    "gitlab": _gitlab,
}
