"""Settings that were read again while the service runs: which hold at once, and which take a restart.

What opens something (addresses, certificates, trust, where policies and the log are) is read once, at
start. What only says how much or how long is replaced while the service runs.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pdp.config.model import Settings

__all__ = ["Reread", "reread"]

_LOG = ("mode", "one_in", "plain_headers")


class Reread(NamedTuple):
    """What becomes of settings that were read again.

    Attributes:
        settings: What holds from now on.
        applied: The settings that changed, by name.
        kept: Those that changed and hold only after a restart.
    """

    settings: Settings
    applied: tuple[str, ...]
    kept: tuple[str, ...]


def reread(before: Settings, after: Settings) -> Reread:
    """What holds of `after` in a service that was started with `before`.

    INVARIANT: all that is not taken from `after` here by name stays, a new setting included.
    """
    log = before.decision_log.model_copy(update={name: getattr(after.decision_log, name) for name in _LOG})
    health = before.health
    if health is not None and after.health is not None:
        update = {"max_staleness_seconds": after.health.max_staleness_seconds}
        health = health.model_copy(update=update)
    settings = before.model_copy(
        update={
            "limits": after.limits,
            "metrics": after.metrics,
            "freshness": after.freshness,
            "drain": after.drain,
            "decision_log": log,
            "health": health,
        }
    )
    applied, kept = _different(before, settings), _different(settings, after)
    age = "limits.connection_seconds"
    if age in applied and settings.grpc is not None:
        kept = (*kept, f"{age} over gRPC")  # its library is told once
    return Reread(settings, applied, kept)


def _different(one: Settings, other: Settings) -> tuple[str, ...]:
    """The names of the settings that differ."""
    ours, theirs = dict(_leaves(one.model_dump())), dict(_leaves(other.model_dump()))
    return tuple(sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)))


def _leaves(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Single settings by name; one that is not set is left out."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{key}.")
        elif value is not None:
            yield f"{before}{key}", value
