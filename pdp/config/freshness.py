"""Settings about how old the last confirmation of a version may be, in general and for single services.

What a limit means is said in `pdp.store.freshness`. Which services there are is not known here: the
policy set says that, and changes.
"""

from collections.abc import Set  # noqa: PYI025 -- as a type only
from typing import Annotated, Final, final

from pydantic import Field

from pdp.config.section import Seconds, Section
from pdp.limits import MAX_SERVICE_NAME_CHARS
from pdp.store.freshness import Freshness, Limit, WhenStale

__all__ = ["SHORT_SECONDS", "FreshnessSettings", "ServiceFreshness"]

#: Limits below are passed now and then though nothing is wrong: versions are confirmed once a second, by
#: whoever also compiles the next one.
SHORT_SECONDS: Final = 5.0

_When = Annotated[WhenStale, Field(strict=False)]
_Name = Annotated[str, Field(min_length=1, max_length=MAX_SERVICE_NAME_CHARS)]


@final
class ServiceFreshness(Section):
    """What differs for one service."""

    max_staleness_seconds: Seconds | None = None
    when_stale: _When | None = None


@final
class FreshnessSettings(Section):
    """How old the last confirmation may be, and what happens beyond.

    A limit denies, unless it is said what else it does: none is set in vain.
    """

    max_staleness_seconds: Seconds = 0
    when_stale: _When = WhenStale.DENY
    services: dict[_Name, ServiceFreshness] = Field(default={})

    def limits(self) -> Freshness:
        """The limits of all services; what a service leaves out it takes from the default."""
        return Freshness(
            default=_limit(self.max_staleness_seconds, self.when_stale),
            services={name: _limit(*self._of(service)) for name, service in self.services.items()},
        )

    def unknown(self, services: Set[str]) -> tuple[str, ...]:
        """Services that are named here, and are none of these."""
        return tuple(sorted(self.services.keys() - services))

    def short(self) -> list[tuple[str, ...]]:
        """The settings whose limits are so short that they are passed though nothing is wrong."""
        found: list[tuple[str, ...]] = [()] if _is_short(self.max_staleness_seconds, self.when_stale) else []
        found += [
            ("services", name)
            for name, service in self.services.items()
            # Once is enough where it only has the general one.
            if _is_short(*self._of(service)) and not (found and service.max_staleness_seconds is None)
        ]
        return [("freshness", *table, "max_staleness_seconds") for table in found]

    def _of(self, service: ServiceFreshness) -> tuple[float, WhenStale]:
        seconds, when = service.max_staleness_seconds, service.when_stale
        return self.max_staleness_seconds if seconds is None else seconds, when or self.when_stale


def _is_short(seconds: float, when: WhenStale) -> bool:
    return 0 < seconds < SHORT_SECONDS and when is not WhenStale.SERVE


def _limit(seconds: float, when: WhenStale) -> Limit | None:
    if not seconds or when is WhenStale.SERVE:
        return None
    # Never rounded to nothing: that would be no limit.
    return Limit(max_staleness_ms=max(1, int(seconds * 1000)), refuse=when is WhenStale.REFUSE)
