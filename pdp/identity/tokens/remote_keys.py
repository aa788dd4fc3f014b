"""Key sets that are fetched: the last good one, and when to look for the next.

A set is looked at again when it is due, and once more when a token names a key that is not in it: a key
that was just published takes good tokens at once. How often that may be is bounded, whatever tokens say.
One bad update, or a source that is away, keeps what was there, until nobody has confirmed it for too long.
"""

import threading
from collections.abc import Callable
from typing import final

from pdp.identity.fetch import FetchError
from pdp.identity.tokens.jwks import KeySet, KeySetError, KeySetKind, read_key_set
from pdp.limits import KEYS_DUE_SECONDS, KEYS_PAUSE_SECONDS, MAX_KEYS_SECONDS

__all__ = ["RemoteKeys"]


@final
class RemoteKeys:
    """The keys of one issuer, as its source has them. May be used by several threads."""

    def __init__(self, source: Callable[[], bytes], kind: KeySetKind, clock: Callable[[], float]) -> None:
        """Read what `source` gives (or FetchError), at the seconds of `clock`, which is never set back."""
        self._source = source
        self._kind = kind
        self._clock = clock
        self._looking = threading.Lock()
        self._tried: float | None = None
        self._confirmed = 0.0
        self._good: KeySet | None = None
        self._problem = "they have not been fetched yet"

    @property
    def problem(self) -> str:
        """Why the last look brought nothing; empty where it did."""
        return self._problem

    def current(self) -> KeySet:
        """The keys in force, without a look at the source."""
        good = self._good
        if good is None:
            return KeySet(keys=(), fault=self._problem)
        if self._clock() - self._confirmed >= MAX_KEYS_SECONDS:
            return KeySet(keys=(), fault=f"nobody has confirmed them for too long: {self._problem}")
        return good

    def latest(self, key_id: str | None = None) -> KeySet:
        """The keys in force, after a look at the source if one is due, or if none has this name.

        Of several that come at once one looks, and the others wait for what it finds.
        """
        if self._is_wanted(key_id):
            with self._looking:
                if self._is_wanted(key_id):  # perhaps somebody has just looked
                    self._look()
        return self.current()

    def _is_wanted(self, key_id: str | None) -> bool:
        now = self._clock()
        if self._tried is not None and now - self._tried < KEYS_PAUSE_SECONDS:
            return False
        if self._good is None or now - self._confirmed >= KEYS_DUE_SECONDS:
            return True
        return key_id is not None and all(key.key_id != key_id for key in self._good.keys)

    def _look(self) -> None:
        try:
            found = read_key_set(self._source(), self._kind)
        except (FetchError, KeySetError) as error:
            self._problem = str(error)
        else:
            self._problem = ""
            self._good, self._confirmed = found, self._clock()
        finally:
            self._tried = self._clock()
