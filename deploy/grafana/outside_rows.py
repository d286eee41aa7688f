"""Rows about what others notice: promises, deliveries, calls, and the processes that answer them."""

from typing import Final

from deploy.grafana.panels import Panel, Row
from deploy.grafana.queries import Query, quantile, quantiles, rate

CLOCKS: Final = Row(
    "Clocks and breaches",
    (
        Panel("Clocks running", (Query("max by (clock) (accord_sla_clocks_open)", "{{clock}}"),)),
        Panel(
            "Met and broken, 1 h",
            (
                Query("sum by (clock) (increase(accord_sla_met_total[1h]))", "{{clock}} met"),
                Query("sum by (clock) (increase(accord_sla_breaches_total[1h]))", "{{clock}} broken"),
            ),
        ),
        Panel("Announced after the deadline", quantiles("accord_sla_announcement_lateness_seconds"), unit="s"),
        Panel(
            "Warnings and escalations, 1 h",
            (
                Query("sum by (clock) (increase(accord_sla_warnings_total[1h]))", "{{clock}} warned"),
                Query("sum by (clock) (increase(accord_sla_escalations_total[1h]))", "{{clock}} escalated"),
            ),
        ),
        Panel(
            "Resolved and voided, 1 h",
            (
                Query("sum by (clock) (increase(accord_sla_resolved_total[1h]))", "{{clock}} resolved"),
                Query("sum by (clock) (increase(accord_sla_voided_total[1h]))", "{{clock}} voided"),
            ),
        ),
        Panel(
            "Waiting for the line",
            (
                Query(rate("accord_sla_gate_waits_total", "job"), "waited"),
                Query(rate("accord_sla_gate_lagging_total", "job"), "gave up"),
                Query(rate("accord_sla_sweep_limit_reached_total", "job"), "sweeps at their limit"),
            ),
            unit="ops",
        ),
    ),
)

DELIVERY: Final = Row(
    "Delivery",
    (
        Panel(
            "Tries by outcome", (Query(rate("accord_delivery_attempts_total", "outcome"), "{{outcome}}"),), unit="ops"
        ),
        Panel("Still to be made", (Query("max(accord_delivery_pending)", "pending"),)),
        Panel("Receivers answer within", quantiles("accord_delivery_response_seconds"), unit="s"),
    ),
)

HTTP: Final = Row(
    "HTTP",
    (
        Panel(
            "Events at ingest",
            (
                Query(rate("accord_ingest_accepted_total", "job"), "accepted"),
                Query(rate("accord_ingest_duplicates_total", "job"), "duplicates"),
                Query(rate("accord_ingest_rejected_total", "job"), "rejected"),
            ),
            unit="ops",
        ),
        Panel(
            "Limits reached",
            (
                Query(rate("accord_ingest_limit_reached_total", "limit"), "ingest: {{limit}}"),
                Query(rate("accord_api_limits_reached_total", "limit"), "api: {{limit}}"),
                Query(rate("accord_stream_lane_queue_full_total", "service"), "{{service}}: queue full"),
            ),
            unit="ops",
        ),
        Panel(
            "Requests in one group commit, p90",
            (Query(quantile(0.9, "accord_stream_lane_items", "service"), "{{service}}"),),
        ),
        Panel("API calls", (Query(rate("accord_api_request_seconds_count", "subject"), "{{subject}}"),), unit="ops"),
        Panel(
            "API calls by status",
            (Query(rate("accord_api_request_seconds_count", "status"), "{{status}}"),),
            unit="ops",
        ),
        Panel(
            "API calls, p99", (Query(quantile(0.99, "accord_api_request_seconds", "subject"), "{{subject}}"),), unit="s"
        ),
    ),
)

PROCESSES: Final = Row(
    "Pool and processes",
    (
        Panel(
            "Connections of the shared pool",
            (
                Query('sum by (instance) (accord_db_pool_connections{state="used"})', "{{instance}} used"),
                Query("max by (instance) (accord_db_pool_connections_max)", "{{instance}} most"),
            ),
        ),
        Panel(
            "CPU",
            (Query('rate(process_cpu_seconds_total{job="accord"}[$__rate_interval])', "{{instance}}"),),
            unit="percentunit",
        ),
        Panel("Memory", (Query('process_resident_memory_bytes{job="accord"}', "{{instance}}"),), unit="bytes"),
    ),
)
