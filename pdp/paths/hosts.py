"""Hosts: the one name or address that an authority stands for, or refused.

Which service answers to a host is left to `pdp.compiler.declarations`.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from pdp.limits import MAX_HOST_CHARS
from pdp.paths.problems import AmbiguousHostError, HostProblem

__all__ = ["canonical_host"]

_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?").fullmatch
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*").fullmatch
_AUTHORITY: Final = re.compile(r"(\[[^\[\]@]*\]|[^\[\]:@]*)(?::(.*))?", re.DOTALL).fullmatch
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}").fullmatch


def canonical_host(authority: str) -> tuple[str, int | None]:
    """The host of an authority (RFC 9110 section 7.2) in lower case, and its port if it has one.

    One trailing dot is dropped; IPv6 keeps its brackets and takes the form of RFC 5952. Names
    are not folded to or from IDNA. A default port is returned like any other: only whoever
    knows the scheme can tell that 443 may be left out.

    Raises:
        AmbiguousHostError: it has user information, a bad port, or is no name and no address.
    """
    if len(authority) > MAX_HOST_CHARS + len(".:65535"):
        raise AmbiguousHostError(HostProblem.TOO_LONG)
    parts = _AUTHORITY(authority)
    if parts is None:
        raise AmbiguousHostError(HostProblem.NOT_A_HOST_NAME)
    host, port = parts[1], parts[2]
    if port is not None and (not _PORT(port) or int(port) > 0xFFFF):
        raise AmbiguousHostError(HostProblem.BAD_PORT)
    name = _ipv6(host[1:-1]) if host.startswith("[") else _host_name(host)
    return name, None if port is None else int(port)


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise AmbiguousHostError(HostProblem.NOT_AN_ADDRESS) from None
    if address.scope_id is not None or address.ipv4_mapped is not None:  # two spellings of one host
        raise AmbiguousHostError(HostProblem.NOT_AN_ADDRESS)
    return f"[{address.compressed}]"


def _host_name(host: str) -> str:
    if not host.isascii():  # before lower-casing: the Kelvin sign would become `k`
        raise AmbiguousHostError(HostProblem.NOT_A_HOST_NAME)
    name = host.lower().removesuffix(".")
    if len(name) > MAX_HOST_CHARS:
        raise AmbiguousHostError(HostProblem.TOO_LONG)
    labels = name.split(".")
    if not all(_LABEL(label) for label in labels):
        raise AmbiguousHostError(HostProblem.NOT_A_HOST_NAME)
    if _NUMERIC_LABEL(labels[-1]):  # an IPv4 address to many parsers: `127.1`, `0x7f000001`, `017.0.0.1`
        try:
            IPv4Address(name)
        except AddressValueError:
            raise AmbiguousHostError(HostProblem.NOT_AN_ADDRESS) from None
    return name
