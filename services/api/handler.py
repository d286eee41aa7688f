"""Puts sales actions and erasures on the log, and waits until the line has applied one. Before the log is told of an
erasure, what reports count of the lead is set apart."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from services.api.metrics import Metrics
from shared.clock import Clock, new_id
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
# What reports count of a lead: how long an erasure waits at most until these have read what was accepted before it.
COUNTED_PATH: Final = (("scoring", topics.ACTIVITY), (STAGES, topics.SCORE), *ACTION_PATH)
COUNTED_SECONDS_MAX: Final = 2.0


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
            path = ERASURE_PATH if isinstance(command, LeadErased) else ACTION_PATH
            is_applied = await self._wait(command.lead_id, path, timeout_seconds)
        finally:
            self._waiters -= 1
            self._metrics.waiters.set(self._waiters)
        self._metrics.waits.labels("applied" if is_applied else "timed_out").inc()
        return is_applied

    async def catch_up(self, lead_id: UUID) -> None:
        """Returns once what was accepted of the lead is where reports count it, or after two seconds."""
        if not await self._wait(lead_id, COUNTED_PATH, COUNTED_SECONDS_MAX):
            self._metrics.reach("erasure_wait")

    async def _wait(self, lead_id: UUID, path: Sequence[tuple[str, str]], timeout_seconds: float) -> bool:
        partition = topics.partition_of(lead_id, self._carrier.partitions)
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


class Wishes(Protocol):
    """Where it stands who is to be erased."""

    async def is_asked(self, lead_id: UUID) -> bool: ...

    async def ask(self, lead_id: UUID, at: datetime, by: str, *, nobody_id: UUID) -> None: ...

    async def told(self, lead_id: UUID, at: datetime) -> None: ...


class Eraser:
    """Has a lead erased. What remains of it stands in the same commit as the wish (ADR 21), and only then the log is
    told; where that goes wrong, `tell` is repeated by whoever looks for it."""

    def __init__(self, wishes: Wishes, line: ActionLine, clock: Clock) -> None:
        self._wishes = wishes
        self._line = line
        self._clock = clock

    async def erase(self, lead_id: UUID, by: str, traceparent: str | None = None) -> LeadErased:
        """Returns once the wish is durable. Raises Unavailable."""
        if not await self._wishes.is_asked(lead_id):
            await self._line.catch_up(lead_id)
            await self._wishes.ask(lead_id, self._clock.now(), by, nobody_id=new_id())
        # A repeat goes down the line too: the first one may have ended between the wish and the log.
        return await self.tell(lead_id, by, traceparent)

    async def tell(self, lead_id: UUID, by: str, traceparent: str | None = None) -> LeadErased:
        """The log, once more if it knows already."""
        erased = LeadErased(lead_id=lead_id, id=new_id(), erased_at=self._clock.now(), by=by)
        await self._line.erase(erased, traceparent)
        await self._wishes.told(lead_id, erased.erased_at)
        return erased
