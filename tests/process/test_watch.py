"""A stream that is followed: one bad message ends nothing, and a stream that ends is begun again."""

import queue
import time
from collections.abc import Iterator

import pytest

from pdp.limits import FIRST_PAUSE_SECONDS
from pdp.process.watch import Watch
from tests.e2e.running import until


class Stream:
    """Says what a test puts into it; an exception ends it, and so does None."""

    def __init__(self) -> None:
        self.messages: queue.Queue[str | Exception | None] = queue.Queue()
        self.closed = False

    def __iter__(self) -> Iterator[str]:
        while (message := self.messages.get()) is not None:
            if isinstance(message, Exception):
                raise message
            yield message

    def close(self) -> None:
        self.closed = True
        self.messages.put(None)


class World:
    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.away: Exception | None = None
        self.begun: list[float] = []
        self.taken: list[str] = []
        self.fails = False
        self.watch = Watch("test", self.begin, self.take)

    def begin(self) -> Stream:
        self.begun.append(time.monotonic())
        if self.away is not None:
            raise self.away
        self.streams.append(Stream())
        return self.streams[-1]

    def take(self, message: str) -> str:
        if self.fails:
            raise OSError("too many open files")
        self.taken.append(message)
        return "it is bad" if message.startswith("bad") else ""

    def say(self, message: str | Exception | None) -> None:
        until(lambda: self.streams and not self.streams[-1].closed)
        self.streams[-1].messages.put(message)


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    found.watch.start()
    yield found
    found.watch.stop()
    assert all(each.closed for each in found.streams)


def test_messages_are_taken_as_they_come(world: World) -> None:
    assert (world.watch.problem, world.watch.delivered.is_set()) == ("nothing was delivered yet", False)

    world.say("one")
    world.say("two")
    until(lambda: world.taken == ["one", "two"])

    assert world.watch.delivered.wait(5)
    assert (world.watch.problem, world.watch.down_seconds) == ("", 0.0)


def test_a_bad_message_is_told_and_the_next_one_counts_on_the_same_stream(world: World) -> None:
    world.say("bad")
    assert world.watch.tried.wait(5)
    assert (world.watch.problem, world.watch.delivered.is_set()) == ("it is bad", False)
    assert world.watch.down_seconds == 0

    world.say("good")
    assert world.watch.delivered.wait(5)
    assert world.watch.problem == ""
    assert len(world.streams) == 1


def test_a_stream_that_ends_or_fails_is_begun_again_and_said_to_be_down_meanwhile(world: World) -> None:
    for number, (end, why) in enumerate(
        ((None, "the stream has ended"), (OSError("broken"), "broken")), start=2
    ):
        world.say("good")
        until(lambda: world.watch.down_seconds == 0)
        world.say(end)
        until(lambda: len(world.streams) == number)  # noqa: B023 -- asked at once
        assert world.watch.problem == why
        assert world.watch.down_seconds > 0
    world.say("good")
    until(lambda: world.watch.problem == "")


def test_what_could_not_be_put_in_force_is_asked_for_again(world: World) -> None:
    world.fails = True
    world.say("one")
    until(lambda: world.watch.problem == "too many open files")

    world.fails = False
    world.say("one")
    until(lambda: world.taken == ["one"])
    assert len(world.streams) >= 2


def test_pauses_grow_and_are_short_again_after_something_good(world: World) -> None:
    world.say("good")
    world.away = OSError("away")
    world.say(None)
    until(lambda: len(world.begun) == 6)
    pauses = [after - before for before, after in zip(world.begun[1:], world.begun[2:], strict=False)]
    assert pauses[-1] > 4 * FIRST_PAUSE_SECONDS * 0.5
    assert pauses[-1] > pauses[0]

    world.away = None
    until(lambda: len(world.streams) == 2)
    world.say("good")
    ended = time.monotonic()
    world.say(None)
    until(lambda: len(world.streams) == 3)
    assert time.monotonic() - ended < 1


def test_one_that_is_stopped_takes_nothing_and_ends_while_it_waits() -> None:
    world = World()
    world.watch.start()
    world.say("one")
    until(lambda: world.taken)

    began = time.monotonic()
    world.watch.stop()
    world.watch.stop()

    assert time.monotonic() - began < 2
    assert world.streams[-1].closed
    assert len(world.begun) == 1
