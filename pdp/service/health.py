"""Whether the service lives, is ready, and has fresh policies: three questions, three answers.

*Live*: the process answers. *Ready*: it takes questions, so it serves a version and is not ending.
*Fresh*: its source confirmed that version lately, or nobody asked for freshness.
"""

from collections.abc import Callable
from typing import final

from pdp.store.versions import Versions
from pdp.vocabulary import Millis

__all__ = ["Health"]


@final
class Health:
    """The state of one service.

    Attributes:
        started: Whether connections are accepted.
        draining: Whether it is ending.
        max_staleness_ms: How long ago the version may have been confirmed to be fresh; None for any time.
    """

    def __init__(
        self, versions: Versions, *, clock: Callable[[], Millis], max_staleness_ms: Millis | None = None
    ) -> None:
        """Freshness is limited by `max_staleness_ms`, or not at all."""
        self.started = False
        self.draining = False
        self._versions = versions
        self._clock = clock
        self.max_staleness_ms = max_staleness_ms

    @property
    def live(self) -> bool:
        """Whether the process answers: it does, when it says so."""
        return True

    @property
    def ready(self) -> bool:
        """Whether questions should be sent here."""
        return self.started and not self.draining

    @property
    def fresh(self) -> bool:
        """Whether the version that is served was confirmed lately enough."""
        limit = self.max_staleness_ms
        return limit is None or self._clock() - self._versions.confirmed_at <= limit
