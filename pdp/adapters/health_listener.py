"""The listener for probes: in the event loop of the decisions, so that it lives as long as they do."""

import socket
from collections.abc import Callable
from typing import final

from pdp.adapters.beside import BesideListener
from pdp.adapters.bounded import BoundedProtocol
from pdp.adapters.health import HealthApp
from pdp.limits import MAX_PROBE_CONNECTIONS
from pdp.service.health import Health

__all__ = ["HealthListener"]


@final
class HealthListener(BesideListener):
    """Answers probes, in plaintext; what is told is read from the health of the service."""

    def __init__(self, listener: socket.socket, health: Health, *, say: Callable[[str], None]) -> None:
        """Listen on a bound socket; `say` is told where, once it does."""
        super().__init__(
            listener,
            HealthApp(health),
            protocol=BoundedProtocol,
            connections=MAX_PROBE_CONNECTIONS,
            told=lambda address: say(f"answering probes on http://{address}/health/ready"),
        )
