"""Where to listen, as settings and options say it."""

from ipaddress import ip_address
from typing import Final, NamedTuple

from pdp.config.unix import UnixAddress, is_unix, parse_unix

__all__ = ["Address", "parse_address", "parse_http_address"]

_MAX_PORT: Final = 65535


class Address(NamedTuple):
    """Where to listen: an IP address or a host name, without brackets, and a port; 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False  # a name is whatever somebody's resolver says


def parse_address(text: str) -> Address:
    """The host and the port of HOST:PORT; an IPv6 address stands in brackets.

    Raises:
        ValueError: It is something else.
    """
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    digits = port.isascii() and port.isdigit() and len(port) <= len(str(_MAX_PORT))
    if not digits or int(port) > _MAX_PORT or not host or (":" in host and not bracketed):
        raise ValueError("write HOST:PORT, such as 127.0.0.1:8443")
    return Address(host.strip("[]"), int(port))


def parse_http_address(text: str) -> Address | UnixAddress:
    """The same, or `unix:/PATH`: where decisions are answered over HTTP.

    Raises:
        ValueError: It is neither.
    """
    return parse_unix(text) if is_unix(text) else parse_address(text)
