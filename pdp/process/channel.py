"""Messages between the supervisor and one worker, with open files where one is handed over.

The two are one program in two processes, and the channel is a pair of sockets that nobody else can
reach: messages are decoded strictly, and one that is not understood ends the channel.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Sequence
from typing import Final, Generic, TypeVar, final

import msgspec

from pdp.limits import MAX_IMAGE_FILES

__all__ = ["Channel", "ChannelClosedError", "pair"]

_Sent = TypeVar("_Sent", bound=msgspec.Struct)
_Received = TypeVar("_Received")
_MAX_BYTES: Final = 1 << 17
_MAX_FILES: Final = MAX_IMAGE_FILES + 2  # and the manifest, and one to spare
_BUFFER_BYTES: Final = 1 << 20


class ChannelClosedError(Exception):
    """The other end is gone, or stuck."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends that keep messages apart."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    return ends


@final
class Channel(Generic[_Sent, _Received]):
    """One end. For one event loop; `send` never waits."""

    def __init__(self, end: socket.socket, received: type[_Received]) -> None:
        """Send and receive by this end, within a running event loop.

        Args:
            end: The socket.
            received: The type of what comes, a union of tagged structs.
        """
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(received).decode

    def send(self, message: _Sent, files: Sequence[int] = ()) -> None:
        """Send a message, and duplicates of these open files.

        Raises:
            ChannelClosedError: The other end is gone, or reads nothing any more.
        """
        try:
            socket.send_fds(self._end, [self._encode(message)], files)
        except OSError as error:
            raise ChannelClosedError from error

    async def receive(self) -> tuple[_Received, list[int]]:
        """The next message, and the files that came with it, which are the receiver's to close.

        Raises:
            ChannelClosedError: The other end is gone.
        """
        while True:
            try:
                data, files, _, _ = socket.recv_fds(self._end, _MAX_BYTES, _MAX_FILES)
            except BlockingIOError:
                await self._readable()
                continue
            except OSError as error:
                raise ChannelClosedError from error
            if not data:
                raise ChannelClosedError
            for file in files:
                os.set_inheritable(file, False)  # `recv_fds` of Python 3.11 passes no flags on
            try:
                return self._decode(data), files
            except msgspec.DecodeError as error:
                for file in files:
                    os.close(file)
                raise ChannelClosedError from error

    def close(self) -> None:
        """Let the other end see that we are gone."""
        with contextlib.suppress(OSError, ValueError):
            self._loop.remove_reader(self._end.fileno())
        self._end.close()

    async def _readable(self) -> None:
        waiting: asyncio.Future[None] = self._loop.create_future()
        number = self._end.fileno()
        if number < 0:
            raise ChannelClosedError
        self._loop.add_reader(number, _done, waiting)
        try:
            await waiting
        finally:
            with contextlib.suppress(OSError, ValueError):
                self._loop.remove_reader(number)


def _done(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)
