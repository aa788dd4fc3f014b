"""One worker as its supervisor sees it: a process, a channel, and whether it still moves."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar, cast, final

from pdp.limits import WORKER_START_SECONDS, WORKER_STUCK_SECONDS
from pdp.process.channel import Channel, ChannelClosedError, pair
from pdp.process.forks import Forks
from pdp.process.images import Parcel
from pdp.process.messages import (
    Beat,
    FromWorker,
    Go,
    Held,
    Hold,
    Look,
    Looked,
    Prepare,
    Prepared,
    Renew,
    Renewed,
    Say,
    Serving,
    ToWorker,
)

__all__ = ["Colleague", "WorkerGoneError", "start"]

_LOOK_SECONDS: Final = 0.25
_Kind = TypeVar("_Kind", Prepared, Held, Renewed, Serving)


class WorkerGoneError(Exception):
    """The worker is dead, or was stuck and has been killed."""


@final
class Colleague:
    """A worker. For one event loop.

    Attributes:
        slot: Its place among the workers.
        pid: Its process.
        answers: Whether it may answer questions, as far as we know.
    """

    def __init__(
        self,
        slot: int,
        process: tuple[int, int],
        end: socket.socket,
        say: Callable[[str], None],
        look: Callable[[Look], Awaitable[None]],
    ) -> None:
        """Speak with a worker by an end of its channel.

        Args:
            slot: Its place among the workers.
            process: Its number, and an open file that stands for it, which is ours from now on.
            end: Our end of the channel.
            say: Told what it says, and what happens to it.
            look: Looks for keys that it does not know.
        """
        self.slot: Final = slot
        self.pid, self._exit = process
        self.answers = False
        self._channel: Channel[ToWorker, FromWorker] = Channel(end, cast("type[FromWorker]", FromWorker))
        self._say = say
        self._look_for = look
        self._looking = set[asyncio.Task[None]]()
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._awaited: dict[tuple[type, int], asyncio.Future[FromWorker]] = {}
        self._quiet_since = time.monotonic() + WORKER_START_SECONDS  # imports take a while, and say nothing
        self._loop.add_reader(self._exit, self._bury)
        self._tasks = (asyncio.ensure_future(self._listen()), asyncio.ensure_future(self._look()))

    @property
    def is_gone(self) -> bool:
        """Whether its process has ended: nothing will ever be answered by it."""
        return self._gone.done()

    async def gone(self) -> None:
        """Wait until its process has ended."""
        await asyncio.shield(self._gone)

    def signal(self, number: int) -> None:
        """Send its process a signal."""
        if not self.is_gone:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._exit, number)

    def kill(self) -> None:
        """End its process, whatever it is doing."""
        self.signal(signal.SIGKILL)

    # -- what it is told, and asked ------------------------------------------------------

    def tell(self, message: ToWorker, files: Sequence[int] = ()) -> None:
        """Tell it something; one that reads nothing any more is killed."""
        try:
            self._channel.send(message, files)
        except ChannelClosedError:
            self.kill()

    async def prepare(self, number: int, revision: str, parcel: Parcel) -> Prepared:
        """Have it load a version aside.

        Raises:
            WorkerGoneError: It died meanwhile, or was stuck.
        """
        return await self._ask(Prepare(number=number, revision=revision), Prepared, number, parcel.files)

    async def hold(self, number: int) -> None:
        """Have it answer nothing until it is told to go on.

        Raises:
            WorkerGoneError: It died meanwhile, or was stuck.
        """
        await self._ask(Hold(number=number), Held, number)

    async def renew(self, number: int, parcel: int) -> None:
        """Have it present and believe the certificates that an open file holds.

        Raises:
            WorkerGoneError: It died meanwhile, or was stuck.
        """
        await self._ask(Renew(number=number), Renewed, number, [parcel])

    async def begin(self, number: int, confirmed_at: int) -> None:
        """Have it serve its first version; returns once it accepts connections.

        Raises:
            WorkerGoneError: It died meanwhile, or was stuck.
        """
        self.answers = True
        await self._ask(Go(number=number, confirmed_at=confirmed_at), Serving, number)

    async def _ask(
        self, message: ToWorker, kind: type[_Kind], number: int, files: Sequence[int] = ()
    ) -> _Kind:
        answer: asyncio.Future[FromWorker] = self._loop.create_future()
        self._awaited[kind, number] = answer
        self.tell(message, files)
        await asyncio.wait((answer, self._gone), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise WorkerGoneError
        return cast("_Kind", answer.result())

    # -- what is heard of it -------------------------------------------------------------

    async def _listen(self) -> None:
        try:
            while True:
                message, _ = await self._channel.receive()
                self._quiet_since = time.monotonic()
                if isinstance(message, Say):
                    self._say(message.text)
                elif isinstance(message, Look):
                    looking = asyncio.ensure_future(self._looked(message))
                    self._looking.add(looking)
                    looking.add_done_callback(self._looking.discard)
                elif not isinstance(message, Beat):
                    self._take(message)
        except ChannelClosedError:
            self.kill()  # whatever it was doing: nobody could tell it to stop any more

    async def _looked(self, message: Look) -> None:
        try:
            await self._look_for(message)
        except Exception as error:  # noqa: BLE001 -- whatever it is, questions wait for the word
            self._say(f"keys could not be looked for, by a defect of pdp: {type(error).__name__}: {error}")
        finally:
            if not self.is_gone:
                self.tell(Looked(number=message.number))

    def _take(self, message: Prepared | Held | Renewed | Serving) -> None:
        answer = self._awaited.pop((type(message), message.number), None)
        if answer is not None and not answer.done():
            answer.set_result(message)

    async def _look(self) -> None:
        while time.monotonic() - self._quiet_since < WORKER_STUCK_SECONDS:  # noqa: ASYNC110 - a watchdog
            await asyncio.sleep(_LOOK_SECONDS)
        self._say(f"worker {self.slot} does not move any more; it is replaced")
        self.kill()

    def _bury(self) -> None:
        """Its process has ended."""
        self._loop.remove_reader(self._exit)
        with suppress(
            ChildProcessError
        ):  # its parent waits for it: we do where that ended, and we are process 1
            os.waitid(os.P_PIDFD, self._exit, os.WEXITED | os.WNOHANG)
        os.close(self._exit)
        for task in self._tasks:
            task.cancel()
        self._channel.close()
        self._gone.set_result(None)


async def start(
    slot: int,
    forks: Forks,
    say: Callable[[str], None],
    look: Callable[[Look], Awaitable[None]],
) -> Colleague:
    """Begin a worker; the arguments are those of `Colleague`.

    Raises:
        OSError: There can be no other process.
    """
    ours, theirs = pair()
    with theirs:
        try:
            process = await forks.fork(theirs)
        except BaseException:
            ours.close()
            raise
    return Colleague(slot, process, ours, say, look)
