"""Puts sales actions on the log, and waits until the line has applied one."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from services.api.metrics import Metrics
from shared.events import topics
from shared.events.codec import event
from shared.events.envelope import Outgoing
from shared.events.sales import SalesAction
from shared.stream.barrier import wait_until_read
from shared.stream.carrier import Carrier, Transaction
from shared.stream.lane import LanePublisher

STAGES = "stages"
SLA_MONITOR = "sla-monitor"


class ActionItem(NamedTuple):
    """One action as the lane publisher takes it."""

    action: SalesAction
    traceparent: str | None


Publisher = LanePublisher[ActionItem, UUID]


async def prepare(_: Transaction, items: Sequence[ActionItem]) -> tuple[Sequence[Outgoing], Sequence[UUID]]:
    """The events of one group commit; each one's result is its id."""
    return [_outgoing(item) for item in items], [item.action.id for item in items]


def _outgoing(item: ActionItem) -> Outgoing:
    action = item.action
    made = event(
        action, id=action.id, time=action.occurred_at, received_at=action.received_at, traceparent=item.traceparent
    )
    return Outgoing(topics.SALES, made)


class ActionLine:
    """The way of an action down the line."""

    def __init__(self, publisher: Publisher, carrier: Carrier, metrics: Metrics, waiters_max: int) -> None:
        self._publisher = publisher
        self._carrier = carrier
        self._metrics = metrics
        self._waiters_max = waiters_max
        self._waiters = 0

    async def publish(self, action: SalesAction, traceparent: str | None) -> None:
        """Returns once the action is durable. Raises Unavailable."""
        await self._publisher.publish(ActionItem(action, traceparent))
        self._metrics.actions.labels(action.action.value).inc()

    async def wait_until_applied(self, action: SalesAction, timeout_seconds: float) -> bool:
        """True once stages has applied the action and sla_monitor has read what stages emitted.

        False at the time-out, or at once when too many calls are waiting.
        """
        if self._waiters >= self._waiters_max:
            self._metrics.limits_reached.labels("waiters").inc()
            self._metrics.waits.labels("refused").inc()
            return False
        self._waiters += 1
        self._metrics.waiters.set(self._waiters)
        try:
            is_applied = await self._wait(action, timeout_seconds)
        finally:
            self._waiters -= 1
            self._metrics.waiters.set(self._waiters)
        self._metrics.waits.labels("applied" if is_applied else "timed_out").inc()
        return is_applied

    async def _wait(self, action: SalesAction, timeout_seconds: float) -> bool:
        partition = topics.partition_of(action.lead_id, self._carrier.partitions)
        time = asyncio.get_running_loop().time
        ends_at = time() + timeout_seconds
        for service, topic in ((STAGES, topics.SALES), (SLA_MONITOR, topics.LIFECYCLE)):
            end = await self._carrier.end(topic, partition)
            remaining = max(0.0, ends_at - time())
            if not await wait_until_read(
                self._carrier, service, topic, partition=partition, end=end, timeout_seconds=remaining
            ):
                return False
        return True
