"""Everybody whose tokens are believed, where the keys of some change while the service runs.

This module puts the keys in force into the configuration of their issuer. When keys that are
fetched are looked for is in `pdp.identity.tokens.remote_keys`, how in `pdp.identity.fetch`; those that a live
source delivers are in `pdp.identity.bundle`.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol, final

from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile, TokenTrust
from pdp.identity.tokens.jwks import KeySet

__all__ = ["KeySource", "LiveTrust"]


class KeySource(Protocol):
    """Keys of one issuer that change. May be used by several threads."""

    @property
    def problem(self) -> str:
        """What is wrong with them or their source; empty where nothing is."""

    def current(self) -> KeySet:
        """The keys in force, without a look at their source."""

    def latest(self, key_id: str | None = None) -> KeySet:
        """The same, after a look if one is due, or if none has this name."""


@final
class LiveTrust:
    """A `TokenTrust` whose keys change. May be used by several threads."""

    def __init__(self, fixed: TokenTrust, remote: Mapping[tuple[TokenProfile, str], KeySource]) -> None:
        """Take keys from `remote`, by profile and name of their issuer, and all else from `fixed`."""
        self._trust = fixed
        self._remote = remote
        self._lock = threading.Lock()

    @property
    def remote(self) -> Mapping[tuple[TokenProfile, str], KeySource]:
        """Those keys that change by themselves, by profile and name of their issuer."""
        return self._remote

    def now(self) -> TokenTrust:
        """Everybody, with the keys in force; nobody is asked for newer ones."""
        with self._lock:
            trust = self._trust
            for (profile, name), keys in self._remote.items():
                trust = self._with(trust, trust.held(profile)[name], keys.current())
            self._trust = trust
            return trust

    def replace(self, fixed: TokenTrust) -> None:
        """Take all else from `fixed` from now on; who has no good keys in it keeps those that it had."""
        with self._lock:
            for profile in TokenProfile:
                for name, issuer in fixed.held(profile).items():
                    if issuer.keys.fault:
                        fixed = self._with(fixed, issuer, self._trust.held(profile)[name].keys)
            self._trust = fixed

    def find(self, profile: TokenProfile, name: str) -> TokenIssuer | None:
        """The configuration of one of them, with the keys in force."""
        return self.now().held(profile).get(name)

    def latest(self, issuer: TokenIssuer, key_id: str | None) -> TokenIssuer:
        """An issuer with the keys in force, after a look at their source if one is wanted."""
        remote = self._remote.get((issuer.profile, issuer.name))
        return issuer if remote is None else _holding(issuer, remote.latest(key_id))

    @staticmethod
    def _with(trust: TokenTrust, issuer: TokenIssuer, keys: KeySet) -> TokenTrust:
        changed = _holding(issuer, keys)
        return trust if changed is issuer else trust.with_issuer(changed)


def _holding(issuer: TokenIssuer, keys: KeySet) -> TokenIssuer:
    return issuer if issuer.keys == keys else replace(issuer, keys=keys)
