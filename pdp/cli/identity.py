"""`pdp identity explain`: what we make of an ID, a header or a certificate, and why.

This module holds the command and how it prints; what is made of evidence is in `pdp.identity.explained`.
Exit codes: 0 accepted, 1 refused, 2 called wrongly, 3 it could not be found out; with `--batch`, 0 once
every line was read.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, final

import click
import msgspec

from pdp.adapters.strict_json import BadJsonError, decode
from pdp.cli.lines import answer_each
from pdp.cli.output import CannotError, ExitCode, MistakenError, Tone, print_json, say
from pdp.cli.trust_options import by_domain
from pdp.diagnostics import escape
from pdp.identity.explained import Explained, explain_certificate, explain_spiffe_id, explain_xfcc
from pdp.identity.trust import TrustError, TrustStore, load_trust
from pdp.limits import MAX_BODY_BYTES, MAX_TRUST_FILE_BYTES
from pdp.store.problems import reason

__all__ = ["identity"]

_EXAMPLE: Final = """\b
Example:
  pdp identity explain --spiffe-id spiffe://prod.example.org/ns/shop/sa/web
  pdp identity explain --xfcc 'By=spiffe://prod.example.org/ns/pdp/sa/pdp;URI=spiffe://prod.example.org/a'
  pdp identity explain --cert web.pem --trust prod.example.org=roots.pem
  pdp identity explain --batch evidence.jsonl
"""


@final
class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of a file of evidence: exactly one of these."""

    spiffe_id: str | None = None
    xfcc: str | None = None
    cert: str | None = None


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
    "--batch",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="JSON lines, each with one of `spiffe_id`, `xfcc` and `cert` (PEM).",
)
@click.option("--json", "as_json", is_flag=True, help="For programs: what was made of it as JSON.")
def explain(
    *,
    spiffe_id: str | None,
    xfcc: str | None,
    hops: int,
    cert: Path | None,
    trust: tuple[str, ...],
    batch: Path | None,
    as_json: bool,
) -> None:
    """Say what an ID, a header or a certificate comes to, and why.

    Nobody is asked for anything, and nothing is read but the files that are named.
    """
    given = [each for each in (spiffe_id, xfcc, cert, batch) if each is not None]
    if len(given) != 1:
        raise click.UsageError("give one of --spiffe-id, --xfcc, --cert and --batch")
    explainer = _Explainer(hops, trust)
    if batch is not None:
        answer_each(batch, explainer.line)
        return
    pem = None if cert is None else _read(cert)
    found = explainer.explain(spiffe_id, xfcc, pem)
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _show(found)
    sys.exit(ExitCode.YES if found.accepted else ExitCode.NO)


@final
class _Explainer:
    def __init__(self, hops: int, trust: tuple[str, ...]) -> None:
        self._hops = hops
        self._trust = _store(trust)

    def explain(self, spiffe_id: str | None, xfcc: str | None, pem: bytes | None) -> Explained:
        """What one of these comes to."""
        if spiffe_id is not None:
            return explain_spiffe_id(spiffe_id)
        if xfcc is not None:
            return explain_xfcc(xfcc, self._hops)
        if self._trust is None:
            raise MistakenError("no_trust", "a certificate is verified to the roots that --trust names")
        return explain_certificate(pem or b"", self._trust, datetime.now(UTC))

    def line(self, line: bytes) -> Explained:
        """The same for a line of a file; one that holds no evidence is refused."""
        try:
            given = decode(line, _Line, max_bytes=MAX_BODY_BYTES, subject="the line")
        except BadJsonError as error:
            return Explained(accepted=False, reason=error.message, parts={"code": error.code})
        if sum(each is not None for each in (given.spiffe_id, given.xfcc, given.cert)) != 1:
            reason = "the line has not exactly one of `spiffe_id`, `xfcc` and `cert`"
            return Explained(accepted=False, reason=reason, parts={"code": "wrong_type"})
        if given.cert is not None and self._trust is None:
            reason = "there are no roots to verify it to: name them by --trust"
            return Explained(accepted=False, reason=reason, parts={"code": "no_trust"})
        return self.explain(given.spiffe_id, given.xfcc, (given.cert or "").encode())


def _store(trust: tuple[str, ...]) -> TrustStore | None:
    if not trust:
        return None
    try:
        return load_trust(by_domain(trust))
    except TrustError as error:
        raise CannotError("no_trust", str(error)) from error


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
        say(f"  {name:14} {escape(value)}")


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
        case _:
            yield name, str(value)
