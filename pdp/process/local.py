"""The plaintext listener put together: its socket, and who asks on it.

What may be set together is checked by `pdp.config.local` before; what is looked at here is what is so.
"""

import os
import socket
from contextlib import ExitStack
from ipaddress import ip_address

from pdp.adapters.local import Local, local_hosts
from pdp.adapters.unix_socket import SocketTakenError, UnsafeSocketError, bound
from pdp.config.model import Forwarded, LocalSettings, Settings
from pdp.config.unix import UnixAddress
from pdp.identity.local import named_caller
from pdp.process.cannot_start import AddressTakenError, CannotStartError
from pdp.service.authorization import rights_of
from pdp.store.versions import Versions

__all__ = ["bind_unix", "local_of", "require_entry", "shown_at"]


def bind_unix(address: UnixAddress, held: ExitStack) -> socket.socket:
    """A socket of ours, removed when `held` is left.

    Raises:
        AddressTakenError: Somebody answers there already.
        CannotStartError: It would not be ours alone.
    """
    try:
        return held.enter_context(bound(address.path))
    except SocketTakenError as error:
        msg = f"{error}; choose another address with --http unix:/PATH"
        raise AddressTakenError(msg) from error
    except UnsafeSocketError as error:
        raise CannotStartError(str(error)) from error


def local_of(settings: Settings, listener: socket.socket) -> Local | None:
    """Who asks on a bound socket in plaintext; None where it is to be mTLS.

    Raises:
        CannotStartError: Others than this machine reach the socket, or nothing says who asks.
    """
    if not settings.http.plaintext:
        if listener.family == socket.AF_UNIX:
            raise CannotStartError("there is no TLS on Unix sockets: set `http.plaintext`")
        return None
    local = settings.local or LocalSettings()
    unix = listener.family == socket.AF_UNIX
    if not unix and not ip_address(listener.getsockname()[0]).is_loopback:
        raise CannotStartError(
            f"plaintext is for this machine alone, and others reach {settings.http.listen}"
        )
    try:
        return Local(
            caller=None if local.caller is None else named_caller(local.caller),
            identity=local.identity if local.forwarded is Forwarded.XFCC else None,
            uids=(local.uids or frozenset({os.geteuid()})) if unix else None,
            hosts=None if unix else _hosts(local, listener),
        )
    except ValueError as error:
        raise CannotStartError("plaintext needs `local.caller` or `local.forwarded`, and not both") from error


def _hosts(local: LocalSettings, listener: socket.socket) -> frozenset[bytes]:
    if local.hosts is not None:
        return frozenset(host.encode("ascii") for host in local.hosts)
    return local_hosts(*listener.getsockname()[:2])


def require_entry(local: Local | None, versions: Versions) -> None:
    """The caller that is named has to be one that the policy set knows.

    Raises:
        CannotStartError: No caller entry names it.
    """
    if local is None or local.caller is None:
        return
    snapshot = versions.current.snapshot
    if not rights_of(local.caller, snapshot.callers, snapshot.index).grants:
        msg = f"`local.caller`: no caller entry of the policy set names {local.caller.id}"
        raise CannotStartError(msg)


def shown_at(listener: socket.socket, *, plaintext: bool) -> str:
    """Where the listener is, as a URL, or `unix:` and a path."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return str(UnixAddress(name))
    host, port = name[:2]
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"{'http' if plaintext else 'https'}://{shown}"
