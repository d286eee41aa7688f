"""Rows about the line itself: is it moving, how fast, how far behind, what failed."""

from typing import Final

from deploy.grafana.panels import Panel, Row
from deploy.grafana.queries import SERVICE, Query, quantile, quantiles, rate

GLANCE: Final = Row(
    "The line at a glance",
    (
        Panel(
            "Alerts firing",
            (Query('count(ALERTS{alertname=~"Accord.*", alertstate="firing"}) or vector(0)'),),
            kind="stat",
            width=3,
            red_from=1,
        ),
        Panel(
            "Processes not ready",
            (Query("count(accord_process_ready == 0) or vector(0)"),),
            kind="stat",
            width=3,
            red_from=1,
        ),
        Panel(
            "Partitions stopped",
            (Query("sum(max by (service, partition) (accord_stream_stopped))"),),
            kind="stat",
            width=3,
            red_from=1,
        ),
        Panel(
            "Partitions in a gap",
            (Query("sum(max by (service, partition) (accord_stream_gaps))"),),
            kind="stat",
            width=3,
            red_from=1,
        ),
        Panel(
            "Dead letters, 24 h",
            (Query("sum(increase(accord_stream_dead_letters_total[24h]))"),),
            kind="stat",
            width=3,
            red_from=1,
        ),
        Panel("Largest lag", (Query("max(accord_stream_lag_seconds)"),), unit="s", kind="stat", width=3, red_from=60),
        Panel(
            "Webhook to qualified, p99",
            (Query(quantile(0.99, "accord_stages_webhook_to_qualified_seconds")),),
            unit="s",
            kind="stat",
            width=3,
            red_from=0.5,
        ),
        Panel(
            "Breaches, 24 h",
            (Query("sum(increase(accord_sla_breaches_total[24h])) or vector(0)"),),
            kind="stat",
            width=3,
        ),
        Panel(
            "Accepted events",
            (
                Query(rate("accord_ingest_accepted_total", "job"), "accepted"),
                Query(rate("accord_ingest_unavailable_total", "job"), "requests answered 503"),
            ),
            unit="ops",
        ),
        Panel("Events applied", (Query(rate("accord_stream_events_in_total", "service"), "{{service}}"),), unit="ops"),
        Panel(
            "Transitions", (Query(rate("accord_stages_transitions_total", "to_stage"), "to {{to_stage}}"),), unit="ops"
        ),
    ),
)

LATENCY: Final = Row(
    "Latency",
    (
        Panel(
            "Webhook to qualified",
            quantiles("accord_stages_webhook_to_qualified_seconds"),
            unit="s",
            help="The goal at p99 is 30 ms on one machine.",
        ),
        Panel("Webhook to delivered", quantiles("accord_delivery_latency_seconds"), unit="s"),
        Panel(
            "A step with its commit, p99",
            (Query(quantile(0.99, "accord_stream_step_seconds", "service"), "{{service}}"),),
            unit="s",
        ),
    ),
)

LAG: Final = Row(
    "Lag",
    (
        Panel(
            "Events not read",
            (
                Query(
                    f"sum by (service) (max by (service, topic, partition) (accord_stream_lag_events{{{SERVICE}}}))",
                    "{{service}}",
                ),
            ),
        ),
        Panel(
            "Age of the oldest event not read",
            (
                Query(
                    f"max by (service, partition) (accord_stream_lag_seconds{{{SERVICE}}})", "{{service}}/{{partition}}"
                ),
            ),
            unit="s",
        ),
        Panel(
            "Partitions owned",
            (Query(f"sum by (service) (accord_stream_partitions_owned{{{SERVICE}}})", "{{service}}"),),
        ),
        Panel("Events in a step, p90", (Query(quantile(0.9, "accord_stream_batch_events", "service"), "{{service}}"),)),
        Panel(
            "Steps as large as allowed",
            (Query(rate("accord_stream_batch_limit_reached_total", "service"), "{{service}}"),),
            unit="ops",
        ),
        Panel("The log", (Query("max(accord_stream_log_bytes)", "kept"),), unit="bytes"),
    ),
)

KAFKA: Final = Row(
    "Relay and Kafka",
    (
        Panel(
            "Events not yet acknowledged",
            (Query("sum by (service) (max by (service, kind, number) (accord_relay_backlog_events))", "{{service}}"),),
        ),
        Panel(
            "Age of the oldest of them",
            (Query("max by (service, kind, number) (accord_relay_oldest_seconds)", "{{service}} {{kind}} {{number}}"),),
            unit="s",
        ),
        Panel("Shipped", (Query(rate("accord_relay_shipped_total", "service"), "{{service}}"),), unit="ops"),
        Panel(
            "Relays begun again", (Query(rate("accord_relay_restarts_total", "service"), "{{service}}"),), unit="ops"
        ),
        Panel(
            "Rebalances, 10 min",
            (Query("max by (service) (increase(accord_kafka_rebalances_total[10m]))", "{{service}}"),),
        ),
        Panel(
            "Offsets out of range",
            (Query("max by (service, partition) (accord_kafka_out_of_range) > 0", "{{service}}/{{partition}}"),),
        ),
    ),
)

FAILURES: Final = Row(
    "Failures",
    (
        Panel(
            "Held up: 1 in a gap, 2 stopped",
            (
                Query(
                    "max by (service, partition) (accord_stream_gaps + 2 * accord_stream_stopped) > 0",
                    "{{service}}/{{partition}}",
                ),
            ),
        ),
        Panel(
            "Dead letters and replays",
            (
                Query(rate("accord_stream_dead_letters_total", "service"), "{{service}} buried"),
                Query(rate("accord_stream_replays_total", "service"), "{{service}} replayed"),
            ),
            unit="ops",
        ),
        Panel("Steps repeated", (Query(rate("accord_stream_retries_total", "service"), "{{service}}"),), unit="ops"),
        Panel(
            "Slots lost to another owner",
            (Query(rate("accord_stream_epoch_losses_total", "service"), "{{service}}"),),
            unit="ops",
        ),
        Panel(
            "Duplicates dropped", (Query(rate("accord_stream_duplicates_total", "service"), "{{service}}"),), unit="ops"
        ),
        Panel("Log full", (Query("max(accord_stream_log_full)", "full"),)),
    ),
)
