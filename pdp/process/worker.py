"""One worker: a process that answers, and changes over to new versions when its supervisor says so.

It reads no policy directory and takes no address: versions, sockets and certificates are handed to it.
It ends by a signal, and when its supervisor is gone: it would never learn of a new version.
"""

import asyncio
import os
import signal
import socket
from contextlib import ExitStack, suppress
from itertools import count
from typing import TypeAlias, cast, final

from pdp.adapters.server import CannotListenError
from pdp.adapters.uvicorn_server import event_loops
from pdp.identity.tokens.issuer import TokenProfile
from pdp.limits import WORKER_BEAT_SECONDS
from pdp.process.cannot_start import CannotStartError
from pdp.process.channel import Channel, ChannelClosedError
from pdp.process.desk import Desk
from pdp.process.images import Unpacker
from pdp.process.messages import (
    Beat,
    Begin,
    Confirm,
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
    Retune,
    Say,
    Serving,
    ToWorker,
)
from pdp.process.parcel import renew_trust, unpack_settings, unpack_trust
from pdp.store.snapshot import Snapshot
from pdp.store.versions import Published

__all__ = ["main"]

_Channel: TypeAlias = Channel[FromWorker, ToWorker]


@final
class _Worker:
    def __init__(self, channel: _Channel, held: ExitStack) -> None:
        self._channel = channel
        self._held = held
        self._images = Unpacker()
        self._desk: Desk | None = None
        self._serving: asyncio.Task[None] | None = None
        self._looks = count(1)
        self._looking: dict[int, asyncio.Future[None]] = {}

    async def run(self) -> None:
        """Do what the supervisor says, until a signal comes or the supervisor is gone.

        Raises:
            ChannelClosedError: It is gone already.
        """
        begin, (listener, panel, certificates, settings) = await self._channel.receive()
        assert isinstance(begin, Begin)  # noqa: S101 - always first; the other end is our own program
        self._begin, self._files = begin, (listener, panel)
        self._tls, self._believed = unpack_trust(certificates)
        os.close(certificates)
        self._retune(settings)
        beating = asyncio.create_task(self._beat())
        following = asyncio.create_task(self._follow())
        self._following = following
        with suppress(asyncio.CancelledError, ChannelClosedError):
            await following
        if self._serving is not None:
            if not self._serving.done():
                os.kill(os.getpid(), signal.SIGTERM)  # the supervisor is gone: end as if it had said so
            with suppress(CannotListenError):
                await self._serving
        beating.cancel()

    async def _follow(self) -> None:
        while True:
            message, handed = await self._channel.receive()
            match message:
                case Prepare():
                    self._preparing = asyncio.create_task(self._prepare(message, handed))
                case Renew(number=number):
                    await asyncio.to_thread(self._renew, handed[0])
                    self._channel.send(Renewed(number=number))
                case Go(number=number, confirmed_at=confirmed_at) if self._desk is not None:
                    self._desk.go(confirmed_at)
                    if self._serving is None:
                        self._serving = asyncio.create_task(self._serve(self._desk, number))
                case Hold(number=number) if self._desk is not None:
                    await self._desk.hold()
                    self._channel.send(Held(number=number))
                case Confirm(number=number, confirmed_at=confirmed_at) if self._desk is not None:
                    self._desk.confirm(number, confirmed_at)
                case Retune():
                    self._retune(handed[0])
                case Looked(number=number):
                    if (looking := self._looking.pop(number, None)) is not None:
                        looking.set_result(None)
                case _:
                    raise ChannelClosedError  # nobody says this now

    async def _prepare(self, message: Prepare, handed: list[int]) -> None:
        trouble = ""
        try:
            published = await asyncio.to_thread(self._load, message, handed)
            if self._desk is None:
                self._desk = Desk(
                    self._begin,
                    self._files,
                    self._tls,
                    self._settings,
                    published,
                    believed=lambda: self._believed,
                    look=self._look,
                    say=self._say,
                    held=self._held,
                )
            else:
                self._desk.prepare(published)
        except CannotStartError as error:
            trouble = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are to go on as they are
            trouble = f"{type(error).__name__}: {error}"
        with suppress(ChannelClosedError):  # `_follow` ends by that as well
            self._channel.send(Prepared(number=message.number, trouble=trouble))

    def _renew(self, file: int) -> None:
        """Present and believe what a file holds, from now on."""
        try:
            self._believed = renew_trust(self._tls, file)
        finally:
            os.close(file)
        if self._desk is not None:
            self._desk.recheck()

    def _retune(self, file: int) -> None:
        """Take the settings that a file holds; whoever begins does so with them."""
        try:
            self._settings = unpack_settings(file)
        finally:
            os.close(file)
        if self._desk is not None:
            self._desk.retune(self._settings)

    def _load(self, message: Prepare, handed: list[int]) -> Published:
        snapshot = Snapshot.of(self._images.unpack(handed), message.revision)
        return Published(snapshot=snapshot, number=message.number)

    async def _serve(self, desk: Desk, number: int) -> None:
        try:
            await desk.serve(lambda: self._channel.send(Serving(number=number)))
        except CannotListenError as error:
            self._say(str(error))
            raise
        finally:
            self._following.cancel()

    async def _beat(self) -> None:
        while True:
            if self._desk is not None:
                self._desk.count()
            with suppress(ChannelClosedError):
                self._channel.send(Beat())
            await asyncio.sleep(WORKER_BEAT_SECONDS)

    async def _look(self, profile: TokenProfile, name: str, key_id: str | None) -> None:
        """Have the supervisor look for keys; returns once they are in force here, or if it is gone."""
        number = next(self._looks)
        self._looking[number] = looked = asyncio.get_running_loop().create_future()
        with suppress(ChannelClosedError):
            self._channel.send(Look(number=number, profile=profile, name=name, key_id=key_id))
            await looked

    def _say(self, text: str) -> None:
        with suppress(ChannelClosedError):
            self._channel.send(Say(text=text))


async def _work(end: socket.socket) -> None:
    end.setblocking(False)
    with ExitStack() as held, suppress(ChannelClosedError):
        await _Worker(Channel(end, cast("type[ToWorker]", ToWorker)), held).run()


def main(channel: int) -> None:
    """Serve at the other end of the channel with this descriptor."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # settings come from the supervisor, to all
    with socket.socket(fileno=channel) as end, asyncio.Runner(loop_factory=event_loops()) as runner:
        runner.run(_work(end))
