"""Every metric that scoring exports."""

from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter

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

    def applied(self, batch: Batch, *, late_leads: int) -> None:
        """Counts one batch that was committed."""
        self.late.inc(late_leads)
        for kind, count in Tally([line.kind for line in batch.history]).items():
            self.inputs.labels(kind).inc(count)
        for why, count in Tally([line.why for line in batch.ledger]).items():
            self.grants.labels(_OUTCOMES[WithheldReason(why) if why else None]).inc(count)
