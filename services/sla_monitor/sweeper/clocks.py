"""Announces what is due, at its own bounded pace, once the line before it was read far enough (DESIGN.md "Time")."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from services.sla_monitor.handler import LeadStep, NextDue, tell
from services.sla_monitor.metrics import Metrics
from services.sla_monitor.model.decisions import tick_id
from services.sla_monitor.model.gate import Clearance, End, Gate
from services.sla_monitor.model.states import Tick
from services.sla_monitor.settings import Settings
from services.sla_monitor.store import clocks as store
from shared.db.accord_book import AccordBook
from shared.db.faults import DATABASE_ERRORS
from shared.events import topics
from shared.events.envelope import Outgoing
from shared.stream.carrier import Transaction

log = structlog.get_logger()

SERVICE: Final = "sla-monitor"
LOOK_AGAIN_SECONDS: Final = 0.02
# Sweeps of a busy partition begin so far apart, so that clocks share them; a lone one goes at once.
SWEEP_PACE_SECONDS: Final = 0.01
READ_FIRST: Final = {"stages": topics.SALES, SERVICE: topics.LIFECYCLE}
LAGGING_LOOK_SECONDS: Final = 0.25  # once it was waited for in vain


class Line(Protocol):
    """How far the log goes and who has read how far. `Carrier` is one."""

    async def end(self, topic: str, partition: int) -> End: ...

    async def have_read_all(self, readers: Mapping[str, str], partition: int) -> bool: ...

    async def has_read(self, service: str, topic: str, partition: int, end: End) -> bool: ...


class Sweeper:
    """Implements `Ticker` for one partition."""

    def __init__(
        self,
        *,
        partition: int,
        line: Line,
        pool: Any,
        accords: AccordBook,
        next_due: NextDue,
        metrics: Metrics,
        settings: Settings,
    ) -> None:
        self._partition = partition
        self._line = line
        self._pool = pool
        self._accords = accords
        self._next_due = next_due
        self._metrics = metrics
        self._patience = timedelta(seconds=settings.announce_patience_seconds)
        self._limit = settings.sweep_clocks_max
        # A wait for stages, and one that waits for this service alone: while it does, the next can begin.
        self._gate: Gate | None = None
        self._passed: Gate | None = None
        self._looked_at: datetime | None = None
        self._clearance: Clearance | None = None
        self._swept_at: datetime | None = None
        next_due.forget()

    async def seconds_to_next(self, now: datetime) -> float | None:
        first = self._passed or self._gate
        if first is not None and self._looked_at is not None:
            pause = LOOK_AGAIN_SECONDS if now - first.began_at < self._patience else LAGGING_LOOK_SECONDS
            looked = (now - self._looked_at).total_seconds()
            if 0 <= looked < pause:
                return pause - looked
        due = self._next_due
        if not due.is_known or (due.first is not None and due.first <= now):
            due.learn(*await store.earliest_due(self._pool, self._partition))
        if due.first is None or due.first > now:
            self._gate = self._passed = None  # nobody waits for them
            return None if due.first is None else (due.first - now).total_seconds()
        if self._swept_at is not None and 0 <= (paced := (now - self._swept_at).total_seconds()) < SWEEP_PACE_SECONDS:
            return SWEEP_PACE_SECONDS - paced
        self._clearance = await self._clear(now)
        return 0 if self._clearance else LOOK_AGAIN_SECONDS

    async def tick(self, transaction: Transaction, now: datetime) -> Sequence[Outgoing]:
        clearance, self._clearance, self._swept_at = self._clearance, None, None
        self._next_due.forget()  # also true if this step is rolled back
        if clearance is None:
            return ()
        connection = transaction.connection
        due = await store.due(connection, self._partition, clearance.until, self._limit)
        if len(due) >= self._limit:
            self._metrics.sweep_limit_reached.inc()
        elif not clearance.is_lagging:
            held_back = await store.then_due(connection, self._partition, clearance.until, self._limit)
            due = list(dict.fromkeys((*due, *held_back)))
        step = LeadStep(store, await self._accords.assume(transaction))
        await step.load(connection, (lead_id for lead_id, _ in due))
        absent = await self._absent(connection, step, due, now)
        for lead_id, clock_id in due:
            clock = step.clock(lead_id, clock_id)
            how = (now, clearance.until, clearance.is_lagging, absent if step.may_reassign(clock) else ())
            step.apply_tick(Tick(tick_id(clock), lead_id, clock_id, *how))
        transaction.add(*step.writes(self._partition))
        transaction.on_commit(lambda: self._swept(step, now if len(due) < self._limit else None))
        if clearance.is_lagging and due:
            self._metrics.gate_lagging.inc()
            log.warning("announced_while_line_lags", partition=self._partition, clocks=len(due))
        return sorted(step.outgoing, key=lambda outgoing: outgoing.event.time)

    def _swept(self, step: LeadStep, at: datetime | None) -> None:
        """After the commit. A sweep that was as large as allowed has more to do, and no pace to keep."""
        self._swept_at = at
        tell(self._metrics, step)

    async def _absent(
        self, connection: Any, step: LeadStep, due: Iterable[tuple[UUID, UUID]], now: datetime
    ) -> tuple[str, ...]:
        """The owners who take no leads now; asked only if that matters."""
        if not any(step.may_reassign(step.clock(*of)) for of in due):
            return ()
        return await store.absent_owners(connection, now)

    async def _clear(self, now: datetime) -> Clearance | None:
        """The clearance for what is due, if the line allows it now. A wait that began before this was due and has
        ended meanwhile says nothing about it: then a new one begins."""
        clearance = await self._look(now)
        if clearance is not None and not clearance.is_lagging and not self._is_due(clearance):
            clearance = await self._look(now)
        return clearance if clearance is not None and self._is_due(clearance) else None

    def _is_due(self, clearance: Clearance) -> bool:
        """Whether there is anything that it clears: while the line lags announcements alone."""
        at, then_at = self._next_due.at, None if clearance.is_lagging else self._next_due.then_at
        return any(moment is not None and moment <= clearance.until for moment in (at, then_at))

    async def _look(self, now: datetime) -> Clearance | None:
        if self._gate is None and self._passed is None:
            if await self._line.have_read_all(READ_FIRST, self._partition):
                return Clearance(now)
            self._metrics.gate_waits.inc()
        if self._passed is None:
            await self._look_at_stages(now)
        passed = self._passed
        if passed is not None and await self._has_read(passed.lifecycle_end):
            self._passed = self._looked_at = None
            return passed.clearance()
        gate = self._gate = self._gate or await self._begin(now)
        self._looked_at = now
        return (passed or gate).out_of_patience(now, self._patience)

    async def _begin(self, now: datetime) -> Gate:
        return Gate(now, await self._line.end(topics.SALES, self._partition))

    async def _look_at_stages(self, now: datetime) -> None:
        """Whether stages has come as far as the wait for it asks; then what this service must read is known."""
        gate = self._gate = self._gate or await self._begin(now)
        if await self._line.has_read("stages", topics.SALES, self._partition, gate.sales_end):
            lifecycle_end = await self._line.end(topics.LIFECYCLE, self._partition)
            self._gate, self._passed = None, gate._replace(lifecycle_end=lifecycle_end)

    async def _has_read(self, lifecycle_end: End | None) -> bool:
        return lifecycle_end is not None and await self._line.has_read(
            SERVICE, topics.LIFECYCLE, self._partition, lifecycle_end
        )


async def watch_open_clocks(pool: Any, metrics: Metrics, interval_seconds: float) -> None:
    """Keeps the gauge of running clocks, for all partitions, from the table: a count in memory would drift."""
    seen: set[str] = set()
    while True:
        try:
            running = await store.running_by_rule(pool)
        except DATABASE_ERRORS as error:
            log.warning("open_clocks_not_counted", kind=type(error).__name__)
        else:
            for rule in seen | set(running):
                metrics.clocks_open.labels(rule).set(running.get(rule, 0))
            seen |= set(running)
        await asyncio.sleep(interval_seconds)
