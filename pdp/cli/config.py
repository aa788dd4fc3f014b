"""`pdp config check`: whether the service would start with these settings."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from pdp.cli.diagnostic_json import diagnostic_as_json
from pdp.cli.output import ExitCode, show_diagnostics
from pdp.config.load import PREFIX, Loaded, load_settings, read_file
from pdp.config.model import Settings
from pdp.config.unsafe import problems
from pdp.diagnostics import Diagnostic, Severity, Source, has_errors

__all__ = ["config", "diagnose", "read"]

_EXAMPLE = """
\b
Example:
  pdp config check pdp.toml
  PDP_HTTP__LISTEN=0.0.0.0:8443 pdp config check pdp.toml
"""


@click.group()
def config() -> None:
    """Look at the service's settings."""


def read(path: Path | None, options: dict[tuple[str, ...], object]) -> Loaded[Settings]:
    """The settings of a file, the environment and options.

    Raises:
        OSError: The file cannot be read.
    """
    folder = path.parent if path is not None else None
    return load_settings(read_file(path), os.environ, options, folder=folder)


def diagnose(loaded: Loaded[Settings]) -> list[Diagnostic]:
    """Everything wrong or doubtful: what was said, and what was found in the files that are named."""
    if loaded.settings is None:
        return list(loaded.diagnostics)
    return [
        Diagnostic(
            code="setting",
            severity=Severity.ERROR if found.refused else Severity.WARNING,
            message=f"`{'.'.join(found.setting)}`: {found.message}",
            span=loaded.place(found.setting),
            help=found.help,
        )
        for found in problems(loaded.settings)
    ]


@config.command(epilog=_EXAMPLE)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs: the settings as they would hold.")
def check(file: Path | None, *, as_json: bool) -> None:
    """Check FILE together with the environment, as `pdp serve --config FILE` would.

    Without FILE, the environment alone. Exits with 1 if the service would not start.
    """
    try:
        loaded = read(file, {})
    except OSError as error:
        click.echo(f"pdp: {file} cannot be read: {error.strerror}", err=True)
        sys.exit(ExitCode.CANNOT)
    found = diagnose(loaded)
    if loaded.settings is not None and not os.path.exists(loaded.settings.policies.path):  # noqa: PTH110 - never raises
        setting, path = ("policies", "path"), loaded.settings.policies.path
        message = f"`{'.'.join(setting)}`: {path} does not exist"
        found.append(Diagnostic(code="setting", message=message, span=loaded.place(setting)))
    sources = {} if file is None else {loaded.source.path: loaded.source}
    if as_json:
        click.echo(json.dumps(_report(loaded.settings, found, sources)))
    else:
        show_diagnostics(found, sources)
        if loaded.settings is not None and not has_errors(found):
            click.echo(_summary(loaded.settings))
    sys.exit(ExitCode.NO if has_errors(found) else ExitCode.YES)


def _report(
    settings: Settings | None, found: list[Diagnostic], sources: Mapping[str, Source]
) -> dict[str, Any]:
    return {
        "settings": None if settings is None else settings.model_dump(mode="json"),
        "diagnostics": [diagnostic_as_json(each, sources) for each in found],
    }


def _summary(settings: Settings) -> str:
    http = "http" if settings.http.plaintext else "https"
    listeners = {http: settings.http, "grpc": settings.grpc, "health": settings.health}
    shown = ", ".join(
        f"{name} on {section.listen}" for name, section in listeners.items() if section is not None
    )
    overridden = sorted(name for name in os.environ if name.startswith(PREFIX) and "__" in name)
    more = f"\nfrom the environment: {', '.join(overridden)}" if overridden else ""
    return f"the service would start: {settings.policies.path}, {shown}{more}"
