"""A running service as its settings are now: what can hold without a restart, each by one reference.

Which settings those are is the business of `pdp.config.reread`, when they are read that of
`pdp.process.hangup`.
"""

from pdp.adapters.server import Listener
from pdp.config.model import Settings
from pdp.process.answering import grace_seconds, plain_headers
from pdp.service.decision_service import DecisionService

__all__ = ["retune"]


def retune(settings: Settings, service: DecisionService, listener: Listener) -> None:
    """Have new settings hold from the next question on. For the thread of the event loop."""
    limits, log = settings.limits, settings.decision_log
    service.admission.limit(in_flight=limits.in_flight, per_second=limits.per_caller_per_second)
    service.max_age_ms = limits.max_age_ms
    service.connection_seconds = limits.connection_seconds
    service.freshness = settings.freshness.limits()
    if service.log is not None:
        service.log.change(mode=log.mode, one_in=log.one_in, plain=plain_headers(settings))
    listener.change(
        connection_seconds=limits.connection_seconds,
        grace_seconds=grace_seconds(settings),
        readers=settings.metrics.readers,
    )
