"""Every metric of sla_monitor. What was decided is counted after its commit; a process that ends between the two hasn't
counted it, so the tables are the truth and these are for watching."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENESS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


class Metrics:
    """One instance per process. `clock` labels are clock ids of the accord, a closed set."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_clock = ("clock",)
        self.clocks_open = Gauge("accord_sla_clocks_open", "Clocks running now", by_clock, registry=registry)
        self.started = Counter("accord_sla_started_total", "Clocks started", by_clock, registry=registry)
        self.late_starts = Counter(
            "accord_sla_late_starts_total", "Clocks overdue when they started", by_clock, registry=registry
        )
        self.withheld_alerts = _withheld_alerts(registry)
        self.warnings = Counter("accord_sla_warnings_total", "Warnings announced", by_clock, registry=registry)
        self.met = Counter("accord_sla_met_total", "Promises kept", by_clock, registry=registry)
        self.breaches = Counter("accord_sla_breaches_total", "Promises broken", by_clock, registry=registry)
        self.escalations = Counter(
            "accord_sla_escalations_total", "Escalation levels announced", by_clock, registry=registry
        )
        self.resolved = Counter(
            "accord_sla_resolved_total", "Broken promises fulfilled later", by_clock, registry=registry
        )
        self.voided = Counter("accord_sla_voided_total", "Breaches taken back", by_clock, registry=registry)
        self.cancelled = Counter(
            "accord_sla_cancelled_total", "Clocks ended by the lead leaving", by_clock, registry=registry
        )
        self.paused = Counter(
            "accord_sla_paused_total", "Clocks that a snooze stopped for a while", by_clock, registry=registry
        )
        self.resumed = Counter(
            "accord_sla_resumed_total", "Paused clocks that count again", by_clock, registry=registry
        )
        self.pause_limit_reached = Counter(
            "accord_sla_pause_limit_reached_total", "Clocks that can't be paused any more", registry=registry
        )
        self.effects = Counter(
            "accord_sla_effects_total", "Sales actions that escalations sent back", ("action",), registry=registry
        )
        self.announcement_lateness = Histogram(
            "accord_sla_announcement_lateness_seconds",
            "From the deadline to the announcement of its breach",
            buckets=LATENESS_SECONDS,
            registry=registry,
        )
        self._watch_waits(registry)
        self.promise_events = _promise_events(registry)
        self.sweep_limit_reached = Counter(
            "accord_sla_sweep_limit_reached_total", "Sweeps as large as allowed", registry=registry
        )

    def _watch_waits(self, registry: CollectorRegistry) -> None:
        self.gate_waits = Counter(
            "accord_sla_gate_waits_total", "Due moments that had to wait for the line", registry=registry
        )
        self.gate_lagging = Counter(
            "accord_sla_gate_lagging_total", "Sweeps that gave up waiting for the line", registry=registry
        )
        self.promise_waits = Counter(
            "accord_sla_promise_waits_total", "Looks at due promises that found the line unread", registry=registry
        )


def _withheld_alerts(registry: CollectorRegistry) -> Counter:
    what = "Warnings, breaches and escalations that clocks of historical events would have announced at the most"
    return Counter("accord_sla_withheld_alerts_total", what, ["clock"], registry=registry)


def _promise_events(registry: CollectorRegistry) -> Counter:
    """`promise` labels are ids of the accord, `what` is warned, kept, breached or corrected."""
    what = "What was told of promises on many leads: warned, kept, breached, corrected"
    return Counter("accord_sla_promise_events_total", what, ["promise", "what"], registry=registry)
