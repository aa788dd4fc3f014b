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
from pdp.audit.decision_log import DecisionLog
from pdp.service.decision_service import DecisionService
from pdp.service.metrics import LATENCY_SECONDS
from pdp.vocabulary import Effect, Millis, Reason

__all__ = ["MetricsPage"]

_ALLOWING: Final = frozenset({Reason.ALLOWED.value, Reason.OBSERVED.value})


@final
class MetricsPage:
    """Renders what the parts of the service count."""

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
        self.readers: Final = readers
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
        self._metrics = service.metrics
        self._publisher = service.publisher
        self._log = service.log
        self._expiries = expiries

    def collect(self) -> Iterator[Metric]:
        """Every family, under the names that `docs/operations.md` documents."""
        yield from self._decisions()
        yield from self._questions()
        yield from self._policy()
        yield from self._certificates()
        if self._log is not None:
            yield from _log(self._log)

    def _decisions(self) -> Iterator[Metric]:
        counts = self._metrics
        decisions = CounterMetricFamily(
            "pdp_decisions", "Decisions made.", labels=["service", "decision", "reason"]
        )
        for (service, reason), count in list(counts.decisions.items()):
            effect = Effect.ALLOW if reason in _ALLOWING else Effect.DENY
            decisions.add_metric([service, effect.value, reason], count)
        yield decisions
        yield _labelled(
            "pdp_observed", "Requests let pass by an observed service though no rule allows them.",
            "service", counts.observed(),
        )  # fmt: skip
        yield _labelled(
            "pdp_shadow_disagreements", "Decisions that shadow rules would have changed.",
            "service", counts.shadowed,
        )  # fmt: skip
        total, buckets = 0, []
        for bound, count in zip((*map(str, LATENCY_SECONDS), "+Inf"), list(counts.latency), strict=True):
            total += count
            buckets.append((bound, float(total)))
        latency = HistogramMetricFamily("pdp_decision_seconds", "Time to check and decide a question.")
        latency.add_metric([], buckets, counts.latency_ns / 1e9)
        yield latency

    def _questions(self) -> Iterator[Metric]:
        counts = self._metrics
        yield _labelled("pdp_questions_refused", "Questions without a decision.", "code", counts.refused)
        yield _labelled("pdp_questions_shed", "Questions turned away under load.", "why", counts.shed)
        yield GaugeMetricFamily(
            "pdp_questions_in_flight", "Questions being answered.", self._service.admission.in_flight
        )

    def _policy(self) -> Iterator[Metric]:
        published = self._publisher.current
        age = max(0, self._service.now() - self._publisher.confirmed_at) / 1000
        revision = GaugeMetricFamily("pdp_policy_info", "The version that is served.", labels=["revision"])
        revision.add_metric([published.snapshot.revision], 1)
        yield revision
        yield GaugeMetricFamily("pdp_policy_number", "How many versions were published.", published.number)
        yield GaugeMetricFamily("pdp_policy_rules", "Rules of the version.", published.snapshot.rules)
        yield GaugeMetricFamily("pdp_policy_age_seconds", "Since the source last confirmed the version.", age)
        yield _labelled("pdp_reloads", "Versions offered.", "outcome", self._metrics.reloads)
        build = GaugeMetricFamily("pdp_build_info", "The software.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build

    def _certificates(self) -> Iterator[Metric]:
        counts = self._metrics
        renewals = CounterMetricFamily(
            "pdp_renewals", "New content of the files of trust or certificate.", labels=["files", "outcome"]
        )
        for (files, outcome), count in counts.renewals.items():
            renewals.add_metric([files, outcome], count)
        yield renewals
        refused = GaugeMetricFamily(
            "pdp_renewal_refused", "Whether what lies in the files is not in force.", labels=["files"]
        )
        for files, is_refused in counts.refused_files.items():
            refused.add_metric([files], is_refused)
        yield refused
        found = GaugeMetricFamily(
            "pdp_certificate_expiry_timestamp_seconds", "When a certificate ends.", labels=["certificate"]
        )
        for name, not_after in self._expiries():
            found.add_metric([name], not_after / 1000)
        yield found


def _log(log: DecisionLog) -> Iterator[Metric]:
    counts = log.counts
    outcomes = {"logged": counts.logged, "dropped": counts.dropped, "sampled_out": counts.sampled_out}
    yield CounterMetricFamily("pdp_log_decided", "Decisions handed to the decision log.", counts.decided)
    yield _labelled("pdp_log_entries", "What became of them.", "outcome", outcomes)
    yield GaugeMetricFamily("pdp_log_queue", "Entries that wait to be written.", log.waiting)


def _labelled(name: str, help_: str, label: str, counts: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, help_, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family
