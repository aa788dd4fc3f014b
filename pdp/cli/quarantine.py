"""`pdp quarantine`: who is believed no more, listed and changed.

Of a file that services follow, or of a running service by its admin listener. Exit codes: 0 done, 2 a
mistake in how it was called, 3 it could not be done.
"""

import getpass
import os
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from pdp.cli.duration_option import DURATION
from pdp.cli.identity_config import settings_of
from pdp.cli.output import MistakenError, counted, current_instant, print_json, say
from pdp.cli.policy_set import require
from pdp.cli.quarantine_at import Credentials, InFile, OfService, Place
from pdp.diagnostics import escape
from pdp.identity.quarantine.entries import Entry
from pdp.identity.quarantine.workloads import workload_pattern
from pdp.limits import MAX_QUARANTINE_SECONDS
from pdp.service.quarantined import named_in

__all__ = ["quarantine"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

_EXAMPLE: Final = """\b
Example:
  pdp quarantine add --file quarantine.json --for 24h --why "key on a forum" \\
      --spiffe-id spiffe://prod.example.org/ns/shop/sa/web
  pdp quarantine list --file quarantine.json
  pdp quarantine lift q-0123456789abcdef --file quarantine.json --why rotated
"""
_PATH: Final = click.Path(path_type=Path, dir_okay=False)


def _place_options(function: _Function) -> _Function:
    """Where the list is, as every command here has it."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option("--ca", "roots", type=_PATH, help="Of the service's own certificate, with --at."),
        click.option("--key", type=_PATH, help="The key of --cert."),
        click.option("--cert", "certificate", type=_PATH, help="Our certificate, with --at."),
        click.option("--at", "url", metavar="URL", help="The admin listener of a running service."),
        click.option("--config", type=_PATH, help="Settings that name the file."),
        click.option("--file", "file", type=_PATH, help="The file with the list."),
    ):
        function = option(function)
    return function


@click.group(epilog=_EXAMPLE)
def quarantine() -> None:
    """Say who is believed no more: leaked credentials, until they are replaced."""


@quarantine.command("list")
@_place_options
def list_command(*, as_json: bool, **where: Any) -> None:
    """List the entries, those that have ended marked so."""
    entries, now = _place(**where).entries(), current_instant()
    if as_json:
        print_json({"entries": [msgspec.to_builtins(entry) for entry in entries]})
        return
    for entry in entries:
        say(f"{'ended' if entry.ends <= now else 'holds'} {_shown(entry)}")
    say(counted(len(entries), "entry").replace("entrys", "entries"), err=True)


@quarantine.command(epilog=_EXAMPLE)
@click.option("--spiffe-id", "spiffe_id", metavar="ID", help="A SPIFFE ID; `*` is a segment, `/**` the rest.")
@click.option("--dns", metavar="NAME", help="A DNS identity; `*.` is one label more.")
@click.option("--serial", metavar="HEX", help="The serial number of a certificate.")
@click.option("--trust-domain", "trust_domain", metavar="NAME", help="Of which trust domain, with --serial.")
@click.option("--jti", metavar="NAME", help="A token by its own name, with --issuer.")
@click.option("--sub", metavar="SUBJECT", help="Everybody with this subject, with --issuer.")
@click.option("--issuer", metavar="ISSUER", help="An issuer, or the trust domain of JWT-SVIDs.")
@click.option("--why", required=True, metavar="TEXT", help="What happened.")
@click.option("--for", "lasting", type=DURATION, required=True, metavar="DURATION", help="Such as 24h or 7d.")
@click.option("--policies", type=click.Path(path_type=Path), help="Count whom a pattern is about in these.")
@click.option("--confirm", type=click.IntRange(min=0), help="So many known identities are meant.")
@_place_options
def add(  # noqa: PLR0913 -- options
    *,
    why: str,
    lasting: timedelta,
    policies: Path | None,
    confirm: int | None,
    as_json: bool,
    file: Path | None,
    config: Path | None,
    url: str | None,
    certificate: Path | None,
    key: Path | None,
    roots: Path | None,
    **named: str | None,
) -> None:
    """Believe something no more from now on, for a while."""
    place = _place(file=file, config=config, url=url, certificate=certificate, key=key, roots=roots)
    about = {name: value for name, value in named.items() if value is not None}
    if url is None:
        _require_meant(about, policies, config, confirm)
    seconds = int(lasting.total_seconds())
    if seconds > MAX_QUARANTINE_SECONDS:  # here: there is no instant that lies as far ahead as can be said
        days = MAX_QUARANTINE_SECONDS // 86_400
        raise MistakenError("invalid_entry", f"an entry holds for {days} days at most")
    entry = place.add(about, why=why, seconds=seconds, confirm=confirm)
    _done("quarantined", entry, as_json=as_json)


@quarantine.command()
@click.argument("entry_id", metavar="ID")
@click.option("--why", required=True, metavar="TEXT", help="Why it is believed again.")
@_place_options
def lift(entry_id: str, *, why: str, as_json: bool, **where: Any) -> None:
    """Believe it again: take the entry ID out of the list."""
    place = _place(**where)
    _done("lifted", place.lift(entry_id, why=why), as_json=as_json)
    say(f"lifted {escape(place.by)}: {escape(why)}", err=as_json)


def _place(
    *,
    file: Path | None,
    config: Path | None,
    url: str | None,
    certificate: Path | None,
    key: Path | None,
    roots: Path | None,
) -> Place:
    if sum(each is not None for each in (file, config, url)) != 1:
        raise MistakenError("no_list", "name the list by one of --file, --config and --at")
    if url is not None:
        if certificate is None or key is None or roots is None:
            raise MistakenError("no_credentials", "--at goes with --cert, --key and --ca")
        return OfService(url, Credentials(certificate, key, roots))
    if config is not None:
        listed = settings_of(config).quarantine
        if listed is None or listed.file is None:
            raise MistakenError("no_list", f"`quarantine.file` is not set in {escape(str(config))}")
        file = listed.file
    assert file is not None  # noqa: S101 -- one of the three
    return InFile(file, _who)


def _who() -> str:
    """Who runs this command. In an image the user may have a number alone."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # as versions of Python have it
        name = f"uid {os.getuid()}"
    return f"{name}@{socket.gethostname()}"


def _require_meant(
    about: dict[str, str], policies: Path | None, config: Path | None, confirm: int | None
) -> None:
    """See that an entry is meant: one that is a pattern, or about those who lift."""
    text = about.get("spiffe_id") or (f"dns:{about['dns']}" if "dns" in about else "")
    try:
        pattern = workload_pattern(text) if text else None
    except ValueError:
        return  # said when it is made an entry
    if pattern is None:
        return
    admin = None if config is None else settings_of(config).admin
    lifters = 0 if admin is None else sum(map(pattern.holds_id, admin.may_lift))
    if pattern.exact and not lifters:
        return
    if policies is None and not pattern.exact:
        message = "a pattern may be about many: count them with --policies DIR"
        raise MistakenError("needs_confirmation", message)
    hits = 0
    if policies is not None:
        hits = named_in(pattern, require(policies, current_instant()).snapshot.index.principals)
    if confirm != hits + lifters:
        message = (
            f"it is about {hits} identities that policies name, and {lifters} who may lift: "
            f"to mean them all say --confirm {hits + lifters}"
        )
        raise MistakenError("needs_confirmation", message)


def _done(what: str, entry: Entry, *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.to_builtins(entry))
    else:
        say(f"{what}: {_shown(entry)}")


def _shown(entry: Entry) -> str:
    kind, value = entry.target
    beside = entry.trust_domain or entry.issuer
    of = f" of {beside}" if beside else ""
    return escape(f"{entry.id} {kind} {value}{of} until {entry.until}, by {entry.who}: {entry.why}")
