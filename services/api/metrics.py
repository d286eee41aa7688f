"""Every metric that the api exports."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The api's metrics, on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.request_seconds = Histogram(
            "accord_api_request_seconds",
            "How long one call took, by what it is about and its status class.",
            ["subject", "status"],
            buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
            registry=registry,
        )
        self.actions = Counter(
            "accord_api_actions_total", "Sales actions put on the log, by action.", ["action"], registry=registry
        )
        self.erasures = Counter("accord_api_erasures_total", "Erasures of leads asked for.", registry=registry)
        self._follow_lists(registry)
        self.waits = Counter(
            "accord_api_waits_total",
            "Calls that waited for their action to be applied, by how that ended: applied, timed_out or refused.",
            ["outcome"],
            registry=registry,
        )
        self.waiters = Gauge("accord_api_waiters", "Calls waiting for their action to be applied.", registry=registry)
        self.stream_readers = Gauge("accord_api_stream_readers", "Readers of the stream.", registry=registry)
        self.idempotent_repeats = Counter(
            "accord_api_idempotent_repeats_total", "Calls answered with the first answer.", registry=registry
        )
        self.accord_steps = Counter(
            "accord_api_accord_steps_total",
            "Steps in the lives of accord versions: proposed, signed, scheduled or withdrawn.",
            ["step"],
            registry=registry,
        )
        self.accord_refusals = Counter(
            "accord_api_accord_refusals_total",
            "Steps in the lives of accord versions that were refused, by why.",
            ["reason"],
            registry=registry,
        )
        self.limits_reached = Counter(
            "accord_api_limits_reached_total",
            "Limits reached: key_cache, waiters, list_wait, report_wait, erasure_wait, body_bytes, depth,"
            " leads_exported, stream_readers or stream_queue.",
            ["limit"],
            registry=registry,
        )

    def _follow_lists(self, registry: CollectorRegistry) -> None:
        self.listed = Counter(
            "accord_api_leads_listed_total",
            "Leads brought up to date in the lists, as the log spoke of them.",
            registry=registry,
        )
        self.unlisted = Gauge(
            "accord_api_unlisted_events",
            "Events that the lists' last look left to the next ones; in the process that looks.",
            registry=registry,
        )
        self.refreshed = Counter(
            "accord_api_engagements_refreshed_total",
            "Engagements brought up to the time in the lists.",
            registry=registry,
        )

    def reach(self, limit: str) -> None:
        """A limit was reached."""
        self.limits_reached.labels(limit).inc()
