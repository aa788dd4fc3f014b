"""The fork server as the supervisor sees it: begun once, and again should it end."""

import asyncio
import errno
import os
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Final, Self, final

from pdp.limits import WORKER_START_SECONDS
from pdp.process.channel import Channel, ChannelClosedError, pair
from pdp.process.messages import Fork, Forked

__all__ = ["Forks"]

_MODULE: Final = "pdp.process.fork_server"


@final
class Forks:
    """Begins processes of workers, until it is left: for one event loop. Workers go on without it."""

    def __init__(self) -> None:
        self._server: tuple[subprocess.Popen[bytes], socket.socket] | None = None
        self._one_by_one = asyncio.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def start(self) -> None:
        """Have the fork server import what workers need. Where it cannot be begun, the first fork tries."""
        with suppress(OSError):
            self._begin()

    def _begin(self) -> None:
        ours, theirs = pair()
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603 - our own interpreter, and a number
                    [sys.executable, "-P", "-m", _MODULE, str(theirs.fileno())],  # nothing from where we run
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,  # the terminal's Ctrl-C is for the supervisor
                )
            except OSError:
                ours.close()
                raise
        self._server = process, ours

    async def fork(self, end: socket.socket) -> tuple[int, int]:
        """Begin a worker at an end of its channel.

        Returns:
            Its process, and an open file that stands for it (pidfd_open(2)).

        Raises:
            OSError: There can be no other process.
        """
        async with self._one_by_one:
            try:
                answer, files = await self._ask(end)
            except ChannelClosedError:  # it has ended since it was last asked
                self._end()
                try:
                    answer, files = await self._ask(end)
                except ChannelClosedError as error:
                    self._end()
                    raise OSError(errno.ECHILD, "the process that forks them has ended") from error
        if answer.error:
            raise OSError(answer.error, os.strerror(answer.error))
        return answer.pid, files[0]

    async def _ask(self, end: socket.socket) -> tuple[Forked, list[int]]:
        if self._server is None:
            self._begin()
        assert self._server is not None  # noqa: S101 - begun, or that has raised
        channel: Channel[Fork, Forked] = Channel(self._server[1], Forked)
        try:
            async with asyncio.timeout(WORKER_START_SECONDS):
                channel.send(Fork(), [end.fileno()])
                return await channel.receive()
        except TimeoutError as error:
            raise ChannelClosedError from error

    def _end(self) -> None:
        if self._server is not None:
            (process, end), self._server = self._server, None
            end.close()
            process.kill()  # it holds nothing that would have to be put away
            process.wait()
