"""Questions by a schedule while nothing changes, while one file changes each second, and while all files do.

.venv/bin/python -m loadtests.bench.under_load [--workers 2] [--rules 100000] [--rate 1000] [--seconds 10]
    [--rounds 3] [--remember 0] [--json]

1 000 files, a service each. Every question is about a rule that no edit changes and has to be allowed: an
answer that is anything else is counted as failed. What an edit adds is asked for at the end of each round, so
that the new versions were served meanwhile. Edits are made by another process. Phases take turns; figures are
medians of the rounds, from the instant at which a question was meant to be sent (`open_loop`).
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from loadtests.bench.open_loop import Figures, run
from loadtests.bench.peers.endpoint import free_port, running
from loadtests.bench.workers import CALLER, WHO, edited, many_files

FILES: Final = 1000
CONNECTIONS: Final = 32
QUESTIONS: Final = 10_000
WANTED: Final = b'"decision":"allow"'
START: Final = 120.0  # seconds until it answers
SEEN: Final = 60.0  # seconds until an edit is served
SETTINGS: Final = """\
[policies]
path = "policies"
[http]
listen = "127.0.0.1:{port}"
plaintext = true
remembered_answers = {remember}
[local]
caller = "{caller}"
[process]
workers = {workers}
"""


def write(path: Path, text: str) -> None:
    """A file, whole from one instant to the next."""
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.rename(path)


def edit_one(policies: str, rules: int, numbers: range) -> None:
    """Change one file, each second anew."""
    for number in numbers:
        write(Path(policies) / "d7" / "f7.policy", edited(7, rules, number))
        time.sleep(1)


def edit_all(policies: str, rules: int, numbers: range) -> None:
    """Change all files."""
    for file in range(FILES):
        write(Path(policies) / f"d{file % 40}" / f"f{file}.policy", edited(file, rules, numbers[-1]))


#: Phases, and what changes files in each.
PHASES: Final = {
    "nothing changes": None,
    "one file changes each second": edit_one,
    "all files change": edit_all,
}


def request(port: int, principal: str, service: str, path: str) -> bytes:
    """One question."""
    body = json.dumps(
        {
            "principal": f"spiffe://prod.example.org/{principal}",
            "service": service,
            "method": "GET",
            "path": path,
        }
    ).encode()
    return (
        b"POST /v1/decide HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (port, len(body), body)
    )


def seen(port: int, number: int, limit: float) -> float:
    """Wait until the rule of an edit is what is answered by; for how long."""
    asked = [request(port, "ns/n7/sa/edited", "s7", f"/edited/{number}")]
    began = time.perf_counter()
    while True:
        try:
            if not run(port, asked, 10.0, 0.1, 1, WANTED).failed:
                return time.perf_counter() - began
        except OSError:
            time.sleep(0.1)
        if time.perf_counter() - began > limit:
            raise SystemExit(f"edit {number} is not served after {limit:.0f} s")


def measure(
    folder: Path, options: argparse.Namespace, held: ExitStack
) -> dict[str, list[tuple[Figures, float]]]:
    """Figures of each phase, a round each, and how long after its end its last edit was served."""
    policies, port, rules = folder / "policies", free_port(), options.rules // FILES
    for name, text in {**many_files(FILES, options.rules), "callers.policy": f"language 1\n{WHO}"}.items():
        (policies / name).parent.mkdir(parents=True, exist_ok=True)
        (policies / name).write_text(text, encoding="utf-8")
    settings = SETTINGS.format(port=port, caller=CALLER, workers=options.workers, remember=options.remember)
    (folder / "pdp.toml").write_text(settings, encoding="utf-8")
    serve = [sys.executable, "-m", "pdp.cli.main", "serve", "--config", str(folder / "pdp.toml"), "--json"]
    held.enter_context(running(serve, folder))
    seen(port, 0, START)
    requests = [
        request(port, f"ns/n{n % FILES}/sa/w{n % rules}", f"s{n % FILES}", f"/v1/r{n % rules}/{n}")
        for n in range(QUESTIONS)
    ]
    found: dict[str, list[tuple[Figures, float]]] = {phase: [] for phase in PHASES}
    processes, edit = multiprocessing.get_context("spawn"), 0
    for number in range(options.rounds + 1):
        for phase, change in PHASES.items():
            numbers = range(edit + 1, edit + 1 + max(1, int(options.seconds) - 1))
            changing = None
            if change is not None:
                changing = processes.Process(target=change, args=(str(policies), rules, numbers))
                changing.start()
            figures = run(port, requests, options.rate, options.seconds, CONNECTIONS, WANTED)
            late = 0.0
            if changing is not None:
                changing.join()
                edit = numbers[-1]
                late = seen(port, edit, SEEN)
            if number:  # the first is to warm up
                found[phase].append((figures, late))
            say = f"round {number} of {options.rounds}: {phase}: p99 {figures.p99_us:.0f} us"
            print(f"{say}, failed {figures.failed}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rules", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=1000.0, help="questions a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--remember", type=int, default=0, help="answers; without any, all are decided")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="pdp-")))
        found = measure(folder, options, held)
    table = {phase: summed(rounds) for phase, rounds in found.items()}
    if options.json:
        print(json.dumps(table))
        return
    names = ("p50_us", "p99_us", "p999_us", "max_us", "late_p99_us", "failed", "served_after_s")
    print("| phase |", " | ".join(names), "|")
    print("|---" * (len(names) + 1) + "|")
    for phase, figures in table.items():
        print(
            f"| {phase} |",
            " | ".join(f"{figures[name]:.{1 if name.endswith('_s') else 0}f}" for name in names),
            "|",
        )


def summed(rounds: list[tuple[Figures, float]]) -> dict[str, float]:
    """Medians of the rounds; of what failed all."""
    names = ("p50_us", "p99_us", "p999_us", "max_us", "late_p99_us")
    figures = {name: median(getattr(each, name) for each, _ in rounds) for name in names}
    failed = float(sum(each.failed for each, _ in rounds))
    return {**figures, "failed": failed, "served_after_s": median(late for _, late in rounds)}


if __name__ == "__main__":
    main()
