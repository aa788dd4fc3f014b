"""What one answer takes of the processors with one worker, with two and with four.

.venv/bin/python -m loadtests.bench.more_workers [--workers 1,2,4] [--rules 10000] [--rounds 5] [--seconds 3]
    [--remember 0] [--json]

All of them run at once and take turns: `wrk` asks one over 32 connections, and the processor time of all its
processes is divided by its answers. The machine has fewer cores than some have workers, and `wrk` takes one.
"""

import argparse
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from loadtests.bench.peers.closed_loop import Wrk
from loadtests.bench.peers.endpoint import cross_check, until_it_answers
from loadtests.bench.peers.pdp_service import PdpService
from loadtests.bench.peers.rules import questions
from loadtests.bench.workers import children_of

CONNECTIONS = 32
START = 60.0


def processor_seconds(pid: int) -> float:
    """Time on any processor that a process and all that it began have taken."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    user, system = stat.rpartition(")")[2].split()[11:13]  # proc(5), fields 14 and 15
    own = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return own + sum(processor_seconds(child) for child in children_of(pid))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 4])
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--remember", type=int, default=0, help="answers; without any, all are decided")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[int, list[dict[str, float]]] = {workers: [] for workers in options.workers}
    asked = questions(options.rules)
    with ExitStack() as held:
        works = {}
        for workers in options.workers:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="pdp-")))
            kind = PdpService(
                f"{workers} workers",
                http=f"remembered_answers = {options.remember}",
                more=f"[process]\nworkers = {workers}",
            )
            endpoint = kind.serve(folder, options.rules, held)
            until_it_answers(endpoint, asked[0], START)
            cross_check(endpoint, asked)
            works[workers] = endpoint, Wrk(folder, endpoint.port, endpoint.requests(asked))
        for number in range(options.rounds + 1):
            for workers, (endpoint, wrk) in works.items():
                before = processor_seconds(endpoint.pid)
                figures = wrk.one_round(CONNECTIONS, options.seconds)
                took = processor_seconds(endpoint.pid) - before
                if number:  # the first is to warm up
                    found[workers].append({**figures, "processor_us": took / figures["asked"] * 1e6})
            print(f"round {number} of {options.rounds}", file=sys.stderr, flush=True)
    shown(found, as_json=options.json)


def shown(found: dict[int, list[dict[str, float]]], *, as_json: bool) -> None:
    """Medians, and ratios to the first within each round."""
    first = next(iter(found.values()))
    table = []
    for workers, rounds in found.items():
        row = {name: median(each[name] for each in rounds) for name in rounds[0]}
        ratio = median(
            each["processor_us"] / one["processor_us"] for each, one in zip(rounds, first, strict=True)
        )
        table.append({"workers": workers, **row, "ratio": ratio})
    if as_json:
        print(json.dumps(table))
        return
    print("| workers | processor us an answer | of one worker | a second | p50 ms | p99 ms |")
    print("|---" * 6 + "|")
    for row in table:
        print(
            f"| {row['workers']} | {row['processor_us']:.0f} | {row['ratio']:.2f} | {row['per_second']:.0f} "
            f"| {row['p50_us'] / 1000:.2f} | {row['p99_us'] / 1000:.2f} |"
        )


if __name__ == "__main__":
    main()
