"""The index and the engine against the reference interpreter: two readings of one definition."""

from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.engine.decide import decide
from pdp.paths import method_problem
from pdp.vocabulary import Reason
from tests.property.compiled import compile_files, contains, deciding, full_context
from tests.reference import interpreter
from tests.reference.strategies import policy_sets, random_policy_set, random_request, requests

SLOW = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
SETS_PER_SEED = 40
REQUESTS_PER_SET = 40


def reading_of(index, request):
    decision = decide(index, request)
    shadow = (decision.shadow.effect, decision.shadow.reason) if decision.shadow else None
    return (
        decision.effect,
        decision.reason,
        decision.enforced,
        deciding(index, request.service, decision),
        decision.obligations,
        decision.valid_until,
        shadow,
    )


def verdict_of(files, request):
    verdict = interpreter.decide(files, request)
    return (
        verdict.effect,
        verdict.reason,
        verdict.enforced,
        verdict.rules,
        verdict.obligations,
        verdict.valid_until,
        verdict.shadow,
    )


@SLOW
@given(data=st.data(), files=policy_sets())
def test_index_agrees_with_reference(data, files):
    index = compile_files(files)
    for _ in range(5):
        request = data.draw(requests(files))

        assert reading_of(index, request) == verdict_of(files, request)


@pytest.mark.parametrize("seed", range(8))
def test_index_agrees_with_reference_in_bulk(seed):
    rng = Random(seed)
    reasons = set()
    for _ in range(SETS_PER_SEED):
        files = random_policy_set(rng)
        index = compile_files(files)
        for _ in range(REQUESTS_PER_SET):
            request = random_request(rng, files)

            reading = reading_of(index, request)

            assert reading == verdict_of(files, request)
            reasons.add(reading[1])

    assert reasons >= {Reason.ALLOWED, Reason.DENIED_BY_RULE, Reason.NO_RULE_MATCHED, Reason.OBSERVED}


def inside(rng, region, request, pool):
    """Another request in the region, as far as a few tries find one."""
    for _ in range(8):
        other = rng.choice(pool)
        names = rng.sample(["principal", "method", "path", "context", "user"], rng.randint(1, 4))
        candidate = msgspec.structs.replace(request, **{name: getattr(other, name) for name in names})
        if rng.random() < 0.5:
            candidate = msgspec.structs.replace(candidate, path=changed_path(rng, region, candidate.path))
        if contains(region, candidate, full_context(candidate)):
            yield candidate


def changed_path(rng, region, path):
    """The path with some segments exchanged, and more of them behind where the region is open."""
    segments = path[1:].split("/")
    for at in range(len(segments)):
        if rng.random() < 0.5 and segments[at]:
            segments[at] = rng.choice(["a", "b", "ab", "ba", "x.png", "ab.png", "zz", "secret"])
    if region.rest and rng.random() < 0.5:
        segments += rng.choices(["a", "b", "ab", "x.png", "zz"], k=rng.randint(1, 3))
        if rng.random() < 0.2:
            segments.append("")
    if "" in segments[:-1]:
        segments = [segment for segment in segments if segment]
    return "/" + "/".join(segments)


def is_plain(request):
    """Whether a region may be used for a request at all: `docs/caching.md`."""
    overridden = any("method" in name for name in request.context)
    return method_problem(request.method) is None and not overridden


@pytest.mark.parametrize("seed", range(100, 108))
def test_every_request_in_a_region_gets_the_same_answer(seed):
    rng = Random(seed)
    tried = 0
    for _ in range(SETS_PER_SEED):
        files = random_policy_set(rng)
        index = compile_files(files)
        pool = [random_request(rng, files) for _ in range(REQUESTS_PER_SET)]
        for request in pool:
            decision = decide(index, request)
            if decision.region is None or not is_plain(request):
                continue
            assert contains(decision.region, request, full_context(request))
            expected = interpreter.decide(files, request)
            for other in inside(rng, decision.region, request, pool):
                if not is_plain(other):
                    continue
                tried += 1

                verdict = interpreter.decide(files, other)

                got = (verdict.effect, verdict.enforced, verdict.obligations, verdict.valid_until)
                assert got == (
                    expected.effect,
                    expected.enforced,
                    expected.obligations,
                    expected.valid_until,
                ), (
                    decision.region,
                    request,
                    other,
                )
    assert tried > 1000, "too few requests fell into a region: this would pass by testing nothing"
