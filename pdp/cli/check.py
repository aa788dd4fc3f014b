"""`pdp check`: everything wrong or doubtful in a policy set.

This module holds the command and the report for people; the formats for programs are in
`pdp.cli.check_formats`. The question is "is this set fine?". Exit codes: 0 it is, 1 it has
errors (or, with `--strict`, warnings), 2 called wrongly, 3 it could not be read whole.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from pdp.cli.check_formats import FORMATS, Report
from pdp.cli.output import ExitCode, Tone, counted, current_instant, print_json, say, show_diagnostics
from pdp.cli.policy_set import POLICIES, load
from pdp.diagnostics import Severity

__all__ = ["check"]

_TEXT: Final = "text"
_TONES: Final = {Severity.ERROR: Tone.BAD, Severity.WARNING: Tone.WARNING, Severity.NOTE: Tone.NOTE}

_EXAMPLE: Final = """\b
Example:
  pdp check policies/
  pdp check --strict policies/
  pdp check policies/ --format sarif > pdp.sarif
"""


@click.command("check", epilog=_EXAMPLE)
@click.argument("policies", type=POLICIES)
@click.option(
    "--format",
    "format_",
    type=click.Choice([_TEXT, *FORMATS]),
    help="How to report: text (the default), json, SARIF 2.1.0, or annotations of GitHub or GitLab.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--strict", is_flag=True, help="Let warnings count as errors do.")
@click.pass_context
def check(
    context: click.Context, policies: Path, *, format_: str | None, as_json: bool, strict: bool
) -> None:
    """Say everything wrong or doubtful in a policy set.

    POLICIES is a directory of `.policy` files, or one such file. Each diagnostic has a code
    that the documentation explains. Notes never count.
    """
    if as_json and format_ not in {None, "json"}:
        raise click.UsageError(f"`--json` and `--format {format_}` exclude each other")
    reading = load(policies, current_instant())
    diagnostics, sources = reading.for_people()
    report = Report(
        diagnostics=diagnostics,
        sources=sources,
        files=reading.policy_files,
        rules=None if reading.loaded.snapshot is None else reading.loaded.snapshot.rules,
    )
    chosen = "json" if as_json else format_ or _TEXT
    if chosen == _TEXT:
        show_diagnostics(diagnostics, sources, err=False)
        _summarise(report)
    elif isinstance(made := FORMATS[chosen](report), str):
        click.echo(made, nl=False)
    else:
        print_json(made)
    counts = report.counts
    if reading.unreadable:
        context.exit(ExitCode.CANNOT)
    if counts[Severity.ERROR] or (strict and counts[Severity.WARNING]):
        context.exit(ExitCode.NO)


def _summarise(report: Report) -> None:
    counts: Mapping[Severity, int] = report.counts
    checked = counted(report.files, "file")
    if report.rules is not None:
        checked += f", {counted(report.rules, 'rule')}"
    parts = [(f"{checked}: ", Tone.PLAIN)]
    for severity, count in counts.items():
        tone = _TONES[severity] if count else Tone.PLAIN
        parts += [(counted(count, severity.name.lower()), tone), (", ", Tone.PLAIN)]
    say(parts[:-1])
