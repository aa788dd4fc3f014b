"""What each cache of the service gains: the same work with it and without it, by turns, in one process.

.venv/bin/python -m loadtests.bench.caches [--rounds 9] [--json]

A cache of single calls is asked what it holds; without it, the function behind it is. A cache that helps to
load policies is taken out of the modules that use it, and a set is loaded and looked at as `pdp check` does.
Evidence is in `identity.py`, an edited file in `reload.py`, and an answer as a whole in `one_request.py`.
"""

# ruff: noqa: SLF001 -- what is measured is kept where nobody else looks

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding

from loadtests.bench.workers import many_files
from pdp.adapters import identities, strict_json
from pdp.adapters.schemas import Question
from pdp.compiler import attributes, comparisons, letter_case, overlap, windows
from pdp.identity import certificates
from pdp.lang.ast import nodes
from pdp.lang.patterns import segments
from pdp.service.decision_service import DecisionService
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from tests.docs.application import ERRORS, WEB, caller, service
from tests.docs.sets import NOW
from tests.identity.mint import authority

CALLS: Final = 2000
FILES, RULES = 200, 5000
Work = Callable[[], object]


def single_calls() -> dict[str, tuple[Work, Work]]:
    """By cache, a call with it and one without it."""
    served, asking = service(ERRORS), caller()
    header = "text/html, application/xhtml+xml, application/xml;q=0.9, image/avif, */*;q=0.8"
    der = authority("root").certificate.public_bytes(Encoding.DER)
    times = (0, 1, 2, 3, 4), 540, 1020, "Europe/Berlin"
    window = windows.WeekWindow(*times)
    return {
        "identities": _of(identities._spiffe, "principal", WEB),
        "address()": _of(attributes.address, "2001:db8::1f"),
        "parts of a header": _of(comparisons._parts, header),
        "handshake_fault()": _of(certificates._is_loaded, der),
        "a decoder": _of(strict_json._decoder, Question),
        "what of a node is compared": _of(nodes._meaning, segments.ast.LiteralSegment),
        "a window of the week": (lambda: window.holds(NOW), lambda: windows.WeekWindow(*times).holds(NOW)),
        "time zones": _of(windows._zone, "Europe/Berlin"),
        "rights()": (
            lambda: served.rights(asking, served.versions.current, NOW),
            lambda: _rights_anew(served, asking),
        ),
    }


def _of(cached: Any, *arguments: object) -> tuple[Work, Work]:
    return (lambda: cached(*arguments)), (lambda: cached.__wrapped__(*arguments))


def _rights_anew(served: DecisionService, asking: Any) -> object:
    served._rights.clear()
    return served.rights(asking, served.versions.current, NOW)


def any_case() -> dict[str, str]:
    """The same set, for services that tell no capitals."""
    relaxed = " {\n    paths may have any-case\n"
    return {name: text.replace(" {\n", relaxed) for name, text in many_files(FILES, RULES).items()}


def disputing(groups: int = 20, members: int = 300, paths: int = 60) -> dict[str, str]:
    """Groups that share no member, and rules that demand another thing of a header for each."""
    named = range(groups)
    lists = [", ".join(f"prod/ns/n{group}/sa/w{member}" for member in range(members)) for group in named]
    rules = [
        f'    allow g{group} to GET /p{path}/** set header x-role = "r{group}"\n'
        for path in range(paths)
        for group in named
    ]
    said = "".join(f"group g{group} = {{ {lists[group]} }}\n" for group in named)
    head = 'language 1\ntrust domain prod = "prod.example.org"\n'
    return {"a.policy": f"{head}{said}service s {{\n{''.join(rules)}}}\n"}


#: Caches that help to load a set, and the set.
LOADING: Final = {
    "segments of patterns": (segments._segment, many_files(FILES, RULES)),
    "segments in lower case": (letter_case._lowered, any_case()),
    "principals that overlap": (overlap.principals_overlap, disputing()),
}


@contextmanager
def without(cached: Any) -> Iterator[None]:
    """Have every module of ours use the function itself."""
    places = [
        (module, name)
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("pdp.")
        for name, value in vars(module).items()
        if value is cached
    ]
    for module, name in places:
        setattr(module, name, cached.__wrapped__)
    try:
        yield
    finally:
        for module, name in places:
            setattr(module, name, cached)


def load(texts: dict[str, str]) -> None:
    """Read a set that no cache has seen, and look for what is wrong with it."""
    files = {name: text.encode() for name, text in texts.items()}
    for cached, _ in LOADING.values():
        cached.cache_clear()
    assert Loader().load(make_bundle(files), now=NOW).snapshot is not None


def seconds(work: Work, times: int) -> float:
    """Of one call, the mean of so many."""
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times


def measure(rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds with each cache and without it, in each round."""
    calls = single_calls()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in (*calls, *LOADING)}
    for number in range(1, rounds + 1):
        for name, (with_it, without_it) in calls.items():
            found[name].append((seconds(with_it, CALLS), seconds(without_it, CALLS // 10)))
        for name, (cached, files) in LOADING.items():
            loading = partial(load, files)
            with_it = seconds(loading, 1)
            with without(cached):
                found[name].append((with_it, seconds(loading, 1)))
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    table = {
        name: {
            "with_us": median(one for one, _ in rounds) * 1e6,
            "without_us": median(other for _, other in rounds) * 1e6,
            "gain": median(other / one for one, other in rounds),
        }
        for name, rounds in measure(options.rounds).items()
    }
    if options.json:
        print(json.dumps(table))
        return
    print("| cache | with it us | without us | without / with |")
    print("|---" * 4 + "|")
    for name, row in table.items():
        print(f"| {name} | {row['with_us']:.2f} | {row['without_us']:.2f} | {row['gain']:.2f} |")


if __name__ == "__main__":
    main()
