"""What every command shares: exit codes, colours, JSON, diagnostics on the terminal.

How a policy set is loaded for a command is in `pdp.cli.policy_set`. Answers go to standard
output, everything said about them to standard error. Text that comes from policies and
arguments is escaped before it gets here or by `render`; colour is used on a terminal only,
and never carries a meaning of its own.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from enum import IntEnum, StrEnum
from typing import IO, Any, Final, TypeAlias, final

import click

from pdp.diagnostics import Diagnostic, Severity, Source, escape, render
from pdp.vocabulary import Millis

__all__ = [
    "CannotError",
    "ExitCode",
    "MistakenError",
    "Styled",
    "Tone",
    "counted",
    "current_instant",
    "print_json",
    "say",
    "show_diagnostics",
]


class ExitCode(IntEnum):
    """How a command ends. A failure of ours is `CANNOT`, so that it never passes for an answer."""

    YES = 0
    NO = 1
    USAGE = 2
    CANNOT = 3


class Tone(StrEnum):
    """How a piece of text is meant, as the style that `rich` shows it in."""

    PLAIN = ""
    GOOD = "bold green"
    BAD = "bold red"
    WARNING = "bold yellow"
    NOTE = "bold cyan"
    STRONG = "bold"


#: Pieces of text, each with its tone.
Styled: TypeAlias = Iterable[tuple[str, Tone]]

_SEVERITY_TONES: Final = {Severity.ERROR: Tone.BAD, Severity.WARNING: Tone.WARNING, Severity.NOTE: Tone.NOTE}


class _NamedError(click.ClickException):
    """Ends a command with one sentence, or with one JSON object where `--json` was given.

    Args:
        code: Stable snake_case name.
        message: One sentence.
        details: More members of the JSON object's `error`.
    """

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.details = details
        context = click.get_current_context(silent=True)
        self.as_json = context is not None and bool(context.params.get("as_json"))

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it where whoever called looks for it."""
        if self.as_json:
            print_json({"error": {"code": self.code, "message": self.message, **self.details}})
        else:
            click.echo(f"error: {escape(self.message)}", file=file, err=file is None)


@final
class CannotError(_NamedError):
    """The command could not answer."""

    exit_code = ExitCode.CANNOT


@final
class MistakenError(_NamedError):
    """The command was called wrongly, in a way that has a name of its own: see `docs/api.md`."""

    exit_code = ExitCode.USAGE


# -- printing --------------------------------------------------------------------------


def say(parts: Styled | str, *, err: bool = False) -> None:
    """Print one or more lines, coloured on a terminal that wants it (`NO_COLOR`, `FORCE_COLOR`)."""
    pieces = [(parts, Tone.PLAIN)] if isinstance(parts, str) else list(parts)
    stream = sys.stderr if err else sys.stdout
    if not (stream.isatty() or os.environ.get("FORCE_COLOR")):
        click.echo("".join(text for text, _ in pieces), err=err)
        return
    from rich.console import Console  # noqa: PLC0415 -- costs as much as all of click, and only terminals need it
    from rich.text import Text  # noqa: PLC0415 -- the same

    text = Text()
    for piece, tone in pieces:
        text.append(piece, style=tone.value)
    Console(file=stream).print(text, soft_wrap=True)


def print_json(value: object) -> None:
    """Print one JSON value, readable by people too. ASCII, so that no terminal can garble it."""
    click.echo(json.dumps(value, indent=2))


def current_instant() -> Millis:
    """The clock. Commands read it once, so that everything in a run is as of one instant."""
    return time.time_ns() // 1_000_000


def counted(number: int, word: str) -> str:
    """`1 error`, `2 errors`, `0 errors`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def show_diagnostics(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, Source], *, err: bool = True
) -> None:
    """Print each as `render` has it, with its severity and caret in colour."""
    for diagnostic in diagnostics:
        say(_styled(diagnostic, sources), err=err)


def _styled(diagnostic: Diagnostic, sources: Mapping[str, Source]) -> Styled:
    tone = _SEVERITY_TONES[diagnostic.severity]
    head, *lines = render(diagnostic, sources).splitlines()
    mark = f" {diagnostic.severity.name.lower()}[{diagnostic.code}]:"
    place, _, message = head.partition(mark)
    parts = [(place, Tone.STRONG), (mark, tone), (f"{message}\n", Tone.STRONG)]
    caret = 2 if diagnostic.span.file in sources else -1
    for number, line in enumerate(lines):
        parts.append((f"{line}\n", tone if number == caret else Tone.PLAIN))
    return parts
