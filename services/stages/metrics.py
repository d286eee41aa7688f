"""Every metric that stages exports."""

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram

from services.stages.model import Batch
from shared.events.lifecycle import AssignmentReason, IgnoredReason, LeadAssigned, PassedOverReason

_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60, 300, 3600)


class Metrics:
    """Counted once per batch, never per event."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.transitions = Counter(
            "accord_stages_transitions_total",
            "Transitions, by what made them.",
            ["from_stage", "to_stage", "reason"],
            registry=registry,
        )
        self.ignored = Counter(
            "accord_stages_ignored_total", "Sales actions that changed nothing.", ["reason"], registry=registry
        )
        self.assignments = Counter(
            "accord_stages_assignments_total",
            "Leads given to an owner, or to the queue unassigned, by why.",
            ["why"],
            registry=registry,
        )
        self.passed_over = Counter(
            "accord_stages_passed_over_total",
            "Owners who couldn't be asked when a lead was routed, by why.",
            ["why"],
            registry=registry,
        )
        self.webhook_to_qualified = Histogram(
            "accord_stages_webhook_to_qualified_seconds",
            "From the receipt of an activity to the decision that its lead is qualified.",
            buckets=_SECONDS,
            registry=registry,
        )

        # A series that begins with its first count shows no increase: alerts would miss that one.
        for counter, reasons in (
            (self.ignored, IgnoredReason),
            (self.assignments, AssignmentReason),
            (self.passed_over, PassedOverReason),
        ):
            for reason in reasons:
                counter.labels(reason)

    def applied(self, batch: Batch, latencies_seconds: Iterable[float]) -> None:
        """Counts one batch that was committed."""
        changes = [line.changed for line in batch.transitions]
        labels = [(changed.from_stage, changed.to_stage, changed.why or "") for changed in changes]
        for transition, count in Tally(labels).items():
            self.transitions.labels(*transition).inc(count)
        for ignored, count in Tally([line.ignored for line in batch.history if line.ignored]).items():
            self.ignored.labels(ignored).inc(count)
        assigned = [payload.why for payload in batch.told if isinstance(payload, LeadAssigned)]
        for why, count in Tally(assigned).items():
            self.assignments.labels(why).inc(count)
        passed_over = [passed.why for line in batch.history if line.stamp for passed in line.stamp.passed_over]
        for reason, count in Tally(passed_over).items():
            self.passed_over.labels(reason).inc(count)
        for seconds in latencies_seconds:
            self.webhook_to_qualified.observe(seconds)
