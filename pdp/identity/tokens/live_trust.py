"""Everybody whose tokens are believed, where the keys of some are fetched.

This module puts the keys in force into the configuration of their issuer. When they are looked for is in
`pdp.identity.tokens.remote_keys`; how they are fetched in `pdp.identity.fetch`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import final

from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile, TokenTrust
from pdp.identity.tokens.jwks import KeySet
from pdp.identity.tokens.remote_keys import RemoteKeys

__all__ = ["LiveTrust"]


@final
class LiveTrust:
    """A `TokenTrust` whose keys change. May be used by several threads."""

    def __init__(self, fixed: TokenTrust, remote: Mapping[tuple[TokenProfile, str], RemoteKeys]) -> None:
        """Take keys from `remote`, by profile and name of their issuer, and all else from `fixed`."""
        self._trust = fixed
        self._remote = remote

    def now(self) -> TokenTrust:
        """Everybody, with the keys in force; nobody is asked for newer ones."""
        trust = self._trust
        for (profile, name), keys in self._remote.items():
            held = trust.issuers if profile is TokenProfile.OIDC else trust.bundles
            trust = self._with(trust, held[name], keys.current())
        self._trust = trust
        return trust

    def latest(self, issuer: TokenIssuer, key_id: str | None) -> TokenIssuer:
        """An issuer with the keys in force, after a look at their source if one is wanted."""
        remote = self._remote.get((issuer.profile, issuer.name))
        return issuer if remote is None else _holding(issuer, remote.latest(key_id))

    @staticmethod
    def _with(trust: TokenTrust, issuer: TokenIssuer, keys: KeySet) -> TokenTrust:
        changed = _holding(issuer, keys)
        if changed is issuer:
            return trust
        if issuer.profile is TokenProfile.OIDC:
            return replace(trust, issuers={**trust.issuers, issuer.name: changed})
        return replace(trust, bundles={**trust.bundles, issuer.name: changed})


def _holding(issuer: TokenIssuer, keys: KeySet) -> TokenIssuer:
    return issuer if issuer.keys == keys else replace(issuer, keys=keys)
