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
from pdp.identity.tokens.service_account import ClusterRules
from pdp.identity.tokens.signature import ALGORITHMS, JWT_SVID_ALGORITHMS, KUBERNETES_ALGORITHMS
from pdp.identity.trust import TrustError, check_trust_domain
from pdp.limits import MAX_LEEWAY_SECONDS
from pdp.vocabulary import Millis

__all__ = ["TokenIssuer", "TokenProfile", "TokenTrust"]


@final
class TokenProfile(Enum):
    """What a token proves, and by which standard."""

    OIDC = "oidc"  # a user of an issuer: RFC 7519, RFC 8725, OpenID Connect Core, RFC 9068
    SPIFFE = "spiffe"  # a workload of a trust domain: JWT-SVID
    KUBERNETES = "kubernetes"  # a workload of a cluster: its service account token

    @property
    def algorithms(self) -> frozenset[str]:
        """Those that its tokens may be signed by."""
        match self:
            case TokenProfile.OIDC:
                return frozenset(ALGORITHMS)
            case TokenProfile.SPIFFE:
                return JWT_SVID_ALGORITHMS
            case TokenProfile.KUBERNETES:
                return KUBERNETES_ALGORITHMS


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
        cluster: What else is said of a cluster; None of all others.
        id: SHA-256 of all of that, hexadecimal: the same exactly when all of it is.

    Raises:
        ValueError: There is no audience, or no algorithm, or one that the profile does not have; a bound is
            passed; or nothing is said of a cluster.
    """

    profile: TokenProfile
    name: str
    audiences: frozenset[str]
    keys: KeySet
    algorithms: frozenset[str]
    leeway: Millis = 0
    max_lifetime: Millis | None = None
    cluster: ClusterRules | None = None
    id: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("an issuer has a name")
        if not self.audiences or "" in self.audiences:
            raise ValueError("there is no audience, or an empty one: a token for anybody would do")
        known = self.profile.algorithms
        if not self.algorithms or not self.algorithms <= known:
            raise ValueError(f"algorithms are some of {', '.join(sorted(known))}")
        if not 0 <= self.leeway <= MAX_LEEWAY_SECONDS * 1000:
            raise ValueError(f"the leeway is at most {MAX_LEEWAY_SECONDS:g} seconds")
        if self.max_lifetime is not None and self.max_lifetime <= 0:
            raise ValueError("the longest lifetime is more than nothing")
        cluster = self.cluster
        if (cluster is None) is (self.profile is TokenProfile.KUBERNETES):
            raise ValueError("what is said of a cluster is said of clusters, and of each")
        said = [
            self.profile.value, self.name, sorted(self.audiences), self.keys.digest, sorted(self.algorithms),
            self.leeway, self.max_lifetime,
            cluster and [cluster.trust_domain, cluster.path, cluster.signed, cluster.reviewed],
        ]  # fmt: skip
        object.__setattr__(self, "id", hashlib.sha256(json.dumps(said).encode()).hexdigest())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTrust:
    """Everybody whose tokens are believed.

    Attributes:
        issuers: Issuers of users, by `iss`.
        bundles: Trust domains of workloads, by name.
        clusters: Clusters of workloads, by the `iss` of their tokens.
        digest: SHA-256 of all of it, hexadecimal; empty where nobody is believed.

    Raises:
        ValueError: One stands under another name or in the wrong place, or a name is no trust domain.
    """

    issuers: Mapping[str, TokenIssuer] = field(default_factory=dict)
    bundles: Mapping[str, TokenIssuer] = field(default_factory=dict)
    clusters: Mapping[str, TokenIssuer] = field(default_factory=dict)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        for profile in TokenProfile:
            for name, issuer in self.held(profile).items():
                if issuer.name != name or issuer.profile is not profile:
                    raise ValueError(f"`{name}` does not stand where it belongs")
        try:
            for name in self.bundles:
                check_trust_domain(name)
            for issuer in self.clusters.values():
                check_trust_domain(issuer.cluster.trust_domain if issuer.cluster is not None else "")
        except TrustError as error:
            raise ValueError(str(error)) from error
        if both := self.issuers.keys() & self.clusters.keys():
            raise ValueError(f"`{min(both)}` is an issuer of users and a cluster")
        ids = sorted(each.id for each in self.everybody)
        object.__setattr__(self, "digest", hashlib.sha256("\n".join(ids).encode()).hexdigest() if ids else "")
        object.__setattr__(self, "issuers", MappingProxyType(dict(self.issuers)))
        object.__setattr__(self, "bundles", MappingProxyType(dict(self.bundles)))
        object.__setattr__(self, "clusters", MappingProxyType(dict(self.clusters)))

    @property
    def everybody(self) -> tuple[TokenIssuer, ...]:
        """All of them."""
        return tuple(each for profile in TokenProfile for each in self.held(profile).values())

    def held(self, profile: TokenProfile) -> Mapping[str, TokenIssuer]:
        """Those whose tokens prove this, by name."""
        match profile:
            case TokenProfile.OIDC:
                return self.issuers
            case TokenProfile.SPIFFE:
                return self.bundles
            case TokenProfile.KUBERNETES:
                return self.clusters

    def with_issuer(self, issuer: TokenIssuer) -> "TokenTrust":
        """The same with another configuration of one of them."""
        held = {profile: self.held(profile) for profile in TokenProfile}
        held[issuer.profile] = {**held[issuer.profile], issuer.name: issuer}
        return TokenTrust.of(held)

    @classmethod
    def of(cls, held: Mapping[TokenProfile, Mapping[str, TokenIssuer]]) -> "TokenTrust":
        """Those who are held here, by what their tokens prove and by name."""
        return cls(
            issuers=held[TokenProfile.OIDC],
            bundles=held[TokenProfile.SPIFFE],
            clusters=held[TokenProfile.KUBERNETES],
        )
