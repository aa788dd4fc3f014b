"""The listener for probes: in the event loop of the decisions, so that it lives as long as they do."""

import socket
from collections.abc import Callable
from typing import Final, final

from pdp.adapters.beside import BesideListener
from pdp.adapters.health import HealthApp
from pdp.adapters.places import PlacedProtocol, Places
from pdp.limits import MAX_PROBE_CONNECTIONS
from pdp.service.health import Health

__all__ = ["HealthListener"]

_IDLE_SECONDS: Final = 2  # a probe asks at once


@final
class HealthListener(BesideListener):
    """Answers probes, in plaintext; what is told is read from the health of the service."""

    def __init__(self, listener: socket.socket, health: Health, *, say: Callable[[str], None]) -> None:
        """Listen on a bound socket; `say` is told where, once it does."""

        # INVARIANT: no 503 for want of a place: that is "no", and has whoever probes end the service.
        class ProbeProtocol(PlacedProtocol):
            places = Places(most=MAX_PROBE_CONNECTIONS, of_one=MAX_PROBE_CONNECTIONS)

        super().__init__(
            listener,
            HealthApp(health),
            protocol=ProbeProtocol,
            idle_seconds=_IDLE_SECONDS,
            told=lambda address: say(f"answering probes on http://{address}/health/ready"),
        )
