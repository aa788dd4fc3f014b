"""The process that workers are forked from: it holds nothing but code; one that ends or hangs is replaced."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pdp.process import forks
from pdp.process.channel import pair
from pdp.process.forks import Forks
from tests.e2e.inspecting import alive, children_of, files_of


@asynccontextmanager
async def forked(begins: Forks) -> AsyncIterator[int]:
    """A worker that nobody says anything to, until it is left; its process."""
    ours, theirs = pair()
    with ours:
        with theirs:
            pid, process = await begins.fork(theirs)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(process, ended.set)
        yield pid
    await asyncio.wait_for(ended.wait(), 30)  # it ends once nobody can tell it anything any more
    asyncio.get_running_loop().remove_reader(process)
    os.close(process)


def sockets_of(pid: int) -> set[str]:
    return {link for link in files_of(pid) if link.startswith("socket:")}


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


async def within(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def server() -> int:
    """The process that is there to fork."""
    (found,) = [
        pid for pid in children_of(os.getpid())
        if b"pdp.process.fork_server" in Path(f"/proc/{pid}/cmdline").read_bytes() and alive(pid)
    ]  # fmt: skip
    return found


def test_workers_are_children_of_one_process_with_one_thread_and_are_waited_for() -> None:
    async def run() -> None:
        with Forks() as begins:
            begins.start()
            async with forked(begins) as first, forked(begins) as second:
                assert children_of(server()) == [first, second]
                assert threads_of(server()) == 1
                # The terminal's Ctrl-C is for the supervisor alone.
                await within(lambda: os.getsid(first) == first)
                ending = server()
            await within(lambda: not children_of(ending))  # not even as zombies
        assert not alive(ending)

    asyncio.run(run())


def test_a_worker_holds_no_file_of_another_nor_of_its_server() -> None:
    async def run() -> None:
        with Forks() as begins:
            async with forked(begins), forked(begins) as second:
                of_server = sockets_of(server())
                await within(lambda: not sockets_of(second) & of_server)
                assert not [link for link in files_of(second) if "pidfd" in link]

    asyncio.run(run())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_that_are_sent_to_all_processes_do_not_end_it(number: signal.Signals) -> None:
    async def run() -> None:
        with Forks() as begins:
            async with forked(begins):
                os.kill(server(), number)
                before = server()
            async with forked(begins):
                assert server() == before

    asyncio.run(run())


def test_one_that_has_ended_is_replaced_at_the_next_fork() -> None:
    async def run() -> None:
        with Forks() as begins:
            async with forked(begins) as orphan:
                gone = server()
                os.kill(gone, signal.SIGKILL)
                await within(lambda: not alive(gone))
                async with forked(begins):
                    assert server() != gone
                    assert alive(orphan)

    asyncio.run(run())


def test_one_that_does_not_move_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        with Forks() as begins:
            async with forked(begins):
                stuck = server()
                os.kill(stuck, signal.SIGSTOP)
                with monkeypatch.context() as patched:
                    patched.setattr(forks, "WORKER_START_SECONDS", 0.2)
                    ours, theirs = pair()
                    with ours, theirs, pytest.raises(OSError, match="has ended"):
                        await begins.fork(theirs)
                assert not alive(stuck)
                async with forked(begins):
                    assert server() != stuck

    asyncio.run(run())


def test_one_that_ended_before_it_answered_leaves_no_worker_behind() -> None:
    """It may have begun one: that must not share its channel with the one that is begun instead."""

    async def run() -> None:
        with Forks() as begins:
            async with forked(begins):
                slow = server()
                os.kill(slow, signal.SIGSTOP)
                ours, theirs = pair()
                with ours, theirs:
                    asking = asyncio.ensure_future(begins.fork(theirs))
                    await asyncio.sleep(0.1)
                    os.kill(slow, signal.SIGKILL)
                    with pytest.raises(OSError, match="has ended"):
                        await asking

    asyncio.run(run())


def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next() -> None:
    """Else a signal would reach another worker than the one that is meant."""

    async def run() -> None:
        with Forks() as begins:
            ours, theirs = pair()
            with ours, theirs:
                asking = asyncio.ensure_future(begins.fork(theirs))
                await asyncio.sleep(0)  # asked, while it still imports
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
            async with forked(begins) as pid:
                assert children_of(server()) == [pid]

    asyncio.run(run())


def test_it_ends_with_its_supervisor() -> None:
    async def run() -> int:
        begins = Forks()
        async with forked(begins):
            begun = server()
        assert begins._server is not None
        begins._server[1].close()  # as the kernel does for a supervisor that is killed
        await within(lambda: not alive(begun))
        return begins._server[0].wait()

    assert asyncio.run(run()) == 0
