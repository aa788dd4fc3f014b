"""`/metrics`: the counts as Prometheus reads them."""

from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families

from pdp.adapters.metrics_page import MetricsPage
from pdp.audit.counts import DECIDED, FAILED, LOGGED, LOST, REFUSED, SAMPLED_OUT
from pdp.audit.decision_log import DecisionLog
from pdp.audit.log_mode import LogMode
from pdp.audit.record import Recorder
from pdp.audit.sinks import StreamSink
from pdp.counters import Counters
from pdp.identity.quarantine.file import make_entry
from pdp.identity.quarantine.lists import NOBODY, Quarantine
from pdp.service.counts import TOKEN_OUTCOMES
from pdp.service.decision_service import DecisionService
from pdp.service.metrics import Metrics
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.publish import Publisher
from pdp.vocabulary import Decision, Effect, Reason
from tests.engine.asking import NOW

ALLOW = Decision(Effect.ALLOW, Reason.ALLOWED, True, (), None, None, (), None)
OBSERVED = Decision(Effect.ALLOW, Reason.OBSERVED, False, (), None, None, (), None)
DENY = Decision(Effect.DENY, Reason.DENIED_BY_RULE, True, (), None, None, (), None)


def publisher() -> Publisher:
    loader = Loader()
    loaded = loader.load(
        make_bundle({"a.policy": b"language 1\nservice s { allow anyone to GET /x }\n"}), now=NOW
    )
    assert loaded.snapshot is not None
    return Publisher(loader, loaded.snapshot, on_event=lambda _: None, now=NOW)


def values(
    metrics: Metrics,
    log: DecisionLog | None = None,
    expiries: Iterable[tuple[str, int]] = (),
    quarantine: Quarantine = NOBODY,
) -> dict[str, float]:
    service = DecisionService(
        publisher(), clock=lambda: NOW + 2500, metrics=metrics, log=log, quarantine=lambda: quarantine
    )
    service.admission.enter("a", 3)
    page = MetricsPage(service, readers=frozenset(), expiries=lambda: expiries).render()
    found = {}
    for family in text_string_to_metric_families(page.decode()):
        assert family.documentation, family.name
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_decisions_have_service_decision_and_reason() -> None:
    metrics = Metrics()
    for decision in (ALLOW, ALLOW, DENY, OBSERVED):
        metrics.decided("s", decision, 20_000)

    found = values(metrics)

    assert found["pdp_decisions_total{decision=allow,reason=allowed,service=s}"] == 2
    assert found["pdp_decisions_total{decision=allow,reason=observed,service=s}"] == 1
    assert found["pdp_decisions_total{decision=deny,reason=denied_by_rule,service=s}"] == 1
    assert found["pdp_observed_total{service=s}"] == 1
    assert found["pdp_decision_seconds_count{}"] == 4
    assert found["pdp_decision_seconds_bucket{le=1e-05}"] == 0
    assert found["pdp_decision_seconds_bucket{le=2.5e-05}"] == 4
    assert found["pdp_decision_seconds_bucket{le=+Inf}"] == 4
    assert abs(found["pdp_decision_seconds_sum{}"] - 8e-5) < 1e-12


def test_entries_of_the_quarantine_that_hold() -> None:
    named = {"why": "x", "who": "ops", "since": NOW - 9000}
    entries = [make_entry({"dns": f"h{n}.example.org"}, until=NOW + n * 1000, **named) for n in range(1, 6)]

    assert values(Metrics(), quarantine=Quarantine(tuple(entries)))["pdp_quarantine_entries{}"] == 3
    assert values(Metrics())["pdp_quarantine_entries{}"] == 0


def test_the_version_and_its_age() -> None:
    metrics = Metrics()
    metrics.reloaded("rejected")

    found = values(metrics)

    assert found["pdp_policy_age_seconds{}"] == 2.5
    assert found["pdp_policy_rules{}"] == 1
    assert found["pdp_policy_number{}"] == 1
    assert found["pdp_reloads_total{outcome=rejected}"] == 1
    assert sum(name.startswith("pdp_policy_info{revision=") for name in found) == 1


def test_certificates_and_when_they_end() -> None:
    found = values(Metrics(), expiries=[("server", 1_800_000_000_000)])

    assert found["pdp_certificate_expiry_timestamp_seconds{certificate=server}"] == 1_800_000_000


def test_files_that_are_renewed_or_refused() -> None:
    metrics = Metrics()
    metrics.renewed("trust")
    metrics.renewal_refused("trust", refused=False)
    metrics.renewal_refused("certificate", refused=True)

    found = values(metrics)

    assert found["pdp_renewals_total{files=trust,outcome=accepted}"] == 1
    assert found["pdp_renewals_total{files=trust,outcome=rejected}"] == 0
    assert found["pdp_renewals_total{files=certificate,outcome=accepted}"] == 0
    assert found["pdp_renewals_total{files=certificate,outcome=rejected}"] == 1
    assert found["pdp_renewal_refused{files=trust}"] == 0
    assert found["pdp_renewal_refused{files=certificate}"] == 1


def test_what_those_who_administer_are_verified_by_ends_where_there_is_such() -> None:
    metrics = Metrics()
    metrics.admin_ends("root of those who administer", 1_800_000_000_500)
    metrics.admin_ends("crl of those who administer", None)

    ends = {name: at for name, at in values(metrics).items() if "those who administer" in name}

    assert ends == {
        "pdp_certificate_expiry_timestamp_seconds{certificate=root of those who administer}": 1_800_000_000.5
    }


def test_tokens_that_clusters_were_asked_about() -> None:
    metrics = Metrics()
    metrics.reviewed("failed")

    found = values(metrics)

    outcomes = ("accepted", "rejected", "failed")
    assert [found[f"pdp_token_reviews_total{{outcome={each}}}"] for each in outcomes] == [0, 0, 1]


def test_the_decision_log_adds_up() -> None:
    counters = Counters()
    log = DecisionLog(StreamSink(1), Recorder(b"k"), mode=LogMode.DROP, counters=counters)
    for name, count in {DECIDED: 20, LOGGED: 6, FAILED: 1, REFUSED: 3, LOST: 2, SAMPLED_OUT: 5}.items():
        counters.values[counters.cell(*name)] = count
    found = values(Metrics(counters), log)
    log.close()

    assert found["pdp_log_decided_total{}"] == 20
    assert found["pdp_log_entries_total{outcome=logged}"] == 6
    assert found["pdp_log_entries_total{outcome=dropped}"] == 6
    assert found["pdp_log_entries_total{outcome=sampled_out}"] == 5
    assert found["pdp_log_queue{}"] == 3


def test_what_was_turned_away_or_refused() -> None:
    metrics = Metrics()
    metrics.question_shed("rate")
    metrics.question_refused("bad_json")

    found = values(metrics)

    assert found["pdp_questions_shed_total{why=rate}"] == 1
    assert found["pdp_questions_refused_total{code=bad_json}"] == 1
    assert found["pdp_questions_in_flight{}"] == 3


def test_tokens_by_what_became_of_them() -> None:
    metrics = Metrics()
    metrics.token_looked_at("cached")

    found = values(metrics)

    counts = {
        outcome: found[f"pdp_token_verifications_total{{outcome={outcome}}}"] for outcome in TOKEN_OUTCOMES
    }
    assert counts == {"cached": 1, "verified": 0, "refused": 0}
