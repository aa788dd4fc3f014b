"""`GET /metrics`: the counts in the text format of Prometheus, by its own library.

Names and labels are documented in `docs/operations.md`. Labels come from known sets: services that a
policy set declares, reasons and codes of ours.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pdp import __version__
from pdp.audit.counts import LogCounts
from pdp.service.counts import LATENCY_SECONDS, Counts
from pdp.service.decision_service import DecisionService
from pdp.vocabulary import Effect, Millis, Reason

__all__ = ["MetricsPage"]

_ALLOWING: Final = frozenset({Reason.ALLOWED.value, Reason.OBSERVED.value})


@final
class MetricsPage:
    """Renders what the parts of the service count.

    Attributes:
        readers: Ids of the callers that may read it. One reference, replaced whole.
    """

    def __init__(
        self,
        service: DecisionService,
        *,
        readers: frozenset[str],
        expiries: Callable[[], Iterable[tuple[str, Millis]]] = tuple,
    ) -> None:
        """A page over what a service counts.

        Args:
            service: The service.
            readers: Ids of the callers that may read it.
            expiries: Certificates by name, and when they end.
        """
        self.readers = readers
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collected(service, expiries))

    def render(self) -> bytes:
        """The page."""
        return generate_latest(self._registry)


@final
class _Collected(Collector):
    def __init__(
        self, service: DecisionService, expiries: Callable[[], Iterable[tuple[str, Millis]]]
    ) -> None:
        self._service = service
        self._versions = service.versions
        self._expiries = expiries

    def collect(self) -> Iterator[Metric]:
        """Every family, under the names that `docs/operations.md` documents."""
        metrics = self._service.metrics
        metrics.answering(self._service.admission.in_flight)
        counts = metrics.counts()
        yield from _decisions(counts)
        yield from _questions(counts)
        yield from self._policy(counts)
        yield from self._certificates(counts)
        if self._service.log is not None:
            yield from _log(counts.log)

    def _policy(self, counts: Counts) -> Iterator[Metric]:
        published = self._versions.current
        age = max(0, self._service.now() - self._versions.confirmed_at) / 1000
        revision = GaugeMetricFamily("pdp_policy_info", "The version that is served.", labels=["revision"])
        revision.add_metric([published.snapshot.revision], 1)
        yield revision
        yield GaugeMetricFamily("pdp_policy_number", "How many versions were published.", published.number)
        yield GaugeMetricFamily("pdp_policy_rules", "Rules of the version.", published.snapshot.rules)
        yield GaugeMetricFamily("pdp_policy_age_seconds", "Since the source last confirmed the version.", age)
        yield _labelled("pdp_reloads", "Versions offered.", "outcome", counts.reloads)
        yield _labelled("pdp_settings_reloads", "Settings read again.", "outcome", counts.settings)
        held = sum(self._service.now() < entry.ends for entry in self._service.quarantine.entries)
        yield GaugeMetricFamily("pdp_quarantine_entries", "Entries of the quarantine that hold.", held)
        build = GaugeMetricFamily("pdp_build_info", "The software.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build

    def _certificates(self, counts: Counts) -> Iterator[Metric]:
        renewals = CounterMetricFamily(
            "pdp_renewals", "New content of files, and of bundles that are told.", labels=["files", "outcome"]
        )
        for (files, outcome), count in counts.renewals.items():
            renewals.add_metric([files, outcome], count)
        yield renewals
        refused = GaugeMetricFamily(
            "pdp_renewal_refused",
            "Whether what lies in the files, or is told, is not in force.",
            labels=["files"],
        )
        for files, is_refused in counts.refused_files.items():
            refused.add_metric([files], is_refused)
        yield refused
        found = GaugeMetricFamily(
            "pdp_certificate_expiry_timestamp_seconds", "When a certificate ends.", labels=["certificate"]
        )
        for name, not_after in (*self._expiries(), *counts.admin_ends.items()):
            found.add_metric([name], not_after / 1000)
        yield found


def _decisions(counts: Counts) -> Iterator[Metric]:
    decisions = CounterMetricFamily(
        "pdp_decisions", "Decisions made.", labels=["service", "decision", "reason"]
    )
    for (service, reason), count in counts.decisions.items():
        effect = Effect.ALLOW if reason in _ALLOWING else Effect.DENY
        decisions.add_metric([service, effect.value, reason], count)
    yield decisions
    yield _labelled(
        "pdp_observed", "Requests let pass by an observed service though no rule allows them.",
        "service", counts.observed,
    )  # fmt: skip
    yield _labelled(
        "pdp_shadow_disagreements", "Decisions that shadow rules would have changed.",
        "service", counts.shadowed,
    )  # fmt: skip
    total, buckets = 0, []
    for bound, count in zip((*map(str, LATENCY_SECONDS), "+Inf"), counts.latency, strict=True):
        total += count
        buckets.append((bound, float(total)))
    yield CounterMetricFamily(
        "pdp_answers_remembered", "Answers given from what was remembered of the question.", counts.remembered
    )
    yield CounterMetricFamily(
        "pdp_answers_reused", "Answers that clients say they used again.", counts.reused
    )
    latency = HistogramMetricFamily("pdp_decision_seconds", "Time to check and decide a question.")
    latency.add_metric([], buckets, counts.latency_ns / 1e9)
    yield latency


def _questions(counts: Counts) -> Iterator[Metric]:
    yield _labelled("pdp_questions_refused", "Questions without a decision.", "code", counts.refused)
    yield _labelled("pdp_questions_shed", "Questions turned away under load.", "why", counts.shed)
    yield _labelled("pdp_token_reviews", "Tokens that clusters were asked about.", "outcome", counts.reviews)
    yield _labelled("pdp_token_verifications", "Tokens looked at.", "outcome", counts.tokens)
    yield GaugeMetricFamily("pdp_questions_in_flight", "Questions being answered.", counts.in_flight)


def _log(counts: LogCounts) -> Iterator[Metric]:
    outcomes = {"logged": counts.logged, "dropped": counts.dropped, "sampled_out": counts.sampled_out}
    yield CounterMetricFamily("pdp_log_decided", "Decisions handed to the decision log.", counts.decided)
    yield _labelled("pdp_log_entries", "What became of them.", "outcome", outcomes)
    reports = {"logged": counts.reports_logged, "dropped": counts.reports_dropped}
    yield _labelled("pdp_log_reuse_reports", "What became of reports of reuse.", "outcome", reports)
    yield GaugeMetricFamily("pdp_log_queue", "Entries that wait to be written.", counts.waiting)


def _labelled(name: str, help_: str, label: str, counts: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, help_, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family
