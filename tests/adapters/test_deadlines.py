"""A deadline ends waits that take too long, each at its time, and nothing else."""

import asyncio
import time
from collections.abc import Awaitable

import pytest

from pdp.adapters.grpc.deadlines import Deadline

SHORT = 0.1


async def outcome(deadline: Deadline, waited: Awaitable[object]) -> tuple[object, float]:
    began = time.monotonic()
    try:
        found: object = await deadline.within(waited)
    except TimeoutError:
        found = "too slow"
    return found, time.monotonic() - began


def test_what_is_there_in_time_is_given_and_what_is_not_is_ended() -> None:
    async def main() -> None:
        deadline = Deadline(SHORT)
        found = await asyncio.gather(
            *(outcome(deadline, asyncio.sleep(seconds, "there")) for seconds in (0, SHORT / 5, 50 * SHORT))
        )
        assert [what for what, _ in found] == ["there", "there", "too slow"]
        assert SHORT <= found[2][1] < 20 * SHORT

    asyncio.run(main())


def test_each_wait_has_its_own_time() -> None:
    """One timer does for all: those that began later must not end with the first, nor be forgotten."""

    async def main() -> None:
        deadline = Deadline(SHORT)
        tasks = []
        for _ in range(4):
            tasks.append(asyncio.create_task(outcome(deadline, asyncio.sleep(50 * SHORT))))
            await asyncio.sleep(SHORT / 3)
        for what, took in await asyncio.gather(*tasks):
            assert what == "too slow"
            assert SHORT <= took < 20 * SHORT
        assert await outcome(deadline, asyncio.sleep(50 * SHORT)) > (
            "too slow",
            SHORT,
        )  # after a pause as well

    asyncio.run(main())


def test_a_task_that_was_ended_can_wait_again_and_is_not_cancelled() -> None:
    async def main() -> None:
        deadline = Deadline(SHORT)
        for _ in range(2):
            assert (await outcome(deadline, asyncio.sleep(50 * SHORT)))[0] == "too slow"
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)

    asyncio.run(main())


def test_who_is_cancelled_by_others_is_not_told_that_it_was_slow() -> None:
    async def main() -> None:
        deadline = Deadline(SHORT)
        task = asyncio.create_task(outcome(deadline, asyncio.sleep(50 * SHORT)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # Both at once: the other one counts.
        task = asyncio.create_task(outcome(deadline, asyncio.sleep(50 * SHORT)))
        await asyncio.sleep(0)
        deadline._due[task] = 0.0
        deadline._look()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_errors_of_what_is_waited_for_pass_and_nothing_is_kept() -> None:
    async def main() -> None:
        async def fails() -> None:
            raise ValueError("x")

        deadline = Deadline(SHORT)
        with pytest.raises(ValueError, match="x"):
            await deadline.within(fails())
        assert not deadline._due
        assert not deadline._over

    asyncio.run(main())
