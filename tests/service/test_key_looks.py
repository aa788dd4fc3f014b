"""Looks for newer keys: one at a time of each issuer, seldom, and nobody waits for ever."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pdp.identity.tokens.issuer import TokenProfile
from pdp.limits import KEYS_PAUSE_SECONDS, MAX_WAITING_FOR_KEYS
from pdp.service import key_looks as module
from pdp.service.key_looks import KeyLooks
from tests.identity.test_service_account import cluster as cluster_of
from tests.identity.tokens import ISSUER, bundle, ec_key, issuer

CORP, PROD = issuer(ec_key().named("a")), bundle(ec_key().named("a"))


class World:
    """A source that answers when it is let, and a clock."""

    def __init__(self) -> None:
        self.asked: list[tuple[TokenProfile, str, str | None]] = []
        self.now = 0.0
        self.go = asyncio.Event()
        self.looks = KeyLooks(self.look, lambda: self.now)

    async def look(self, profile: TokenProfile, name: str, key_id: str | None) -> None:
        self.asked.append((profile, name, key_id))
        await self.go.wait()


def run(test: Callable[[World], Any]) -> None:
    async def inside() -> None:
        await test(World())

    asyncio.run(inside())


def test_those_who_come_at_once_wait_for_one_look() -> None:
    async def test(world: World) -> None:
        waiting = [asyncio.create_task(world.looks.wanted(CORP, f"k{n}")) for n in range(5)]
        await asyncio.sleep(0)
        world.go.set()

        assert await asyncio.gather(*waiting) == [True] * 5
        assert world.asked == [(TokenProfile.OIDC, ISSUER, "k0")]

    run(test)


def test_the_next_look_takes_a_pause_and_others_do_not_wait_for_it() -> None:
    async def test(world: World) -> None:
        world.go.set()
        assert await world.looks.wanted(CORP, "x")

        assert not await world.looks.wanted(CORP, "y")
        assert await world.looks.wanted(PROD, "y")
        world.now += KEYS_PAUSE_SECONDS
        assert await world.looks.wanted(CORP, "y")

        assert [name for _, name, _ in world.asked] == [ISSUER, PROD.name, ISSUER]

    run(test)


def test_a_cluster_and_a_trust_domain_of_one_name_are_looked_for_apart() -> None:
    cluster = cluster_of(name=PROD.name)

    async def test(world: World) -> None:
        waiting = [asyncio.create_task(world.looks.wanted(each, "x")) for each in (PROD, cluster)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # those who wait have begun the looks
        assert [profile for profile, _, _ in world.asked] == [TokenProfile.SPIFFE, TokenProfile.KUBERNETES]
        world.go.set()

        assert await asyncio.gather(*waiting) == [True, True]
        assert not await world.looks.wanted(cluster, "y")
        world.now += KEYS_PAUSE_SECONDS
        assert await world.looks.wanted(cluster, "y")

    run(test)


def test_nobody_waits_for_ever_and_the_look_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEY_LOOK_SECONDS", 0.05)

    async def test(world: World) -> None:
        assert await world.looks.wanted(CORP, "x")
        world.now += 1.0
        for _ in range(10):  # the look that goes on is old: nobody waits for it again, nor begins another
            assert not await world.looks.wanted(CORP, "y")
        assert len(world.asked) == 1
        world.go.set()
        await asyncio.sleep(0)

    run(test)


def test_so_many_questions_wait_and_no_more() -> None:
    async def test(world: World) -> None:
        first = asyncio.create_task(world.looks.wanted(CORP, "x", MAX_WAITING_FOR_KEYS - 1))
        await asyncio.sleep(0)

        assert not await world.looks.wanted(CORP, "y", 2)
        assert not await world.looks.wanted(PROD, "y", 2)
        last = asyncio.create_task(world.looks.wanted(CORP, "y"))
        await asyncio.sleep(0)
        world.go.set()

        assert await asyncio.gather(first, last) == [True, True]
        world.now += KEYS_PAUSE_SECONDS
        assert await world.looks.wanted(CORP, "y", 2)

    run(test)


def test_one_who_waits_and_goes_away_takes_nothing_from_others() -> None:
    async def test(world: World) -> None:
        gone, stays = (asyncio.create_task(world.looks.wanted(CORP, "x")) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        world.go.set()

        assert await stays
        assert gone.cancelled()

    run(test)


def test_a_look_that_fails_is_not_the_failure_of_a_question() -> None:
    async def fails(*_: object) -> None:
        raise OSError

    async def test(_: World) -> None:
        looks = KeyLooks(fails)

        assert await looks.wanted(CORP, "x")
        assert not await looks.wanted(CORP, "x")

    run(test)
