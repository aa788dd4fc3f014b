"""Changes the code in one place at a time, and lists the changes that no test notices.

    .venv/bin/python tests/mutation/mutate.py [PATHS] [--jobs N] [--revision REV]
                                              [--results FILE] [--again FILE]

Without paths, everything from the compiler to the engine and the verification of callers is mutated
(`TARGETS`). For each mutant (`mutants.py`) the cheapest check runs first: agreement with the reference
interpreter (`quick.py`), then the tests that belong to its layer (`TESTS`), until one fails. A mutant
that hangs counts as noticed. Survivors are compared with `survivors.toml`, which gives a reason for
each; the exit code is 1 if one is not listed there, or if one that is listed was killed.

Nothing is changed in the working tree: each job has a copy of it (or of the commit `--revision`, with
the tests that are not committed yet) in a temporary directory. A job imports what is never mutated and makes
the cases once, and forks for each mutant. With MUTATION_SHOW=1 in the environment what the tests say is
shown: for finding out why a run fails without any change.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "mutation")]
from mutants import Mutant, mutants_of  # noqa: E402 -- a script: its own directory is on the path only now

TARGETS = (
    "pdp/adapters/remembered.py",
    "pdp/service/authorization.py",
    "pdp/engine",
    "pdp/index",
    "pdp/identity/x509.py",
    "pdp/identity/chain.py",
    "pdp/identity/federation",
    "pdp/identity/forwarded",
    "pdp/identity/quarantine",
    "pdp/identity/tokens",
    "pdp/compiler",
    "pdp/paths",
)

#: What is said about mistakes, word for word.
_SAID = ("tests/compiler/test_golden.py", "tests/docs/test_diagnostics_pages.py")

#: What rules come to.
_MEANT = (
    "tests/compiler/test_lowering.py",
    "tests/compiler/test_file_checks.py",
    "tests/compiler/test_checks.py",
    "tests/compiler/test_delegation.py",
    "tests/compiler/test_conditions.py",
)

#: The modules that only explain, and what they have to say.
_EXPLAINING = (
    "pdp/engine/explain",
    "pdp/engine/failing",
    "pdp/engine/group_names",
    "pdp/engine/nearest",
    "pdp/engine/neighbours",
    "pdp/engine/path_steps",
    "pdp/engine/reading.",
    "pdp/engine/unmet",
)
_EXPLAINED = (
    "tests/engine/test_explain.py",
    "tests/engine/test_explained_parts.py",
    "tests/engine/test_explained_readings.py",
    "tests/engine/test_nearest_allow.py",
    "tests/engine/test_neighbours.py",
    "tests/engine/test_path_steps.py",
)

#: Tests by the beginning of the mutated file's name, the longest that fits; cheapest first.
TESTS = {
    "pdp/adapters/remembered": ("tests/property/test_remembered.py",),
    "pdp/service/authorization": (
        "tests/service/test_authorization.py",
        "tests/service/test_rights_of_callers.py",
    ),
    "pdp/engine": ("tests/engine",),
    "pdp/engine/region": ("tests/engine", "tests/service/test_rights_of_callers.py"),
    **dict.fromkeys(_EXPLAINING, _EXPLAINED),
    "pdp/index": ("tests/index", "tests/engine"),
    "pdp/index/assemble": ("tests/index", *_SAID, "tests/engine"),
    "pdp/compiler": (*_MEANT, *_SAID, "tests/engine/test_region_examples.py"),
    "pdp/compiler/attributes": ("tests/compiler/test_attributes.py", *_SAID),
    "pdp/compiler/callers": (
        "tests/compiler/test_lowering.py",
        "tests/service/test_authorization.py",
        "tests/service/test_rights_of_callers.py",
        "tests/compiler/test_file_checks.py",
        *_SAID,
    ),
    "pdp/compiler/cases": (*_SAID, *_MEANT, "tests/analysis/test_policy_tests.py"),
    "pdp/compiler/checks": (*_SAID, *_MEANT),
    "pdp/compiler/circles": ("tests/compiler/test_circles.py", *_SAID),
    "pdp/compiler/comparisons": (
        "tests/compiler/test_conditions.py",
        "tests/compiler/test_attributes.py",
        *_SAID,
    ),
    "pdp/compiler/conditions": (
        "tests/compiler/test_terms.py",
        "tests/compiler/test_conditions.py",
        "tests/compiler/test_unfolding.py",
        *_SAID,
    ),
    "pdp/compiler/conflicts": (
        "tests/compiler/test_conflicts.py",
        "tests/compiler/test_meetings.py",
        *_SAID,
    ),
    "pdp/compiler/declarations": (*_SAID, *_MEANT),
    "pdp/compiler/doubts": ("tests/compiler/test_doubts.py", *_SAID, *_MEANT),
    "pdp/compiler/delegation": ("tests/compiler/test_delegation.py", *_SAID),
    "pdp/compiler/details": (*_MEANT, "tests/engine/test_explained_parts.py", *_SAID),
    "pdp/compiler/environment": ("tests/compiler/test_unfolding.py", *_SAID, *_MEANT),
    "pdp/compiler/file_checks": (*_SAID, *_MEANT),
    "pdp/compiler/heads": (*_SAID, *_MEANT),
    "pdp/compiler/letter_case": (
        "tests/compiler/test_any_case.py",
        "tests/compiler/test_any_case_told.py",
        *_SAID,
    ),
    "pdp/compiler/lower": (
        *_MEANT,
        "tests/compiler/test_unfolding.py",
        *_SAID,
        "tests/engine/test_explained_parts.py",
    ),
    "pdp/compiler/matchers": ("tests/compiler/test_matchers.py", "tests/compiler/test_lowering.py"),
    "pdp/compiler/meetings": (
        "tests/compiler/test_meetings.py",
        "tests/compiler/test_conflicts.py",
        *_SAID,
    ),
    "pdp/compiler/overlap": (
        "tests/compiler/test_overlap.py",
        "tests/compiler/test_conflicts.py",
        *_SAID,
    ),
    "pdp/compiler/resolve": (*_MEANT, *_SAID),
    "pdp/compiler/rows": (*_MEANT, "tests/engine", *_SAID),
    "pdp/compiler/unfolding": ("tests/compiler/test_unfolding.py", *_SAID),
    "pdp/compiler/units": (*_MEANT, "tests/engine", *_SAID),
    "pdp/compiler/tables": ("tests/compiler/test_tables.py", *_SAID, *_MEANT),
    "pdp/compiler/windows": ("tests/compiler/test_windows.py",),
    "pdp/identity": (
        "tests/identity/test_x509.py",
        "tests/identity/test_chain.py",
        "tests/identity/test_x509_fuzz.py",
    ),
    "pdp/identity/quarantine": (
        "tests/identity/test_quarantine.py",
        "tests/service/test_quarantined.py",
        "tests/identity/test_explained_quarantine.py",
    ),
    "pdp/identity/federation": (
        "tests/identity/test_bundle_document.py",
        "tests/identity/test_bundle_endpoint.py",
        "tests/identity/test_followed_bundle.py",
    ),
    "pdp/identity/forwarded": (
        "tests/identity/test_structured.py",
        "tests/identity/test_forwarded.py",
        "tests/identity/test_forwarded_forms.py",
        "tests/identity/test_explained_forwarded.py",
        "tests/identity/test_xfcc.py",
        "tests/identity/test_explained.py",
    ),
    "pdp/identity/tokens": (
        "tests/identity/test_token_claims.py",
        "tests/identity/test_jwk_edges.py",
        "tests/identity/test_jws.py",
        "tests/identity/test_jwks.py",
        "tests/identity/test_jwt.py",
        "tests/identity/test_remote_keys.py",
        "tests/identity/test_explained_token.py",
        "tests/corpus/test_tokens.py",
    ),
    "pdp/paths": (
        "tests/leaves/test_methods.py",
        "tests/leaves/test_paths_corpus.py",
        "tests/leaves/test_paths.py",
    ),
}
_QUICK = ("pdp/engine", "pdp/index", "pdp/compiler")  # where agreement with the oracle says something
_TOLD = (  # and where it does not: what is only told, or only refused
    *_EXPLAINING,
    "pdp/compiler/cases",
    "pdp/compiler/checks",
    "pdp/compiler/circles",
    "pdp/compiler/conflicts",
    "pdp/compiler/declarations",
    "pdp/compiler/delegation",
    "pdp/compiler/doubts",
    "pdp/compiler/environment",
    "pdp/compiler/file_checks",
    "pdp/compiler/heads",
    "pdp/compiler/letter_case",
    "pdp/compiler/meetings",
    "pdp/compiler/overlap",
    "pdp/compiler/tables",
    "pdp/compiler/unfolding",
)
_COPIED = ("pdp", "tests", "grammar", "policies", "docs", "pyproject.toml")
_MEMORY = 12 << 30  # bytes of address space: a mutant that grows without end must not hurt the machine
_OPTIONS = (
    "-x",
    "-q",
    "--assert=plain",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:xdist",
    "-p",
    "no:cov",
    "--hypothesis-seed=0",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mutant: `killed_by` is empty if it survived."""

    mutant: Mutant
    killed_by: str
    seconds: float


def main() -> int:
    """Mutate, report, compare."""
    options = _options()
    if options.worker:
        return _work(Path(options.worker))
    os.nice(10)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the copies are removed
    revision = options.revision and _git("rev-parse", options.revision).strip()
    mutants = [
        mutant for file in _files(options.paths) for mutant in mutants_of(file, _source(file, revision))
    ]
    if options.again:
        lines = map(json.loads, Path(options.again).read_text(encoding="utf-8").splitlines())
        survivors = {tuple(line["key"]) for line in lines if not line["killed_by"]}
        mutants = [mutant for mutant in mutants if mutant.key in survivors]
    with Path(options.results or os.devnull).open("w", encoding="utf-8") as results:
        return _report(_run(mutants, options.jobs, revision, results))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "paths", nargs="*", default=list(TARGETS), help="files or folders, relative to the repository"
    )
    parser.add_argument("--jobs", type=int, default=2, help="how many mutants at a time (2)")
    parser.add_argument("--revision", help="mutate this commit instead of the working tree")
    parser.add_argument("--results", help="write one JSON line a mutant to this file")
    parser.add_argument("--again", help="only the survivors of this earlier `--results`")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def _files(paths: list[str]) -> list[str]:
    found = []
    for path in map(Path, paths):
        inside = sorted((ROOT / path).rglob("*.py")) if (ROOT / path).is_dir() else [ROOT / path]
        found += [file.relative_to(ROOT).as_posix() for file in inside if file.name != "__init__.py"]
    return found


def _source(file: str, revision: str | None) -> str:
    if revision is None:
        return (ROOT / file).read_text(encoding="utf-8")
    return _git("show", f"{revision}:{file}")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True)
    return done.stdout.decode()


# -- the jobs ------------------------------------------------------------------------------


def _run(mutants: list[Mutant], jobs: int, revision: str | None, results: TextIO) -> list[Outcome]:
    """All outcomes, in the order of the mutants; a progress line on standard error."""
    done: list[Outcome] = []
    started = time.monotonic()
    here = threading.local()
    with tempfile.TemporaryDirectory(prefix="pdp-mutation-") as folder:
        workers: list[subprocess.Popen[str]] = []

        def begin() -> None:
            place = Path(folder) / str(len(workers))
            workers.append(_worker(place, revision))
            here.worker = workers[-1]

        def one(mutant: Mutant) -> Outcome:
            task = {"file": mutant.file, "text": mutant.text}
            answer = _ask(here.worker, task)
            outcome = Outcome(mutant, answer["killed_by"], answer["seconds"])
            done.append(outcome)
            said = {
                "killed_by": outcome.killed_by,
                "seconds": outcome.seconds,
                "key": mutant.key,
                "at": mutant.number,
            }
            print(json.dumps(said), file=results, flush=True)
            survived = sum(not outcome.killed_by for outcome in done)
            line = f"{len(done)}/{len(mutants)} mutants, {survived} alive, {time.monotonic() - started:.0f} s"
            print(f"\r{line}", end="", file=sys.stderr, flush=True)
            return outcome

        lock = threading.Lock()

        def begin_alone() -> None:
            with lock:
                begin()

        try:
            with ThreadPoolExecutor(jobs, initializer=begin_alone) as pool:
                return list(pool.map(one, mutants))
        finally:
            print(file=sys.stderr)
            for worker in workers:
                worker.kill()
                worker.wait()


def _ask(worker: subprocess.Popen[str], task: dict[str, str]) -> dict:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps(task) + "\n")
    worker.stdin.flush()
    line = worker.stdout.readline()
    if not line:
        raise SystemExit("a job ended: see above")
    return json.loads(line)


def _worker(place: Path, revision: str | None) -> subprocess.Popen[str]:
    place.mkdir()
    _copy(place, revision)
    environment = {**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(place / "tests" / "mutation" / "mutate.py"), "--worker", str(place)]
    return subprocess.Popen(
        command, cwd=place, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _copy(place: Path, revision: str | None) -> None:
    left_out = shutil.ignore_patterns("__pycache__", ".hypothesis")
    if revision is None:
        for name in _COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, place / name, ignore=left_out)
            else:
                shutil.copy2(ROOT / name, place / name)
        return
    archive = subprocess.Popen(["git", "archive", revision, *_COPIED], cwd=ROOT, stdout=subprocess.PIPE)
    with tarfile.open(fileobj=archive.stdout, mode="r|") as tar:
        tar.extractall(place, filter="data")
    archive.wait()
    untracked = _git("ls-files", "--others", "--exclude-standard", "tests").splitlines()
    for name in untracked:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place / name)
    shutil.copytree(
        ROOT / "tests" / "mutation", place / "tests" / "mutation", ignore=left_out, dirs_exist_ok=True
    )


# -- one job -------------------------------------------------------------------------------


def _work(place: Path) -> int:
    """Mutants from standard input, outcomes to standard output."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    quiet = os.open(os.devnull, os.O_RDWR)
    os.dup2(quiet, 1)
    sys.path[:0] = [str(place)]
    import hypothesis  # noqa: F401, PLC0415 -- loaded before the forks, since that takes longest
    import pytest  # noqa: F401, PLC0415 -- the same
    from cryptography.x509 import verification  # noqa: F401, PLC0415 -- the same

    from pdp.diagnostics import Source  # noqa: PLC0415 -- from the copy
    from pdp.lang.parser import parse  # noqa: PLC0415 -- the same
    from tests.mutation import quick  # noqa: PLC0415 -- the same

    parse(Source(path="", text="language 1"))  # so that the grammar is read once
    cases = quick.make_cases()
    limits: dict[str, float] = {}
    for line in sys.stdin:
        task = json.loads(line)
        file = task["file"]
        folder = _folder(file)
        if folder not in limits:
            name, seconds = _fork(file, cases, 600)
            if name:
                print(f"\nwithout any change, {name} fails for {file}", file=sys.stderr)
                return 1
            limits[folder] = 10 + 3 * seconds
        original = (place / file).read_bytes()
        (place / file).write_text(task["text"], encoding="utf-8")
        try:
            name, seconds = _fork(file, cases, limits[folder])
        finally:
            (place / file).write_bytes(original)
        print(json.dumps({"killed_by": name, "seconds": seconds}), file=answers, flush=True)
    return 0


def _folder(file: str) -> str:
    return max((name for name in TESTS if file.startswith(name)), key=len)


def _fork(file: str, cases: list, seconds: float) -> tuple[str, float]:
    """What noticed the file as it now is, and how long that took."""
    started = time.monotonic()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        if not os.environ.get("MUTATION_SHOW"):
            os.dup2(1, 2)
        name = _check(file, cases, writing)
        os.write(writing, f"={name}".encode())
        os._exit(0)
    os.close(writing)
    while time.monotonic() - started < seconds:
        if os.waitpid(pid, os.WNOHANG)[0]:
            break
        time.sleep(0.01)
    else:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    said = os.read(reading, 4096).decode()
    os.close(reading)
    stages, ended, name = said.partition("=")
    last = stages.rpartition(" ")[2]
    return (name if ended else f"{last} (no end)"), time.monotonic() - started


def _check(file: str, cases: list, writing: int) -> str:
    """The first check that fails, or nothing."""
    module = file.removesuffix(".py").replace("/", ".")
    if file.startswith(_QUICK) and not file.startswith(_TOLD):
        if module in sys.modules:
            raise SystemExit(f"{module} is loaded before it is mutated")
        os.write(writing, b" agreement")
        from tests.mutation import quick  # noqa: PLC0415 -- from the copy

        try:
            if not quick.agrees(cases):
                return "agreement"
        except Exception:  # noqa: BLE001 -- whatever a mutant does
            return "agreement"
    elif module in sys.modules:
        for name in [name for name in sys.modules if name.partition(".")[0] in {"pdp", "tests"}]:
            del sys.modules[name]
    import pytest  # noqa: PLC0415 -- loaded already

    for tests in TESTS[_folder(file)]:
        os.write(writing, f" {tests}".encode())
        if pytest.main([*_OPTIONS, tests]) != 0:
            return tests
    return ""


# -- the report ----------------------------------------------------------------------------


def _report(outcomes: list[Outcome]) -> int:
    listed = {
        (entry["file"], entry["function"], entry["line"], change)
        for entry in tomllib.loads(
            (ROOT / "tests" / "mutation" / "survivors.toml").read_text(encoding="utf-8")
        )["survivor"]
        for change in entry["changes"]
    }
    alive = [outcome.mutant for outcome in outcomes if not outcome.killed_by]
    stale = {outcome.mutant.key for outcome in outcomes if outcome.killed_by} & listed
    stale -= {mutant.key for mutant in alive}  # the same change of an equal line elsewhere in the function
    unlisted = [mutant for mutant in alive if mutant.key not in listed]
    for mutant in unlisted:
        print(f"{mutant.file}:{mutant.number} {mutant.function}\n    {mutant.line}\n    {mutant.change}")
    for key in sorted(stale):
        print("killed, though listed as a survivor:", *key, sep="\n    ")
    by_file: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        counts = by_file.setdefault(outcome.mutant.file, Counter())
        counts["alive" if not outcome.killed_by else "killed"] += 1
    for file, counts in by_file.items():
        print(f"{file}: {counts['killed']} killed, {counts['alive']} alive")
    killed = len(outcomes) - len(alive)
    print(
        f"{len(outcomes)} mutants, {killed} killed, "
        f"{len(alive) - len(unlisted)} listed as survivors, {len(unlisted)} not listed"
    )
    return 1 if unlisted or stale else 0


if __name__ == "__main__":
    sys.exit(main())
