"""An application that is made once there is time, or once somebody asks for it."""

import asyncio
import threading
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from pdp.adapters.late_app import LateApp


class Made:
    """Makes an application that notes who asked, once it is let."""

    def __init__(self) -> None:
        self.times = 0
        self.asked: list[Any] = []
        self.let = threading.Event()

    def __call__(self) -> Any:
        self.times += 1
        assert self.let.wait(10)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            del receive, send
            self.asked.append(scope["n"])

        return app


def ask(app: LateApp, n: int) -> asyncio.Task[None]:
    return asyncio.create_task(app({"n": n}, None, None))  # type: ignore[arg-type, call-arg]


def test_it_is_made_once_and_whoever_asks_before_waits() -> None:
    asyncio.run(asked_three_times(Made()))


async def asked_three_times(build: Made) -> None:
    app = LateApp(build)

    asked = [ask(app, n) for n in range(3)]
    await asyncio.sleep(0.05)
    assert build.asked == []
    build.let.set()
    await asyncio.gather(*asked)

    assert (build.times, sorted(build.asked)) == (1, [0, 1, 2])


def test_one_who_goes_away_takes_it_from_nobody() -> None:
    asyncio.run(asked_and_left(Made()))


async def asked_and_left(build: Made) -> None:
    app = LateApp(build)
    gone, stays = ask(app, 1), ask(app, 2)
    await asyncio.sleep(0.05)

    gone.cancel()
    build.let.set()
    await stays

    assert build.asked == [2]
    with pytest.raises(asyncio.CancelledError):
        await gone
