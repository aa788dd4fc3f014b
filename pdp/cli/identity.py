"""`pdp identity explain`: what we make of an ID, headers, a certificate or a token, and why.

This module holds the command and how it prints; what evidence comes to is in `pdp.cli.evidence`, whom
`--config` has us believe in `pdp.cli.identity_config`, how headers are given in `pdp.cli.forwarded_options`.
Exit codes: 0 accepted, 1 refused, 2 called wrongly, 3 it could not be found out; with `--batch`, 0 once
every line was read.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from pdp.cli.evidence import KEYS, Evidence, Explainer
from pdp.cli.forwarded_options import form_of, header_lines
from pdp.cli.identity_config import believed
from pdp.cli.instant_option import INSTANT
from pdp.cli.lines import answer_each
from pdp.cli.output import CannotError, ExitCode, MistakenError, Tone, current_instant, print_json, say
from pdp.diagnostics import escape
from pdp.identity.explained import Explained
from pdp.identity.forwarded.forms import FORMS
from pdp.limits import MAX_TOKEN_BYTES, MAX_TRUST_FILE_BYTES
from pdp.store.problems import reason
from pdp.vocabulary import Millis

__all__ = ["identity"]

_EXAMPLE: Final = """\b
Example:
  pdp identity explain --spiffe-id spiffe://prod.example.org/ns/shop/sa/web
  pdp identity explain --xfcc 'By=spiffe://prod.example.org/ns/pdp/sa/pdp;URI=spiffe://prod.example.org/a'
  pdp identity explain --cert web.pem --trust prod.example.org=roots.pem
  pdp identity explain --forwarded linkerd --header 'l5d-client-id: web.shop.mesh.example.org'
  pdp identity explain --jwt - --config pdp.toml < token.txt
  pdp identity explain --batch evidence.jsonl --config pdp.toml
"""


@click.group(epilog=_EXAMPLE)
def identity() -> None:
    """Look at identities."""


@identity.command(epilog=_EXAMPLE)
@click.option("--spiffe-id", metavar="ID", help="A SPIFFE ID.")
@click.option("--xfcc", metavar="VALUE", help="A value of the header x-forwarded-client-cert.")
@click.option(
    "--hops",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="How many proxies are in that header.",
)
@click.option(
    "--cert",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A certificate, PEM, and what it is presented with.",
)
@click.option(
    "--trust", multiple=True, metavar="DOMAIN=FILE", help="Roots of a trust domain, PEM, for certificates."
)
@click.option(
    "--forwarded",
    type=click.Choice(tuple(FORMS)),
    help="The form in which a proxy says in headers who called it: those of --header.",
)
@click.option(
    "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header's line, with --forwarded."
)
@click.option("--ours", metavar="ID", help="Our own SPIFFE ID: --forwarded xfcc has to be for us.")
@click.option("--jwt", metavar="TOKEN", help="A token; `-` reads it from standard input.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Settings that say whom we believe: `issuers`, `jwt_bundles`, `clusters`, `trust`, `dns`, `crls`.",
)
@click.option("--at", type=INSTANT, metavar="INSTANT", help="When. Default: now.")
@click.option(
    "--batch",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help=f"JSON lines, each with one of {KEYS}.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs: what was made of it as JSON.")
def explain(  # noqa: PLR0913 - one for each option
    *,
    spiffe_id: str | None,
    xfcc: str | None,
    hops: int,
    cert: Path | None,
    trust: tuple[str, ...],
    forwarded: str | None,
    headers: tuple[str, ...],
    ours: str | None,
    jwt: str | None,
    config: Path | None,
    at: Millis | None,
    batch: Path | None,
    as_json: bool,
) -> None:
    """Say what an ID, headers, a certificate or a token come to, and why.

    Nothing is read but the files that are named. Nobody is asked for anything but the keys of a token's own
    issuer, where the settings name a URL for them, and a cluster about its own token, where they have it
    reviewed.
    """
    given = [each for each in (spiffe_id, xfcc, cert, forwarded, jwt, batch) if each is not None]
    if len(given) != 1:
        raise click.UsageError("give one of --spiffe-id, --xfcc, --cert, --forwarded, --jwt and --batch")
    if headers and forwarded is None:
        raise click.UsageError("--header goes with --forwarded")
    now = current_instant() if at is None else at
    explainer = Explainer(hops, believed(trust, config), ours, now)
    if batch is not None:
        answer_each(batch, explainer.line)
        return
    evidence = Evidence(
        spiffe_id=spiffe_id,
        xfcc=xfcc,
        pem=None if cert is None else _read(cert),
        jwt=None if jwt is None else _token(jwt),
        forwarded=None if forwarded is None else (form_of(forwarded), header_lines(headers)),
    )
    lacking = explainer.lacks(evidence)
    if lacking is not None:
        raise MistakenError(*lacking)
    found = explainer.explain(evidence)
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _show(found)
    sys.exit(ExitCode.YES if found.accepted else ExitCode.NO)


def _token(given: str) -> str:
    """The token, or that of standard input, where no list of processes shows it; without the line's end."""
    if given != "-":
        return given
    # Bytes that are no text stay what they are: none of them is in a token.
    text = sys.stdin.buffer.read(MAX_TOKEN_BYTES + 3).decode("ascii", "surrogateescape")
    return text.removesuffix("\n").removesuffix("\r")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_TRUST_FILE_BYTES)
    except OSError as error:
        raise CannotError("not_read", f"`{path}` cannot be read: {reason(error)}") from error


def _show(found: Explained) -> None:
    verdict = ("accepted", Tone.GOOD) if found.accepted else ("refused", Tone.BAD)
    say([verdict, (f": {escape(found.reason)}", Tone.PLAIN)])
    for name, value in _rows("", found.parts):
        say(f"  {escape(name):14} {escape(value)}")


def _rows(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """What was read, a name and a value on each line."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from _rows(f"{name}.{key}" if name else key.replace("_", " "), inner)
        case list():
            for number, inner in enumerate(value, 1):
                yield from _rows(f"{name} {number}" if isinstance(inner, dict) else name, inner)
        case bool():
            yield name, "yes" if value else "no"
        case None:
            yield name, "nothing"
        case _:
            yield name, str(value)
