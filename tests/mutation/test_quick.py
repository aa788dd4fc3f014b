"""The quick look agrees with the code as it is, and notices a region that is wider than its answer."""

import msgspec
import pytest

from pdp.engine import decide as module
from tests.mutation.quick import agrees, make_cases

CASES = make_cases()


def test_code_without_any_change_agrees():
    assert agrees(CASES)


@pytest.mark.parametrize(
    "wider",
    [
        {"principal": None},
        {"method": None},
        {"context": {}},
        {"rest": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_region_that_leaves_free_what_was_read_is_noticed(monkeypatch, wider):
    decide = module.decide

    def with_wider_region(index, request):
        decision = decide(index, request)
        if decision.region is None:
            return decision
        region = msgspec.structs.replace(decision.region, **wider)
        return msgspec.structs.replace(decision, region=region)

    monkeypatch.setattr(module, "decide", with_wider_region)

    assert not agrees(CASES)


def test_a_path_step_that_admits_any_segment_is_noticed(monkeypatch):
    decide = module.decide

    def with_free_steps(index, request):
        decision = decide(index, request)
        if decision.region is None:
            return decision
        region = msgspec.structs.replace(decision.region, path=(None,) * len(decision.region.path))
        return msgspec.structs.replace(decision, region=region)

    monkeypatch.setattr(module, "decide", with_free_steps)

    assert not agrees(CASES)
