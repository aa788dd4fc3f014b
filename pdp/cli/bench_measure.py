"""How long decisions take: medians of interleaved rounds, and the floor beside them.

The *floor* is measured in the same process: split the path, five dictionary look-ups in
dictionaries of as many entries as there are rules, one tuple.
"""

import gc
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final, final

import click
import msgspec

from pdp.cli.bench_policies import questions_of
from pdp.cli.bench_shapes import SHAPES, Asked
from pdp.cli.output import ExitCode
from pdp.engine.decide import decide
from pdp.index.rule_index import RuleIndex
from pdp.principals import spiffe_principal
from pdp.process.images import ImageShelf, Unpacker
from pdp.store.bundle import make_bundle, read_bundle
from pdp.store.loader import Loader
from pdp.store.snapshot import Snapshot
from pdp.vocabulary import FAMILIES, Effect, Request

__all__ = ["Figures", "measure_policies", "measure_shape"]

_QUESTIONS: Final = 10_000
_ROUNDS: Final = 5
_BARE: Final = 10
_NOW: Final = 1_767_225_600_000  # 2026-01-01: any instant will do


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of one policy set; times in microseconds, the medians of the rounds.

    Attributes:
        shape: The shape, or the policy set's path.
        rules: How many rules it has.
        median: Half the decisions took no longer.
        p99: Ninety-nine in a hundred took no longer.
        floor: Half the runs of the floor took no longer, on dictionaries of as many entries as rules.
        bare_floor: The same on dictionaries of ten entries, which stay in the processor's caches.
        ratio: `median / floor`.
        p99_ratio: `p99 / floor`.
        bare_ratio: `median / bare_floor`.
        allowed: Share of the questions that were allowed.
        load_seconds: Text to index.
        bytes_per_rule: Growth of the process while loading, rules' text included; or size of the image.
    """

    shape: str
    rules: int
    median: float
    p99: float
    floor: float
    bare_floor: float
    ratio: float
    p99_ratio: float
    bare_ratio: float
    allowed: float
    load_seconds: float
    bytes_per_rule: int


def measure_shape(name: str, rules: int, *, image: bool = False) -> Figures:
    """Decisions about a made-up shape of so many rules, from an image if wanted."""
    shape = SHAPES[name]
    texts = {path: text.encode() for path, text in shape.files(rules).items()}
    before, began = _resident(), time.perf_counter()
    loaded = Loader().load(make_bundle(texts), now=_NOW)
    seconds = time.perf_counter() - began
    if loaded.snapshot is None:
        raise click.ClickException("the shape does not load: this is a defect of pdp")
    asked = shape.questions(rules, _QUESTIONS, seed=rules)
    return _measure(name, loaded.snapshot, asked, seconds, _resident() - before, image=image)


def measure_policies(policies: Path, *, image: bool = False) -> Figures:
    """Decisions about a policy set, from an image if wanted; the process ends where it has errors."""
    before, began = _resident(), time.perf_counter()
    loaded = Loader().load(read_bundle(policies), now=time.time_ns() // 1_000_000)
    if loaded.snapshot is None:
        click.echo(f"{policies} has errors: see `pdp check`", err=True)
        sys.exit(ExitCode.CANNOT)
    seconds = time.perf_counter() - began
    asked = questions_of(loaded.snapshot, _QUESTIONS)
    return _measure(str(policies), loaded.snapshot, asked, seconds, _resident() - before, image=image)


def _measure(
    name: str, snapshot: Snapshot, asked: Iterable[Asked], seconds: float, grown: int, *, image: bool
) -> Figures:
    questions = [
        Request(
            principal=spiffe_principal(principal),
            service=service,
            method=method,
            path=path,
            now=_NOW,
            supplied=FAMILIES,
        )
        for principal, service, method, path in asked
    ]
    index = snapshot.index
    if image:
        index, grown = _from_image(snapshot)
    floor, bare = _Floor(max(_BARE, snapshot.rules)), _Floor(_BARE)
    gc.collect()
    gc.freeze()
    subjects = (_Decision(index), floor, bare)
    rounds = [[_timed(subject, questions) for subject in subjects] for _ in range(_ROUNDS)]
    gc.unfreeze()
    half = median(decision[0] for decision, _, _ in rounds)
    p99 = median(decision[1] for decision, _, _ in rounds)
    least = median(flat[0] for _, flat, _ in rounds)
    barest = median(flat[0] for _, _, flat in rounds)
    allowed = sum(decide(index, question).effect is Effect.ALLOW for question in questions)
    return Figures(
        shape=name,
        rules=snapshot.rules,
        median=half / 1000,
        p99=p99 / 1000,
        floor=least / 1000,
        bare_floor=barest / 1000,
        ratio=round(half / least, 2),
        p99_ratio=round(p99 / least, 2),
        bare_ratio=round(half / barest, 2),
        allowed=allowed / len(questions),
        load_seconds=round(seconds, 3),
        bytes_per_rule=max(0, grown) // max(1, snapshot.rules),
    )


def _from_image(snapshot: Snapshot) -> tuple[RuleIndex, int]:
    """The index as a worker maps it, and how many bytes it takes."""
    parcel = ImageShelf().pack(snapshot)
    size = sum(os.fstat(file).st_size for file in parcel.files)
    return Unpacker().unpack(parcel.files).index, size


@final
class _Decision:
    def __init__(self, index: RuleIndex) -> None:
        self.index = index

    def prepare(self, questions: Sequence[Request]) -> Callable[[Request], Any]:
        """The function to time."""
        del questions
        index = self.index
        return lambda request: decide(index, request)


@final
class _Floor:
    """Split the path, five look-ups, one tuple."""

    def __init__(self, entries: int) -> None:
        self.tables = [{f"{table}/key{i}": i for i in range(entries)} for table in range(5)]
        self.entries = entries

    def prepare(self, questions: Sequence[Request]) -> Callable[[Request], Any]:
        """The function to time; its keys are drawn before."""
        random = Random(1)  # noqa: S311 - traffic, not secrets
        keys = {
            id(question): tuple(f"{table}/key{random.randrange(self.entries)}" for table in range(5))
            for question in questions
        }
        a, b, c, d, e = self.tables

        def run(request: Request) -> Any:
            p, q, r, s, t = keys[id(request)]
            request.path.split("/")
            return a.get(p), b.get(q), c.get(r), d.get(s), e.get(t)

        return run


def _timed(subject: _Decision | _Floor, questions: Sequence[Request]) -> tuple[int, int]:
    """Median and 99th percentile in nanoseconds."""
    run, clock = subject.prepare(questions), time.perf_counter_ns
    times = []
    for question in questions:
        began = clock()
        run(question)
        times.append(clock() - began)
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100]


def _resident() -> int:
    """Bytes of memory that the process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
