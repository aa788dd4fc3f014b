"""Settings about tokens: which issuers and trust domains are believed, for whom, and by which keys.

Types and bounds are here, and what the settings come to: a `LiveTrust`. What a key set may hold is said in
`pdp.identity.tokens.jwks`.
"""

import os
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, NamedTuple, Self, final

from pydantic import AfterValidator, Field, model_validator

from pdp.config.problem import Problem
from pdp.config.section import Section
from pdp.config.values import FilePath, IssuerUrl, SourceUrlText, TrustDomainName
from pdp.identity.fetch import fetch, parse_source_url
from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile, TokenTrust
from pdp.identity.tokens.jwks import KeySet, KeySetError, KeySetKind, key_set, read_key_set
from pdp.identity.tokens.live_trust import KeySource, LiveTrust
from pdp.identity.tokens.remote_keys import RemoteKeys
from pdp.identity.tokens.signature import ALGORITHMS, JWT_SVID_ALGORITHMS
from pdp.limits import MAX_LEEWAY_SECONDS, MAX_TRUST_FILE_BYTES

__all__ = ["BundleSettings", "IssuerSettings", "TokenSettings", "key_files", "token_trust"]

_MAX_LIFETIME_SECONDS: Final = 366 * 86_400
_NOT_NAMED: Final = (
    "no live source delivers the keys: name them by one of `bundle`, `bundle_file` and `bundle_url`"
)
_OWN: Final = "it should be a table, or a text that holds JSON"


def _document(value: Any) -> Any:
    if value is not None and not isinstance(value, dict | str):
        raise ValueError(_OWN)
    return value


def _among(names: frozenset[str], known: frozenset[str]) -> frozenset[str]:
    if unknown := sorted(names - known):
        raise ValueError(f"`{unknown[0]}` is not accepted: algorithms are some of {', '.join(sorted(known))}")
    return names


def _of_issuer(names: frozenset[str]) -> frozenset[str]:
    return _among(names, frozenset(ALGORITHMS))


def _of_bundle(names: frozenset[str]) -> frozenset[str]:
    return _among(names, JWT_SVID_ALGORITHMS)


_Document = Annotated[Any, AfterValidator(_document)]
_Audiences = Annotated[
    frozenset[Annotated[str, Field(min_length=1, max_length=2048)]], Field(strict=False, min_length=1)
]
_Leeway = Annotated[float, Field(ge=0, le=MAX_LEEWAY_SECONDS, allow_inf_nan=False)]
_Lifetime = Annotated[int, Field(ge=1, le=_MAX_LIFETIME_SECONDS)]


class _Believed(Section):
    """What is said of each, whoever it is. Where the keys are is said under the name of what holds them."""

    keys_in: ClassVar[str]
    least_sources: ClassVar[int] = 1

    audiences: _Audiences
    leeway_seconds: _Leeway = 10
    max_lifetime_seconds: _Lifetime | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        name = self.keys_in
        if not self.least_sources <= self._sources() <= 1:
            msg = f"name the keys by one of `{name}`, `{name}_file` and `{name}_url`"
            raise ValueError(msg)
        if getattr(self, f"{name}_ca_file") is not None and getattr(self, f"{name}_url") is None:
            msg = f"`{name}_ca_file` is for `{name}_url` alone"
            raise ValueError(msg)
        return self

    def _sources(self) -> int:
        name = self.keys_in
        return sum(getattr(self, each) is not None for each in (name, f"{name}_file", f"{name}_url"))


@final
class IssuerSettings(_Believed):
    """An issuer whose tokens name users."""

    keys_in: ClassVar[str] = "jwks"

    algorithms: Annotated[frozenset[str], AfterValidator(_of_issuer)] = Field(
        default=frozenset(ALGORITHMS), strict=False, min_length=1
    )
    jwks: _Document = None
    jwks_file: FilePath | None = None
    jwks_url: SourceUrlText | None = None
    jwks_ca_file: FilePath | None = None


@final
class BundleSettings(_Believed):
    """A trust domain whose JWT-SVIDs name workloads."""

    keys_in: ClassVar[str] = "bundle"
    least_sources: ClassVar[int] = 0  # none where a live source delivers them: pdp.config.live_sources

    algorithms: Annotated[frozenset[str], AfterValidator(_of_bundle)] = Field(
        default=JWT_SVID_ALGORITHMS, strict=False, min_length=1
    )
    bundle: _Document = None
    bundle_file: FilePath | None = None
    bundle_url: SourceUrlText | None = None
    bundle_ca_file: FilePath | None = None

    @property
    def names_keys(self) -> bool:
        """Whether it says where the keys are."""
        return self._sources() > 0


class TokenSettings(Section):
    """Whose tokens are believed."""

    issuers: dict[IssuerUrl, IssuerSettings] = Field(default={})
    jwt_bundles: dict[TrustDomainName, BundleSettings] = Field(default={})


# -- what they come to -----------------------------------------------------------------


class _Source(NamedTuple):
    """Where the keys of one of them are: in the settings, in a file, or at a URL; else with a live source."""

    setting: tuple[str, ...]
    kind: KeySetKind
    document: Any = None
    file: Path | None = None
    url: str | None = None
    ca_file: Path | None = None

    @property
    def is_named(self) -> bool:
        return any(each is not None for each in (self.document, self.file, self.url))


def key_files(settings: TokenSettings) -> tuple[Path, ...]:
    """The files that hold keys."""
    given = (
        *(each.jwks_file for each in settings.issuers.values()),
        *(each.bundle_file for each in settings.jwt_bundles.values()),
    )
    return tuple(dict.fromkeys(file for file in given if file is not None))


def token_trust(
    settings: TokenSettings,
    contents: Mapping[Path, bytes | str] | None = None,
    live: Mapping[str, KeySource] | None = None,
) -> tuple[LiveTrust, list[Problem]]:
    """Everybody whose tokens are believed, and what is wrong or doubtful about their keys.

    A key set that cannot be read takes nobody else's away: its own issuer has no keys, and the fault. Nothing
    is fetched until somebody asks.

    Args:
        settings: What is said of them.
        contents: What the files hold with their keys, or why that cannot be told; else they are read.
        live: The keys of trust domains that have a live source, by name.
    """
    found: list[Problem] = []
    remote: dict[tuple[TokenProfile, str], KeySource] = {}
    issuers: dict[TokenProfile, dict[str, TokenIssuer]] = {profile: {} for profile in TokenProfile}
    given: list[tuple[str, IssuerSettings | BundleSettings]] = [
        *settings.issuers.items(), *settings.jwt_bundles.items(),
    ]  # fmt: skip
    for name, each in given:
        profile = TokenProfile.OIDC if isinstance(each, IssuerSettings) else TokenProfile.SPIFFE
        source = _source(name, each)
        delivered = None if source.is_named else (live or {}).get(name)
        keys = _keys(source, contents) if delivered is None else delivered.current()
        if delivered is not None:
            remote[profile, name] = delivered
        elif source.url is not None and not keys.fault:
            remote[profile, name] = _remote(source)
        else:
            found += _doubts(source, keys)
        issuers[profile][name] = _issuer(name, each, profile, keys)
    trust = TokenTrust(issuers=issuers[TokenProfile.OIDC], bundles=issuers[TokenProfile.SPIFFE])
    return LiveTrust(trust, remote), found


def _issuer(
    name: str, given: IssuerSettings | BundleSettings, profile: TokenProfile, keys: KeySet
) -> TokenIssuer:
    lifetime = given.max_lifetime_seconds
    return TokenIssuer(
        profile=profile,
        name=name,
        audiences=given.audiences,
        algorithms=given.algorithms,
        keys=keys,
        leeway=int(given.leeway_seconds * 1000),
        max_lifetime=None if lifetime is None else lifetime * 1000,
    )


def _source(name: str, given: IssuerSettings | BundleSettings) -> _Source:
    if isinstance(given, IssuerSettings):
        table, key, kind = ("issuers", name), "jwks", KeySetKind.ISSUER
        document, file, url, ca_file = given.jwks, given.jwks_file, given.jwks_url, given.jwks_ca_file
    else:
        table, key, kind = ("jwt_bundles", name), "bundle", KeySetKind.BUNDLE
        document, file, url, ca_file = given.bundle, given.bundle_file, given.bundle_url, given.bundle_ca_file
    if url is not None:
        return _Source(
            (*table, f"{key}_url" if ca_file is None else f"{key}_ca_file"), kind, None, None, url, ca_file
        )
    if document is None and file is None:
        return _Source(table, kind)
    return _Source((*table, key if file is None else f"{key}_file"), kind, document, file)


def _keys(source: _Source, contents: Mapping[Path, bytes | str] | None) -> KeySet:
    """The keys that are there; of a URL none, and a fault only where nothing can be fetched by it."""
    try:
        if source.url is not None:
            _context(source)
            return KeySet(keys=())
        if source.file is not None:
            found = _read(source.file) if contents is None else contents[source.file]
            if isinstance(found, str):
                return KeySet(keys=(), fault=f"{source.file}: {found}")
            return read_key_set(found, source.kind)
        if not source.is_named:
            return KeySet(keys=(), fault=_NOT_NAMED)
        if isinstance(source.document, str):
            return read_key_set(source.document.encode("utf-8"), source.kind)
        return key_set(source.document, source.kind)
    except KeySetError as error:
        return KeySet(keys=(), fault=str(error))
    except ssl.SSLError:
        return KeySet(keys=(), fault=f"{source.ca_file}: there are no certificates in it")
    except OSError as error:
        named = source.ca_file or source.file
        return KeySet(keys=(), fault=f"{named}: cannot be read: {os.strerror(error.errno or 0)}")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_TRUST_FILE_BYTES + 1)


def _context(source: _Source) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=None if source.ca_file is None else str(source.ca_file))


def _remote(source: _Source) -> RemoteKeys:
    url, context = parse_source_url(str(source.url)), _context(source)
    return RemoteKeys(lambda: fetch(url, context), source.kind, time.monotonic)


def _doubts(source: _Source, keys: KeySet) -> Iterator[Problem]:
    if keys.fault:
        yield Problem(source.setting, keys.fault)
        return
    for each in keys.ignored:
        if source.kind is KeySetKind.BUNDLE and each.other_use:
            continue  # most of a bundle is certificates
        yield Problem(source.setting, f"key {each.number} is not used: {each.why}", refused=False)
    if not keys.keys:
        yield Problem(source.setting, "there is no key in it: nothing verifies", refused=False)
