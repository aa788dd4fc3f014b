"""What besides policies names a revision: the roots of callers, and whose tokens are believed."""

import threading
from collections.abc import Callable
from hashlib import sha256
from typing import final

__all__ = ["Circumstances"]


@final
class Circumstances:
    """Both digests. May be used by several threads."""

    def __init__(self, roots: str, tokens: str) -> None:
        """Begin with the digests of what is in force; that of tokens is empty where none are believed."""
        self._roots, self._tokens = roots, tokens
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """As `pdp.store.loader.Loader` has it."""
        if not self._tokens:
            return self._roots
        return sha256(f"{self._roots}\n{self._tokens}".encode()).hexdigest()

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
