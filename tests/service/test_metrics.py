"""What is counted, and that labels are bounded."""

import pytest

from pdp.counters import Counters
from pdp.service import metrics as module
from pdp.service.counts import FILES, LATENCY_SECONDS
from pdp.service.metrics import OTHER, Metrics
from pdp.vocabulary import Decision, Effect, Reason, ShadowOutcome

ALLOW = Decision(Effect.ALLOW, Reason.ALLOWED, True, (), None, None, (), None)
DENY = Decision(Effect.DENY, Reason.NO_RULE_MATCHED, True, (), None, None, (), None)
OBSERVED = Decision(Effect.ALLOW, Reason.OBSERVED, False, (), None, None, (), None)
SHADOWED = Decision(
    Effect.ALLOW,
    Reason.ALLOWED,
    True,
    (),
    None,
    None,
    (),
    ShadowOutcome(Effect.DENY, Reason.DENIED_BY_RULE, ()),
)


def test_decisions_are_counted_by_service_and_reason() -> None:
    metrics = Metrics()

    for decision in (ALLOW, ALLOW, DENY, OBSERVED, SHADOWED):
        metrics.decided("orders", decision, 1)
    metrics.decided("users", DENY, 1)

    assert metrics.counts().decisions == {
        ("orders", "allowed"): 3,
        ("orders", "no_rule_matched"): 1,
        ("orders", "observed"): 1,
        ("users", "no_rule_matched"): 1,
    }
    assert metrics.counts().observed == {"orders": 1}
    assert metrics.counts().shadowed == {"orders": 1}


@pytest.mark.parametrize(
    ("took_ns", "bucket"),
    [
        (0, 0),
        (10_000, 0),
        (10_001, 1),
        (1_000_000_000, len(LATENCY_SECONDS) - 1),
        (10**10, len(LATENCY_SECONDS)),
    ],
)
def test_a_decision_falls_into_the_bucket_whose_bound_it_does_not_pass(took_ns: int, bucket: int) -> None:
    metrics = Metrics()

    metrics.decided("orders", ALLOW, took_ns)

    assert metrics.counts().latency[bucket] == 1 == sum(metrics.counts().latency)
    assert metrics.counts().latency_ns == took_ns


def test_beyond_a_bound_services_share_a_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_METRIC_LABELS", 2)
    metrics = Metrics()

    for service in ("a", "b", "c", "d", "a"):
        metrics.decided(service, SHADOWED, 1)

    assert metrics.counts().decisions == {("a", "allowed"): 2, ("b", "allowed"): 1, (OTHER, "allowed"): 2}
    assert metrics.counts().shadowed == {"a": 2, "b": 1, OTHER: 2}


def test_what_other_threads_count_has_its_cell_from_the_beginning() -> None:
    """Two threads that make cells at once would write both names to one place."""
    counters = Counters()
    metrics = Metrics(counters)
    before = counters.read()

    for outcome in ("accepted", "rejected", "unchanged"):
        metrics.reloaded(outcome)
    for outcome in ("accepted", "rejected"):
        metrics.settings_read(outcome)
    for files in FILES:
        metrics.renewed(files)
        metrics.renewal_refused(files, refused=True)

    assert counters.read().keys() == before.keys()
    assert sum(counters.read().values()) == sum(before.values()) + 5 + 3 * len(FILES)


def test_what_was_not_decided_is_counted_by_why() -> None:
    metrics = Metrics()

    metrics.question_refused("bad_json")
    metrics.question_refused("bad_json")
    metrics.question_shed("rate")
    metrics.reloaded("rejected")
    metrics.settings_read("accepted")

    assert metrics.counts().settings == {"accepted": 1, "rejected": 0}
    assert metrics.counts().refused == {"bad_json": 2}
    assert metrics.counts().shed == {"rate": 1}
    assert metrics.counts().reloads == {"accepted": 0, "rejected": 1, "unchanged": 0}


def test_what_clients_say_they_used_again_never_overflows_its_cell() -> None:
    metrics = Metrics()
    metrics.reused(2**64 - 2)
    metrics.reused(1_000_000_000)
    metrics.reused(2**64)
    assert metrics.counts().reused == 2**64 - 1
