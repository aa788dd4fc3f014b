"""Following what is published: bounded, and never behind."""

import asyncio
import gc
from threading import Thread

import pytest

from pdp.service import revisions as module
from pdp.service.errors import CannotAnswerError
from pdp.service.revisions import Revisions
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.publish import Publisher

NOW = 1_800_000_000_000
SOON, LONG = 0.05, 10.0


def policy(n: int) -> bytes:
    return f'language 1\ntrust domain prod = "prod.example.org"\nservice s{n} {{}}\n'.encode()


class World:
    """A publisher, and those who follow it."""

    def __init__(self) -> None:
        loader = Loader()
        first = loader.load(make_bundle({"a.policy": policy(0)}), now=NOW).snapshot
        assert first is not None
        self.publisher = Publisher(loader, first, on_event=lambda _: self.revisions.ring(), now=NOW)
        self.revisions = Revisions(self.publisher)

    def publish(self, *numbers: int) -> None:
        """From a thread of its own, as a watcher does."""
        thread = Thread(
            target=lambda: [self.publisher.offer(make_bundle({"a.policy": policy(n)}), NOW) for n in numbers]
        )
        thread.start()
        thread.join()


@pytest.fixture
def world() -> World:
    return World()


def test_current_version_comes_at_once_and_only_once(world: World) -> None:
    async def run() -> None:
        with world.revisions.follow("pep") as following:
            first = await following.newest(LONG)
            again = await following.newest(SOON)

        assert first is world.publisher.current
        assert again is None

    asyncio.run(run())


def test_who_is_to_be_looked_at_is_told_something_though_nothing_is_new(world: World) -> None:
    async def run() -> None:
        with world.revisions.follow("pep") as following, world.revisions.follow("pep") as other:
            await following.newest(LONG)
            waiting = asyncio.create_task(following.newest(LONG))
            await asyncio.sleep(SOON)
            Thread(target=world.revisions.recheck).start()

            async with asyncio.timeout(LONG / 2):
                assert await waiting is None
            assert not following.closed
            assert await other.newest(LONG) is world.publisher.current  # what is new goes first
            world.publish(1)
            assert await following.newest(LONG) is world.publisher.current

    asyncio.run(run())


def test_publication_wakes_who_waits(world: World) -> None:
    async def run() -> None:
        with world.revisions.follow("pep") as one, world.revisions.follow("pep") as other:
            for following in (one, other):
                await following.newest(LONG)
            waiting = [asyncio.create_task(following.newest(LONG)) for following in (one, other)]
            await asyncio.sleep(0)
            await asyncio.to_thread(world.publish, 1)

            assert [found.number for found in await asyncio.gather(*waiting) if found] == [2, 2]

    asyncio.run(run())


def test_who_is_slow_misses_what_is_between_and_never_the_newest(world: World) -> None:
    async def run() -> None:
        with world.revisions.follow("pep") as following:
            await following.newest(LONG)
            await asyncio.to_thread(world.publish, 1, 2, 3)

            newest = await following.newest(LONG)

            assert newest is world.publisher.current
            assert await following.newest(SOON) is None

    asyncio.run(run())


def test_ring_between_two_looks_is_not_lost(world: World) -> None:
    async def run() -> None:
        with world.revisions.follow("pep") as following:
            await following.newest(LONG)
            world.publish(1)  # the loop runs nothing meanwhile: the ring arrives when it next waits

            newest = await following.newest(LONG)

            assert newest is not None
            assert newest.number == 2

    asyncio.run(run())


def test_an_edit_that_changes_nothing_wakes_nobody_for_long(world: World) -> None:
    async def run() -> None:
        with world.revisions.follow("pep") as following:
            await following.newest(LONG)
            waiting = asyncio.create_task(following.newest(4 * SOON))
            await asyncio.to_thread(world.publish, 0)

            assert await waiting is None

    asyncio.run(run())


def test_close_ends_those_who_wait_and_admits_nobody(world: World) -> None:
    async def run() -> None:
        with world.revisions.follow("pep") as following:
            await following.newest(LONG)
            waiting = asyncio.create_task(following.newest(LONG))
            await asyncio.sleep(0)
            world.revisions.close()

            assert await waiting is None
            assert following.closed
            with pytest.raises(CannotAnswerError) as caught:
                world.revisions.follow("pep")
            assert caught.value.code == "ending"

    asyncio.run(run())


def test_followers_have_a_bound_and_who_leaves_makes_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_REVISION_WATCHERS", 2)

    async def run() -> None:
        with world.revisions.follow("pep"):
            with world.revisions.follow("pep"), pytest.raises(CannotAnswerError) as caught:
                world.revisions.follow("pep")
            with world.revisions.follow("pep"):
                pass

        assert caught.value.code == "too_many_watchers"

    asyncio.run(run())


def test_followers_of_one_caller_have_a_bound_that_leaves_room_for_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WATCHERS_PER_CALLER", 2)

    async def run() -> None:
        follow = world.revisions.follow
        with follow("one"), follow("other"), follow("other"):
            with follow("one"), pytest.raises(CannotAnswerError, match="of one caller") as caught:
                follow("one")
            with follow("one"), follow("third"):
                pass

        assert caught.value.code == "too_many_watchers"

    asyncio.run(run())


def test_rings_after_the_loop_has_ended_do_no_harm(world: World) -> None:
    async def run() -> None:
        world.revisions.follow("pep")  # and never left

    asyncio.run(run())
    world.publish(1)
    world.revisions.close()
    gc.collect()
