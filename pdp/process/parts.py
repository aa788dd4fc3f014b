"""The parts of a service that the supervisor of workers has as well, each made from the settings.

Those that answer questions are in `pdp.process.answering`, since what they import takes long. What the
settings are and where they come from is the business of `pdp.config`, and who puts parts together another's.
"""

import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Final, TypeAlias

from pdp.adapters.binding import AddressInUseError, bind
from pdp.adapters.local import Local
from pdp.adapters.tls import Credential, ServerCredentialError, ServerTls, read_credential
from pdp.config.address import Address
from pdp.config.model import Settings
from pdp.config.unix import UnixAddress
from pdp.identity.trust import TrustStore
from pdp.process.cannot_start import AddressTakenError, CannotStartError
from pdp.process.local import bind_unix
from pdp.service.health import Health
from pdp.store.versions import Versions
from pdp.vocabulary import Millis

__all__ = [
    "Say", "clock", "make_digest_key", "make_health", "make_tls", "no_log", "peers_of",
    "retune_health", "take_address", "take_http",
]  # fmt: skip

#: Gets what is to be told to whoever runs the service, a paragraph at a time, from any thread.
Say: TypeAlias = Callable[[str], None]

_DIGEST_KEY_BYTES: Final = 32
_STDOUT: Final = 1


def clock() -> Millis:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def take_address(address: Address, option: str) -> socket.socket:
    """Bind an address that an option gives.

    Raises:
        CannotStartError: It is taken, or not to be had.
    """
    try:
        return bind(address.host, address.port)
    except AddressInUseError as error:
        msg = f"{address} is taken; choose another address with {option}"
        raise AddressTakenError(msg) from error
    except OSError as error:
        msg = f"cannot listen on {address}: {error.strerror}"
        raise CannotStartError(msg) from error


def take_http(settings: Settings, held: ExitStack) -> socket.socket:
    """The socket on which decisions are answered over HTTP; `held` closes it.

    Raises:
        CannotStartError: It is taken, or not to be had.
    """
    where = settings.http.where
    if isinstance(where, UnixAddress):
        return bind_unix(where, held)
    return held.enter_context(closing(take_address(where, "--http HOST:PORT")))


def make_tls(settings: Settings, trust: TrustStore, ours: Credential | None = None) -> ServerTls | None:
    """Our certificate, and the roots of callers; None where nothing listens over TLS.

    Args:
        settings: They name the files of our certificate, if there are any.
        trust: The roots.
        ours: What we present where no file holds it.

    Raises:
        CannotStartError: Certificate and key cannot be used.
    """
    if ours is None and settings.http.certificate is None:
        return None
    try:
        return ServerTls(ours or read_credential(*settings.http.credentials), trust)
    except ServerCredentialError as error:
        raise CannotStartError(str(error)) from error


def peers_of(local: Local | None, tls: ServerTls | None) -> ServerTls | Local:
    """How callers of the decision listener are told.

    Raises:
        CannotStartError: There is no way.
    """
    peers = local or tls
    if peers is None:
        raise CannotStartError("without a certificate and its key there is no mTLS")
    return peers


def make_health(settings: Settings, versions: Versions) -> Health:
    """The health of a service."""
    return Health(versions, clock=clock, max_staleness_ms=_max_staleness_ms(settings))


def retune_health(settings: Settings, health: Health) -> None:
    """Have new settings hold for what probes are told."""
    health.max_staleness_ms = _max_staleness_ms(settings)


def _max_staleness_ms(settings: Settings) -> Millis | None:
    """Beyond what age a version is no longer said to be fresh."""
    stale = round(settings.health.max_staleness_seconds * 1000) if settings.health is not None else 0
    return stale or None


def make_digest_key(settings: Settings) -> bytes:
    """With what the decision log's digests are keyed.

    Raises:
        CannotStartError: The file that holds it cannot be read.
    """
    file = settings.decision_log.digest_key
    if file is None:
        return os.urandom(_DIGEST_KEY_BYTES)
    try:
        return file.read_bytes()
    except OSError as error:
        raise no_log(error) from error


def no_log(error: OSError) -> CannotStartError:
    """What keeps the decision log from being opened."""
    return CannotStartError(f"the decision log cannot be opened: {error.filename}: {error.strerror}")
