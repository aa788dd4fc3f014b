"""`pdp identity explain`: what we make of an ID, a header, a certificate or a token, and why.

This module holds the command and how it prints; what is made of evidence is in `pdp.identity.explained` and
`pdp.identity.tokens.explained`, whom `--config` has us believe in `pdp.cli.identity_config`.
Exit codes: 0 accepted, 1 refused, 2 called wrongly, 3 it could not be found out; with `--batch`, 0 once
every line was read.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, final

import click
import msgspec

from pdp.adapters.strict_json import BadJsonError, decode
from pdp.cli.identity_config import Believed, believed
from pdp.cli.instant_option import INSTANT
from pdp.cli.lines import answer_each
from pdp.cli.output import CannotError, ExitCode, MistakenError, Tone, current_instant, print_json, say
from pdp.diagnostics import escape
from pdp.identity.explained import Explained, explain_certificate, explain_spiffe_id, explain_xfcc
from pdp.identity.tokens.explained import explain_jwt
from pdp.limits import MAX_BODY_BYTES, MAX_TOKEN_BYTES, MAX_TRUST_FILE_BYTES
from pdp.store.problems import reason
from pdp.vocabulary import Millis

__all__ = ["identity"]

_EXAMPLE: Final = """\b
Example:
  pdp identity explain --spiffe-id spiffe://prod.example.org/ns/shop/sa/web
  pdp identity explain --xfcc 'By=spiffe://prod.example.org/ns/pdp/sa/pdp;URI=spiffe://prod.example.org/a'
  pdp identity explain --cert web.pem --trust prod.example.org=roots.pem
  pdp identity explain --jwt - --config pdp.toml < token.txt
  pdp identity explain --batch evidence.jsonl --config pdp.toml
"""


@final
class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of a file of evidence: exactly one of these."""

    spiffe_id: str | None = None
    xfcc: str | None = None
    cert: str | None = None
    jwt: str | None = None


_KEYS: Final = "`spiffe_id`, `xfcc`, `cert` and `jwt`"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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
@click.option("--jwt", metavar="TOKEN", help="A token; `-` reads it from standard input.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Settings that say whom we believe: `issuers`, `jwt_bundles` and `trust`.",
)
@click.option("--at", type=INSTANT, metavar="INSTANT", help="When. Default: now.")
@click.option(
    "--batch",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help=f"JSON lines, each with one of {_KEYS}.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs: what was made of it as JSON.")
def explain(  # noqa: PLR0913 - one for each option
    *,
    spiffe_id: str | None,
    xfcc: str | None,
    hops: int,
    cert: Path | None,
    trust: tuple[str, ...],
    jwt: str | None,
    config: Path | None,
    at: Millis | None,
    batch: Path | None,
    as_json: bool,
) -> None:
    """Say what an ID, a header, a certificate or a token comes to, and why.

    Nothing is read but the files that are named. Nobody is asked for anything but the keys of a token's own
    issuer, where the settings name a URL for them.
    """
    given = [each for each in (spiffe_id, xfcc, cert, jwt, batch) if each is not None]
    if len(given) != 1:
        raise click.UsageError("give one of --spiffe-id, --xfcc, --cert, --jwt and --batch")
    explainer = _Explainer(hops, believed(trust, config), current_instant() if at is None else at)
    if batch is not None:
        answer_each(batch, explainer.line)
        return
    token = None if jwt is None else _token(jwt)
    pem = None if cert is None else _read(cert)
    found = explainer.explain(spiffe_id, xfcc, token, pem)
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _show(found)
    sys.exit(ExitCode.YES if found.accepted else ExitCode.NO)


@final
class _Explainer:
    def __init__(self, hops: int, believed: Believed, now: Millis) -> None:
        self._hops = hops
        self._believed = believed
        self._now = now

    def explain(
        self, spiffe_id: str | None, xfcc: str | None, jwt: str | None, pem: bytes | None
    ) -> Explained:
        """What one of these comes to."""
        if spiffe_id is not None:
            return explain_spiffe_id(spiffe_id)
        if xfcc is not None:
            return explain_xfcc(xfcc, self._hops)
        if jwt is not None:
            tokens = self._believed.tokens
            return explain_jwt(jwt, tokens.now(), self._now, tokens.latest)
        if self._believed.roots is None:
            message = "a certificate is verified to the roots that --trust or --config names"
            raise MistakenError("no_trust", message)
        now = _EPOCH + timedelta(milliseconds=self._now)
        return explain_certificate(pem or b"", self._believed.roots, now)

    def line(self, line: bytes) -> Explained:
        """The same for a line of a file; one that holds no evidence is refused."""
        try:
            given = decode(line, _Line, max_bytes=MAX_BODY_BYTES, subject="the line")
        except BadJsonError as error:
            return Explained(accepted=False, reason=error.message, parts={"code": error.code})
        if sum(each is not None for each in (given.spiffe_id, given.xfcc, given.cert, given.jwt)) != 1:
            reason = f"the line has not exactly one of {_KEYS}"
            return Explained(accepted=False, reason=reason, parts={"code": "wrong_type"})
        if given.cert is not None and self._believed.roots is None:
            reason = "there are no roots to verify it to: name them by --trust or --config"
            return Explained(accepted=False, reason=reason, parts={"code": "no_trust"})
        return self.explain(given.spiffe_id, given.xfcc, given.jwt, (given.cert or "").encode())


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
