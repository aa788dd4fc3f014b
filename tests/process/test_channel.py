"""Messages between two processes, and the files that go with them."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import pytest

from pdp.process.channel import Channel, ChannelClosedError, pair
from pdp.process.messages import Beat, Confirm, FromWorker, Go, Prepare, Say, ToWorker


@asynccontextmanager
async def channels() -> AsyncIterator[tuple[Channel, Channel, socket.socket]]:
    ours, theirs = pair()
    one: Channel = Channel(ours, cast("type", FromWorker))
    two: Channel = Channel(theirs, cast("type", ToWorker))
    try:
        yield one, two, theirs
    finally:
        one.close()
        two.close()


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_messages_arrive_whole_and_in_order() -> None:
    async def run() -> None:
        async with channels() as (one, two, _):
            receiving = asyncio.create_task(two.receive())
            await asyncio.sleep(0.01)
            one.send(Go(number=1, confirmed_at=2))
            one.send(Confirm(number=1, confirmed_at=3))
            two.send(Say(text="x" * 50_000))
            two.send(Beat())

            assert await receiving == (Go(number=1, confirmed_at=2), [])
            assert await two.receive() == (Confirm(number=1, confirmed_at=3), [])
            assert (await one.receive())[0] == Say(text="x" * 50_000)
            assert (await one.receive())[0] == Beat()

    asyncio.run(run())


def test_an_open_file_goes_along() -> None:
    async def run() -> None:
        async with channels() as (one, two, _):
            file = os.memfd_create("test")
            os.write(file, b"content")
            one.send(Prepare(number=1, revision="r"), [file])
            os.close(file)
            _, (handed,) = await two.receive()

            assert os.pread(handed, 100, 0) == b"content"
            assert not os.get_inheritable(handed)
            os.close(handed)

    asyncio.run(run())


def test_the_end_of_the_other_is_noticed_by_who_reads_and_by_who_writes() -> None:
    async def run() -> None:
        async with channels() as (one, two, _):
            waiting = asyncio.create_task(one.receive())
            await asyncio.sleep(0.01)
            two.close()
            with pytest.raises(ChannelClosedError):
                await waiting
            with pytest.raises(ChannelClosedError):
                one.send(Go(number=1, confirmed_at=2))

    asyncio.run(run())


@pytest.mark.parametrize("data", [b"\xff", b"\x80", b"\x81\xa4type\xa4None", b"{}"])
def test_what_is_no_message_ends_the_channel_and_leaves_no_file_open(data: bytes) -> None:
    async def run() -> None:
        async with channels() as (one, _, theirs):
            file = os.memfd_create("test")
            before = open_files()
            socket.send_fds(theirs, [data], [file])
            with pytest.raises(ChannelClosedError):
                await one.receive()

            assert open_files() == before
            os.close(file)

    asyncio.run(run())


def test_one_that_reads_nothing_is_taken_for_gone() -> None:
    async def run() -> None:
        async with channels() as (one, _, _end):
            sent = 0
            with suppress(ChannelClosedError):
                while sent < 100_000:
                    one.send(Confirm(number=1, confirmed_at=1))
                    sent += 1
            assert 100 < sent < 100_000

    asyncio.run(run())
