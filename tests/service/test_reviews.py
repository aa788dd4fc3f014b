"""Clusters are asked seldom, by few at a time, and not while they do not answer; nobody waits for ever."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pdp.identity.fetch import FetchError
from pdp.identity.tokens.review import ReviewError
from pdp.limits import MAX_REVIEWS_AT_ONCE, MAX_WAITING_FOR_REVIEWS, REVIEW_FAILURES, REVIEW_PAUSE_SECONDS
from pdp.service import asked_cluster
from pdp.service import reviews as module
from pdp.service.asked_cluster import Reviewing
from pdp.service.known_tokens import digest_of
from pdp.service.reviews import Reviews
from tests.identity.test_service_account import UNSIGNED, WEST, cluster

SUB = "system:serviceaccount:shop:web"
AWAY = cluster(name=WEST)


class World:
    """A cluster that answers when it is let, and clocks."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.now, self.steady = 1_000_000, 0.0
        self.go = threading.Event()
        self.go.set()
        self.error: Exception | None = None
        self.refusal = ""
        self.said: list[str] = []
        self.counted: list[str] = []
        self.at_once = self.most = 0
        self.reviews = Reviews(
            {UNSIGNED.name: Reviewing(self.ask, 10_000)},
            clock=lambda: self.now,
            say=self.said.append,
            count=self.counted.append,
            steady=lambda: self.steady,
        )

    def ask(self, text: str, subject: str) -> str:
        assert subject == SUB
        self.asked.append(text)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.go.wait(10)
        self.at_once -= 1
        if self.error is not None:
            raise self.error
        return self.refusal

    async def wanted(self, text: str, caller: str = "web") -> bool:
        return await self.reviews.wanted(UNSIGNED, text, SUB, caller)

    def found(self, text: str) -> Any:
        return self.reviews.find(digest_of(text))


def run(test: Callable[[World], Any]) -> None:
    async def inside() -> None:
        await test(World())

    asyncio.run(inside())


def test_what_is_said_is_remembered_from_when_it_was_asked_for() -> None:
    async def test(world: World) -> None:
        assert world.found("a") is None
        assert await world.wanted("a")

        assert world.found("a") == (1_000_000, 1_010_000, "")
        assert world.found("b") is None
        world.now += 10_000
        assert not world.found("a").holds(world.now)

    run(test)


def test_an_answer_that_comes_too_late_to_hold_is_none() -> None:
    async def test(world: World) -> None:
        world.go.clear()
        waiting = asyncio.create_task(world.wanted("a"))
        await asyncio.sleep(0.05)
        world.now += 10_000
        world.go.set()

        assert not await waiting

    run(test)


def test_a_refusal_is_remembered_for_a_moment_and_takes_the_place_of_what_was_good() -> None:
    async def test(world: World) -> None:
        await world.wanted("a")
        world.refusal = "gone"
        assert await world.wanted("a")
        assert world.found("a") == (1_000_000, 1_002_000, "gone")
        world.refusal = ""
        assert await world.wanted("a")
        assert world.found("a").refusal == ""
        assert world.counted == ["accepted", "rejected", "accepted"]

    run(test)


def test_those_who_show_one_token_wait_for_one_answer() -> None:
    async def test(world: World) -> None:
        world.go.clear()
        waiting = [asyncio.create_task(world.wanted("a")) for _ in range(20)]
        await asyncio.sleep(0.05)
        world.go.set()

        assert await asyncio.gather(*waiting) == [True] * 20
        assert world.asked == ["a"]

    run(test)


def test_so_many_are_asked_about_at_once_and_so_many_wait() -> None:
    async def test(world: World) -> None:
        world.go.clear()
        waiting = [
            asyncio.create_task(world.wanted(f"t{n}", f"caller-{n}")) for n in range(MAX_WAITING_FOR_REVIEWS)
        ]
        await asyncio.sleep(0.1)
        assert len(world.asked) == MAX_REVIEWS_AT_ONCE

        assert not await world.wanted("one more")
        world.go.set()
        assert await asyncio.gather(*waiting) == [True] * MAX_WAITING_FOR_REVIEWS
        assert world.most == MAX_REVIEWS_AT_ONCE
        assert await world.wanted("one more")

    run(test)


def test_one_caller_takes_no_more_than_a_share() -> None:
    share = MAX_WAITING_FOR_REVIEWS // 4

    async def test(world: World) -> None:
        world.go.clear()
        waiting = [asyncio.create_task(world.wanted(f"t{n}", "greedy")) for n in range(share)]
        await asyncio.sleep(0.05)

        assert not await world.wanted("one more", "greedy")
        assert not await world.wanted("t0", "greedy")
        other = asyncio.create_task(world.wanted("another", "modest"))
        await asyncio.sleep(0.05)
        world.go.set()
        assert await asyncio.gather(other, *waiting) == [True] * (1 + share)
        assert await world.wanted("one more", "greedy")

    run(test)


def test_who_goes_away_leaves_no_question_behind() -> None:
    async def test(world: World) -> None:
        world.go.clear()
        before = len(asyncio.all_tasks())
        for wave in range(5):
            waiting = [asyncio.create_task(world.wanted(f"t{wave}-{n}")) for n in range(20)]
            await asyncio.sleep(0.02)
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.sleep(0.02)

        assert len(asyncio.all_tasks()) - before == MAX_REVIEWS_AT_ONCE
        world.go.set()
        assert await world.wanted("t4-19")
        assert len(world.asked) == MAX_REVIEWS_AT_ONCE + 1

    run(test)


def test_one_who_comes_as_the_last_goes_waits_for_an_answer_of_its_own() -> None:
    async def test(world: World) -> None:
        world.go.clear()
        others = [asyncio.create_task(world.wanted(f"t{n}")) for n in range(MAX_REVIEWS_AT_ONCE)]
        gone = asyncio.create_task(world.wanted("a"))
        await asyncio.sleep(0.05)
        gone.cancel()
        stays = asyncio.create_task(world.wanted("a"))
        await asyncio.sleep(0.05)
        world.go.set()

        assert await asyncio.gather(stays, *others) == [True] * (MAX_REVIEWS_AT_ONCE + 1)

    run(test)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (module, asked_cluster):
        monkeypatch.setattr(each, "REVIEW_WAIT_SECONDS", 0.1)


@pytest.mark.usefixtures("hasty")
def test_nobody_waits_for_ever_and_what_nobody_waits_for_is_not_asked() -> None:
    async def test(world: World) -> None:
        world.go.clear()
        began = time.monotonic()
        waiting = [asyncio.create_task(world.wanted(f"t{n}")) for n in range(10)]
        assert await asyncio.gather(*waiting) == [False] * 10
        assert time.monotonic() - began < 1
        world.go.set()
        await asyncio.sleep(0.1)

        assert len(world.asked) == MAX_REVIEWS_AT_ONCE
        assert world.found("t0") is None
        world.steady += REVIEW_PAUSE_SECONDS
        assert await world.wanted("t9")

    run(test)


@pytest.mark.usefixtures("hasty")
def test_a_question_that_hangs_is_a_failure_and_keeps_nobody_from_asking_again() -> None:
    """As while a name is resolved: nothing bounds that."""

    async def test(world: World) -> None:
        world.go.clear()
        for n in range(REVIEW_FAILURES + 1):
            assert not await world.wanted(f"t{n}")
            await asyncio.sleep(0.02)
        assert len(world.asked) == REVIEW_FAILURES
        assert world.counted == ["failed"] * REVIEW_FAILURES
        assert world.said == [f"the cluster {UNSIGNED.name} does not review tokens: it takes too long"]

        for n in range(2):  # the one try after a pause hangs too, and there is another one
            world.steady += REVIEW_PAUSE_SECONDS
            assert not await world.wanted(f"again-{n}")
            await asyncio.sleep(0.02)
            assert len(world.asked) == REVIEW_FAILURES + 1 + n
        world.steady += REVIEW_PAUSE_SECONDS
        world.go.set()
        assert await world.wanted("good")

    run(test)


@pytest.mark.usefixtures("hasty")
def test_threads_that_hang_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_cluster, "MAX_REVIEW_THREADS", 2)

    async def test(world: World) -> None:
        world.go.clear()
        for n in range(6):
            assert not await world.wanted(f"t{n}")
            await asyncio.sleep(0.02)
            world.steady += REVIEW_PAUSE_SECONDS
        assert len(world.asked) == 2
        world.go.set()
        await asyncio.sleep(0.1)
        assert await world.wanted("good")

    run(test)


@pytest.mark.parametrize("error", [FetchError("away"), ReviewError("odd"), ZeroDivisionError("defect")])
def test_a_cluster_that_does_not_answer_has_a_pause_and_then_one_try(error: Exception) -> None:
    async def test(world: World) -> None:
        world.error = error
        for _ in range(REVIEW_FAILURES + 3):
            assert not await world.wanted("a")
        assert len(world.asked) == REVIEW_FAILURES
        assert len(world.said) == 1
        assert world.counted == ["failed"] * REVIEW_FAILURES
        assert "does not review tokens" in world.said[0]

        world.steady += REVIEW_PAUSE_SECONDS
        waiting = [asyncio.create_task(world.wanted(f"t{n}")) for n in range(5)]
        assert await asyncio.gather(*waiting) == [False] * 5
        assert len(world.asked) == REVIEW_FAILURES + 1
        world.error = None
        assert not await world.wanted("a")
        world.steady += REVIEW_PAUSE_SECONDS
        assert await world.wanted("a")
        assert await world.wanted("b")
        assert len(world.said) == 2
        assert "reviews tokens again" in world.said[1]

    run(test)


def test_a_failure_now_and_then_costs_no_pause() -> None:
    async def test(world: World) -> None:
        for n in range(REVIEW_FAILURES):
            world.error = FetchError("away")
            assert not await world.wanted(f"t{n}")
            world.error = None
            assert await world.wanted(f"t{n}")
        assert world.said == []

    run(test)


def test_who_is_not_to_be_asked_is_not_asked() -> None:
    async def test(world: World) -> None:
        assert not await world.reviews.wanted(AWAY, "a", SUB, "web")
        assert world.asked == []

    run(test)


def test_memory_is_bounded_and_refusals_push_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REVIEWS_KEPT", 3)

    async def test(world: World) -> None:
        await world.wanted("good")
        world.refusal = "no"
        for n in range(10):
            await world.wanted(f"bad-{n}")
        assert world.found("good") is not None
        assert [world.found(f"bad-{n}") is not None for n in range(10)] == [False] * 7 + [True] * 3
        world.refusal = ""
        for n in range(3):
            await world.wanted(f"good-{n}")
        assert world.found("good") is None

    run(test)


def test_one_who_waits_and_goes_away_takes_nothing_from_others() -> None:
    async def test(world: World) -> None:
        world.go.clear()
        gone, stays = (asyncio.create_task(world.wanted("a")) for _ in range(2))
        await asyncio.sleep(0.05)
        gone.cancel()
        await asyncio.sleep(0)
        world.go.set()

        assert await stays

    run(test)
