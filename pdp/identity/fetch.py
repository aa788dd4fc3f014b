"""Documents that others publish for us, over HTTPS: key sets and bundles.

The URL comes from the settings and from nowhere else. Nothing is followed: a redirect is an error. No proxy
variable is looked at. The name is resolved here, and the address that was looked at is the one that is
connected to. What the document means is left to whoever asked for it.
"""

import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from pdp.limits import FETCH_SECONDS, MAX_TRUST_FILE_BYTES

__all__ = ["FetchError", "SourceUrl", "fetch", "is_forbidden", "parse_source_url"]

_Ip: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_URL: Final = re.compile(
    r"https://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?P<target>/[!-\"$-~]*)?",
    re.ASCII,
)
#: Where clouds hand out credentials to whoever asks, besides the link-local address that most of them use.
_METADATA: Final = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::23", "fd00:ec2::254", "fd20:ce::254",
    )
)  # fmt: skip
#: "This network" (RFC 791 section 3.2); Teredo (RFC 4380) and NAT64 of local use (RFC 8215), where it
#: cannot be told how an IPv4 address is written.
_NEVER: Final = tuple(ipaddress.ip_network(text) for text in ("0.0.0.0/8", "2001::/32", "64:ff9b:1::/48"))
#: IPv4 addresses stand behind these: "compatible", SIIT (RFC 7915), NAT64 (RFC 6052).
_PREFIXES: Final = tuple(ipaddress.ip_network(text) for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96"))


class FetchError(Exception):
    """A document that was not fetched; the message says why, and holds nothing of it."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SourceUrl:
    """Where a document is.

    Attributes:
        text: The URL.
        host: Its host, without brackets.
        port: Its port.
        target: Its path and query.
    """

    text: str
    host: str
    port: int
    target: str


def parse_source_url(text: str) -> SourceUrl:
    """A URL of a document.

    Raises:
        ValueError: It is not `https`, or has a user, a fragment, or characters that do not stand in a URL.
    """
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError("write `https://HOST/PATH`, in lower case, without a user and without a fragment")
    port = int(match["port"] or 443)
    if not 0 < port < 65_536:
        raise ValueError("a port is 1 to 65535")
    return SourceUrl(text=text, host=match["host"].strip("[]"), port=port, target=match["target"] or "/")


def fetch(
    url: SourceUrl,
    context: ssl.SSLContext,
    *,
    verify: Callable[[ssl.SSLSocket], None] | None = None,
    seconds: float = FETCH_SECONDS,
    bearer: str = "",
    body: bytes | None = None,
) -> bytes:
    """The document at a URL, once.

    Args:
        url: Where it is.
        context: Whom its server is verified to, by name.
        verify: Verifies the server in another way, where its name says nothing: called once the handshake is
            over, and before anything is sent. Raises FetchError where it is somebody else.
        seconds: How long all of it may take once the name is resolved. Nothing bounds that.
        bearer: By what we prove who we are (RFC 6750 section 2.1), if we do.
        body: JSON that is posted there, if it is not merely got.

    Raises:
        FetchError: It is not there, too large or too slow, or may not be asked for.
        ValueError: Nothing would verify the server: a defect of whoever calls.
    """
    if verify is None and not (context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED):
        raise ValueError("nothing verifies the server")
    address = _address(url)
    deadline = time.monotonic() + seconds
    try:
        plain = socket.create_connection((address, url.port), timeout=seconds)
        # From here on it is the wrapped socket that is closed, in whatever way this ends.
        with context.wrap_socket(
            plain,
            server_hostname=url.host,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,  # whoever cuts the connection, we included, has not ended a document
        ) as tls:
            return _within(tls, deadline, verify, lambda: _ask(tls, url, bearer, body))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchError(f"{url.text}: {_said(error)}") from error


def _within(
    tls: ssl.SSLSocket,
    deadline: float,
    verify: Callable[[ssl.SSLSocket], None] | None,
    ask: Callable[[], bytes],
) -> bytes:
    # A time-out of a socket is for one read: who sends an octet a second is stopped by this alone.
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    tls.settimeout(left)
    stop = threading.Timer(left, _end, (tls,))
    stop.daemon = True
    stop.start()
    try:
        tls.do_handshake()
        if verify is not None:
            verify(tls)
        return ask()
    finally:
        stop.cancel()


def _end(tls: ssl.SSLSocket) -> None:
    # Of the socket beneath: the layer above belongs to whoever is reading.
    with suppress(OSError):  # it was closed a moment ago
        socket.socket.shutdown(tls, socket.SHUT_RDWR)


def _ask(tls: ssl.SSLSocket, url: SourceUrl, bearer: str, body: bytes | None) -> bytes:
    connection = http.client.HTTPConnection(url.host, url.port)
    connection.sock = tls
    headers = {"accept": "application/json", "accept-encoding": "identity", "connection": "close"}
    if bearer:
        headers["authorization"] = f"Bearer {bearer}"
    if body is not None:
        headers["content-type"] = "application/json"
    connection.request("GET" if body is None else "POST", url.target, body=body, headers=headers)
    with connection.getresponse() as response:
        made = body is not None and response.status == http.HTTPStatus.CREATED
        return _read(response, url, http.HTTPStatus.CREATED if made else http.HTTPStatus.OK)


def _read(response: http.client.HTTPResponse, url: SourceUrl, good: int) -> bytes:
    if response.status != good:
        raise FetchError(f"{url.text}: it is answered with {response.status}")
    if response.getheader("content-encoding", "identity") != "identity":
        raise FetchError(f"{url.text}: it is compressed")
    data = response.read(MAX_TRUST_FILE_BYTES + 1)
    if len(data) > MAX_TRUST_FILE_BYTES:
        raise FetchError(f"{url.text}: it has more than {MAX_TRUST_FILE_BYTES} bytes")
    if response.length:
        raise FetchError(f"{url.text}: it is cut short")
    return data


def _address(url: SourceUrl) -> str:
    """The address to connect to. One that is forbidden, among however many, refuses the name."""
    try:
        found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError(f"{url.text}: its host cannot be resolved") from error
    addresses = [str(entry[4][0]) for entry in found]
    for each in addresses:
        if is_forbidden(each):
            raise FetchError(f"{url.text}: its host is at {each}, which is never asked")
    return addresses[0]


def is_forbidden(text: str) -> bool:
    """Whether an address is link-local, of a cloud's metadata, or of nobody in particular."""
    address: _Ip = ipaddress.ip_address(text.partition("%")[0])
    for each in (address, *_within_it(address)):
        if each.is_link_local or each.is_multicast or each.is_unspecified or each in _METADATA:
            return True
        if any(each in network for network in _NEVER):
            return True
    return False


def _within_it(address: _Ip) -> list[_Ip]:
    """The IPv4 addresses that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[_Ip] = [each for each in (address.ipv4_mapped, address.sixtofour) if each is not None]
    if any(address in network for network in _PREFIXES) and not address.is_loopback:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return found


def _said(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its server is not who it should be: {error.verify_message}"
        case TimeoutError():
            return "it takes too long"
        case OSError(strerror=str(text)):
            return text
        case _:
            return "the answer cannot be read, or did not come in time"
