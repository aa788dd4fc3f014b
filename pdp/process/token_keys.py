"""Whose tokens are believed, kept as files and sources have it while the service runs.

One process does this for all that answer. What is wrong with a file or a source keeps what was in force, as
`pdp.identity.tokens.live_trust` and `remote_keys` have it; how often a source is looked at is theirs as well.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, final

from pdp.config.problem import Problem
from pdp.config.tokens import TokenSettings, key_files, token_trust
from pdp.diagnostics import escape
from pdp.identity.bundle import LiveBundles
from pdp.identity.tokens.issuer import TokenProfile, TokenTrust
from pdp.identity.tokens.remote_keys import RemoteKeys
from pdp.process.parts import Say
from pdp.service.metrics import Metrics
from pdp.store.file_watch import Contents, FileWatcher

__all__ = ["TokenKeys"]

_LOOK_SECONDS: Final = 1.0  # between two looks at whether a source is due
_WHAT: Final = "keys"


@final
class TokenKeys:
    """The keys of issuers and trust domains. May be used by several threads."""

    def __init__(
        self, settings: TokenSettings, metrics: Metrics, say: Say, delivered: LiveBundles | None = None
    ) -> None:
        """Read what the settings and their files hold, and `delivered` has; nothing is fetched yet."""
        self._settings, self._metrics, self._say = settings, metrics, say
        self._delivered = delivered or LiveBundles()
        self._live = token_trust(settings, live=self._delivered.keys())[0]
        self._trust = self._handed_on = self._live.now()
        self._changed: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()

    @property
    def trust(self) -> TokenTrust:
        """Everybody whose tokens are believed now."""
        return self._trust

    def look(self, profile: TokenProfile, name: str, key_id: str | None) -> None:
        """Look for newer keys, if they are fetched; returns once what was found is in force."""
        issuer = self._live.find(profile, name)
        if issuer is not None:
            self._live.latest(issuer, key_id)
            self._settle()

    def follow(self, changed: Callable[[], None]) -> ExitStack:
        """Keep them as files and sources have them, until what is returned is closed.

        Args:
            changed: Called once `trust` is another one; has others go on with it.
        """
        self._changed = changed
        following = ExitStack()
        following.callback(self._delivered.on_change(self._settle))
        self._settle()
        files = key_files(self._settings)
        if files:
            watcher = FileWatcher(
                name="keys-watch", paths=list(files), consider=self._consider, tell=self._tell
            )
            watcher.start()
            following.callback(watcher.stop)
        for (_, name), keys in self._live.remote.items():
            if not isinstance(keys, RemoteKeys):
                continue
            threading.Thread(target=self._keep, args=(name, keys), name="keys-fetch", daemon=True).start()
        following.callback(self._stop.set)
        return following

    def _settle(self) -> None:
        """Put what is known now in force, here and with all others.

        INVARIANT: what could not be handed on is handed on by the next call, and whoever returns from one
        knows that it is in force everywhere.
        """
        with self._lock:
            self._trust = self._live.now()
            before, after = self._handed_on, self._trust
            if after.digest == before.digest or self._changed is None:
                return
            self._changed()
            self._handed_on = after
        self._metrics.renewed(_WHAT)
        for name in _differing(before, after):
            self._say(f"the keys of {escape(name)} changed")

    # -- files ---------------------------------------------------------------------------

    def _consider(self, contents: Contents) -> str | None:
        fresh, problems = token_trust(self._settings, contents, self._delivered.keys())
        self._live.replace(fresh.now())
        self._settle()
        wrong = [_sentence(problem) for problem in problems if problem.refused]
        return "\n".join(wrong) or None

    def _tell(self, wrong: str | None) -> None:
        self._metrics.renewal_refused(_WHAT, refused=wrong is not None)
        self._say(
            "keys of tokens are as their files are again"
            if wrong is None
            else f"keys of tokens are not as their files are: {wrong}"
        )

    # -- sources -------------------------------------------------------------------------

    def _keep(self, name: str, keys: RemoteKeys) -> None:
        """Look at a source whenever it is due, and say once what keeps it from being read."""
        told = ""
        while not self._stop.is_set():
            try:
                keys.latest()
                self._settle()
                problem = keys.problem
            except Exception as error:  # noqa: BLE001 -- one that ends leaves removed keys in force for ever
                if self._stop.is_set():
                    return
                problem = f"a defect of pdp: {type(error).__name__}: {error}"
            if bool(problem) != bool(told):
                self._say(
                    f"the keys of {escape(name)} cannot be fetched: {escape(problem)}"
                    if problem
                    else f"the keys of {escape(name)} are fetched again"
                )
                told = problem
            self._stop.wait(_LOOK_SECONDS)


def _differing(before: TokenTrust, after: TokenTrust) -> list[str]:
    """The names of those with other keys."""
    return [
        name
        for profile in TokenProfile
        for name, each in after.held(profile).items()
        if each.id != before.held(profile)[name].id
    ]


def _sentence(problem: Problem) -> str:
    return escape(f"`{'.'.join(problem.setting)}`: {problem.message}")
