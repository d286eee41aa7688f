"""When a feed says that Kafka is silent: never for want of events, and never while it is not asked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import TopicPartition
from builders import an_event
from line_builders import record_of
from prometheus_client import CollectorRegistry

from shared.stream.feed import RECORDS_MAX, Feed
from shared.stream.metrics import Metrics

NOW = datetime(2026, 11, 26, 5, tzinfo=UTC)
ACTIVITY, SCORE = (TopicPartition(topic, 3) for topic in ("accord.activity.v1", "accord.score.v1"))
SILENT = "Kafka has not answered for more than 5 s"


class Consumer:
    """As far as aiokafka's is asked: when each place was answered last, in seconds ago."""

    def __init__(self, answered: dict[TopicPartition, float | None]) -> None:
        self._answered = answered

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._answered)

    def last_poll_timestamp(self, place: TopicPartition) -> int | None:
        ago = self._answered[place]
        return None if ago is None else int((NOW - timedelta(seconds=ago)).timestamp() * 1_000)

    def seek(self, place: TopicPartition, offset: int) -> None:
        """It reads from there."""


async def a_feed(answered: dict[TopicPartition, float | None]) -> Feed:
    """Whose partition has asked for what comes first."""
    feed, consumer = Feed("scoring", Metrics(CollectorRegistry())), Consumer(answered)
    as_consumer: Any = consumer
    feed.attach(as_consumer)
    feed.assigned([ACTIVITY, SCORE])
    await feed.fetch(3, [ACTIVITY.topic, SCORE.topic], {}, 10)
    return feed


@pytest.mark.parametrize(
    ("activity", "score", "said"),
    [(0.3, 0.3, None), (4.9, 4.9, None), (5.1, 60, SILENT), (60, 0.3, None), (None, None, None), (None, 6, SILENT)],
)
async def test_one_answer_of_any_broker_in_five_seconds_is_enough(
    activity: float | None, score: float | None, said: str | None
) -> None:
    assert (await a_feed({ACTIVITY: activity, SCORE: score})).trouble(NOW) == said


async def test_a_full_mailbox_waits_for_no_answer() -> None:
    feed = await a_feed({ACTIVITY: 60, SCORE: 60})
    for box in feed._boxes.values():
        box.records.extend([record_of(an_event("one"))] * RECORDS_MAX)
    assert feed.trouble(NOW) is None


async def test_partitions_that_were_taken_away_say_nothing() -> None:
    assert (await a_feed({})).trouble(NOW) is None


def test_without_a_consumer_it_is_in_no_group() -> None:
    assert Feed("scoring", Metrics(CollectorRegistry())).trouble(NOW) == "not a member of its group on Kafka"
