"""What may be asked of the development authority: names, addresses and lifetimes.

This module holds the checks that need no look at any file. Whether a SPIFFE ID lies in
the authority's trust domain is checked in `pdp.identity.authority`.
"""

import ipaddress
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from cryptography import x509

from pdp.diagnostics import escape
from pdp.identity.authority_folder import INTERMEDIATE, ROOT, InvalidRequestError
from pdp.limits import MAX_PKI_ALTERNATIVE_NAMES, MAX_PKI_NAME_CHARS
from pdp.principals import InvalidIdentityError, dns_principal, spiffe_principal

__all__ = ["BACKDATED", "CRL", "alternative_names", "check_name", "check_ttl"]

#: The name of the file with revocation lists.
CRL: Final = "crl"
#: How long before its making a certificate or a list is valid: the clocks of other hosts lag.
BACKDATED: Final = timedelta(minutes=1)

# No separator, no leading dot or hyphen: a name is one file in the folder, and no option.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def check_name(name: str) -> None:
    """Refuse a name that is no file of its own in the authority's folder.

    Raises:
        InvalidRequestError: It is not.
    """
    if not _NAME.fullmatch(name) or len(name) > MAX_PKI_NAME_CHARS:
        shape = f"1 to {MAX_PKI_NAME_CHARS} letters, digits, `.`, `-` and `_`, the first a letter or digit"
        raise InvalidRequestError(f"`{escape(name)[:80]}` is not a name: {shape}")
    # Lower-cased: some file systems do not tell `Root.pem` from `root.pem`.
    if name.lower() in {ROOT, INTERMEDIATE, CRL} or name.lower().endswith("-key"):
        raise InvalidRequestError(
            f"`{name}` is taken: `root`, `intermediate`, `crl` and `...-key` name the authority's files"
        )


def alternative_names(
    spiffe_id: str | None, dns: Sequence[str], ips: Sequence[str]
) -> tuple[x509.GeneralName, ...]:
    """The names of a leaf: its one URI first, the others without repetitions.

    Without a SPIFFE ID, the one DNS name is the identity.

    Raises:
        InvalidRequestError: One is not what it was given as, or there are too many; or without
            a SPIFFE ID not exactly one DNS name.
    """
    if spiffe_id is None:
        hosts = dict.fromkeys(map(_dns_name, dns))
        if len(hosts) != 1:
            msg = f"without a SPIFFE ID the identity is exactly one DNS name, and {len(hosts)} are given"
            raise InvalidRequestError(msg)
        return (*hosts, *_few([*map(_ip_address, ips)]))
    try:
        identity = spiffe_principal(spiffe_id)
    except InvalidIdentityError as error:
        raise InvalidRequestError(f"`{escape(spiffe_id)[:80]}` is not a SPIFFE ID: {error}") from error
    return (
        x509.UniformResourceIdentifier(identity.id),
        *_few([*map(_dns_name, dns), *map(_ip_address, ips)]),
    )


def _few(given: Sequence[x509.GeneralName]) -> tuple[x509.GeneralName, ...]:
    names = tuple(dict.fromkeys(given))
    if len(names) > MAX_PKI_ALTERNATIVE_NAMES:
        msg = f"{len(names)} DNS names and addresses: at most {MAX_PKI_ALTERNATIVE_NAMES} fit"
        raise InvalidRequestError(msg)
    return names


def _dns_name(text: str) -> x509.GeneralName:
    try:
        return x509.DNSName(".".join(dns_principal(text).segments))
    except InvalidIdentityError as error:
        raise InvalidRequestError(f"`{escape(text)[:80]}` is not a DNS name: {error}") from error


def _ip_address(text: str) -> x509.GeneralName:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidRequestError(f"`{escape(text)[:80]}` is not an IP address") from error
    if "%" in text:  # a zone has a meaning on this host only
        raise InvalidRequestError(f"`{escape(text)[:80]}` has a zone, which a certificate cannot hold")
    return x509.IPAddress(address)


def check_ttl(ttl: timedelta, most_days: int) -> None:
    """Refuse a lifetime out of bounds.

    Raises:
        InvalidRequestError: It is shorter than a second, or longer than `most_days`.
    """
    if not timedelta(seconds=1) <= ttl <= timedelta(days=most_days):
        raise InvalidRequestError(f"a lifetime here is from one second to {most_days} days")
