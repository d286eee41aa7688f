"""Every metric that scoring exports."""

from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.scoring.model import Batch, WithheldReason

_OUTCOMES = {
    None: "granted",
    WithheldReason.AT_MOST: "limited",
    WithheldReason.ONCE: "once",
    WithheldReason.AFTER: "nothing_before",
}


class Metrics:
    """Counted once per batch, never per event."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.inputs = Counter(
            "accord_scoring_inputs_total", "Activities and profile updates applied.", ["kind"], registry=registry
        )
        self.grants = Counter(
            "accord_scoring_grants_total",
            "Rules that matched an activity, by what became of their points.",
            ["outcome"],
            registry=registry,
        )
        self.late = Counter(
            "accord_scoring_late_leads_total",
            "Leads whose older grants were read because an event came later than the horizon of their state.",
            registry=registry,
        )

        self._register_rescores(registry)

    def _register_rescores(self, registry: CollectorRegistry) -> None:
        self.rescored_leads = Counter(
            "accord_scoring_rescored_leads_total",
            "Leads rescored under a version that came into effect, by whether their score is another one.",
            ["outcome"],
            registry=registry,
        )
        self.newly_qualifying = Counter(
            "accord_scoring_rescored_newly_qualifying_total",
            "Rescored leads on which stages.mql holds and didn't under the version before.",
            registry=registry,
        )
        self.rescore_limit_reached = Counter(
            "accord_scoring_rescore_limit_reached_total",
            "Rescoring steps cut short because their leads' histories are longer than a step may read.",
            registry=registry,
        )
        self.rescore_portions = Counter(
            "accord_scoring_rescore_portions_total",
            "Rescoring steps on a part of one history that is longer than a step may read.",
            registry=registry,
        )
        self.rescore_leads_left = Gauge(
            "accord_scoring_rescore_leads_left", "Leads still to be rescored, of all partitions.", registry=registry
        )

    def rescored(self, batch: Batch) -> None:
        """Counts the rescores of one batch that was committed."""
        for tally in batch.tallies.values():
            self.rescored_leads.labels("changed").inc(tally.changed)
            self.rescored_leads.labels("unchanged").inc(tally.done - tally.changed)
            self.newly_qualifying.inc(tally.newly_qualifying)

    def applied(self, batch: Batch, *, late_leads: int) -> None:
        """Counts one batch that was committed."""
        self.late.inc(late_leads)
        if batch.tallies:
            self.rescored(batch)
        for kind, count in Tally([line.kind for line in batch.history if line.kind != "rescore"]).items():
            self.inputs.labels(kind).inc(count)
        for why, count in batch.granted.items():
            self.grants.labels(_OUTCOMES[why]).inc(count)
