"""The gate: nobody answers while it is closed, and it is closed once what was answered has left."""

import asyncio
import time

from pdp.service.gate import Gate


def test_who_comes_while_it_is_closed_waits() -> None:
    async def run() -> None:
        gate = Gate()
        await gate.passed()
        await gate.close()
        waiting = asyncio.create_task(gate.passed())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        gate.open()
        await asyncio.wait_for(waiting, 1)
        assert not gate.closed

    asyncio.run(run())


def test_who_wakes_up_late_looks_again() -> None:
    async def run() -> None:
        gate = Gate()
        await gate.close()
        waiting = asyncio.create_task(gate.passed())
        await asyncio.sleep(0)
        gate.open()
        await gate.close()  # before the other one has had its turn
        assert not waiting.done()
        gate.open()
        await asyncio.wait_for(waiting, 1)

    asyncio.run(run())


def test_closing_waits_for_answers_that_are_leaving_but_not_for_ever() -> None:
    async def run() -> None:
        gate = Gate()
        gate.enter()
        asyncio.get_running_loop().call_later(0.01, gate.leave)
        began = time.monotonic()
        await gate.close()
        assert time.monotonic() - began >= 0.009
        gate.open()

        with gate.leaving():  # to a client that does not read
            began = time.monotonic()
            await gate.close()
            assert 0.019 <= time.monotonic() - began < 1

    asyncio.run(run())
