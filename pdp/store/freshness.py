"""How long ago its source may have confirmed a version for it to answer, for each service.

What becomes of a question beyond its limit is the business of `pdp.service.decision_service`; when a
version is confirmed that of `pdp.store.publish`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, final

from pdp.vocabulary import Millis

__all__ = ["UNLIMITED", "Freshness", "Limit", "WhenStale"]


class WhenStale(Enum):
    """What a question comes to whose version was confirmed too long ago."""

    SERVE = "serve"  # an answer as ever, whose age says so
    DENY = "deny"
    REFUSE = "refuse"  # no answer


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Of one service.

    Attributes:
        max_staleness_ms: How long ago the confirmation may be, more than 0.
        refuse: Whether there is no answer beyond, in place of a denial.
    """

    max_staleness_ms: Millis
    refuse: bool

    def left(self, confirmed_at: Millis, now: Millis) -> Millis:
        """How much longer a version may answer; less than 0 where it may not.

        A confirmation in the future means that the clock was set back. How old it is nobody knows then:
        it counts as if it were as long ago, so that no such step keeps a version fresh for longer.
        """
        return self.max_staleness_ms - abs(now - confirmed_at)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """The limits of all services.

    Attributes:
        default: Of those that are not named; None for no limit.
        services: Of those that are.
    """

    default: Limit | None = None
    services: Mapping[str, Limit | None] = field(default_factory=dict)

    def limit(self, service: str) -> Limit | None:
        """The limit of a service, if it has one."""
        return self.services.get(service, self.default)


UNLIMITED: Final = Freshness()
