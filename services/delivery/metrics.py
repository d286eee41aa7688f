"""Every metric of delivery. No label names a subscription: those are not a closed set."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.delivery.model.attempts import Outcome
from shared.telemetry.histogram import BatchHistogram

LATENCY_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86_400)


class Metrics:
    """One instance per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.attempts = Counter("accord_delivery_attempts_total", "Tries made", ("outcome",), registry=registry)
        # All of them from the start: Prometheus sees a first failure only if it knows the 0 before.
        self.attempts_of = {outcome: self.attempts.labels(outcome) for outcome in Outcome}
        self.latency = BatchHistogram(
            "accord_delivery_latency_seconds",
            "From the root event's receipt to the 2xx of the receiver",
            buckets=LATENCY_SECONDS,
            registry=registry,
        )
        self.response = BatchHistogram(
            "accord_delivery_response_seconds",
            "How long receivers take to answer",
            buckets=LATENCY_SECONDS,
            registry=registry,
        )
        self._count_deliveries(registry)

    def _count_deliveries(self, registry: CollectorRegistry) -> None:
        self.pending = Gauge("accord_delivery_pending", "Deliveries still to be made", registry=registry)
        self.dead = Counter("accord_delivery_dead_total", "Deliveries given up", registry=registry)
        self.disabled = Counter(
            "accord_delivery_disabled_subscriptions_total",
            "Subscriptions disabled for their receiver's answers",
            registry=registry,
        )
        self.in_flight_limit_reached = Counter(
            "accord_delivery_in_flight_limit_reached_total",
            "Looks for work that found a subscription as busy as allowed",
            registry=registry,
        )
        self.limits_reached = Counter(
            "accord_delivery_limits_reached_total",
            "Deliveries that had to wait: in_flight, doubtful, rate, or lease, whose time ran out",
            ("limit",),
            registry=registry,
        )
        self.messages = Counter(
            "accord_delivery_messages_total", "Messages of several events to people", ("format",), registry=registry
        )
        self.requested = Counter(
            "accord_delivery_requested_total",
            "Deliveries that somebody asked for: replay, test",
            ("kind",),
            registry=registry,
        )
        self.forgotten = Counter(
            "accord_delivery_forgotten_total",
            "What was older than the retention: events, deliveries",
            ("what",),
            registry=registry,
        )
        self.unrecorded = Counter(
            "accord_delivery_unrecorded_total",
            "Tries whose outcome could not be stored; they are made again",
            registry=registry,
        )
