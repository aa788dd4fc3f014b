"""All benchmarks, one after the other; what this machine has no program for is named.

.venv/bin/python loadtests/bench/run.py [--quick]

Each is a command of its own, and can be run by itself: `loadtests/README.md` says what its figures mean.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent


@dataclass(frozen=True)
class Benchmark:
    """One command: what it measures, its arguments, those of a quick run besides, programs it needs."""

    title: str
    command: Sequence[str]
    quick: Sequence[str] = ()
    needs: Sequence[str] = ()


def script(name: str) -> str:
    return str(HERE / name)


ALL: Final = (
    Benchmark("one decision", ("-m", "pdp.cli.main", "bench"), ("--rules", "10,1000")),
    Benchmark("one request", ("-m", "loadtests.bench.one_request"), ("--rounds", "3")),
    Benchmark("one decision from an image", (script("image.py"),), ("--rules", "1000")),
    Benchmark("one edit among many files", (script("reload.py"),), ("--files", "50", "--rules", "10")),
    Benchmark("tokens and chains", (script("identity.py"),), ("--tokens", "50", "--rounds", "3")),
    Benchmark(
        "answers that a client holds", (script("region_cache.py"),), ("--regions", "1000", "--rounds", "3")
    ),
    Benchmark("reuse of answers", (script("reuse_trace.py"),), ("--questions", "2000", "--rounds", "1")),
    Benchmark("memory and edits", (script("workers.py"),), ("--files", "20", "--rules", "1000")),
    Benchmark(
        "while policies change",
        ("-m", "loadtests.bench.under_load"),
        ("--rules", "5000", "--rate", "200", "--seconds", "3", "--rounds", "1"),
    ),
    Benchmark(
        "more workers",
        ("-m", "loadtests.bench.more_workers"),
        ("--rules", "1000", "--seconds", "1", "--rounds", "1"),
        needs=("wrk",),
    ),
    Benchmark(
        "through Envoy",
        (script("through_envoy.py"),),
        ("--rounds", "1", "--requests", "1000"),
        needs=("ab", "nginx"),
    ),
    Benchmark("calls over gRPC", ("-m", "loadtests.bench.grpc_calls"), ("--rounds", "1"), needs=("h2load",)),
    Benchmark("the server of Cerbos", ("-m", "loadtests.bench.peers.fetch_cerbos"), needs=("npm",)),
    Benchmark("pdp beside its peers", ("-m", "loadtests.bench.peers"), ("--quick",)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    failed = []
    for number, each in enumerate(ALL, 1):
        print(f"\n[{number}/{len(ALL)}] {each.title}", flush=True)
        missing = [program for program in each.needs if shutil.which(program) is None]
        if missing:
            print(f"not measured: no {' and no '.join(missing)} here", flush=True)
            continue
        began = time.monotonic()
        command = [sys.executable, *each.command, *(each.quick if quick else ())]
        if subprocess.run(command, cwd=HERE.parents[1], check=False).returncode:
            failed.append(each.title)
        print(f"took {time.monotonic() - began:.0f} s", flush=True)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
