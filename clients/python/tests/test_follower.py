"""What the follower makes of a stream, by a clock that the tests set: words that are late are no news."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from pdp_client import clock, follower
from pdp_client.cache import RegionCache
from pdp_client.endpoints import Endpoints
from pdp_client.errors import ServiceError, UnreachableError
from pdp_client.follower import Follower

ONE, OTHER = "https://a:1", "https://b:1"
STAYS = object()


class Told:
    """Streams as a test tells them, one for each of `streams`; the last one stays, and any with `STAYS`."""

    def __init__(self, *streams: list[Any]) -> None:
        self.streams = list(streams)
        self.asked: list[str] = []
        self.now = 100.0

    async def revisions(self, endpoint: str, silence: float) -> AsyncGenerator[str | None]:
        assert silence == 5.0
        self.asked.append(endpoint)
        for event in self.streams.pop(0) if self.streams else ["last"]:
            await asyncio.sleep(0)
            if isinstance(event, Exception):
                raise event
            if event is STAYS:
                await asyncio.sleep(60)
            if isinstance(event, float):
                self.now += event
                continue
            yield event
        if not self.streams:
            await asyncio.sleep(60)


def follow(
    told: Told, monkeypatch: pytest.MonkeyPatch, then: Callable[[Follower, RegionCache], Awaitable[None]]
) -> Endpoints:
    monkeypatch.setattr(clock, "now", lambda: told.now)
    monkeypatch.setattr(follower, "FIRST_PAUSE_SECONDS", 0.001)
    endpoints = Endpoints([ONE, OTHER])

    async def run() -> None:
        cache = RegionCache(lease_seconds=5.0, clock=lambda: told.now)
        found = Follower(cache, endpoints, lambda: told)  # type: ignore[arg-type,return-value]
        task = asyncio.ensure_future(found.run())
        await asyncio.wait_for(then(found, cache), 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    return endpoints


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - what is waited for are plain values
        await asyncio.sleep(0.001)


def test_a_word_that_comes_a_lease_after_the_last_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process was stopped, say: what waited in the socket is old, and so is what waits behind it."""
    told = Told(["r1", None, 5.0, None, None], [])
    used: list[bool] = []

    async def then(_: Follower, cache: RegionCache) -> None:
        monkeypatch.setattr(cache, "heard", lambda: used.append(told.now > 102))
        await until(lambda: len(told.asked) == 2)
        assert not cache.is_used

    follow(told, monkeypatch, then)
    assert used == [False]


def test_signs_of_life_count_only_behind_a_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(["r1", 1.5], [None, None, None])

    async def then(_: Follower, cache: RegionCache) -> None:
        await until(lambda: len(told.asked) == 2)
        told.now += 4.9
        await asyncio.sleep(0.05)
        assert not cache.is_used

    follow(told, monkeypatch, then)


def test_a_clean_end_leaves_what_is_held_for_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(["r1", 2.0], ["r1"])

    async def then(_: Follower, cache: RegionCache) -> None:
        await until(lambda: len(told.asked) == 2)
        assert cache.is_used
        assert cache.counts.dropped == 1, "for the first revision alone"

    assert follow(told, monkeypatch, then).active == ONE


def test_a_replica_that_cannot_be_reached_is_active_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(["r1", UnreachableError("unreachable", "gone")], ["r1"])

    async def then(_: Follower, cache: RegionCache) -> None:
        await until(lambda: len(told.asked) == 2)
        assert told.asked == [ONE, OTHER]
        await until(lambda: cache.is_used)

    assert follow(told, monkeypatch, then).active == OTHER


def test_a_stream_that_is_refused_ends_all_reuse_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(["r1", ServiceError("caller_quarantined", "no")], [])

    async def then(found: Follower, cache: RegionCache) -> None:
        await until(lambda: len(told.asked) == 2)
        assert not cache.is_used
        assert found.trouble is not None

    assert follow(told, monkeypatch, then).active == ONE


def test_contradictions_begin_streams_anew_but_not_each_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(*[["r1", STAYS] for _ in range(100)])

    async def then(found: Follower, _: RegionCache) -> None:
        await until(lambda: bool(told.asked))
        for _ in range(50):
            found.confirm()
            await asyncio.sleep(0.002)
        assert 2 <= len(told.asked) <= 3, (
            "at once, and at most once more a second later, if this took so long"
        )

    follow(told, monkeypatch, then)
