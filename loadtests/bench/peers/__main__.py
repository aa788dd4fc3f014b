"""pdp and its peers, with the same rules and the same questions, by turns; writes the page and the plot.

.venv/bin/python -m loadtests.bench.peers [--quick] [--rules 10,1000,...] [--rounds 5] [--seconds 2]

Everything runs on this machine: the servers, and what asks them. Needs `wrk` and nginx (Debian packages)
and Cerbos (`fetch_cerbos.py`); what is missing is named in the table. What is measured goes to
`loadtests/results/peers.json` after each number of rules.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from loadtests.bench import open_loop
from loadtests.bench.peers import machine, page
from loadtests.bench.peers.cerbos import CERBOS
from loadtests.bench.peers.constants import FASTAPI, NGINX
from loadtests.bench.peers.fetch_cerbos import PROGRAM
from loadtests.bench.peers.opa import OPA, OPA_LOGGED, OPA_TUNED
from loadtests.bench.peers.pdp_service import PDP, PDP_ANEW, PDP_LOGGED
from loadtests.bench.peers.results import ratios, told
from loadtests.bench.peers.rules import questions
from loadtests.bench.peers.turns import GROWS, MANY, At, Work, measured

PEERS: Final = (NGINX, FASTAPI, PDP, PDP_ANEW, PDP_LOGGED, CERBOS, OPA, OPA_TUNED, OPA_LOGGED)
BY_SCHEDULE: Final = (PDP.name, PDP_ANEW.name, FASTAPI.name)
SHARES: Final = (0.5, 0.85)
SIZES: Final = (10, 1000, 10_000, 100_000, 1_000_000)
RESULTS: Final = Path(__file__).parents[2] / "results" / "peers.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="10 and 1000 rules, short rounds; no page is written"
    )
    parser.add_argument("--rules", type=lambda text: [int(each) for each in text.split(",")])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of one round of one work at 32 connections")
    parser.add_argument("--start-limit", type=float, help="seconds until a peer has to answer")
    parser.add_argument("--scheduled-at", type=int, help="rules with which questions come by a schedule, too")
    given = parser.parse_args()
    sizes = given.rules or (SIZES[:2] if given.quick else SIZES)
    rounds = given.rounds or (2 if given.quick else 5)
    seconds = given.seconds or (1.0 if given.quick else 2.0)
    limit = given.start_limit or (60 if given.quick else 600)
    scheduled_at = given.scheduled_at or (10_000 if 10_000 in sizes else sizes[-1])
    results: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine.described(),
        "rounds": rounds,
        "seconds": seconds,
        "start_limit": limit,
        "load": {},
        "rows": [],
        "by_schedule": [],
    }
    each_rule: dict[str, float] = {}
    # Whoever ends this ends the peers with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for size in sizes:
        with ExitStack() as held:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="pdp-")))
            at = At(size, rounds, seconds, limit, folder)
            rows, works = measured(at, PEERS, each_rule, held, say)
            if size == scheduled_at:
                results["by_schedule"] = by_schedule(works, at)
        for row in rows:
            if row.name in GROWS:
                took = row.figures()["p50_us"] / 1e6 if row.rounds else float("inf")
                each_rule[row.name] = took / size
        results["rows"] += [told(row, ratios(row, rows)) for row in rows]
        results["load"][str(size)] = machine.load()
        write(results, given.quick)
    print(page.table(results))


def write(results: dict[str, Any], quick: bool) -> None:  # noqa: FBT001 - said by its name
    """Keep what there is; a quick run leaves the page alone."""
    target = PROGRAM.parents[1] / "peers-quick.json" if quick else RESULTS
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if not quick:
        page.write(results)


def by_schedule(works: list[Work], at: At) -> list[dict[str, Any]]:
    """Each at fractions of what it came to by itself, by turns; medians of the rounds."""
    asked = questions(at.rules)
    cases = [
        (work, share, work.row.figures()["per_second"] * share)
        for share in SHARES
        for work in works
        if work.row.name in BY_SCHEDULE
    ]
    found: list[list[dict[str, float]]] = [[] for _ in cases]
    for number in range(at.rounds):
        for (work, _, rate), figures in zip(cases, found, strict=True):
            assert work.endpoint is not None
            requests = work.endpoint.requests(asked)
            figures.append(vars(open_loop.run(work.endpoint.port, requests, rate, 2 * at.seconds, MANY)))
        say(f"{at.rules} rules, by a schedule: round {number + 1} of {at.rounds}")
    return [
        {"name": work.row.name, "rules": at.rules, "share": share, "rate": rate, **page.medians(figures)}
        for (work, share, rate), figures in zip(cases, found, strict=True)
    ]


def say(line: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
