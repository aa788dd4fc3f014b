"""Whose tokens are believed, and how: one configuration for each issuer and each trust domain.

This module holds the configuration alone; verification by it is in `pdp.identity.tokens.jwt`, how operators
write it in `pdp.config.tokens`. There is no issuer without an audience: a token for somebody else,
replayed to us, is a token all the same.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import final

from pdp.identity.tokens.jwks import KeySet
from pdp.identity.tokens.signature import ALGORITHMS, JWT_SVID_ALGORITHMS
from pdp.identity.trust import TrustError, check_trust_domain
from pdp.limits import MAX_LEEWAY_SECONDS
from pdp.vocabulary import Millis

__all__ = ["TokenIssuer", "TokenProfile", "TokenTrust"]


@final
class TokenProfile(Enum):
    """What a token proves, and by which standard."""

    OIDC = "oidc"  # a user of an issuer: RFC 7519, RFC 8725, OpenID Connect Core, RFC 9068
    SPIFFE = "spiffe"  # a workload of a trust domain: JWT-SVID


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssuer:
    """How the tokens of one issuer are verified. Immutable.

    Attributes:
        profile: What its tokens prove.
        name: The issuer as it stands in `iss`, or the trust domain.
        audiences: Whom a token may be for; one of them has to be among its own.
        keys: Its keys, and nobody else's.
        algorithms: Those that are accepted.
        leeway: How far its clock may be from ours.
        max_lifetime: How long a token may hold from when it was issued; None for as long as it says.
        id: SHA-256 of all of that, hexadecimal: the same exactly when all of it is.

    Raises:
        ValueError: There is no audience, or no algorithm, or one that the profile does not have; or a bound
            is passed.
    """

    profile: TokenProfile
    name: str
    audiences: frozenset[str]
    keys: KeySet
    algorithms: frozenset[str]
    leeway: Millis = 0
    max_lifetime: Millis | None = None
    id: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("an issuer has a name")
        if not self.audiences or "" in self.audiences:
            raise ValueError("there is no audience, or an empty one: a token for anybody would do")
        known = frozenset(ALGORITHMS) if self.profile is TokenProfile.OIDC else JWT_SVID_ALGORITHMS
        if not self.algorithms or not self.algorithms <= known:
            raise ValueError(f"algorithms are some of {', '.join(sorted(known))}")
        if not 0 <= self.leeway <= MAX_LEEWAY_SECONDS * 1000:
            raise ValueError(f"the leeway is at most {MAX_LEEWAY_SECONDS:g} seconds")
        if self.max_lifetime is not None and self.max_lifetime <= 0:
            raise ValueError("the longest lifetime is more than nothing")
        said = [
            self.profile.value, self.name, sorted(self.audiences), self.keys.digest, sorted(self.algorithms),
            self.leeway, self.max_lifetime,
        ]  # fmt: skip
        object.__setattr__(self, "id", hashlib.sha256(json.dumps(said).encode()).hexdigest())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTrust:
    """Everybody whose tokens are believed.

    Attributes:
        issuers: Issuers of users, by `iss`.
        bundles: Trust domains of workloads, by name.
        digest: SHA-256 of all of it, hexadecimal; empty where nobody is believed.

    Raises:
        ValueError: One stands under another name or in the wrong place, or a name is no trust domain.
    """

    issuers: Mapping[str, TokenIssuer] = field(default_factory=dict)
    bundles: Mapping[str, TokenIssuer] = field(default_factory=dict)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        for held, profile in ((self.issuers, TokenProfile.OIDC), (self.bundles, TokenProfile.SPIFFE)):
            for name, issuer in held.items():
                if issuer.name != name or issuer.profile is not profile:
                    raise ValueError(f"`{name}` does not stand where it belongs")
        try:
            for name in self.bundles:
                check_trust_domain(name)
        except TrustError as error:
            raise ValueError(str(error)) from error
        ids = sorted(each.id for each in (*self.issuers.values(), *self.bundles.values()))
        object.__setattr__(self, "digest", hashlib.sha256("\n".join(ids).encode()).hexdigest() if ids else "")
        object.__setattr__(self, "issuers", MappingProxyType(dict(self.issuers)))
        object.__setattr__(self, "bundles", MappingProxyType(dict(self.bundles)))
