"""What it costs the Python client to find an answer that it holds, against the floor.

.venv/bin/python loadtests/bench/region_cache.py [--regions 10000] [--rounds 7]

The floor is that of `pdp bench`: split the path, five look-ups in dictionaries of as many entries as there
are regions, one tuple. Both answer the same questions by turns. Every question lies in a region that is held.
"""

import argparse
import gc
import time
from collections.abc import Callable, Sequence
from random import Random
from statistics import median

from pdp_client import Decision, Question, RegionCache, clock
from pdp_client.region import Excluding, Region

QUESTIONS = 10_000
BUDGET = 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--regions", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    random = Random(1)
    pairs = [region(number) for number in range(options.regions)]
    cache = RegionCache(max_entries=options.regions, clock=lambda: clock.now() * 0.0)
    cache.told("r")
    for number, (asked, found) in enumerate(pairs):
        cache.keep(asked, answer(number, found), *cache.begin())
    held = cache.counts.entries
    drawn = [random.choice(pairs)[0] for _ in range(QUESTIONS)]
    # As they come: nothing of one question is an object of another.
    asked = [Question(**{name: copied(getattr(each, name)) for name in FIELDS}) for each in drawn]
    assert all(cache.find(each) is not None for each in asked), "a question lies in no region that is held"
    gc.collect()
    gc.freeze()
    floor = make_floor(options.regions, asked, random)
    subjects: list[Callable[[Question], object]] = [cache.find, floor]
    rounds = [[timed(subject, asked) for subject in subjects] for _ in range(options.rounds + 1)][1:]
    found_us, found_p99 = (median(each[0][at] for each in rounds) / 1000 for at in (0, 1))
    floor_us = median(each[1][0] for each in rounds) / 1000
    print("regions  found us  p99 us  floor us  found/floor  p99/floor")
    print(
        f"{held:7} {found_us:9.2f} {found_p99:7.2f} {floor_us:9.2f}"
        f" {found_us / floor_us:12.2f} {found_p99 / floor_us:10.2f}"
    )
    print(f"the budget is {BUDGET:g} times the floor: {'met' if found_us <= BUDGET * floor_us else 'MISSED'}")


FIELDS = ("principal", "method", "path", "service", "context")


def region(number: int) -> tuple[Question, Region]:
    """One of a hundred services' regions, of the kinds that policies make, and a question in it."""
    service, principal = f"s{number % 100}", f"spiffe://prod.example.org/ns/n{number % 7}/sa/a{number // 100}"
    context, name = {"source.ip": "10.0.0.1", "header.x-a": ["b"]}, f"r{number}"
    fixed = {"service": service, "principal": principal, "method": "GET"}
    match number // 100 % 4:
        case 0:
            path, found = f"/v1/{name}", Region(**fixed, path=("v1", name), rest=False, context={})
        case 1:
            steps = ("v1", name, Excluding(("export", "locked")))
            path, found = f"/v1/{name}/41", Region(**fixed, path=steps, rest=False, context={})
        case 2:
            path = f"/v1/teams/{name}/members/41"
            found = Region(**fixed, path=("v1", "teams", name), rest=True, context={})
        case _:
            pinned = {"source.ip": "10.0.0.1"}
            path = f"/v1/reports/{name}"
            found = Region(**fixed, path=("v1", "reports", name), rest=False, context=pinned)
    return Question(principal=principal, service=service, method="GET", path=path, context=context), found


def answer(number: int, found: Region) -> Decision:
    return Decision(
        effect="allow",
        reason="allowed",
        enforced=True,
        obligations=(),
        decision_id=f"{number:026}",
        revision="r",
        age_seconds=0,
        region=found,
        max_age_ms=5000,
        counted=True,
    )


def copied(value: object) -> object:
    return "".join([value[:1], value[1:]]) if isinstance(value, str) else dict(value)  # type: ignore[call-overload]


def make_floor(entries: int, asked: Sequence[Question], random: Random) -> Callable[[Question], object]:
    a, b, c, d, e = ({f"{table}/key{i}": i for i in range(entries)} for table in range(5))
    keys = {
        id(each): tuple(f"{table}/key{random.randrange(entries)}" for table in range(5)) for each in asked
    }

    def run(question: Question) -> object:
        p, q, r, s, t = keys[id(question)]
        question.path.split("/")
        return a.get(p), b.get(q), c.get(r), d.get(s), e.get(t)

    return run


def timed(run: Callable[[Question], object], asked: Sequence[Question]) -> tuple[int, int]:
    """Median and 99th percentile in nanoseconds."""
    now, times = time.perf_counter_ns, []
    for question in asked:
        began = now()
        run(question)
        times.append(now() - began)
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100]


if __name__ == "__main__":
    main()
