"""The lane publisher: group commit for requests that must be durable before they are answered (DESIGN.md "Where").

One commit in flight per lane: while it runs, requests gather; then all of them, up to a bound, are the next one.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from shared.errors import OwnershipLost, Unavailable
from shared.events.envelope import Outgoing
from shared.stream.carrier import Carrier, Claim, Transaction
from shared.stream.faults import is_poison, is_raced, kind_of
from shared.stream.metrics import Metrics
from shared.stream.pace import Pace

log = structlog.get_logger()

Item = TypeVar("Item")
Result = TypeVar("Result")
Prepare = Callable[[Transaction, Sequence[Item]], Awaitable[tuple[Sequence[Outgoing], Sequence[Result]]]]

EVENTS_MAX = 1_000
QUEUE_EVENTS_MAX = 20_000
HEARTBEAT_SECONDS = 5.0
RACES_MAX = 5
RECONNECT_SECONDS = 0.2
# After a group of so many, those who were just answered get the time to send again before the next is taken: else two
# halves take turns, each with a commit of its own. A group that is full already waits for nobody.
GATHER_FROM = 8
GATHER_SECONDS = 0.002


class LanePublisher(Generic[Item, Result]):
    """`prepare` turns the items of one group commit into events and one result per item, inside the transaction.

    `at_once`: a commit is one statement, unless `prepare` opens it or the statement is refused as Raced."""

    def __init__(
        self,
        carrier: Carrier,
        service: str,
        prepare: "Prepare[Item, Result]",
        *,
        metrics: Metrics,
        weigh: Callable[[Item], int] = lambda item: 1,
        at_once: bool = False,
    ) -> None:
        self._carrier = carrier
        self._service = service
        self._prepare = prepare
        self._metrics = metrics
        self._weigh = weigh
        self._at_once = at_once
        self._queue: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._queued_events = 0
        self._arrived = asyncio.Event()
        self._claim: Claim | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # asking which one runs is a system call
        self._pace = Pace()
        self._log = log.bind(service=service)
        metrics.begin(service)

    @property
    def is_ready(self) -> bool:
        """True while a lane is held and its last commit went through."""
        return self._claim is not None

    async def publish(self, item: Item) -> Result:
        """Returns once the item's events are durable.

        Raises Unavailable when nothing durable can be reached or the queue is full, and whatever `prepare` raised when
        this item alone can't be prepared.
        """
        weight = self._weigh(item)
        if self._queued_events and self._queued_events + weight > QUEUE_EVENTS_MAX:
            self._metrics.lane_queue_full.labels(self._service).inc()
            raise Unavailable("too many requests are waiting")
        if self._claim is None or self._loop is None:
            raise Unavailable
        if self._carrier.is_full:
            raise Unavailable("the log is full; it must be read first", retry_after_seconds=5)
        future: asyncio.Future[Result] = self._loop.create_future()
        self._queue.append((item, future))
        self._queued_events += weight
        self._arrived.set()
        return await future

    async def run(self) -> None:
        """Holds a lane and commits what is published, until cancelled; then gives the lane back."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    await self._hold_a_lane()
                except Exception as error:
                    await self._drop_claim(error)
                    await asyncio.sleep(RECONNECT_SECONDS)
        finally:
            claim, self._claim = self._claim, None
            self._refuse_queued(Unavailable("Accord is stopping"))
            if claim is not None:
                await claim.release()

    async def _hold_a_lane(self) -> None:
        claim = await self._carrier.claim_lane(self._service)
        self._claim = claim
        self._log.info("lane_taken", lane=claim.slot.number)
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._arrived.wait()
            except TimeoutError:
                async with claim.step(claim.positions, claim.breaker):
                    continue  # renews the lease
            self._arrived.clear()
            while self._queue:
                await self._pace.wait()
                self._pace.begin()
                is_busy = await self._commit_next(claim) >= GATHER_FROM
                if is_busy and self._queued_events < EVENTS_MAX:
                    await asyncio.sleep(GATHER_SECONDS)

    def _take(self) -> list[tuple[Item, "asyncio.Future[Result]"]]:
        """The next group: one item or more, up to about EVENTS_MAX events; requests given up meanwhile are left out."""
        group: list[tuple[Item, asyncio.Future[Result]]] = []
        events = 0
        while self._queue and events < EVENTS_MAX:
            item, future = self._queue.popleft()
            weight = self._weigh(item)
            self._queued_events -= weight
            if not future.done():
                group.append((item, future))
                events += weight
        return group

    async def _commit_next(self, claim: Claim) -> int:
        """Returns how many items it was."""
        group = self._take()
        try:
            if group:
                await self._commit(claim, group)
        finally:
            # Whatever happened, nobody of the group waits for ever.
            for _, future in group:
                if not future.done():
                    future.set_exception(Unavailable())
        return len(group)

    async def _commit(self, claim: Claim, group: "list[tuple[Item, asyncio.Future[Result]]]") -> None:
        try:
            outgoing, results = await self._run_prepare(claim, [item for item, _ in group])
        except Exception as error:
            if not is_poison(error):
                raise
            await self._commit_apart(claim, group, error)
            return
        self._metrics.lane_items.labels(self._service).observe(len(group))
        counts: dict[str, int] = {}
        for _, event in outgoing:
            counts[event.type] = counts.get(event.type, 0) + 1
        for type_, count in counts.items():
            self._metrics.events_out.labels(self._service, type_).inc(count)
        for (_, future), result in zip(group, results, strict=True):
            if not future.done():
                future.set_result(result)

    async def _run_prepare(self, claim: Claim, items: Sequence[Item]) -> tuple[Sequence[Outgoing], Sequence[Result]]:
        for attempt in range(RACES_MAX):
            try:
                # Mostly nothing stands in the way of one statement; else the next attempt looks first.
                async with claim.step(
                    claim.positions, claim.breaker, at_once=self._at_once and attempt == 0
                ) as transaction:
                    outgoing, results = await self._prepare(transaction, items)
                    await transaction.put(outgoing)
                return outgoing, results
            except Exception as error:
                if not is_raced(error):
                    raise
        raise Unavailable("other publishers kept writing the same rows")

    async def _commit_apart(
        self, claim: Claim, group: "list[tuple[Item, asyncio.Future[Result]]]", error: Exception
    ) -> None:
        """One item's fault must not refuse the others: halve until it stands alone."""
        if len(group) == 1:
            self._log.error("item_refused", kind=kind_of(error))
            if not group[0][1].done():
                group[0][1].set_exception(error)
            return
        middle = len(group) // 2
        await self._commit(claim, group[:middle])
        await self._commit(claim, group[middle:])

    async def _drop_claim(self, error: Exception) -> None:
        claim, self._claim = self._claim, None
        self._refuse_queued(Unavailable())
        self._log.warning("lane_dropped", kind=kind_of(error))
        if isinstance(error, OwnershipLost):
            self._metrics.epoch_losses.labels(self._service).inc()
        if claim is not None:
            await claim.release()

    def _refuse_queued(self, error: Unavailable) -> None:
        while self._queue:
            _, future = self._queue.popleft()
            if not future.done():
                future.set_exception(error)
        self._queued_events = 0
