"""Every metric of the stream core, for all services of a process (docs/metrics.md says what to do about each)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

STEP_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
BATCH_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)

_SERVICE = ("service",)
_TYPE = ("service", "type")
_PARTITION = ("service", "partition")
_TOPIC = ("service", "topic", "partition")
_SLOT = ("service", "kind", "number")


class Metrics:
    """One instance per process; the registry is injected."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._of_steps(registry)
        self._of_failures(registry)
        self._of_the_log(registry)
        self._of_kafka(registry)

    def begin(self, service: str) -> None:
        """Tells of failures that have not happened yet: to see a counter's first step, Prometheus must know its 0."""
        for counter in (
            self.dead_letters,
            self.retries,
            self.epoch_losses,
            self.lane_queue_full,
            self.relay_restarts,
            self.kafka_rebalances,
        ):
            counter.labels(service)

    def _of_steps(self, registry: CollectorRegistry) -> None:
        self.events_in = Counter("accord_stream_events_in_total", "Events applied", _TYPE, registry=registry)
        self.events_out = Counter("accord_stream_events_out_total", "Events emitted", _TYPE, registry=registry)
        self.step_seconds = Histogram(
            "accord_stream_step_seconds",
            "Duration of a step with its commit",
            _SERVICE,
            buckets=STEP_SECONDS,
            registry=registry,
        )
        self.batch_events = Histogram(
            "accord_stream_batch_events", "Events in a step", _SERVICE, buckets=BATCH_EVENTS, registry=registry
        )
        self.batch_limit_reached = Counter(
            "accord_stream_batch_limit_reached_total", "Steps as large as allowed", _SERVICE, registry=registry
        )
        self.duplicates = Counter(
            "accord_stream_duplicates_total", "Events dropped as read or applied before", _SERVICE, registry=registry
        )
        self.lane_items = Histogram(
            "accord_stream_lane_items",
            "Requests in one group commit",
            _SERVICE,
            buckets=BATCH_EVENTS,
            registry=registry,
        )
        self.lane_queue_full = Counter(
            "accord_stream_lane_queue_full_total",
            "Requests refused because the lane's queue was full",
            _SERVICE,
            registry=registry,
        )

    def _of_failures(self, registry: CollectorRegistry) -> None:
        self.dead_letters = Counter(
            "accord_stream_dead_letters_total", "Events dead-lettered", _SERVICE, registry=registry
        )
        self.replays = Counter(
            "accord_stream_replays_total", "Dead letters applied by a replay", _SERVICE, registry=registry
        )
        self.retries = Counter(
            "accord_stream_retries_total", "Steps repeated because the surroundings failed", _SERVICE, registry=registry
        )
        self.epoch_losses = Counter(
            "accord_stream_epoch_losses_total", "Slots lost to another owner", _SERVICE, registry=registry
        )
        self.partitions_owned = Gauge(
            "accord_stream_partitions_owned", "Partitions that this process runs", _SERVICE, registry=registry
        )
        self.gaps = Gauge(
            "accord_stream_gaps", "1 while a partition waits for missing numbers", _PARTITION, registry=registry
        )
        self.stopped = Gauge(
            "accord_stream_stopped", "1 while the breaker holds a partition", _PARTITION, registry=registry
        )

    def _of_the_log(self, registry: CollectorRegistry) -> None:
        self.lag_events = Gauge("accord_stream_lag_events", "Events not read yet", _TOPIC, registry=registry)
        self.lag_seconds = Gauge(
            "accord_stream_lag_seconds", "Age of the oldest event not read yet", _TOPIC, registry=registry
        )
        self.log_bytes = Gauge(
            "accord_stream_log_bytes", "What the log keeps, estimated from its rows", registry=registry
        )
        self.log_full = Gauge(
            "accord_stream_log_full", "1 while what is still needed exceeds the log's bound", registry=registry
        )
        self.trimmed = Counter(
            "accord_stream_trimmed_total", "Events trimmed from the log", ("topic",), registry=registry
        )

    def _of_kafka(self, registry: CollectorRegistry) -> None:
        self.relay_backlog_events = Gauge(
            "accord_relay_backlog_events",
            "Events committed and not yet acknowledged by Kafka",
            _SLOT,
            registry=registry,
        )
        self.relay_oldest_seconds = Gauge(
            "accord_relay_oldest_seconds",
            "Age of the oldest event not yet acknowledged by Kafka",
            _SLOT,
            registry=registry,
        )
        self.relay_shipped = Counter(
            "accord_relay_shipped_total", "Events acknowledged by Kafka", _SERVICE, registry=registry
        )
        self.relay_restarts = Counter(
            "accord_relay_restarts_total",
            "Relays begun again from the last acknowledged event because a send failed",
            _SERVICE,
            registry=registry,
        )
        self.kafka_rebalances = Counter(
            "accord_kafka_rebalances_total",
            "Times that the consumer group gave out its partitions anew",
            _SERVICE,
            registry=registry,
        )
        self.kafka_out_of_range = Gauge(
            "accord_kafka_out_of_range",
            "1 while the broker no longer has what a partition must read next",
            _PARTITION,
            registry=registry,
        )
