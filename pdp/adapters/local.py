"""Who asks on a plaintext listener, and that nobody else does.

There is no certificate here. A peer on a Unix socket is known by its user; one on a loopback address is
any process of this machine, and any browser that runs on it. A page of somebody else's in that browser
must not be able to ask: it can reach us by a name that it makes point here, or send without reading.

Every request has one caller or is refused. It never has the one that the settings name where a sidecar
should have said who it is.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

from pdp.adapters.bounded import BoundedProtocol
from pdp.adapters.unix_socket import peer_uid
from pdp.identity.forwarded.refusal import ForwardedError, ForwardedFault
from pdp.identity.forwarded.xfcc import XFCC, forwarded_identity
from pdp.identity.local import LocalCaller, forwarded_caller
from pdp.service.errors import NotPermittedError

__all__ = ["Local", "local_hosts", "local_protocol_class"]

_Headers: TypeAlias = Sequence[tuple[bytes, bytes]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """How callers are told apart where there is no TLS.

    Attributes:
        caller: Who asks, whoever it is; None where a sidecar says who.
        identity: Our SPIFFE ID, for which the sidecar's header has to be; None where there is no sidecar.
        uids: The users that may connect to the Unix socket; None on a loopback address.
        hosts: What the header `host` may say, in lower case; None on a Unix socket.

    Raises:
        ValueError: Of either pair both are given, or none.
    """

    caller: LocalCaller | None
    identity: str | None
    uids: frozenset[int] | None
    hosts: frozenset[bytes] | None

    def __post_init__(self) -> None:
        if (self.caller is None) == (self.identity is None) or (self.uids is None) == (self.hosts is None):
            raise ValueError("one of `caller` and `identity`, and one of `uids` and `hosts`")

    def identify(self, uid: int | None, headers: _Headers) -> LocalCaller:
        """The caller of a request.

        Args:
            uid: The user at the other end of the connection, where that is known.
            headers: The request's headers, names in lower case.

        Raises:
            NotPermittedError: There is none, or this peer may not ask.
        """
        if self.uids is not None and uid not in self.uids:
            raise NotPermittedError("peer_not_permitted", "this user may not use the socket")
        found: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            found.setdefault(name, []).append(value)
        if self.hosts is not None:
            _require_no_browser(found, self.hosts)
        forwarded = found.get(XFCC, [])
        if self.identity is not None:
            return _forwarded(forwarded, self.identity)
        if forwarded or self.caller is None:
            # Somebody's sidecar is in front of us: whom it speaks for is not who the settings mean.
            message = "no sidecar is expected here, so nobody is asked for on behalf of others"
            raise NotPermittedError("forwarded_unexpected", message)
        return self.caller


def _require_no_browser(found: dict[bytes, list[bytes]], hosts: frozenset[bytes]) -> None:
    """Refuse what a page in a browser may have sent.

    A name that its owner makes point here (DNS rebinding) stands in `host`. What a page sends elsewhere has
    an `origin` (Fetch, section 3.2), or at least `sec-fetch-site` (Fetch Metadata, section 2.3). That bodies
    are `application/json`, which a page cannot send unasked, is seen to where they are read.
    """
    names = found.get(b"host", [])
    if len(names) != 1 or names[0].lower() not in hosts:
        raise NotPermittedError("host_not_permitted", "the header `host` is not one of those that are listed")
    sites = {site.lower() for site in found.get(b"sec-fetch-site", [])}
    if b"origin" in found or not sites <= {b"none", b"same-origin"}:
        raise NotPermittedError("browser_not_permitted", "a page in a browser may not ask")


def _forwarded(lines: list[bytes], identity: str) -> LocalCaller:
    try:
        return forwarded_caller(forwarded_identity(lines, identity))
    except ForwardedError as error:
        match error.fault:
            case ForwardedFault.MISSING:
                raise NotPermittedError("forwarded_missing", error.message) from error
            case ForwardedFault.ELSEWHERE:
                raise NotPermittedError("forwarded_elsewhere", error.message) from error
            case ForwardedFault.INVALID:
                raise NotPermittedError("forwarded_invalid", error.message) from error


def local_hosts(host: str, port: int) -> frozenset[bytes]:
    """What the header `host` says of a loopback address, where nothing else is set."""
    shown = f"[{host}]" if ":" in host else host
    names = {shown.lower(), "127.0.0.1", "[::1]", "localhost"}
    ports = {f":{port}", ""} if port == 80 else {f":{port}"}  # RFC 9110, section 4.2.1: left out
    return frozenset(f"{name}{at}".encode("ascii") for name in names for at in ports)


def local_protocol_class(local: Local, seconds: float) -> type[BoundedProtocol]:
    """The protocol class for a plaintext listener, whose connections become so old."""

    class LocalProtocol(BoundedProtocol):
        age_seconds = seconds

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """Called by asyncio: see who is at the other end."""
            super().connection_made(transport)
            self._uid = peer_uid(transport.get_extra_info("socket"))

            self._identified: LocalCaller | NotPermittedError
            self._seen: _Headers | None = None

        def _see(self, headers: _Headers) -> None:
            """See who asks."""
            if headers is self._seen:  # of a head that is known: see pdp.adapters.known_heads
                return
            self._seen = headers
            try:
                self._identified = local.identify(self._uid, headers)
            except NotPermittedError as refused:
                self._identified = refused

        def asker(self) -> Callable[[], LocalCaller | NotPermittedError]:
            """Of this request alone: the next one on the connection may be somebody else's."""
            found = self._identified
            return lambda: found

    return LocalProtocol
