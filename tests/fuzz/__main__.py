"""`make fuzz`: every target for a share of the time, beginning with what failed before.

    .venv/bin/python -m tests.fuzz [--minutes 10] [--seed N] [--only NAME ...] [--input FILE]

An input that fails is made shorter, printed with the seed, and kept in `tests/fuzz/failures`; the exit
code is then 1. `--input` tries one that was kept, and nothing else.
"""

import argparse
import random
import sys
import time
import traceback
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from schemathesis import GenerationMode

from tests.e2e.running import Pki, Service, make_policies
from tests.fuzz.all_targets import ALL
from tests.fuzz.described import DESCRIBED, Described
from tests.fuzz.engine import FAILURES, Failure, Target, examine, minimised, run, save
from tests.fuzz.targets import http

_ROUND_SECONDS: Final = 120.0  # each target has its share of this, and then again
_DESCRIBED_WEIGHT: Final = 4.0
_DESCRIBED_EXAMPLES: Final = 40  # of each operation and kind, between two looks at the clock


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long, in all")
    parser.add_argument("--seed", type=int, help="of a run that is to be had again; else drawn, and printed")
    parser.add_argument(
        "--only", action="append", choices=[*ALL, DESCRIBED], help="may be given several times"
    )
    parser.add_argument("--input", type=Path, help="one kept input, whose name begins with its target's")
    return parser.parse_args()


def _typed(target: Target[Any], path: Path) -> str | bytes:
    content = path.read_bytes()
    return content if isinstance(target.seeds[0], bytes) else content.decode("utf-8", "surrogatepass")


def _kept(target: Target[Any]) -> list[str | bytes]:
    """Inputs on which a target failed before."""
    paths = sorted(path for path in FAILURES.glob(f"{target.name}--*") if path.suffix != ".txt")
    return [_typed(target, path) for path in paths]


def _try_one(path: Path) -> int:
    target = ALL[path.name.partition("--")[0]]
    outcome = examine(target, _typed(target, path))
    print(outcome if isinstance(outcome, Failure) else f"{target.name}: {outcome}")
    return int(isinstance(outcome, Failure))


def _fuzz(target: Target[Any], seed: int, seconds: float, *, first: bool) -> bool:
    """Fuzz one target for a while; whether nothing was found."""
    began = time.monotonic()
    kept = _kept(target) if first else []
    tried, failure = run(target, seed, until=began + seconds, first=kept)
    took = time.monotonic() - began
    print(f"{target.name:16} {tried:8} inputs {took:6.0f} s {tried / max(took, 0.01):8.0f}/s", flush=True)
    if failure is None:
        return True
    shorter = minimised(target, failure)
    print(f"\n{shorter}\nseed {seed}, input {tried}; kept as {save(shorter)}\n", flush=True)
    return False


def _fuzz_described(seed: int, seconds: float) -> bool:
    """The same for requests made from the OpenAPI document."""
    began, number = time.monotonic(), seed
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pki").mkdir()
        service = Service(Pki(folder / "pki"), make_policies(folder / "policies"))
        described = Described(service)
        try:
            while time.monotonic() - began < seconds:
                for operation in described.operations():
                    for mode in GenerationMode:
                        described.check(operation, mode, examples=_DESCRIBED_EXAMPLES, number=number)
                number += 1
            service.assert_still_answers()
        except Exception:  # noqa: BLE001 - whatever it is, it is what we look for
            told = traceback.format_exc()
            FAILURES.mkdir(exist_ok=True)
            (FAILURES / f"{DESCRIBED}--{number}.txt").write_text(told, encoding="utf-8")
            print(f"\n{DESCRIBED} failed with the seed {number}:\n{told}", flush=True)
            return False
        finally:
            service.stop()
    tried, took = described.seen.total(), time.monotonic() - began
    print(f"{DESCRIBED:16} {tried:8} requests {took:4.0f} s {tried / took:8.0f}/s", flush=True)
    return True


def main() -> int:
    """Fuzz as told; 1 if something was found."""
    given = _arguments()
    # What libraries say of hostile certificates, and of this run's own connections.
    warnings.simplefilter("ignore")
    try:
        if given.input is not None:
            return _try_one(given.input)
        return _rounds(given)
    finally:
        http.close()


def _rounds(given: argparse.Namespace) -> int:
    seed = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    names = given.only or [*ALL, DESCRIBED]
    weights = {name: ALL[name].weight if name in ALL else _DESCRIBED_WEIGHT for name in names}
    end = time.monotonic() + given.minutes * 60
    number, failed = 0, set[str]()
    while (left := end - time.monotonic()) > 0 and failed != set(names):
        print(f"-- round {number + 1}, seed {seed + number}, {left / 60:.1f} minutes left", flush=True)
        share = min(left, max(_ROUND_SECONDS, given.minutes * 10)) / sum(weights.values())
        for name in names:
            if name in failed:
                continue
            seconds = share * weights[name]
            found = (
                not _fuzz_described(seed + number, seconds)
                if name == DESCRIBED
                else not _fuzz(ALL[name], seed + number, seconds, first=number == 0)
            )
            if found:
                failed.add(name)
        number += 1
    print(f"seed {seed}: {', '.join(sorted(failed))} failed" if failed else f"seed {seed}: nothing was found")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
