"""Partitions by Kafka's own consumer group: implements `Assignment`, and keeps the feed of the service running.

Positions in Postgres decide; they are also committed to the group, so that lag tools and autoscalers see them.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaConnectionError, KafkaError

from shared.errors import Surroundings
from shared.stream.crew import Crew
from shared.stream.feed import Feed
from shared.stream.kafka_client import KafkaClients, brokers_known, close_consumer, has_no_coordinator
from shared.stream.metrics import Metrics

log = structlog.get_logger()

JOIN_SECONDS = 60.0
# A membership that lasted so long was none of a row of failures.
STEADY_SECONDS = 60.0
COMMIT_SECONDS = 1.0
# Given up early, a commit would go on in aiokafka, and its failure be nobody's.
COMMIT_SECONDS_MAX = 60.0
LAST_COMMIT_SECONDS_MAX = 5.0
LOOK_SECONDS = 5.0
LOST_SECONDS = 20.0
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0)


class Group:
    """The membership of one service of this process in the group `accord-<service>`."""

    def __init__(
        self,
        service: str,
        topics: Sequence[str],
        *,
        clients: KafkaClients,
        feed: Feed,
        metrics: Metrics,
        check: Callable[[], Awaitable[object]],
    ) -> None:
        """`check` raises when the topics don't fit this installation; it is asked before each joining."""
        self._check = check
        self._service = service
        self._topics = [feed.topic_prefix + topic for topic in topics]
        self._clients = clients
        self._feed = feed
        self._metrics = metrics
        self._log = log.bind(service=service)

    async def run(self, crew: Crew) -> None:
        """Until cancelled. A consumer that fails is left, its partitions dropped, and another one joins."""
        failures = 0
        time = asyncio.get_running_loop().time
        while True:
            began_at = time()
            try:
                await self._belong(crew)
            except (KafkaError, TimeoutError, OSError, Surroundings) as error:
                failures = failures + 1 if time() - began_at < STEADY_SECONDS else 1
                self._log.warning("group_left", kind=type(error).__name__, failures=failures)
            await crew.hold(())
            await asyncio.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS)) - 1])

    async def _belong(self, crew: Crew) -> None:
        await self._check()
        consumer = self._clients.consumer(f"{self._feed.topic_prefix}accord-{self._service}")
        consumer.subscribe(self._topics, listener=_Listener(self, crew))
        self._feed.attach(consumer)
        tasks: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await consumer.start()
            loops = (self._feed.pump(), self._commit_for_ever(consumer), self._raise_when_lost(consumer))
            tasks += map(asyncio.create_task, loops)
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            await self._leave(consumer)

    async def assigned(self, crew: Crew, places: Sequence[TopicPartition]) -> None:
        """These are ours. Each partition must come with all topics of the service, as a range assignor deals them."""
        topics = defaultdict(set)
        for place in places:
            topics[place.partition].add(place.topic)
        self._metrics.kafka_rebalances.labels(self._service).inc()
        broken = sorted(partition for partition, names in topics.items() if names != set(self._topics))
        if broken:
            # Another strategy in the group, or topics of different sizes: never run a partition without all of it.
            self._log.error("assignment_not_whole", partitions=broken)
        held = sorted(topics.keys() - set(broken))
        self._log.info("partitions_assigned", partitions=held)
        self._feed.assigned(places)
        await crew.hold(held)

    async def revoked(self, crew: Crew) -> None:
        """None is ours until the group has agreed again: every step at hand ends, what is known is committed."""
        await crew.hold(())
        self._feed.assigned(())

    async def _commit_for_ever(self, consumer: AIOKafkaConsumer) -> None:
        committed: dict[TopicPartition, int] = {}
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            moved = {place: at for place, at in self._feed.positions.items() if committed.get(place) != at}
            if moved and await self._commit(consumer, moved, COMMIT_SECONDS_MAX):
                committed |= moved

    async def _commit(self, consumer: AIOKafkaConsumer, positions: dict[TopicPartition, int], seconds: float) -> bool:
        """Best effort: what a rebalance refuses, the next owner commits."""
        try:
            await asyncio.wait_for(consumer.commit(positions), seconds)
        except (KafkaError, TimeoutError) as error:
            self._log.info("positions_not_committed", kind=type(error).__name__)
            return False
        return True

    async def _raise_when_lost(self, consumer: AIOKafkaConsumer) -> None:
        """A consumer asks only the brokers it last heard of. When none of them answers any more but others do, it would
        stay lost; while all are away, its partitions are as safe with it as with anyone."""
        lost_seconds = 0.0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            lost_seconds = lost_seconds + LOOK_SECONDS if has_no_coordinator(consumer) else 0.0
            if lost_seconds >= LOST_SECONDS and not brokers_known(consumer) >= await self._clients.brokers():
                raise KafkaConnectionError("the brokers that this consumer knows are gone")

    async def _leave(self, consumer: AIOKafkaConsumer) -> None:
        positions = dict(self._feed.positions)
        self._feed.detach()
        if positions and not has_no_coordinator(consumer):
            await self._commit(consumer, positions, LAST_COMMIT_SECONDS_MAX)
        if not await close_consumer(consumer):
            self._log.warning("consumer_given_up")


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """aiokafka calls it between two generations of the group. It takes no lock that the pump holds."""

    def __init__(self, group: Group, crew: Crew) -> None:
        self._group = group
        self._crew = crew

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        await self._group.revoked(self._crew)

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        await self._group.assigned(self._crew, assigned)
