"""What Accord itself says about webhook to qualified: its histogram, between two readings of /metrics."""

from math import inf

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.house import metrics_text
from benchmarks.load import Target

NAME = "accord_stages_webhook_to_qualified_seconds"

Buckets = dict[float, float]


def own_histogram(target: Target) -> Buckets:
    """Counts up to each bound; empty when there is no such metric."""
    families = text_string_to_metric_families(metrics_text(target))
    samples = (sample for family in families if family.name == NAME for sample in family.samples)
    return {float(sample.labels["le"]): sample.value for sample in samples if sample.name == f"{NAME}_bucket"}


def quantiles_ms(before: Buckets, after: Buckets) -> dict[str, float]:
    """p50 and p99 of what came between, interpolated within a bucket as Prometheus does; empty when nothing came."""
    counts = {bound: count - before.get(bound, 0) for bound, count in sorted(after.items())}
    if not counts.get(inf):
        return {}
    return {"p50_ms": _quantile_ms(counts, 0.5), "p99_ms": _quantile_ms(counts, 0.99)}


def _quantile_ms(counts: Buckets, share: float) -> float:
    wanted, below, below_count = share * counts[inf], 0.0, 0.0
    for bound, count in counts.items():
        if count >= wanted and bound != inf:
            return round((below + (bound - below) * (wanted - below_count) / (count - below_count)) * 1_000, 2)
        if bound != inf:
            below, below_count = bound, count
    return round(below * 1_000, 2)
