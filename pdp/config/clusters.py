"""Settings about Kubernetes clusters: whose service account tokens prove workloads, and how.

Types and bounds are here, what may not stand together, and what fetches their keys and asks them. What the
settings come to besides is in `pdp.config.tokens`.
"""

import os
import re
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set  # noqa: PYI025 -- as a type only
from pathlib import Path
from typing import Annotated, Final, Self, final

from pydantic import AfterValidator, Field, model_validator

from pdp.config.token_values import Believed, Document, among
from pdp.config.values import FilePath, SourceUrlText, TrustDomainName
from pdp.identity.fetch import FetchError, parse_source_url
from pdp.identity.tokens.api_server import ApiServer
from pdp.identity.tokens.discovery import discovered_keys, discovery_url, origin_of
from pdp.identity.tokens.review import PATH, read_review, write_review
from pdp.identity.tokens.service_account import DEFAULT_PATH, LEGACY_ISSUER, ClusterRules, check_path
from pdp.identity.tokens.signature import KUBERNETES_ALGORITHMS
from pdp.limits import REVIEW_SECONDS

__all__ = [
    "ClusterIssuer",
    "ClusterSettings",
    "key_source",
    "require_apart",
    "reviewers",
    "roots_fault",
    "roots_that_review",
    "rules_of",
]

_MAX_ISSUER_CHARS: Final = 2048
_KEYS: Final = ("jwks", "jwks_file", "jwks_url")
#: What API servers call themselves. Every pod has a token for that, and shows it to more than one of them.
_API_SERVER: Final = re.compile(
    r"(?:https?://)?(?:kubernetes(?:\.default(?:\.svc(?:\.[a-z0-9.-]+)?)?)?|k3s|rke2|api)(?::[0-9]+)?/?"
)


def _issuer(text: str) -> str:
    if not text.isprintable() or not 0 < len(text) <= _MAX_ISSUER_CHARS or text == LEGACY_ISSUER:
        raise ValueError("a cluster is named by the `iss` of its tokens: `--service-account-issuer`")
    return text


def _origin(text: str) -> str:
    found = origin_of(text)
    if text.rstrip("/") not in {found, found.removesuffix(":443")}:
        raise ValueError("an origin is `https://HOST` or `https://HOST:PORT`")
    return found


def _base_url(text: str) -> str:
    if "?" in text:
        raise ValueError("write the address of the API server alone, such as `https://10.96.0.1`")
    return text.rstrip("/")


#: Any text: whoever set up the cluster has chosen it.
ClusterIssuer = Annotated[str, AfterValidator(_issuer)]
_Origin = Annotated[str, AfterValidator(_origin)]
_BaseUrl = Annotated[SourceUrlText, AfterValidator(_base_url)]


@final
class ClusterSettings(Believed):
    """A cluster whose service account tokens name workloads."""

    algorithms: Annotated[frozenset[str], AfterValidator(among(KUBERNETES_ALGORITHMS))] = Field(
        default=KUBERNETES_ALGORITHMS, strict=False, min_length=1
    )
    trust_domain: TrustDomainName
    share_trust_domain: bool = False
    path: Annotated[str, AfterValidator(check_path)] = DEFAULT_PATH
    jwks: Document = None
    jwks_file: FilePath | None = None
    jwks_url: SourceUrlText | None = None
    jwks_discovery: bool = False
    jwks_origins: frozenset[_Origin] = Field(default=frozenset(), strict=False)
    jwks_ca_file: FilePath | None = None
    jwks_token_file: FilePath | None = None
    review_url: _BaseUrl | None = None
    review_ca_file: FilePath | None = None
    review_token_file: FilePath | None = None
    review_seconds: int = Field(default=10, ge=5, le=300)

    @property
    def signed(self) -> bool:
        """Whether its keys are named."""
        return self.jwks_discovery or any(getattr(self, name) is not None for name in _KEYS)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [name for name in _KEYS if getattr(self, name) is not None]
        ways += ["jwks_discovery"] if self.jwks_discovery else []
        if len(ways) > 1:
            msg = f"`{ways[0]}` and `{ways[1]}` both name the keys"
            raise ValueError(msg)
        if not ways and self.review_url is None:
            ways = [*_KEYS, "jwks_discovery"]
            msg = f"name the keys by one of `{'`, `'.join(ways)}`, or `review_url`, or both"
            raise ValueError(msg)
        for name, needed, there in (
            ("jwks_origins", "jwks_discovery", self.jwks_discovery),
            ("jwks_ca_file", "keys that are fetched", self.jwks_discovery or self.jwks_url is not None),
            ("jwks_token_file", "keys that are fetched", self.jwks_discovery or self.jwks_url is not None),
            ("review_ca_file", "review_url", self.review_url is not None),
            ("review_token_file", "review_url", self.review_url is not None),
        ):
            if getattr(self, name) and not there:
                msg = f"`{name}` is for {needed if ' ' in needed else f'`{needed}`'} alone"
                raise ValueError(msg)
        if self.review_url is not None and self.review_token_file is None:
            raise ValueError(
                "`review_url` needs `review_token_file`: an API server reviews for those it knows"
            )
        return self


def require_apart(clusters: Mapping[str, ClusterSettings], issuers: Set[str]) -> None:
    """Check that no cluster is taken for another one, for an issuer of users, or for its own API server.

    Raises:
        ValueError: One would be.
    """
    for name, each in clusters.items():
        if name in issuers:
            msg = f"`{name}` is one of `issuers` as well: its tokens prove users, or workloads"
            raise ValueError(msg)
        if each.jwks_discovery:
            discovery_url(name)
        taken = {_alike(name), *_origins(each)}
        for audience in sorted(each.audiences):
            if _alike(audience) in taken or _API_SERVER.fullmatch(audience.lower()):
                msg = (
                    f"the audience `{audience}` is that of the API server: every pod has a token for it. "
                    "Choose one of our own, and mount a token for it"
                )
                raise ValueError(msg)
    for name, domain in _taken(clusters):
        msg = (
            f"the trust domain `{domain}` of `{name}` is another cluster's too: who runs one of them could "
            "name the workloads of both. Give each its own, or have each say `share_trust_domain = true`"
        )
        raise ValueError(msg)


def _alike(audience: str) -> str:
    """An audience without what people write in more than one way: case, scheme, usual port, last `/`."""
    return re.sub(r"\Ahttps?://", "", audience.lower()).rstrip("/").removesuffix(":443")


def _origins(given: ClusterSettings) -> Iterator[str]:
    """Where its API server is, as far as the settings tell, and what it may call itself by that."""
    for url in (given.review_url, given.jwks_url, *given.jwks_origins):
        if url is not None:
            yield _alike(url)
            yield _alike(origin_of(url))
            yield parse_source_url(url).host


def _taken(clusters: Mapping[str, ClusterSettings]) -> Iterator[tuple[str, str]]:
    """Clusters that do not say that their trust domain is shared, and it is."""
    counts = Counter(each.trust_domain for each in clusters.values())
    for name, each in clusters.items():
        if counts[each.trust_domain] > 1 and not each.share_trust_domain:
            yield name, each.trust_domain


def rules_of(given: ClusterSettings) -> ClusterRules:
    """What is said of a cluster besides what is said of every issuer."""
    return ClusterRules(
        trust_domain=given.trust_domain,
        path=given.path,
        signed=given.signed,
        reviewed=given.review_url is not None,
    )


def key_source(name: str, given: ClusterSettings) -> Callable[[], bytes]:
    """What fetches the key set of a cluster (or raises FetchError).

    Raises:
        OSError: The roots of whoever has it cannot be read.
    """
    server = ApiServer(given.jwks_ca_file, given.jwks_token_file)
    url = given.jwks_url
    if url is None:
        return lambda: discovered_keys(name, given.jwks_origins, server.get)
    return lambda: server.get(url)


def roots_fault(file: Path | None, error: OSError) -> str:
    """Why the roots in a file (or, of None, those of the system) cannot be used."""
    where = file or "the roots of the system"
    if isinstance(error, ssl.SSLError):
        return f"{where}: there are no certificates in it"
    return f"{where}: cannot be read: {os.strerror(error.errno or 0)}"


def roots_that_review(given: ClusterSettings) -> str:
    """Why the API server that reviews cannot be verified; empty if it can."""
    try:
        ApiServer(given.review_ca_file, None)
    except OSError as error:
        return roots_fault(given.review_ca_file, error)
    return ""


def reviewers(clusters: Mapping[str, ClusterSettings]) -> dict[str, Callable[[str, str], str]]:
    """What asks clusters about a token with a subject: why it does not hold, empty where it does.

    Each may raise FetchError or ReviewError. The roots of its API server are read once it is asked: without
    them a cluster proves nothing, and takes nothing from others.
    """
    return {name: _reviewer(each) for name, each in clusters.items() if each.review_url is not None}


def _reviewer(given: ClusterSettings) -> Callable[[str, str], str]:
    url, server = f"{given.review_url}{PATH}", None

    def ask(token: str, subject: str) -> str:
        nonlocal server
        if server is None:
            try:
                server = ApiServer(given.review_ca_file, given.review_token_file)
            except OSError as error:
                message = f"`review_ca_file` cannot be used: {roots_fault(given.review_ca_file, error)}"
                raise FetchError(message) from error
        answer = server.post(url, write_review(token, given.audiences), REVIEW_SECONDS)
        return read_review(answer, subject, given.audiences)

    return ask
