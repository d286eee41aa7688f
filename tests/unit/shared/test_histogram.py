"""A histogram that takes many values at once tells Prometheus what the client's own tells."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from shared.telemetry.histogram import BatchHistogram

BOUNDS = (0.01, 0.1, 1, 86_400)
NAME, WORDS = "accord_delivery_latency_seconds", "How long it took"

seconds = st.sampled_from(BOUNDS) | st.floats(min_value=0, max_value=1e9)


@settings(max_examples=50)
@example([])
@given(st.lists(st.lists(seconds)))
def test_it_tells_what_the_client_s_own_tells(batches: list[list[float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    many = BatchHistogram(NAME, WORDS, buckets=BOUNDS, registry=ours)
    one = Histogram(NAME, WORDS, buckets=BOUNDS, registry=theirs)
    for batch in batches:
        many.observe(batch)
        for value in batch:
            one.observe(value)
    assert told(ours) == told(theirs)


def test_a_name_that_is_taken_is_refused() -> None:
    registry = CollectorRegistry()
    BatchHistogram(NAME, WORDS, buckets=BOUNDS, registry=registry)
    with pytest.raises(ValueError, match=NAME):
        BatchHistogram(NAME, WORDS, buckets=BOUNDS, registry=registry)


def told(registry: CollectorRegistry) -> list[str]:
    """When a series was made is not told by Accord."""
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
