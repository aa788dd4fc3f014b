"""`pdp pki`: a certificate authority for development and small sites.

This module holds the commands, their arguments and what they print. The authority
itself is `pdp.identity.authority`. Exit codes: 0 done, 2 a mistake in how it was
called, 3 it could not be done; nothing here answers "no", so 1 is not used.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click

from pdp.cli.duration_option import DURATION
from pdp.diagnostics import escape
from pdp.identity.authority import (
    INTERMEDIATE,
    INTERMEDIATE_TTL,
    LEAF_TTL,
    ROOT,
    ROOT_TTL,
    AuthorityError,
    Credential,
    InvalidRequestError,
    init,
    issue,
    rotate,
    rotate_intermediate,
)
from pdp.identity.authority_crl import CRL_TTL, Revocation, publish, revoke

__all__ = ["pki"]

_MISTAKE: Final = 2
_COULD_NOT: Final = 3


# `\b` asks click to leave the lines below it as they are.
_GROUP_EXAMPLE: Final = """\b
Example:
  pdp pki init --trust-domain prod.example.org
  pdp pki issue web --spiffe-id spiffe://prod.example.org/ns/shop/sa/web --dns localhost
  pdp pki rotate web
"""
_INIT_EXAMPLE: Final = """\b
Example:
  pdp pki init --dir .pdp/pki --trust-domain prod.example.org
  pdp pki init --dir .pdp/machines --dns-identities
"""
_ISSUE_EXAMPLE: Final = """\b
Example:
  pdp pki issue web --spiffe-id spiffe://prod.example.org/ns/shop/sa/web \\
      --dns localhost --ip 127.0.0.1 --ttl 24h
  pdp pki issue --dir .pdp/machines db --dns db.example.org
"""
_ROTATE_EXAMPLE: Final = """\b
Example:
  pdp pki rotate web
  pdp pki rotate intermediate --ttl 90d
"""
_REVOKE_EXAMPLE: Final = """\b
Example:
  pdp pki revoke web
  pdp pki revoke web --issuer
"""
_CRL_EXAMPLE: Final = """\b
Example:
  pdp pki crl --ttl 7d
"""

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _shared_options(function: _Function) -> _Function:
    """The options of every command here."""
    folder = click.option(
        "--dir",
        "folder",
        type=click.Path(path_type=Path),
        default=Path(".pdp/pki"),
        show_default=True,
        metavar="DIR",
        help="The authority's folder.",
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    return folder(as_json(function))


@click.group(epilog=_GROUP_EXAMPLE)
def pki() -> None:
    """Make and renew certificates for development and small sites."""


@pki.command("init", epilog=_INIT_EXAMPLE)
@click.option("--trust-domain", metavar="NAME", help="The SPIFFE trust domain to sign for.")
@click.option("--dns-identities", is_flag=True, help="Sign for machines known by a DNS name instead.")
@click.option("--root-ttl", type=DURATION, default=ROOT_TTL, metavar="DURATION", help="Default: 1825d.")
@click.option(
    "--intermediate-ttl",
    type=DURATION,
    default=INTERMEDIATE_TTL,
    metavar="DURATION",
    help="Default: 90d.",
)
@_shared_options
def init_command(
    trust_domain: str | None,
    root_ttl: timedelta,
    intermediate_ttl: timedelta,
    folder: Path,
    *,
    dns_identities: bool,
    as_json: bool,
) -> None:
    """Make an authority: root.pem, intermediate.pem and their keys.

    Trust root.pem alone. An authority that is there already is left as it is.
    """
    if (trust_domain is None) is not dns_identities:
        raise click.UsageError("give one of --trust-domain and --dns-identities")
    with _answering(as_json=as_json):
        made = init(
            folder,
            trust_domain=trust_domain,
            now=datetime.now(UTC),
            root_ttl=root_ttl,
            intermediate_ttl=intermediate_ttl,
        )
        _print("made", made, folder, as_json=as_json)


@pki.command("issue", epilog=_ISSUE_EXAMPLE)
@click.argument("name")
@click.option("--spiffe-id", metavar="ID", help="The workload's SPIFFE ID. Without, its one DNS name is it.")
@click.option("--dns", multiple=True, metavar="HOST", help="A DNS name it serves as. Repeatable.")
@click.option("--ip", "ips", multiple=True, metavar="ADDRESS", help="An address it serves on. Repeatable.")
@click.option("--ttl", type=DURATION, default=LEAF_TTL, metavar="DURATION", help="Default: 24h.")
@_shared_options
def issue_command(
    name: str,
    spiffe_id: str | None,
    dns: tuple[str, ...],
    ips: tuple[str, ...],
    ttl: timedelta,
    folder: Path,
    *,
    as_json: bool,
) -> None:
    """Make NAME.pem (with the intermediate) and NAME-key.pem, for both ends of mutual TLS."""
    with _answering(as_json=as_json):
        made = issue(folder, name, spiffe_id=spiffe_id, dns=dns, ips=ips, now=datetime.now(UTC), ttl=ttl)
        _print("issued", (made,), folder, as_json=as_json)


@pki.command("rotate", epilog=_ROTATE_EXAMPLE)
@click.argument("name")
@click.option("--ttl", type=DURATION, metavar="DURATION", help="Default: as long as the old one.")
@_shared_options
def rotate_command(name: str, ttl: timedelta | None, folder: Path, *, as_json: bool) -> None:
    """Replace NAME by a new key and certificate with the same names.

    NAME may be `intermediate`: what the old one signed stays valid until it ends.
    """
    with _answering(as_json=as_json):
        now = datetime.now(UTC)
        if name == ROOT:
            raise InvalidRequestError(
                "a root cannot be replaced in place: make a new authority in another folder, "
                "trust both roots, then issue from the new one"
            )
        if name == INTERMEDIATE:
            made = rotate_intermediate(folder, now=now, ttl=INTERMEDIATE_TTL if ttl is None else ttl)
        else:
            made = rotate(folder, name, now=now, ttl=ttl)
        _print("rotated", (made,), folder, as_json=as_json)


@pki.command("revoke", epilog=_REVOKE_EXAMPLE)
@click.argument("name")
@click.option("--issuer", is_flag=True, help="Revoke whoever signed it, and so all that was signed by that.")
@click.option("--ttl", type=DURATION, default=CRL_TTL, metavar="DURATION", help="Of the list. Default: 7d.")
@_shared_options
def revoke_command(name: str, ttl: timedelta, folder: Path, *, issuer: bool, as_json: bool) -> None:
    """Revoke the certificate in NAME.pem, and write crl.pem anew.

    NAME may be `intermediate`, with all that it signed. Revoke before you rotate: what NAME.pem held before
    is not known any more.
    """
    with _answering(as_json=as_json):
        made = revoke(folder, name, now=datetime.now(UTC), ttl=ttl, issuer=issuer)
        _print_lists(made, as_json=as_json)


@pki.command("crl", epilog=_CRL_EXAMPLE)
@click.option("--ttl", type=DURATION, default=CRL_TTL, metavar="DURATION", help="Default: 7d.")
@_shared_options
def crl_command(ttl: timedelta, folder: Path, *, as_json: bool) -> None:
    """Write crl.pem, the revocation lists, anew; to be done before they end."""
    with _answering(as_json=as_json):
        _print_lists(publish(folder, now=datetime.now(UTC), ttl=ttl), as_json=as_json)


@contextmanager
def _answering(*, as_json: bool) -> Iterator[None]:
    """Turn a refusal into its message and exit code."""
    try:
        yield
    except InvalidRequestError as error:
        _fail(error, _MISTAKE, as_json=as_json)
    except AuthorityError as error:
        _fail(error, _COULD_NOT, as_json=as_json)


def _fail(error: AuthorityError, code: int, *, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"error": str(error)}))
    else:
        click.echo(f"error: {error}", err=True)
    sys.exit(code)


def _print(verb: str, made: tuple[Credential, ...], folder: Path, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({verb: [_as_data(c) for c in made], "trust": str(folder / "root.pem")}))
        return
    for item in made:
        click.echo(f"{verb} {item.name}: {item.uri}")
        click.echo(f"  certificate  {escape(str(item.certificate))}")
        click.echo(f"  key          {escape(str(item.key))}")
        click.echo(f"  valid until  {item.not_after:%Y-%m-%dT%H:%M:%SZ}")
    click.echo(f"trust {escape(str(folder / 'root.pem'))}")


def _print_lists(made: Revocation, *, as_json: bool) -> None:
    until = f"{made.until:%Y-%m-%dT%H:%M:%SZ}"
    if as_json:
        click.echo(
            json.dumps({"lists": str(made.lists), "valid_until": until, "revoked": made.serial or None})
        )
        return
    if made.serial:
        click.echo(f"revoked the serial number {made.serial}")
    click.echo(f"lists {escape(str(made.lists))}")
    click.echo(f"  valid until  {until}")


def _as_data(item: Credential) -> dict[str, str]:
    return {
        "name": item.name,
        "uri": item.uri,
        "certificate": str(item.certificate),
        "key": str(item.key),
        "not_after": f"{item.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "fingerprint": item.fingerprint,
    }
