"""Works that take turns at one number of rules: all are begun, checked, and measured round by round.

What cannot be measured is a reason in the table: a program that is missing, a start or a question that
takes too long. How slow a work was with fewer rules says whether it is worth loading more.
"""

import json
import select
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from loadtests.bench.peers.closed_loop import Wrk
from loadtests.bench.peers.closed_loop import missing as wrk_missing
from loadtests.bench.peers.endpoint import (
    Endpoint,
    HttpPeer,
    NotMeasured,
    cross_check,
    free_port,
    until_it_answers,
)
from loadtests.bench.peers.inside import SLOWEST
from loadtests.bench.peers.rules import Question, questions

__all__ = ["At", "Row", "Work", "measured"]

MANY: Final = 32
GROWS: Final = frozenset({"casbin", "Cedar, whole"})  # they look at every rule
INSIDE: Final = {
    "pdp": ("pdp decide()", "pdp decide(), image"),
    "casbin": ("casbin", "casbin, keyed"),
    "cedar": ("Cedar, whole", "Cedar, sliced"),
}

Say = Callable[[str], None]


@dataclass
class Row:
    """What the table says of one work at one number of rules."""

    name: str
    rules: int
    inside: bool
    reason: str | None = None
    asked: int = 0
    rounds: list[dict[str, float]] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """Medians of all rounds."""
        return {name: median(each[name] for each in self.rounds) for name in self.rounds[0]}


@dataclass(frozen=True)
class At:
    """One number of rules, and how thoroughly."""

    rules: int
    rounds: int
    seconds: float
    start_limit: float
    folder: Path


@dataclass(frozen=True)
class Work:
    """One that takes turns: its row, what does a round, and where it answers, if over HTTP."""

    row: Row
    one_round: Callable[[], dict[str, float]]
    endpoint: Endpoint | None = None


def measured(
    at: At, peers: Iterable[HttpPeer], each_rule: Mapping[str, float], held: ExitStack, say: Say
) -> tuple[list[Row], list[Work]]:
    """Rows of all works, and those that still run until `held` ends.

    `each_rule` says of those that look at every rule how many seconds one of them took so far.
    """
    rows, works = [], []
    asked = questions(at.rules)
    for row, work in (*_inside(at, each_rule, held, say), *_over_http(at, peers, asked, held, say)):
        rows.append(row)
        if work is not None:
            works.append(work)
    for number in range(at.rounds + 1):
        for work in works:
            found = work.one_round()
            if number:  # the first is to warm up
                work.row.rounds.append(found)
        say(f"{at.rules} rules: round {number} of {at.rounds}" if number else f"{at.rules} rules: warm")
    return rows, works


def _over_http(
    at: At, peers: Iterable[HttpPeer], asked: Sequence[Question], held: ExitStack, say: Say
) -> list[tuple[Row, Work | None]]:
    """Begin all, so that they start beside each other, and then wait for each."""
    begun = []
    for peer in peers:
        row = Row(peer.name, at.rules, inside=False, reason=peer.missing() or wrk_missing())
        folder = at.folder / f"peer{free_port()}"
        folder.mkdir()
        mine = held.enter_context(ExitStack())
        begun.append((row, folder, mine, None if row.reason else peer.serve(folder, at.rules, mine)))
    found: list[tuple[Row, Work | None]] = []
    for row, folder, mine, endpoint in begun:
        if endpoint is None:
            found.append((row, None))
            continue
        try:
            until_it_answers(endpoint, asked[0], at.start_limit)
        except NotMeasured as error:
            mine.close()
            row.reason = str(error)
            found.append((row, None))
            continue
        cross_check(endpoint, asked)
        row.asked = len(asked)
        say(f"{at.rules} rules: {row.name} answers {'as it should' if endpoint.read else 'its constant'}")
        found.append((row, Work(row, _asking(at, endpoint, folder, asked), endpoint)))
    return found


def _asking(
    at: At, endpoint: Endpoint, folder: Path, asked: Sequence[Question]
) -> Callable[[], dict[str, float]]:
    wrk = Wrk(folder, endpoint.port, endpoint.requests(asked))

    def one_round() -> dict[str, float]:
        one = wrk.one_round(1, at.seconds / 2)
        before = endpoint.processor_seconds()
        many = wrk.one_round(MANY, at.seconds)
        took = endpoint.processor_seconds() - before
        return {
            "p50_us": one["p50_us"],
            "p99_us": one["p99_us"],
            "per_second": many["per_second"],
            "processor_us": took / many["asked"] * 1e6,
            "many_p50_us": many["p50_us"],
            "many_p99_us": many["p99_us"],
        }

    return one_round


def _inside(
    at: At, each_rule: Mapping[str, float], held: ExitStack, say: Say
) -> list[tuple[Row, Work | None]]:
    """A process for each peer that decides inside one, begun one after the other."""
    found: list[tuple[Row, Work | None]] = []
    for peer, names in INSIDE.items():
        rows = {name: Row(name, at.rules, inside=True) for name in names}
        for name in GROWS.intersection(names):
            if each_rule.get(name, 0.0) * at.rules > SLOWEST:
                rows[name].reason = f"a question would take more than {SLOWEST:g} s"
        wanted = [name for name, row in rows.items() if row.reason is None]
        process = _begun(peer, at.rules, wanted, held)
        counts = _line(process, at.start_limit)
        for name, row in rows.items():
            if row.reason is None and counts is None:
                row.reason = f"not loaded within {at.start_limit:.0f} s"
            elif row.reason is None and not counts[name]:
                row.reason = f"a question takes more than {SLOWEST:g} s"
            if row.reason is not None:
                found.append((row, None))
                continue
            row.asked = counts[name]
            found.append((row, Work(row, _telling(process, name))))
        say(f"{at.rules} rules: {', '.join(wanted)} answer as they should")
    return found


def _begun(peer: str, rules: int, names: Sequence[str], held: ExitStack) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests.bench.peers.inside", peer, str(rules), *names],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    held.callback(process.wait)
    held.callback(process.kill)
    return process


def _line(process: "subprocess.Popen[str]", limit: float) -> Any:
    """What it says on its next line; None if it says nothing for so long, and then it is ended."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], limit)[0]:
        process.kill()
        return None
    line = process.stdout.readline()
    assert line, "it ended: see above"
    return json.loads(line)


def _telling(process: "subprocess.Popen[str]", name: str) -> Callable[[], dict[str, float]]:
    def one_round() -> dict[str, float]:
        assert process.stdin is not None
        print(name, file=process.stdin, flush=True)
        found: dict[str, float] = _line(process, 120)
        assert found is not None, f"{name} takes too long"
        return found

    return one_round
