"""A look for newer keys, where a token names one that is not known: who asks for it, and how often.

How keys are fetched is in `pdp.identity.tokens.remote_keys`, and who does it is told from outside: this
process, or its supervisor.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeAlias, final

from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile
from pdp.limits import KEY_LOOK_SECONDS, KEYS_PAUSE_SECONDS, MAX_WAITING_FOR_KEYS

__all__ = ["KeyLooks", "Look"]

_log: Final = logging.getLogger("pdp.keys")

#: Looks for newer keys of one issuer, of whom a token names this one; returns once they are in force.
Look: TypeAlias = Callable[[TokenProfile, str, str | None], Awaitable[None]]


class _Look(NamedTuple):
    """A look that is under way, and since when."""

    task: asyncio.Task[None]
    since: float


@final
class KeyLooks:
    """Bounds looks: of one issuer one at a time, and seldom. For one event loop."""

    def __init__(self, look: Look, clock: Callable[[], float] = time.monotonic) -> None:
        """Have keys looked for by `look`; the seconds of `clock` are never set back."""
        self._look = look
        self._clock = clock
        # A trust domain may have the name of a cluster, say: those are two, with keys of their own.
        self._under_way: dict[tuple[TokenProfile, str], _Look] = {}
        self._ended: dict[tuple[TokenProfile, str], float] = {}
        self._waiting = 0

    async def wanted(self, issuer: TokenIssuer, key_id: str | None, questions: int = 1) -> bool:
        """Wait for a look at an issuer's keys, for a bounded time.

        Args:
            issuer: Whose keys.
            key_id: The one that is not known.
            questions: How many questions wait for it.

        Returns:
            Whether there was one: what was not known may be known now.
        """
        now, whose = self._clock(), (issuer.profile, issuer.name)
        look = self._under_way.get(whose)
        if look is None:
            ended = self._ended.get(whose)
            if ended is not None and now - ended < KEYS_PAUSE_SECONDS:
                return False
        left = KEY_LOOK_SECONDS if look is None else look.since + KEY_LOOK_SECONDS - now
        if left <= 0 or self._waiting + questions > MAX_WAITING_FOR_KEYS:
            return False
        if look is None:
            task = asyncio.create_task(self._once(issuer, key_id))
            look = self._under_way[whose] = _Look(task, now)
        self._waiting += questions
        try:
            async with asyncio.timeout(left):
                await asyncio.shield(look.task)
        except TimeoutError:
            pass
        finally:
            self._waiting -= questions
        return True

    async def _once(self, issuer: TokenIssuer, key_id: str | None) -> None:
        try:
            await self._look(issuer.profile, issuer.name, key_id)
        except Exception:  # noqa: BLE001 -- the question is answered all the same, by the keys that there are
            _log.exception("keys could not be looked for, by a defect of pdp")
        finally:
            self._ended[issuer.profile, issuer.name] = self._clock()
            del self._under_way[issuer.profile, issuer.name]
