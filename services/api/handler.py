"""Puts sales actions and erasures on the log, and waits until the line has applied one."""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from services.api.metrics import Metrics
from shared.events import topics
from shared.events.activity import LeadErased
from shared.events.codec import event
from shared.events.envelope import Outgoing
from shared.events.sales import SalesAction
from shared.stream.barrier import wait_until_read
from shared.stream.carrier import Carrier, Transaction
from shared.stream.lane import LanePublisher

STAGES = "stages"
SLA_MONITOR = "sla-monitor"


# Which service reads what, in the order in which a command goes down the line.
ACTION_PATH: Final = ((STAGES, topics.SALES), (SLA_MONITOR, topics.LIFECYCLE))
ERASURE_PATH: Final = (
    ("scoring", topics.ACTIVITY),
    (STAGES, topics.SCORE),
    (SLA_MONITOR, topics.LIFECYCLE),
    ("delivery", topics.LIFECYCLE),
    ("delivery", topics.SLA),
)


class CommandItem(NamedTuple):
    """One command as the lane publisher takes it."""

    command: SalesAction | LeadErased
    traceparent: str | None


Publisher = LanePublisher[CommandItem, UUID]


async def prepare(_: Transaction, items: Sequence[CommandItem]) -> tuple[Sequence[Outgoing], Sequence[UUID]]:
    """The events of one group commit; each one's result is its id."""
    return [_outgoing(item) for item in items], [item.command.id for item in items]


def _outgoing(item: CommandItem) -> Outgoing:
    command = item.command
    if isinstance(command, LeadErased):
        at = command.erased_at
        made = event(command, id=command.id, time=at, received_at=at, traceparent=item.traceparent)
        return Outgoing(topics.ACTIVITY, made)
    action = command
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
        await self._publisher.publish(CommandItem(action, traceparent))
        self._metrics.actions.labels(action.action.value).inc()

    async def erase(self, erased: LeadErased, traceparent: str | None) -> None:
        """Returns once the wish is durable. Raises Unavailable."""
        await self._publisher.publish(CommandItem(erased, traceparent))
        self._metrics.erasures.inc()

    async def wait_until_applied(self, command: SalesAction | LeadErased, timeout_seconds: float) -> bool:
        """True once stages has applied an action and sla_monitor has read what stages emitted; or once every service
        that reads the log has applied an erasure.

        False at the time-out, or at once when too many calls are waiting.
        """
        if self._waiters >= self._waiters_max:
            self._metrics.limits_reached.labels("waiters").inc()
            self._metrics.waits.labels("refused").inc()
            return False
        self._waiters += 1
        self._metrics.waiters.set(self._waiters)
        try:
            is_applied = await self._wait(command, timeout_seconds)
        finally:
            self._waiters -= 1
            self._metrics.waiters.set(self._waiters)
        self._metrics.waits.labels("applied" if is_applied else "timed_out").inc()
        return is_applied

    async def _wait(self, command: SalesAction | LeadErased, timeout_seconds: float) -> bool:
        path = ERASURE_PATH if isinstance(command, LeadErased) else ACTION_PATH
        partition = topics.partition_of(command.lead_id, self._carrier.partitions)
        time = asyncio.get_running_loop().time
        ends_at = time() + timeout_seconds
        for service, topic in path:
            end = await self._carrier.end(topic, partition)
            remaining = max(0.0, ends_at - time())
            if not await wait_until_read(
                self._carrier, service, topic, partition=partition, end=end, timeout_seconds=remaining
            ):
                return False
        return True
