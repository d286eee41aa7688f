"""Every metric of ingest."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """One instance per process; the registry is injected."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.accepted = Counter("accord_ingest_accepted_total", "Events accepted and durable", registry=registry)
        self.duplicates = Counter("accord_ingest_duplicates_total", "Events seen before", registry=registry)
        self.rejected = Counter("accord_ingest_rejected_total", "Events refused as invalid", registry=registry)
        self.refused = Counter(
            "accord_ingest_refused_total",
            "Requests of sources refused as a whole",
            ("kind", "reason"),
            registry=registry,
        )
        self.kept_trimmed = Counter(
            "accord_ingest_kept_trimmed_total", "Kept requests dropped for their age or their number", registry=registry
        )
        self.replays = Counter("accord_ingest_replays_total", "Kept requests replayed", ("outcome",), registry=registry)
        # Asked at a scrape; set for every request it would cost more than all other counting.
        self.in_flight_bytes = Gauge(
            "accord_ingest_in_flight_bytes", "Bytes of bodies being received or committed", registry=registry
        )
        self.unavailable = Counter("accord_ingest_unavailable_total", "Requests answered 503", registry=registry)
        self.limit_reached = Counter(
            "accord_ingest_limit_reached_total", "Requests or events over a limit", ("limit",), registry=registry
        )
        self.leads = Counter("accord_ingest_leads_total", "Leads seen for the first time", registry=registry)
        self.seen_trimmed = Counter(
            "accord_ingest_seen_trimmed_total", "Ids forgotten after their days", registry=registry
        )
        self.identities_cached = Gauge(
            "accord_ingest_identities_cached", "Emails whose lead is in memory", registry=registry
        )
        self.imports = Counter(
            "accord_ingest_imports_total", "Imports by what became of them", ("outcome",), registry=registry
        )
        self.import_rows = Counter(
            "accord_ingest_import_rows_total",
            "Rows of imports, by what became of them",
            ("outcome",),
            registry=registry,
        )
        self.imports_pending = Gauge(
            "accord_ingest_imports_pending", "Imports being uploaded, waiting or read", registry=registry
        )
        self.imports_oldest_seconds = Gauge(
            "accord_ingest_imports_oldest_seconds", "Age of the oldest of these", registry=registry
        )
