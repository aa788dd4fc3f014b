"""Revisions as they are told to those who watch, whatever protocol they came by."""

import time
from collections.abc import AsyncIterator, Callable

from pdp.identity.caller import Caller
from pdp.limits import WATCH_HEARTBEAT_SECONDS
from pdp.service.decision_service import DecisionService
from pdp.service.errors import CannotAnswerError
from pdp.service.revisions import Following
from pdp.store.versions import Published

__all__ = ["begin_watch", "watch"]


def begin_watch(service: DecisionService, caller: Caller) -> Following:
    """Begin to follow revisions, for `watch`; to be left as a `with` statement does.

    Raises:
        NotPermittedError: The caller may ask nothing.
        CannotAnswerError: Too many watch already, or too many of this caller, or the service ends.
    """
    service.rights(caller, service.versions.current, service.now())
    try:
        return service.revisions.follow(caller.id)
    except CannotAnswerError as error:
        service.metrics.question_refused(error.code)
        raise


async def watch(
    service: DecisionService, caller: Callable[[], Caller], following: Following
) -> AsyncIterator[Published | None]:
    """The current version at once, then each new one; None where a while has passed without one.

    Ends with the service, and once a connection would be too old: load has to find new replicas.

    Args:
        service: Whose versions they are.
        caller: Who watches. Asked each time: trust and rights may end while a stream is open.
        following: What `begin_watch` gave.

    Raises:
        NotPermittedError: The caller may ask nothing any more.
    """
    until = time.monotonic() + service.connection_seconds
    while time.monotonic() < until:
        newest = await following.newest(WATCH_HEARTBEAT_SECONDS)
        if following.closed:
            return
        await service.gate.passed()
        service.rights(caller(), service.versions.current, service.now())
        if newest is None or newest is service.versions.current:  # else it is told in the next turn
            yield newest
