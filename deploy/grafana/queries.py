"""PromQL as the panels need it. What every process tells alike (lag, backlog, pending deliveries) is a `max` over them;
what each of them counts is a `sum`."""

from dataclasses import dataclass
from typing import Final

SERVICE: Final = 'service=~"$service"'


@dataclass(frozen=True)
class Query:
    """One expression, and how its lines are called."""

    expression: str
    legend: str = ""


def rate(metric: str, by: str) -> str:
    """How often per second, over all processes."""
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


def quantile(share: float, metric: str, by: str = "") -> str:
    """A quantile of a histogram over all processes."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[$__rate_interval])))"


def quantiles(metric: str) -> tuple[Query, ...]:
    """The median and the slow end."""
    return tuple(Query(quantile(share, metric), name) for share, name in ((0.5, "p50"), (0.9, "p90"), (0.99, "p99")))
