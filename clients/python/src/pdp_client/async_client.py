"""The client of asyncio."""

import asyncio
from collections.abc import Sequence
from typing import Self, Unpack, final

from pdp_client.cache import CacheCounts, RegionCache
from pdp_client.core import Core
from pdp_client.decision import Decision
from pdp_client.errors import ClosedError, CouldNotAnswerError
from pdp_client.gather import answered_alike
from pdp_client.options import Options, settings
from pdp_client.question import Question
from pdp_client.tls import TlsFiles, TlsWatch

__all__ = ["AsyncClient"]


@final
class AsyncClient:
    """Asks, keeps answers, and fails closed. It belongs to the event loop in which it is used first."""

    def __init__(self, endpoints: Sequence[str], *, tls: TlsFiles, **options: Unpack[Options]) -> None:
        """A client of these replicas; `Options` says what else there is to say.

        Raises:
            ValueError: An endpoint or an option makes no sense.
            OSError: The files cannot be read, or do not fit together.
        """
        self._settings = settings(endpoints, tls, options)
        self._tls = TlsWatch(tls)
        self._cache = RegionCache(
            max_entries=self._settings.max_entries, lease_seconds=self._settings.lease_seconds
        )
        self._core: Core | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def decide(self, question: Question) -> Decision:
        """The answer to a question, from memory where that is right.

        Raises:
            CouldNotAnswerError: There is none: let nothing pass.
        """
        core = self._begun()
        if self._settings.reuse and (found := self._cache.find(question)) is not None:
            return found
        return await core.ask(question)

    async def explain(self, question: Question) -> Decision:
        """The answer with its explanation, always asked for.

        Raises:
            CouldNotAnswerError: There is none, or we may not ask for explanations.
        """
        return await self._begun().ask(question, explain=True)

    async def decide_batch(self, questions: Sequence[Question]) -> list[Decision | CouldNotAnswerError]:
        """The answers to several questions, all under one revision; an error stands where there is none.

        Raises:
            CouldNotAnswerError: There are no answers at all.
        """
        core = self._begun()
        return await answered_alike(questions, self._cache if self._settings.reuse else None, core.ask_batch)

    def _begun(self) -> Core:
        """What asks, within this event loop."""
        loop = asyncio.get_running_loop()
        if self._closed:
            raise ClosedError("closed", "the client is closed")
        if self._core is None:
            self._core, self._loop = Core(self._settings, self._tls, self._cache), loop
            self._core.begin()
        elif self._loop is not loop:
            raise ClosedError("other_loop", "the client belongs to another event loop")
        return self._core

    @property
    def counts(self) -> CacheCounts:
        """What became of questions."""
        return self._cache.counts

    @property
    def is_reusing(self) -> bool:
        """Whether answers may be used again now: the stream of revisions speaks."""
        return self._cache.is_used

    async def close(self) -> None:
        """Report what is left, and close all connections. Nothing is answered from now on."""
        self._closed = True
        core, self._core = self._core, None
        if core is not None:
            await core.close()

    async def __aenter__(self) -> Self:
        self._begun()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
