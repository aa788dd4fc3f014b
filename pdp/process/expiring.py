"""Warnings ahead of time: what is about to end, and what has ended, each said once.

What there is comes from whoever holds it (`pdp.identity.expiry`); how it is renewed is another's business.
The same ends are measured, for alarms (`pdp.adapters.metrics_page`).
"""

import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from enum import IntEnum
from typing import TypeAlias, final

from pdp.identity.expiry import Ending
from pdp.limits import EXPIRY_LOOK_SECONDS, EXPIRY_WARNING_SECONDS, EXPIRY_WARNING_SHARE
from pdp.process.parts import Say
from pdp.process.presented import shown_instant
from pdp.vocabulary import Millis

__all__ = ["Expiring", "Held"]

#: Gives what somebody holds now, and when it ends.
Held: TypeAlias = Callable[[], Iterable[Ending]]


class _Stage(IntEnum):
    FINE = 0
    SOON = 1
    ENDED = 2


@final
class Expiring:
    """Looks at what several hold. Used by one thread."""

    def __init__(self, *held: Held, say: Say) -> None:
        """Look at what each of `held` gives at each time, and let `say` be told."""
        self._held, self._say = held, say
        # By its end as well: what is renewed is another thing, of which nothing has been said.
        self._stages: dict[tuple[str, Millis], _Stage] = {}

    def look(self, now: Millis) -> None:
        """Say what has come so far since the last look, at an instant."""
        before, self._stages = self._stages, {}
        for each in (each for held in self._held for each in held()):
            key, stage = (each.what, each.ends), _stage(each, now)
            known = before.get(key)
            self._stages[key] = stage if known is None else max(stage, known)
            loaded_so = known is None and stage is _Stage.ENDED and each.told
            if stage > (known or _Stage.FINE) and not loaded_so:
                self._say(_sentence(each, stage))

    def follow(self, clock: Callable[[], Millis]) -> ExitStack:
        """Look from time to time, from a thread of its own, until what is returned is closed."""
        stop = threading.Event()

        def run() -> None:
            told = ""
            while not stop.is_set():
                try:
                    self.look(clock())
                except Exception as error:  # noqa: BLE001 -- one that ends would warn of nothing any more
                    defect = (
                        f"what ends is not looked at, by a defect of pdp: {type(error).__name__}: {error}"
                    )
                    if defect != told:
                        self._say(defect)
                    told = defect
                stop.wait(EXPIRY_LOOK_SECONDS)

        thread = threading.Thread(target=run, name="expiring", daemon=True)
        thread.start()
        following = ExitStack()
        following.callback(thread.join)
        following.callback(stop.set)  # first
        return following


def _stage(ending: Ending, now: Millis) -> _Stage:
    if now > ending.ends:
        return _Stage.ENDED
    lifetime = ending.ends - ending.begins
    ahead = min(lifetime / EXPIRY_WARNING_SHARE, EXPIRY_WARNING_SECONDS * 1000)
    return _Stage.SOON if ending.ends - now < ahead else _Stage.FINE


def _sentence(ending: Ending, stage: _Stage) -> str:
    at = shown_instant(ending.ends)
    if stage is _Stage.ENDED:
        return f"warning: {ending.what} has ended at {at}: {ending.then}"
    return f"warning: {ending.what} ends at {at}"
