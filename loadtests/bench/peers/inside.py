"""Peers that decide inside a process: each in one of its own, which does a round when it is told to.

python -m loadtests.bench.peers.inside casbin 1000 casbin "casbin, keyed"

It builds, asks everything once and compares, says what it has on a line of JSON, and then does a round
of one work for each line that it reads. So the works of all processes take turns, and what one holds in
memory is gone with it.
"""

import argparse
import gc
import importlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from loadtests.bench.peers.rules import Question, questions

__all__ = ["Ask", "checked", "one_round", "share"]

#: Whether a question is allowed. What can be prepared for a question is done before.
Ask = Callable[[Any], bool]

MODULES: Final = {"pdp": "pdp_inside", "casbin": "casbin_inside", "cedar": "cedar_inside"}
SLOWEST: Final = 0.5  # seconds for one question: beyond it there is no round
ROUND: Final = 2.0  # seconds, about
FEWEST: Final = 10


def checked(ask: Ask, prepared: Sequence[Any], wanted: Sequence[Question]) -> None:
    """Ask everything once: one wrong answer ends the benchmark."""
    for each, question in zip(prepared, wanted, strict=True):
        found = ask(each)
        assert found == question.allowed, (question, found)


def share(ask: Ask, prepared: Sequence[Any]) -> list[int]:
    """Which questions one round can ask: all, or evenly some of them; none if each is too slow."""
    step = max(1, len(prepared) // FEWEST)
    few = range(step // 2, len(prepared), step)
    began = time.perf_counter()
    for asked, at in enumerate(few, 1):
        ask(prepared[at])
        each = (time.perf_counter() - began) / asked
        if each > SLOWEST:
            return []
    number = min(len(prepared), max(FEWEST, int(ROUND / each)))
    return [at * len(prepared) // number for at in range(number)]


def one_round(ask: Ask, prepared: Sequence[Any]) -> dict[str, float]:
    """Median and p99 of single questions in microseconds, and questions a second."""
    clock, times, before = time.perf_counter_ns, [], time.process_time()
    for each in prepared:
        began = clock()
        ask(each)
        times.append(clock() - began)
    took = time.process_time() - before
    times.sort()
    return {
        "p50_us": times[len(times) // 2] / 1000,
        "p99_us": times[len(times) * 99 // 100] / 1000,
        "per_second": len(times) / (sum(times) / 1e9),
        "processor_us": took / len(times) * 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=MODULES)
    parser.add_argument("rules", type=int)
    parser.add_argument("works", nargs="+")
    given = parser.parse_args()
    module = importlib.import_module(f"loadtests.bench.peers.{MODULES[given.peer]}")
    built: Mapping[str, tuple[Ask, Callable[[Question], Any]]] = module.works(given.rules, given.works)
    wanted = questions(given.rules)
    ready: dict[str, tuple[Ask, list[Any]]] = {}
    counts = {}
    for name, (ask, prepare) in built.items():
        prepared = [prepare(question) for question in wanted]
        chosen = share(ask, prepared)
        mine = [prepared[at] for at in chosen]
        checked(ask, mine, [wanted[at] for at in chosen])
        ready[name], counts[name] = (ask, mine), len(chosen)
    gc.collect()
    gc.freeze()
    print(json.dumps(counts), flush=True)
    for line in sys.stdin:
        print(json.dumps(one_round(*ready[line.strip()])), flush=True)


if __name__ == "__main__":
    main()
