"""What besides policies names a revision: roots of callers, whose tokens are believed, who is quarantined."""

import threading
from collections.abc import Callable
from hashlib import sha256
from typing import final

__all__ = ["Circumstances"]


@final
class Circumstances:
    """Their digests. May be used by several threads."""

    def __init__(self, roots: str, tokens: str, quarantine: str) -> None:
        """Begin with the digests of what is in force; an empty one where there is none of it."""
        self._roots, self._tokens, self._quarantine = roots, tokens, quarantine
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """As `pdp.store.loader.Loader` has it."""
        if not self._tokens and not self._quarantine:
            return self._roots
        said = f"{self._roots}\n{self._tokens}"
        if self._quarantine:
            said += f"\n{self._quarantine}"
        return sha256(said.encode()).hexdigest()

    def of_roots(self, digest: str, restate: Callable[[str], None]) -> None:
        """The roots are others perhaps; tell `restate`."""
        with self._lock:  # of two that change something, the slower must not tell what is no longer so
            self._roots = digest
            restate(self.name)

    def of_tokens(self, digest: Callable[[], str], restate: Callable[[str], None]) -> None:
        """Those whose tokens are believed are others perhaps; tell `restate`."""
        with self._lock:
            self._tokens = digest()
            restate(self.name)

    def of_quarantine(self, digest: Callable[[], str], restate: Callable[[str], None]) -> None:
        """Those who are quarantined are others perhaps; tell `restate`."""
        with self._lock:
            self._quarantine = digest()
            restate(self.name)
