"""What the code's registry knows: the names that Prometheus sees, each with its labels."""

import re
from collections.abc import Iterator, Mapping
from types import SimpleNamespace

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

import services.api.metrics
import services.delivery.metrics
import services.ingest.metrics
import services.scoring.metrics
import services.sla_monitor.metrics
import services.stages.metrics
import shared.stream.metrics
from shared.db.pool_metrics import watch_pool
from shared.telemetry.metrics import create_registry, watch_readiness

_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
# Given by Prometheus itself to what it scrapes, and by it to histograms.
_ADDED = {"instance", "job", "le"}
_SELECTED = re.compile(r"\b((?:accord|process)_[a-z0-9_]+)\b(?!:)(?:\{([^}]*)\})?")


def a_full_registry() -> CollectorRegistry:
    """Everything that any process of Accord exports."""
    registry = create_registry()
    for module in (
        services.api.metrics,
        services.delivery.metrics,
        services.ingest.metrics,
        services.scoring.metrics,
        services.sla_monitor.metrics,
        services.stages.metrics,
        shared.stream.metrics,
    ):
        module.Metrics(registry)
    watch_readiness(lambda: True, registry)
    watch_pool(SimpleNamespace(get_size=int, get_idle_size=int, get_max_size=int), registry)
    return registry


def labels_by_name() -> Mapping[str, frozenset[str]]:
    """Of every series name, the labels that it has once it is scraped."""
    registry = a_full_registry()
    named = {
        f"{collector._name}{suffix}": frozenset({*collector._labelnames, *_ADDED})
        for collector in registry._collector_to_names
        if isinstance(collector, MetricWrapperBase)
        for suffix in _SUFFIXES[str(collector._type)]
    }
    process = {sample.name for family in registry.collect() for sample in family.samples} - named.keys()
    return named | dict.fromkeys(process, frozenset(_ADDED))


def unknown_in(expression: str) -> Iterator[str]:
    """Names and labels of an expression that no process exports; names with a colon are recorded ones."""
    known = labels_by_name()
    for name, selector in _SELECTED.findall(re.sub(r"\b[a-z_]+:[a-z0-9_:]+", "", expression)):
        if name not in known:
            yield name
            continue
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector or ""):
            if label not in known[name]:
                yield f"{name}: {label}"
