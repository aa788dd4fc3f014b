"""The types of single settings: what a text has to look like, and what it comes to."""

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from pdp.config.address import parse_address, parse_http_address
from pdp.config.unix import is_unix
from pdp.identity.fetch import parse_source_url
from pdp.identity.trust import TrustError, check_trust_domain
from pdp.limits import MAX_TRUST_DOMAIN_BYTES
from pdp.principals import dns_principal, spiffe_principal

__all__ = [
    "FilePath", "HostHeader", "HttpListen", "Identity", "IssuerUrl", "Listen", "SourceUrlText", "SpiffeId",
    "TrustDomain", "TrustDomainName", "Uid", "file_name",
]  # fmt: skip

#: What the language has an issuer be (PDP343): rules could not name another.
_ISSUER: Final = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[^\s?#]*)?", re.ASCII)
_MAX_ISSUER_CHARS: Final = 2048
_MAX_UID: Final = 2**32 - 1  # stands for nobody at all


def _address(text: str) -> str:
    if is_unix(text):
        raise ValueError("write HOST:PORT; a Unix socket is for `http.listen` alone")
    parse_address(text)
    return text


def _http_address(text: str) -> str:
    parse_http_address(text)
    return text


def _identity(text: str) -> str:
    if text.startswith("spiffe://"):
        return spiffe_principal(text).id
    return dns_principal(text.removeprefix("dns:")).id


def _spiffe_id(text: str) -> str:
    return spiffe_principal(text).id


def _issuer(text: str) -> str:
    if not _ISSUER.fullmatch(text) or len(text) > _MAX_ISSUER_CHARS:
        raise ValueError("an issuer is the `iss` of its tokens, such as `https://login.example.com`")
    return text


def _source_url(text: str) -> str:
    return parse_source_url(text).text


def _trust_domain(text: str) -> str:
    try:
        return check_trust_domain(text)
    except TrustError as error:
        raise ValueError(str(error)) from error


def file_name(text: str) -> str:
    """The text, if a file can have it for a name; raises ValueError."""
    if "\0" in text:
        raise ValueError("no file's name holds a NUL character")
    return text


def _path(path: Path) -> Path:
    file_name(str(path))
    return path


Listen = Annotated[str, AfterValidator(_address)]
HttpListen = Annotated[str, AfterValidator(_http_address)]
Identity = Annotated[str, AfterValidator(_identity)]
SpiffeId = Annotated[str, AfterValidator(_spiffe_id)]
Uid = Annotated[int, Field(ge=0, lt=_MAX_UID)]
#: As it stands in the header `host`: a name or an address, and most often a port.
HostHeader = Annotated[str, Field(pattern=r"^(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$")]
FilePath = Annotated[Path, Field(strict=False), AfterValidator(_path)]
#: As rules name it.
IssuerUrl = Annotated[str, AfterValidator(_issuer)]
SourceUrlText = Annotated[str, AfterValidator(_source_url)]
TrustDomainName = Annotated[str, AfterValidator(_trust_domain)]
TrustDomain = Annotated[str, Field(min_length=1, max_length=MAX_TRUST_DOMAIN_BYTES)]
