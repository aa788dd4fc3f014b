"""Settings about tokens: which issuers and trust domains are believed, for whom, and by which keys.

Types and bounds are here, and what the settings come to: a `LiveTrust`. What a key set may hold is said in
`pdp.identity.tokens.jwks`.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, NamedTuple, Self, TypeAlias, final

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from pdp.config.clusters import (
    ClusterIssuer,
    ClusterSettings,
    key_source,
    require_apart,
    roots_fault,
    rules_of,
)
from pdp.config.problem import Problem
from pdp.config.section import Section
from pdp.config.token_values import Believed, Document, among
from pdp.config.values import FilePath, IssuerUrl, SourceUrlText, TrustDomainName
from pdp.identity.tokens.api_server import ApiServer
from pdp.identity.tokens.discovery import discovery_url
from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile, TokenTrust
from pdp.identity.tokens.jwks import KeySet, KeySetError, KeySetKind, key_set, read_key_set
from pdp.identity.tokens.live_trust import KeySource, LiveTrust
from pdp.identity.tokens.remote_keys import RemoteKeys
from pdp.identity.tokens.signature import ALGORITHMS, JWT_SVID_ALGORITHMS
from pdp.limits import MAX_TRUST_FILE_BYTES

__all__ = ["BundleSettings", "IssuerSettings", "TokenSettings", "key_files", "token_trust"]

_NOT_NAMED: Final = (
    "no live source delivers the keys: name them by one of `bundle`, `bundle_file` and `bundle_url`"
)
_FETCHED: Final = "they are fetched, and lie in no file"


class _Keyed(Believed):
    """An issuer or a trust domain. Where the keys are is said under the name of what holds them."""

    keys_in: ClassVar[str]
    least_sources: ClassVar[int] = 1

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
class IssuerSettings(_Keyed):
    """An issuer whose tokens name users."""

    keys_in: ClassVar[str] = "jwks"

    algorithms: Annotated[frozenset[str], AfterValidator(among(frozenset(ALGORITHMS)))] = Field(
        default=frozenset(ALGORITHMS), strict=False, min_length=1
    )
    jwks: Document = None
    jwks_file: FilePath | None = None
    jwks_url: SourceUrlText | None = None
    jwks_ca_file: FilePath | None = None


@final
class BundleSettings(_Keyed):
    """A trust domain whose JWT-SVIDs name workloads."""

    keys_in: ClassVar[str] = "bundle"
    least_sources: ClassVar[int] = 0  # none where a live source delivers them: pdp.config.live_sources

    algorithms: Annotated[frozenset[str], AfterValidator(among(JWT_SVID_ALGORITHMS))] = Field(
        default=JWT_SVID_ALGORITHMS, strict=False, min_length=1
    )
    bundle: Document = None
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
    clusters: dict[ClusterIssuer, ClusterSettings] = Field(default={})

    @field_validator("clusters")
    @classmethod
    def _apart(cls, given: dict[str, ClusterSettings], info: ValidationInfo) -> dict[str, ClusterSettings]:
        require_apart(given, info.data.get("issuers", {}).keys())
        return given


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


_Given: TypeAlias = IssuerSettings | BundleSettings | ClusterSettings
_PROFILES: Final[Mapping[type[Believed], TokenProfile]] = {
    IssuerSettings: TokenProfile.OIDC,
    BundleSettings: TokenProfile.SPIFFE,
    ClusterSettings: TokenProfile.KUBERNETES,
}


def key_files(settings: TokenSettings) -> tuple[Path, ...]:
    """The files that hold keys."""
    given = (
        *(each.jwks_file for each in settings.issuers.values()),
        *(each.bundle_file for each in settings.jwt_bundles.values()),
        *(each.jwks_file for each in settings.clusters.values()),
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
        contents: What the files hold with their keys, or why that cannot be told; else they are read. With
            them, nothing is made that fetches: in `LiveTrust.replace` keys that are fetched stay as they are.
        live: The keys of trust domains that have a live source, by name.
    """
    found: list[Problem] = []
    remote: dict[tuple[TokenProfile, str], KeySource] = {}
    issuers: dict[TokenProfile, dict[str, TokenIssuer]] = {profile: {} for profile in TokenProfile}
    given: list[tuple[str, _Given]] = [
        *settings.issuers.items(), *settings.jwt_bundles.items(), *settings.clusters.items(),
    ]  # fmt: skip
    for name, each in given:
        profile = _PROFILES[type(each)]
        source = _source(name, each)
        delivered = None
        if isinstance(each, BundleSettings) and source is not None and not source.is_named:
            delivered = (live or {}).get(name)
        keys = _at_hand(source, delivered, contents)
        if delivered is not None:
            remote[profile, name] = delivered
        elif source is None:
            pass  # the cluster itself is asked
        elif source.url is not None and contents is not None:
            keys = KeySet(keys=(), fault=_FETCHED)
        elif source.url is not None and not isinstance(read := _reader(name, each, source), str):
            remote[profile, name] = RemoteKeys(read, source.kind, time.monotonic)
        else:
            if source.url is not None:
                keys = KeySet(keys=(), fault=str(read))
            found += _doubts(source, keys)
        issuers[profile][name] = _issuer(name, each, profile, keys)
    return LiveTrust(TokenTrust.of(issuers), remote), found


def _at_hand(
    source: _Source | None, delivered: KeySource | None, contents: Mapping[Path, bytes | str] | None
) -> KeySet:
    """The keys that are there now."""
    if delivered is not None:
        return delivered.current()
    return KeySet(keys=()) if source is None else _keys(source, contents)


def _issuer(name: str, given: _Given, profile: TokenProfile, keys: KeySet) -> TokenIssuer:
    lifetime = given.max_lifetime_seconds
    return TokenIssuer(
        profile=profile,
        name=name,
        audiences=given.audiences,
        algorithms=given.algorithms,
        keys=keys,
        leeway=int(given.leeway_seconds * 1000),
        max_lifetime=None if lifetime is None else lifetime * 1000,
        cluster=rules_of(given) if isinstance(given, ClusterSettings) else None,
    )


def _source(name: str, given: _Given) -> _Source | None:
    if isinstance(given, ClusterSettings) and not given.signed:
        return None
    if isinstance(given, ClusterSettings) and given.jwks_discovery:
        setting = "jwks_discovery" if given.jwks_ca_file is None else "jwks_ca_file"
        where = ("clusters", name, setting)
        return _Source(where, KeySetKind.ISSUER, url=discovery_url(name), ca_file=given.jwks_ca_file)
    if isinstance(given, IssuerSettings | ClusterSettings):
        section = "issuers" if isinstance(given, IssuerSettings) else "clusters"
        table, key, kind = (section, name), "jwks", KeySetKind.ISSUER
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
    """The keys that are there; of a URL none."""
    try:
        if source.url is not None:
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
    except OSError as error:
        return KeySet(keys=(), fault=f"{source.file}: cannot be read: {os.strerror(error.errno or 0)}")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_TRUST_FILE_BYTES + 1)


def _reader(name: str, given: _Given, source: _Source) -> Callable[[], bytes] | str:
    """What fetches keys; or why nothing can be fetched."""
    try:
        if isinstance(given, ClusterSettings):
            return key_source(name, given)
        server = ApiServer(source.ca_file, None)
    except OSError as error:
        return roots_fault(source.ca_file, error)
    return lambda: server.get(str(source.url))


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
