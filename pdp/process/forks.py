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
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def start(self) -> None:
        """Have the fork server import what workers need. Where it cannot be begun, the first fork tries."""
        with suppress(OSError):
            self._server = self._begun()

    @staticmethod
    def _begun() -> tuple["subprocess.Popen[bytes]", socket.socket]:
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
        return process, ours

    async def fork(self, end: socket.socket) -> tuple[int, int]:
        """Begin a worker at an end of its channel.

        Returns:
            Its process, and an open file that stands for it (pidfd_open(2)).

        Raises:
            OSError: There can be no other process.
        """
        async with self._one_by_one:
            channel: Channel[Fork, Forked] = Channel(self._there(), Forked)
            try:
                async with asyncio.timeout(WORKER_START_SECONDS):
                    channel.send(Fork(), [end.fileno()])
                    answer, files = await channel.receive()
            except (ChannelClosedError, TimeoutError) as error:
                # It may have begun a worker all the same, which ends once its channel is closed. So another
                # is to have another channel: nothing is tried again here.
                self._end()
                raise OSError(errno.ECHILD, "the process that forks them has ended") from error
            except BaseException:
                self._end()  # what it answers to this must not be taken for what it answers to the next
                raise
        if answer.error:
            raise OSError(answer.error, os.strerror(answer.error))
        return answer.pid, files[0]

    def stop(self) -> None:
        """Begin none any more: whoever waits for one, even from a fork server that hangs, waits no longer."""
        self._stopped = True
        if self._server is not None and self._one_by_one.locked():
            self._server[0].kill()

    def _there(self) -> socket.socket:
        """Our end of the channel to the fork server, which is begun if it is not there."""
        if self._stopped:
            raise OSError(errno.ESHUTDOWN, "none is begun any more")
        if self._server is not None and self._server[0].poll() is not None:
            self._end()
        if self._server is None:
            self._server = self._begun()
        return self._server[1]

    def _end(self) -> None:
        if self._server is not None:
            (process, end), self._server = self._server, None
            end.close()
            process.kill()  # it holds nothing that would have to be put away
            process.wait()
