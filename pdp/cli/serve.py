"""`pdp serve`: the service, from a policy directory and the certificates it is given.

Starts only with a policy set that has no errors and with every security setting stated; from then
on an edit that has errors changes nothing, and is shown.
"""

import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, final

import click

from pdp.adapters.server import AddressInUseError, Beside, CannotListenError, Listener, bind
from pdp.adapters.tls import ServerCredentialError
from pdp.diagnostics import Severity, escape, render
from pdp.identity.trust import TrustError, TrustStore, load_trust, trust_warnings
from pdp.service.decision_service import DecisionService
from pdp.store.bundle import PolicyBundle, read_bundle
from pdp.store.publish import Accepted, Event, Publisher
from pdp.store.snapshot import Loaded, Loader
from pdp.store.watch import DirectoryWatcher
from pdp.vocabulary import Millis

__all__ = ["AddressTakenError", "CannotStartError", "Settings", "parse_address", "serve", "start"]

_CANNOT: Final = 3
_PORT: Final = re.compile(r"[0-9]{1,5}")
_EXAMPLE: Final = """
\b
Example:
  pdp pki init --dir .pdp/pki --trust-domain prod.example.org
  pdp pki issue --dir .pdp/pki pdp --spiffe-id spiffe://prod.example.org/ns/pdp/sa/pdp \\
      --dns localhost --ip 127.0.0.1
  pdp serve policies --cert .pdp/pki/pdp.pem --key .pdp/pki/pdp-key.pem \\
      --trust prod.example.org=.pdp/pki/root.pem
"""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the service is started with; each is stated, none assumed.

    Attributes:
        policies: The policy directory.
        host: Where HTTP is answered.
        port: The port there.
        certificate: Our certificate chain.
        key: Its private key.
        trust: Whose callers may ask.
        grpc: Where gRPC is answered, or None for nowhere.
    """

    policies: Path
    host: str
    port: int
    certificate: Path
    key: Path
    trust: TrustStore
    grpc: tuple[str, int] | None = None


class CannotStartError(Exception):
    """Why the service does not start, in words, with what to do about it."""


@final
class AddressTakenError(CannotStartError):
    """Something else listens on the address; the message names the option that changes it."""


def clock() -> Millis:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def start(settings: Settings, *, ready: Callable[[str, Publisher], None], say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: What to serve and how.
        ready: Called once connections are accepted, with the address.
        say: Gets what is to be told of edits and of trouble, a paragraph at a time.

    Raises:
        CannotStartError: A setting or the policy set keeps the service from starting.
    """
    listener = _bind(settings.host, settings.port, "--http")
    if settings.grpc is not None:
        # grpcio binds for itself, and much later: whether it can is found out here.
        _bind(*settings.grpc, "--grpc").close()
    bundle = read_bundle(settings.policies)
    loader = Loader(circumstances=settings.trust.digest)
    loaded = loader.load(bundle, now=clock())
    if loaded.snapshot is None:
        listener.close()
        raise CannotStartError(
            _shown(loaded, Severity.ERROR) + "the policy set has errors, and there is no last good one"
        )

    def told(event: Event) -> None:
        service.revisions.ring()
        say(describe(event))

    publisher = Publisher(loader, loaded.snapshot, on_event=told, now=clock())
    service = DecisionService(publisher, clock=clock)
    try:
        beside = None if settings.grpc is None else _grpc(settings, settings.grpc, service)
        server = Listener(
            service,
            certificate=settings.certificate,
            key=settings.key,
            trust=settings.trust,
            clock=clock,
            beside=beside,
        )
    except ServerCredentialError as error:
        listener.close()
        raise CannotStartError(str(error)) from error
    watcher = _watch(settings.policies, bundle, publisher, say)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host

    def announce() -> None:
        if beside is not None:
            say(f"answering gRPC on {beside.address}")
        ready(f"{shown}:{port}", publisher)

    try:
        server.run(listener, ready=announce)
    except CannotListenError as error:
        raise CannotStartError(str(error)) from error
    finally:
        watcher.stop()


def _bind(host: str, port: int, option: str) -> socket.socket:
    try:
        return bind(host, port)
    except AddressInUseError as error:
        msg = f"{host}:{port} is taken; choose another address with {option} HOST:PORT"
        raise AddressTakenError(msg) from error
    except OSError as error:
        msg = f"cannot listen on {host}:{port}: {error.strerror}"
        raise CannotStartError(msg) from error


def _grpc(settings: Settings, address: tuple[str, int], service: DecisionService) -> Beside:
    """The gRPC listener. Its library takes a while to import: only here, and settled first."""
    from pdp.adapters.grpc.environment import settle  # noqa: PLC0415

    settle()
    from pdp.adapters.grpc.server import GrpcListener  # noqa: PLC0415

    return GrpcListener(
        service,
        address=address,
        certificate=settings.certificate,
        key=settings.key,
        trust=settings.trust,
        clock=clock,
    )


def _watch(
    root: Path, baseline: PolicyBundle, publisher: Publisher, say: Callable[[str], None]
) -> DirectoryWatcher:
    watcher = DirectoryWatcher(
        root,
        lambda bundle: _offer(publisher, bundle),
        on_error=lambda error: say(f"watching {root}: {escape(str(error))}"),
        on_confirmed=lambda: publisher.confirm(clock()),
        baseline=baseline,
    )
    watcher.start()
    return watcher


def _offer(publisher: Publisher, bundle: PolicyBundle) -> None:
    publisher.offer(bundle, clock())


def describe(event: Event) -> str:
    """One line for a version that is served; the diagnostics and one line for one that is not."""
    if isinstance(event, Accepted):
        notes = sum(d.severity is not Severity.NOTE for d in event.loaded.diagnostics)
        warned = f", {notes} warnings (see `pdp check`)" if notes else ""
        revision = event.published.snapshot.revision
        return f"revision {revision}: {escape(str(event.changes))}{warned}"
    return f"{_shown(event.loaded, Severity.ERROR)}still serving {event.serving}"


def _shown(loaded: Loaded, least: Severity) -> str:
    return "".join(render(d, loaded.sources) + "\n" for d in loaded.diagnostics if d.severity <= least)


@click.command(epilog=_EXAMPLE)
@click.argument("policies", type=click.Path(path_type=Path))
@click.option(
    "--http", "address", default="127.0.0.1:8443", show_default=True, help="HOST:PORT to answer on."
)
@click.option("--grpc", "grpc_address", metavar="HOST:PORT", help="Answer gRPC as well, here.")
@click.option("--cert", required=True, type=click.Path(path_type=Path), help="Our certificate chain, PEM.")
@click.option("--key", required=True, type=click.Path(path_type=Path), help="Its private key, PEM.")
@click.option(
    "--trust", "trust", required=True, multiple=True, metavar="DOMAIN=FILE",
    help="Roots of one trust domain, PEM. Once for each domain whose callers may ask.",
)  # fmt: skip
def serve(
    policies: Path, *, address: str, grpc_address: str | None, cert: Path, key: Path, trust: tuple[str, ...]
) -> None:
    """Answer questions about POLICIES over HTTPS, and gRPC if asked to; callers come by mTLS.

    A saved edit is live a moment later. An edit with errors changes nothing and is shown; the last
    good version goes on being served.
    """
    host, port = parse_address(address)
    beside = None if grpc_address is None else parse_address(grpc_address, "--grpc")
    try:
        store = load_trust(_by_domain(trust))
        for warning in trust_warnings(store, datetime.now(UTC)):
            click.echo(f"warning: {warning}", err=True)
        settings = Settings(
            policies=policies, host=host, port=port, certificate=cert, key=key, trust=store, grpc=beside
        )
        start(settings, ready=_ready, say=_Printer().say)
    except (TrustError, CannotStartError) as error:
        click.echo(f"pdp: {error}", err=True)
        sys.exit(_CANNOT)


def _ready(address: str, publisher: Publisher) -> None:
    snapshot = publisher.current.snapshot
    counted = f"{snapshot.rules} rules, {len(snapshot.index.services)} services"
    click.echo(f"serving revision {snapshot.revision} ({counted}) on https://{address}")
    sys.stdout.flush()


@final
class _Printer:
    """Prints whole paragraphs, from whichever thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Print one paragraph. That nobody reads it any more keeps no version from being served."""
        with self._lock, suppress(OSError):
            click.echo(text)
            sys.stdout.flush()


def parse_address(text: str, option: str = "--http") -> tuple[str, int]:
    """The host and the port of HOST:PORT; an IPv6 address stands in brackets.

    Raises:
        click.BadParameter: It is something else.
    """
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not _PORT.fullmatch(port) or int(port) > 65535 or not host or (":" in host and not bracketed):
        raise click.BadParameter("write HOST:PORT, such as 127.0.0.1:8443", param_hint=option)
    return host.strip("[]"), int(port)


def _by_domain(given: tuple[str, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for domain, file in map(_pair, given):
        if domain in found:
            # Not merged and not replaced: either would be a guess about whom to believe.
            message = f"`{domain}` is given twice; put all its roots into one file"
            raise click.BadParameter(message, param_hint="--trust")
        found[domain] = file
    return found


def _pair(text: str) -> tuple[str, Path]:
    domain, equals, file = text.partition("=")
    if not equals or not domain or not file:
        raise click.BadParameter(
            "write DOMAIN=FILE, such as prod.example.org=roots.pem", param_hint="--trust"
        )
    return domain, Path(file)
