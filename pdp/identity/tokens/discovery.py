"""The keys of a cluster by its discovery document: OpenID Connect Discovery, sections 3 and 4.

The document says where the keys are, and it is the only document that does. So it is believed within bounds
that the operator has set: the keys are at the issuer's own origin, or at one that the settings name. What a
key set may hold is said in `pdp.identity.tokens.jwks`.
"""

from collections.abc import Callable, Set  # noqa: PYI025 -- as a type only
from typing import Final

from pdp.identity.fetch import FetchError, SourceUrl, parse_source_url
from pdp.strictness import BadJsonError, quoted, strict_value

__all__ = ["discovered_keys", "discovery_url", "origin_of"]

_WELL_KNOWN: Final = "/.well-known/openid-configuration"


def discovery_url(issuer: str) -> str:
    """Where an issuer publishes its discovery document (section 4).

    Raises:
        ValueError: It is no issuer that does.
    """
    found = parse_source_url(issuer.rstrip("/") + _WELL_KNOWN)
    if "?" in issuer:
        raise ValueError("an issuer has no query")
    return found.text


def origin_of(url: str) -> str:
    """The origin of a URL, with its port.

    Raises:
        ValueError: It is none that is asked.
    """
    return _origin(parse_source_url(url))


def _origin(url: SourceUrl) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"https://{host}:{url.port}"


def discovered_keys(issuer: str, origins: Set[str], get: Callable[[str], bytes]) -> bytes:
    """The key set of an issuer, as its discovery document leads to it.

    Args:
        issuer: The issuer.
        origins: Where its keys may be, besides at its own origin; as `origin_of()` has them.
        get: Gives the document at a URL (or FetchError).

    Raises:
        FetchError: There is none, or it is another's, or leads elsewhere.
    """
    where = discovery_url(issuer)
    try:
        found = strict_value(get(where), "the document")
    except BadJsonError as error:
        raise FetchError(f"{where}: {error.message}") from None
    if not isinstance(found, dict) or found.get("issuer") != issuer:  # section 4.3: exactly
        raise FetchError(f"{where}: it is not the document of this issuer")
    uri = found.get("jwks_uri")
    try:
        keys = parse_source_url(uri if isinstance(uri, str) else "")
    except ValueError:
        raise FetchError(f"{where}: its `jwks_uri` is no URL of keys") from None
    if _origin(keys) not in {origin_of(issuer), *origins}:
        message = f"its `jwks_uri` leads to {quoted(_origin(keys))}, which `jwks_origins` does not name"
        raise FetchError(f"{where}: {message}")
    return get(keys.text)
