"""Settings about tokens: which issuers and trust domains are believed, for whom, and by which keys.

Types and bounds are here, and what the settings come to: a `TokenTrust`. What a key set may hold is said in
`pdp.identity.jwks`. Today `pdp identity explain` is the only one who asks.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, final

from pydantic import AfterValidator, Field, model_validator

from pdp.config.problem import Problem
from pdp.config.section import Section
from pdp.config.values import FilePath, IssuerUrl, TrustDomainName
from pdp.identity.jwks import KeySet, KeySetError, KeySetKind, key_set, read_key_set
from pdp.identity.signature import ALGORITHMS, JWT_SVID_ALGORITHMS
from pdp.identity.token_issuer import TokenIssuer, TokenProfile, TokenTrust
from pdp.limits import MAX_LEEWAY_SECONDS, MAX_TRUST_FILE_BYTES

__all__ = ["BundleSettings", "IssuerSettings", "TokenSettings", "token_trust"]

_MAX_LIFETIME_SECONDS: Final = 366 * 86_400
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
    """What is said of each, whoever it is."""

    audiences: _Audiences
    leeway_seconds: _Leeway = 10
    max_lifetime_seconds: _Lifetime | None = None


@final
class IssuerSettings(_Believed):
    """An issuer whose tokens name users."""

    algorithms: Annotated[frozenset[str], AfterValidator(_of_issuer)] = Field(
        default=frozenset(ALGORITHMS), strict=False, min_length=1
    )
    jwks: _Document = None
    jwks_file: FilePath | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "IssuerSettings":
        if (self.jwks is None) == (self.jwks_file is None):
            raise ValueError("name the keys by one of `jwks` and `jwks_file`")
        return self


@final
class BundleSettings(_Believed):
    """A trust domain whose JWT-SVIDs name workloads."""

    algorithms: Annotated[frozenset[str], AfterValidator(_of_bundle)] = Field(
        default=JWT_SVID_ALGORITHMS, strict=False, min_length=1
    )
    bundle: _Document = None
    bundle_file: FilePath | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "BundleSettings":
        if (self.bundle is None) == (self.bundle_file is None):
            raise ValueError("name the keys by one of `bundle` and `bundle_file`")
        return self


class TokenSettings(Section):
    """Whose tokens are believed."""

    issuers: dict[IssuerUrl, IssuerSettings] = Field(default={})
    jwt_bundles: dict[TrustDomainName, BundleSettings] = Field(default={})


# -- what they come to -----------------------------------------------------------------


class _Source(NamedTuple):
    """Where the keys of one of them are: in the settings, or in a file."""

    setting: tuple[str, ...]
    kind: KeySetKind
    document: Any
    file: Path | None


def token_trust(settings: TokenSettings) -> tuple[TokenTrust, list[Problem]]:
    """Everybody whose tokens are believed, and what is wrong or doubtful about their keys.

    A key set that cannot be read takes nobody else's away: its own issuer has no keys, and the fault.
    """
    found: list[Problem] = []
    issuers = {name: _issuer(name, each, TokenProfile.OIDC, found) for name, each in settings.issuers.items()}
    bundles = {
        name: _issuer(name, each, TokenProfile.SPIFFE, found) for name, each in settings.jwt_bundles.items()
    }
    return TokenTrust(issuers=issuers, bundles=bundles), found


def _issuer(
    name: str, given: IssuerSettings | BundleSettings, profile: TokenProfile, found: list[Problem]
) -> TokenIssuer:
    source = _source(name, given)
    keys = _keys(source)
    found += _doubts(source, keys)
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
        key = "jwks" if given.jwks_file is None else "jwks_file"
        return _Source(("issuers", name, key), KeySetKind.ISSUER, given.jwks, given.jwks_file)
    key = "bundle" if given.bundle_file is None else "bundle_file"
    return _Source(("jwt_bundles", name, key), KeySetKind.BUNDLE, given.bundle, given.bundle_file)


def _keys(source: _Source) -> KeySet:
    try:
        if source.file is not None:
            with source.file.open("rb") as file:
                return read_key_set(file.read(MAX_TRUST_FILE_BYTES + 1), source.kind)
        if isinstance(source.document, str):
            return read_key_set(source.document.encode("utf-8"), source.kind)
        return key_set(source.document, source.kind)
    except KeySetError as error:
        return KeySet(keys=(), fault=str(error))
    except OSError as error:
        return KeySet(keys=(), fault=f"{source.file}: cannot be read: {os.strerror(error.errno or 0)}")


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
