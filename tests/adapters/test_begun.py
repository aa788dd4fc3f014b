"""A coroutine that is begun outside of a task comes to the same as in one."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pdp.adapters.begun import Begun

Work = Callable[[list[str]], Coroutine[Any, Any, str]]


async def at_once(_: list[str]) -> str:
    return "done"


async def waits(told: list[str]) -> str:
    told.append("begins")
    await asyncio.sleep(0)
    told.append("goes on")
    await asyncio.sleep(0.001)
    async with asyncio.timeout(5):
        await asyncio.Event().wait() if not told else None
    return "waited"


async def waits_for_a_failure(told: list[str]) -> str:
    failing = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(failing.set_exception, OSError("no"))
    try:
        await failing
    except OSError as error:
        told.append(str(error))
    await asyncio.sleep(0)
    return "caught"


async def is_cancelled_and_ends(told: list[str]) -> str:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        told.append("cancelled")
    await asyncio.sleep(0.001)
    return "ended"


def test_without_a_wait_the_result_is_there_at_once() -> None:
    assert Begun(at_once([])).result == "done"


@pytest.mark.parametrize("work", [at_once, waits, waits_for_a_failure])
def test_comes_to_what_a_task_comes_to(work: Work) -> None:
    async def begun() -> tuple[str, list[str]]:
        told: list[str] = []
        begun = Begun(work(told))

        async def rest() -> str:
            return await begun

        return await asyncio.create_task(rest()), told

    async def in_a_task() -> tuple[str, list[str]]:
        told: list[str] = []
        return await asyncio.create_task(work(told)), told

    assert asyncio.run(begun()) == asyncio.run(in_a_task())


def test_what_waits_has_no_result_and_begins_before_anybody_awaits_it() -> None:
    async def run() -> None:
        told: list[str] = []
        begun = Begun(waits(told))
        assert begun.result is None
        assert told == ["begins"]
        assert await begun == "waited"

    asyncio.run(run())


def test_cancelling_whoever_awaits_it_cancels_it() -> None:
    async def run() -> None:
        told: list[str] = []
        begun = Begun(is_cancelled_and_ends(told))

        async def rest() -> str:
            return await begun

        task = asyncio.create_task(rest())
        await asyncio.sleep(0.01)
        task.cancel()
        assert await task == "ended"
        assert told == ["cancelled"]

    asyncio.run(run())
