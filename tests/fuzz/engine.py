"""Runs one target on inputs made from its seeds, and says which input it failed on.

A target fails where its check raises, or takes more processor time than it may. Inputs that came
out in a new way (a new outcome) join the seeds, so a longer run gets further. All is drawn from one
seed: the same target, seed and number of inputs is the same run.
"""

import hashlib
import random
import re
import signal
import time
import traceback
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final, Generic, TypeVar, final

__all__ = ["FAILURES", "Failure", "Target", "TooLongError", "examine", "minimised", "run", "save", "wording"]

T = TypeVar("T", str, bytes)

#: Where inputs that failed are kept. Not part of the repository.
FAILURES: Final = Path(__file__).parent / "failures"
_MOST_LEARNT: Final = 4096  # inputs kept for their outcomes
_FRESH: Final = 0.5  # how often one of these is changed, and not a seed


@final
@dataclass(frozen=True, kw_only=True)
class Target(Generic[T]):
    """What is fed, with what, and what must hold.

    Attributes:
        name: Names it on the command line and in file names.
        seeds: Inputs to begin with.
        mutate: Makes an input from one and pieces of another.
        check: Raises where something does not hold; else says in which way the input came out.
        examples: How many inputs the test suite tries.
        seconds: Processor time that one input may take, about a hundred times what it should.
        weight: Its share of the time of `make fuzz`.
    """

    name: str
    seeds: Sequence[T]
    mutate: Callable[[random.Random, T, T], T]
    check: Callable[[T], Hashable]
    examples: int
    seconds: float = 2.0
    weight: float = 1.0
    finish: Callable[[], None] = field(default=lambda: None)


class TooLongError(BaseException):
    """A check took more processor time than it may. No `Exception`: nobody is to swallow it."""


@final
@dataclass(frozen=True, kw_only=True)
class Failure:
    """An input on which a target failed."""

    target: str
    data: str | bytes
    error: BaseException

    @property
    def kind(self) -> tuple[type[BaseException], str]:
        """The same for the same defect: what was raised, and where."""
        frames = traceback.extract_tb(self.error.__traceback__)
        if isinstance(self.error, TooLongError):
            return TooLongError, ""  # caught wherever it happened to be
        return type(self.error), f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""

    def __str__(self) -> str:
        shown = repr(self.data)
        shown = shown if len(shown) <= 2000 else f"{shown[:2000]}... ({len(self.data)} in all)"
        told = "".join(traceback.format_exception(self.error, limit=-8))
        return f"{self.target} failed on {shown}\n{told}"


def wording(message: str) -> str:
    """A message without what it quotes and without numbers: the same for the same mistake."""
    return re.sub("`[^`]*`|[0-9]+", "", message)


@contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Raise TooLongError once this much processor time is used. For the main thread only."""

    def stop(_: int, __: FrameType | None) -> None:
        raise TooLongError(f"more than {seconds} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def examine(target: Target[T], data: T) -> Failure | Hashable:
    """How one input came out, or the failure."""
    try:
        with _bounded(target.seconds):
            return target.check(data)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is what we look for
        return Failure(target=target.name, data=data, error=error)


def run(
    target: Target[T], seed: int, *, examples: int = 0, until: float = 0.0, first: Sequence[T] = ()
) -> tuple[int, Failure | None]:
    """Try inputs: the seeds, then made ones, so many in all or until an instant of the monotonic clock.

    Returns:
        How many were tried, and the failure that ended it.
    """
    rng = random.Random(f"{seed}:{target.name}")
    seeds, learnt = list(target.seeds), []
    assert seeds, f"{target.name} has no seeds: it would test next to nothing"
    outcomes: set[Hashable] = set()
    made: Any = [*first, *(seeds if until else rng.sample(seeds, min(len(seeds), examples // 3)))]
    count = 0
    while (count < examples) if not until else (time.monotonic() < until):
        if count < len(made):
            data = made[count]
        else:
            base = rng.choice(learnt) if learnt and rng.random() < _FRESH else rng.choice(seeds)
            data = target.mutate(rng, base, rng.choice(seeds))
        count += 1
        outcome = examine(target, data)
        if isinstance(outcome, Failure):
            return count, outcome
        if outcome not in outcomes and len(outcomes) < _MOST_LEARNT:
            outcomes.add(outcome)
            learnt.append(data)
    target.finish()
    return count, None


def minimised(target: Target[T], failure: Failure, seconds: float = 20.0) -> Failure:
    """A shorter input with the same failure, as far as can be found in the time."""
    deadline = time.monotonic() + seconds
    data: Any = failure.data
    size = len(data) // 2
    while size and time.monotonic() < deadline:
        at = 0
        while at < len(data) and time.monotonic() < deadline:
            again = examine(target, data[:at] + data[at + size :])
            if isinstance(again, Failure) and again.kind == failure.kind:
                failure, data = again, again.data
            else:
                at += size
        size //= 2
    return failure


def save(failure: Failure, folder: Path = FAILURES) -> Path:
    """Keep the input for the next run, and what was raised beside it."""
    data = failure.data
    content = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{failure.target}--{hashlib.sha256(content).hexdigest()[:12]}"
    path.write_bytes(content)
    path.with_suffix(".txt").write_text(str(failure), encoding="utf-8", errors="backslashreplace")
    return path
