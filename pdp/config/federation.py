"""Settings about federation: where the bundle of another trust domain is told, and by whom.

Types and what goes with what are here, and what the settings of one trust domain come to: a `FollowedBundle`.
What an endpoint has to prove is said in `pdp.identity.federation.endpoint`.
"""

import os
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, final

from pydantic import Field

from pdp.config.problem import Problem
from pdp.config.section import Section
from pdp.config.values import FilePath, SourceUrlText, SpiffeId
from pdp.identity.federation.document import BundleDocument, BundleDocumentError, read_bundle_document
from pdp.identity.federation.endpoint import Endpoint, EndpointProfile, SpiffeEndpoint, WebEndpoint
from pdp.identity.federation.followed import FollowedBundle
from pdp.identity.fetch import parse_source_url
from pdp.identity.trust import TrustStore
from pdp.limits import MAX_TRUST_FILE_BYTES
from pdp.principals import spiffe_principal

__all__ = ["FederationSettings", "federation_problems", "followed_bundle"]


@final
class FederationSettings(Section):
    """A trust domain whose bundle an endpoint tells: SPIFFE Federation, section 5.1.

    What goes with which profile is said by `federation_problems`, which lets no others start.
    """

    endpoint_url: SourceUrlText
    profile: Annotated[EndpointProfile, Field(strict=False)]
    endpoint_spiffe_id: SpiffeId | None = None
    bootstrap_file: FilePath | None = None
    ca_file: FilePath | None = None

    @property
    def endpoint_domain(self) -> str | None:
        """The trust domain of its server; None where the server is not known by a SPIFFE ID."""
        named = self.endpoint_spiffe_id
        if self.profile is EndpointProfile.HTTPS_WEB or named is None:
            return None
        return spiffe_principal(named).trust_domain


def followed_bundle(
    trust_domain: str, given: FederationSettings, trust: Callable[[], TrustStore]
) -> FollowedBundle:
    """The bundle of a trust domain, as its endpoint has it; nothing is fetched yet.

    Args:
        trust_domain: Whose bundle it is.
        given: What is said of it.
        trust: Gives the roots and revocation lists in force of all trust domains.

    Raises:
        ValueError: The bootstrap file does not hold a bundle, or nothing says who the endpoint is.
        OSError: A file cannot be read, or holds no certificates.
    """
    bootstrap = None if given.bootstrap_file is None else _bootstrap(given.bootstrap_file, trust_domain)
    return FollowedBundle(trust_domain, _endpoint(given, trust), time.monotonic, bootstrap=bootstrap)


def _endpoint(given: FederationSettings, trust: Callable[[], TrustStore]) -> Endpoint:
    url = parse_source_url(given.endpoint_url)
    if given.profile is EndpointProfile.HTTPS_WEB:
        return WebEndpoint(url, _context(given.ca_file))
    return SpiffeEndpoint(
        url,
        given.endpoint_spiffe_id or "",
        clock=lambda: datetime.now(UTC),
        trust=trust,
    )


def _context(ca_file: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))


def _bootstrap(path: Path, trust_domain: str) -> BundleDocument:
    with path.open("rb") as file:
        return read_bundle_document(file.read(MAX_TRUST_FILE_BYTES + 1), trust_domain)


# -- what is wrong ---------------------------------------------------------------------


def federation_problems(
    federation: Mapping[str, FederationSettings], known: Collection[str]
) -> Iterator[Problem]:
    """What is wrong or doubtful about it.

    Args:
        federation: What is said, by trust domain.
        known: Trust domains that have a source, whichever it is.
    """
    for domain, given in federation.items():
        yield from _of_profile(domain, given)
        yield from _of_files(domain, given)
        server = given.endpoint_domain
        if server == domain and given.bootstrap_file is None:
            message = f"its endpoint is of `{domain}` itself, and no bundle says who that is"
            yield Problem(_named(domain), message, "set `bootstrap_file`")
        elif server is not None and server != domain and given.bootstrap_file is not None:
            message = f"it is not looked at: the bundle of `{server}` says who the endpoint is"
            yield Problem((*_named(domain), "bootstrap_file"), message)
        elif server is not None and server not in known:
            message = f"nobody is trusted for `{server}`, the trust domain of the endpoint"
            yield Problem((*_named(domain), "endpoint_spiffe_id"), message)
        elif _goes_round(domain, federation):
            message = f"it waits for `{server}`, and `{server}` for it: neither could begin"
            yield Problem((*_named(domain), "endpoint_spiffe_id"), message)


def _of_profile(domain: str, given: FederationSettings) -> Iterator[Problem]:
    """Settings that its profile needs and are not there, or that are there and say nothing."""
    by_id = given.profile is EndpointProfile.HTTPS_SPIFFE
    if by_id and given.endpoint_spiffe_id is None:
        message = "`https_spiffe` needs `endpoint_spiffe_id`, which says who the endpoint is"
        yield Problem(_named(domain), message)
    unused = ("ca_file",) if by_id else ("endpoint_spiffe_id", "bootstrap_file")
    for name in unused:
        if getattr(given, name) is not None:
            other = EndpointProfile.HTTPS_WEB if by_id else EndpointProfile.HTTPS_SPIFFE
            yield Problem((*_named(domain), name), f"it is for `{other.value}` alone")


def _goes_round(domain: str, federation: Mapping[str, FederationSettings]) -> bool:
    """Whether endpoints vouch for each other in a circle, so that none is known to begin with."""
    seen = [domain]
    while (given := federation.get(seen[-1])) is not None:
        server = given.endpoint_domain
        if server is None or server == seen[-1]:
            return False
        if server in seen:
            return server == domain
        seen.append(server)
    return False


def _of_files(domain: str, given: FederationSettings) -> Iterator[Problem]:
    """Files that cannot be used."""
    if given.profile is EndpointProfile.HTTPS_WEB and given.ca_file is not None:
        try:
            _context(given.ca_file)
        except OSError as error:
            yield Problem((*_named(domain), "ca_file"), _unread(given.ca_file, error))
    if given.bootstrap_file is None:
        return
    try:
        bootstrap = _bootstrap(given.bootstrap_file, domain)
    except OSError as error:
        yield Problem((*_named(domain), "bootstrap_file"), _unread(given.bootstrap_file, error))
    except BundleDocumentError as error:
        yield Problem((*_named(domain), "bootstrap_file"), str(error))
    else:
        if not bootstrap.bundle.roots:
            message = "there is no root in it: nobody could be the endpoint"
            yield Problem((*_named(domain), "bootstrap_file"), message)


def _unread(path: Path, error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{path}: there are no certificates in it"
    return f"{path}: cannot be read: {os.strerror(error.errno or 0)}"


def _named(domain: str) -> tuple[str, ...]:
    return "federation", domain
