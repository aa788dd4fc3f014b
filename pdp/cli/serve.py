"""`pdp serve`: a policy set behind mTLS, or for this machine alone, kept current while its files are edited.

This module holds the options. How the service is put together and run is the business of
`pdp.process`, what can be set that of `pdp.config`.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Final

import click

from pdp.cli.config import diagnose, read
from pdp.cli.output import ExitCode, show_diagnostics
from pdp.cli.trust_options import by_domain
from pdp.config.address import parse_address, parse_http_address
from pdp.config.model import Settings
from pdp.diagnostics import Diagnostic, escape, has_errors
from pdp.limits import MAX_WORKERS
from pdp.process.forks import Forks
from pdp.process.settings_read import Found

__all__ = ["serve"]

_EXAMPLE: Final = """
\b
Example:
  pdp pki init --dir .pdp/pki --trust-domain prod.example.org
  pdp pki issue --dir .pdp/pki pdp --spiffe-id spiffe://prod.example.org/ns/pdp/sa/pdp \\
      --dns localhost --ip 127.0.0.1
  pdp serve policies --cert .pdp/pki/pdp.pem --key .pdp/pki/pdp-key.pem \\
      --trust prod.example.org=.pdp/pki/root.pem
  pdp serve --config pdp.toml
  pdp serve policies --plaintext --http unix:/run/pdp/pdp.sock \\
      --caller spiffe://prod.example.org/ns/edge/sa/proxy
"""


@click.command(epilog=_EXAMPLE)
@click.argument("policies", type=click.Path(path_type=Path), required=False)
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="A file of settings, TOML.")
@click.option("--http", "address", metavar="HOST:PORT", help="Where to answer HTTPS.  [127.0.0.1:8443]")
@click.option(
    "--plaintext",
    is_flag=True,
    default=None,
    help="Answer without TLS: on a loopback address, or with --http unix:/PATH.",
)
@click.option("--caller", metavar="ID", help="Who asks in plaintext: an id that a caller entry names.")
@click.option("--grpc", "grpc_address", metavar="HOST:PORT", help="Answer gRPC as well, here.")
@click.option("--health", "health_address", metavar="HOST:PORT", help="Answer probes in plaintext, here.")
@click.option("--workers", type=click.IntRange(1, MAX_WORKERS), help="How many processes answer.  [1]")
@click.option("--cert", type=click.Path(path_type=Path), help="Our certificate chain, PEM.")
@click.option("--key", type=click.Path(path_type=Path), help="Its private key, PEM.")
@click.option(
    "--trust", "trust", multiple=True, metavar="DOMAIN=FILE",
    help="Roots of one trust domain, PEM. Once for each domain whose callers may ask.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object for each event.")
def serve(  # noqa: PLR0913 -- one for each option
    policies: Path | None,
    *,
    as_json: bool,
    config_file: Path | None,
    address: str | None,
    plaintext: bool | None,
    caller: str | None,
    grpc_address: str | None,
    health_address: str | None,
    workers: int | None,
    cert: Path | None,
    key: Path | None,
    trust: tuple[str, ...],
) -> None:
    """Answer questions about POLICIES over HTTPS, and gRPC if asked to; callers come by mTLS.

    With --plaintext, questions come without TLS, from this machine alone and from one named caller.

    Settings come from the file, from variables that begin with PDP_, and from the options, the later
    over the earlier; `pdp config check` looks at them, and SIGHUP has the file read again. A saved edit
    is live a moment later. An edit with errors changes nothing and is shown; the last good version goes
    on being served.
    """
    for text, option in ((address, "--http"), (grpc_address, "--grpc"), (health_address, "--health")):
        if text is not None:
            _require_address(text, option)
    given: dict[tuple[str, ...], object] = {
        ("process", "workers"): workers,
        ("policies", "path"): policies,
        ("http", "listen"): address,
        ("http", "plaintext"): plaintext,
        ("local", "caller"): caller,
        ("grpc", "listen"): grpc_address,
        ("health", "listen"): health_address,
        ("http", "certificate"): cert,
        ("http", "key"): key,
        ("trust",): by_domain(trust) or None,
    }
    settings, doubts = _settings(config_file, given)
    again = None if config_file is None else partial(_read_again, config_file, given)
    with Forks() as forks:
        if settings.process.workers > 1:
            forks.start()
        # What this imports takes longest of a start: the fork server imports at the same time.
        from pdp.cli.serving import run  # noqa: PLC0415

        trouble = run(settings, doubts, again, forks, as_json=as_json)
    if trouble:
        click.echo(f"pdp: {trouble}", err=True)
        sys.exit(ExitCode.CANNOT)


def _settings(file: Path | None, options: dict[tuple[str, ...], object]) -> tuple[Settings, list[Diagnostic]]:
    """The settings and what is doubtful about them, or the end: what is wrong with them is shown."""
    try:
        loaded = read(file, options)
    except OSError as error:
        click.echo(f"pdp: {file} cannot be read: {error.strerror}", err=True)
        sys.exit(ExitCode.CANNOT)
    found = diagnose(loaded)
    if loaded.settings is not None and not has_errors(found):
        return loaded.settings, found
    show_diagnostics(found, {} if file is None else {loaded.source.path: loaded.source})
    sys.exit(ExitCode.USAGE if file is None and loaded.settings is None else ExitCode.CANNOT)


def _read_again(file: Path, options: dict[tuple[str, ...], object]) -> Found:
    """The settings as they are now, or what is wrong with them."""
    try:
        loaded = read(file, options)
    except OSError as error:
        return Found(settings=None, trouble=f"{escape(str(file))} cannot be read: {error.strerror}")
    found = tuple(diagnose(loaded))
    return Found(
        settings=None if has_errors(found) else loaded.settings,
        diagnostics=found,
        sources={loaded.source.path: loaded.source},
    )


def _require_address(text: str, option: str) -> None:
    try:
        (parse_http_address if option == "--http" else parse_address)(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error
