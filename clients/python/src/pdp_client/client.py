"""The client for programs without an event loop: the same, in a thread of its own."""

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from contextlib import suppress
from typing import Any, Final, Self, TypeVar, Unpack, final

from pdp_client.cache import CacheCounts, RegionCache
from pdp_client.core import Core
from pdp_client.decision import Decision
from pdp_client.errors import ClosedError, CouldNotAnswerError, UnreachableError
from pdp_client.gather import answered_alike
from pdp_client.limits import REPORT_WAIT_SECONDS
from pdp_client.options import Options, settings
from pdp_client.question import Question
from pdp_client.tls import TlsFiles, TlsWatch

__all__ = ["Client"]

_T = TypeVar("_T")
_GRACE_SECONDS: Final = 1.0  # beyond the time for all tries: then the thread itself hangs


@final
class _Running:
    """A thread with an event loop, and in it all that asks."""

    def __init__(self, make: Callable[[], Core]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_run, args=(self._loop,), name="pdp-client", daemon=True)
        self._thread.start()
        try:
            self.core: Core = self.call(_begun(make), _GRACE_SECONDS)
        except BaseException:
            self._stop()
            raise

    def call(self, work: Coroutine[Any, Any, _T], seconds: float) -> _T:
        """Have something done there, and wait for it so long.

        Raises:
            UnreachableError: It took longer.
            ClosedError: It was closed in the meantime.
        """
        try:
            doing: Future[_T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # the loop is closed
            work.close()
            raise ClosedError("closed", "the client is closed") from None
        try:
            return doing.result(seconds)
        except LateError:
            doing.cancel()
            raise UnreachableError("too_late", "the client did not get to it in time") from None

    def close(self) -> None:
        """End it."""
        try:
            self.call(self.core.close(), _GRACE_SECONDS + 2 * REPORT_WAIT_SECONDS)
        finally:
            self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_GRACE_SECONDS)

    def let_go(self) -> None:
        """End it, and wait for nothing: whoever asked is no more."""
        with suppress(RuntimeError):  # it was closed
            asyncio.run_coroutine_threadsafe(self.core.close(), self._loop).add_done_callback(
                lambda _: self._loop.stop()
            )


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _begun(make: Callable[[], Core]) -> Core:
    core = make()
    core.begin()
    return core


@final
class Client:
    """Asks, keeps answers, and fails closed. Any thread may use it; what is held is found without waiting.

    The thread begins with the first question, so a server may fork before. A process that was forked later
    begins its own, with nothing held.
    """

    def __init__(self, endpoints: Sequence[str], *, tls: TlsFiles, **options: Unpack[Options]) -> None:
        """A client of these replicas; `Options` says what else there is to say.

        Raises:
            ValueError: An endpoint or an option makes no sense.
            OSError: The files cannot be read, or do not fit together.
        """
        self._settings: Final = settings(endpoints, tls, options)
        self._tls = TlsWatch(tls)
        self._lock = threading.Lock()
        self._cache = self._new_cache()
        self._running: _Running | None = None
        self._let_go: weakref.finalize[..., Client] | None = None
        self._closed = False
        self._unforkable = False
        _CLIENTS.add(self)

    def _new_cache(self) -> RegionCache:
        return RegionCache(max_entries=self._settings.max_entries, lease_seconds=self._settings.lease_seconds)

    def decide(self, question: Question) -> Decision:
        """The answer to a question, from memory where that is right.

        Raises:
            CouldNotAnswerError: There is none: let nothing pass.
        """
        running = self._begun()
        if self._settings.reuse and (found := self._cache.find(question)) is not None:
            return found
        return running.call(running.core.ask(question), self._patience)

    def explain(self, question: Question) -> Decision:
        """The answer with its explanation, always asked for.

        Raises:
            CouldNotAnswerError: There is none, or we may not ask for explanations.
        """
        running = self._begun()
        return running.call(running.core.ask(question, explain=True), self._patience)

    def decide_batch(self, questions: Sequence[Question]) -> list[Decision | CouldNotAnswerError]:
        """The answers to several questions, all under one revision; an error stands where there is none.

        Raises:
            CouldNotAnswerError: There are no answers at all.
        """
        running = self._begun()
        cache = self._cache if self._settings.reuse else None
        asking = answered_alike(questions, cache, running.core.ask_batch)
        return running.call(asking, 2 * self._patience)

    @property
    def _patience(self) -> float:
        return self._settings.timeouts.overall + _GRACE_SECONDS

    def _begun(self) -> _Running:
        """What asks, within this process."""
        running = self._running
        if running is not None:
            return running
        with self._lock:
            if self._closed:
                raise ClosedError("closed", "the client is closed")
            if self._unforkable:
                raise ClosedError(
                    "forked", "gRPC was in use before the process forked: fork first, or use `http`"
                )
            if self._running is None:
                self._tls.look()
                self._running = _Running(lambda: Core(self._settings, self._tls, self._cache))
                self._let_go = weakref.finalize(self, self._running.let_go)
                self._let_go.atexit = False
            return self._running

    def forked(self) -> None:
        """Begin anew in a forked process: the thread is not in it, and locks may be taken for ever."""
        self._unforkable |= self._running is not None and self._settings.transport == "grpc"
        if self._let_go is not None:
            self._let_go.detach()
        self._lock, self._cache, self._running = threading.Lock(), self._new_cache(), None

    @property
    def counts(self) -> CacheCounts:
        """What became of questions, in this process."""
        return self._cache.counts

    @property
    def is_reusing(self) -> bool:
        """Whether answers may be used again now: the stream of revisions speaks."""
        return self._cache.is_used

    def close(self) -> None:
        """Report what is left, and close all connections. Nothing is answered from now on."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, None
        if self._let_go is not None:
            self._let_go.detach()
        if running is not None:
            running.close()

    def __enter__(self) -> Self:
        self._begun()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_CLIENTS: Final[weakref.WeakSet[Client]] = weakref.WeakSet()


def _forked() -> None:
    for client in _CLIENTS:
        client.forked()


os.register_at_fork(after_in_child=_forked)
