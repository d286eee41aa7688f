"""Rescores every lead when a version comes into effect, at its own bounded pace (DESIGN.md "Versions at work").

A step is the owner's, of at most 200 leads, with its place in the same transaction. Live events go first: a step waits
until none came for a moment, but not for ever; and a process makes one step at a time, whichever partition's.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from services.scoring.handler import INPUTS_MAX, Desk, Scoring, ScoringStore, SignedAccords, ledger_lines
from services.scoring.metrics import Metrics
from services.scoring.model import EMPTY, State, needs_older, regrant
from services.scoring.store import Partial, RescoreStore
from services.scoring.store.rescores import FIRST
from shared.agreement.compiled import CompiledAccord
from shared.agreement.versions import Accords
from shared.clock import Clock
from shared.db.accord_book import AccordBook, NoAccord
from shared.db.faults import DATABASE_ERRORS
from shared.events.envelope import Outgoing
from shared.stream.carrier import Transaction

log = structlog.get_logger(component="rescoring")

LEADS_MAX: Final = 200
# Of all of them together: a live event that comes meanwhile waits for no more than this, some hundredths of a second.
STEP_INPUTS_MAX: Final = 500
# Other tasks of this process run in between after so many activities.
SLICE_ACTIVITIES: Final = 100
QUIET: Final = timedelta(milliseconds=10)
# Where live events come, a process rests so many times as long as its last step took.
RESTS: Final = 1
LIVE: Final = timedelta(seconds=1)
STEP_LEASE: Final = timedelta(seconds=1)
PATIENCE: Final = timedelta(milliseconds=250)
LOOK_AGAIN: Final = timedelta(seconds=1)


class Versions:
    """The signed accords as one process last saw them, looked at once a second however many partitions ask."""

    def __init__(self, book: AccordBook, pool: Any) -> None:
        self._book = book
        self._pool = pool
        self._seen: Accords | None = None
        self._seen_at: datetime | None = None

    async def seen(self, now: datetime) -> Accords | None:
        """None while there is no accord."""
        if self._seen_at is None or not timedelta(0) <= now - self._seen_at < LOOK_AGAIN:
            self._seen_at = now
            try:
                self._seen = await self._book.refresh(self._pool)
            except NoAccord:
                self._seen = None
        return self._seen


class Turns:
    """Who makes a step in this process: one partition at a time. A turn whose end is not told runs out."""

    def __init__(self) -> None:
        self._live_at: datetime | None = None
        self._began: datetime | None = None
        self._free_at: datetime | None = None

    def note_live(self, now: datetime) -> None:
        """Live events were applied."""
        self._live_at = now

    def left(self, now: datetime) -> timedelta:
        """How long the others still have the turn, or all rest."""
        if self._free_at is None or not timedelta(0) < self._free_at - now <= STEP_LEASE:
            return timedelta(0)
        return self._free_at - now

    def begin(self, now: datetime) -> None:
        self._began, self._free_at = now, now + STEP_LEASE

    def end(self, now: datetime) -> None:
        """The step was committed."""
        is_live = self._live_at is not None and now - self._live_at < LIVE
        took = now - self._began if self._began is not None else timedelta(0)
        self._free_at = now + RESTS * took if is_live else None


class Seen(Protocol):
    """What a sweeper asks before a step."""

    async def seen(self, now: datetime) -> Accords | None: ...


class Rescorer:
    """Implements `Ticker` for one partition."""

    def __init__(
        self,
        *,
        desk: Desk,
        turns: Turns,
        clock: Clock,
        versions: Seen,
        accords: SignedAccords,
        store: ScoringStore,
        progress: RescoreStore,
        pool: Any,
        metrics: Metrics,
    ) -> None:
        self._desk = desk
        self._turns = turns
        self._clock = clock
        self._versions = versions
        self._accords = accords
        self._store = store
        self._progress = progress
        self._pool = pool
        self._metrics = metrics
        self._finished: set[int] | None = None
        self._busy_at: datetime | None = None
        self._stepped_at: datetime | None = None

    async def seconds_to_next(self, now: datetime) -> float | None:
        if self._desk.asked:
            return 0
        accords = await self._versions.seen(now)
        if accords is None or len(accords) < 2:
            return LOOK_AGAIN.total_seconds()
        if self._desk.has_joined:
            self._desk.has_joined, self._finished = False, None
        if self._finished is None:
            self._finished = await self._progress.finished(self._pool, self._desk.partition)
        if self._next_version(accords, now) is not None:
            return self._yielding(now).total_seconds()
        ahead = (accords.effective_at(accord.version) - now for accord in accords.all)
        return min([LOOK_AGAIN, *(left for left in ahead if left > timedelta(0))]).total_seconds()

    async def tick(self, transaction: Transaction, now: datetime) -> Sequence[Outgoing]:
        self._stepped_at = now
        accords = await self._accords.assume(transaction)
        if self._desk.asked:
            return await self._rescore_asked(transaction, accords)
        self._turns.begin(now)
        transaction.on_commit(lambda: self._turns.end(self._clock.now()))
        accord = self._next_version(accords, now)
        return () if accord is None else await self._rescore_some(transaction, accords, accord)

    def _next_version(self, accords: Accords, now: datetime) -> CompiledAccord | None:
        """The first in effect under which this partition isn't rescored yet: each in turn."""
        finished = self._finished or set()
        for accord in accords.all[1:]:
            if accord.version not in finished and accords.effective_at(accord.version) <= now:
                return accord
        return None

    def _yielding(self, now: datetime) -> timedelta:
        """How long live events still come first, or another partition."""
        if self._desk.was_busy:
            self._desk.was_busy, self._busy_at = False, now
            self._turns.note_live(now)
        if left := self._turns.left(now):
            return min(left, QUIET)
        if self._busy_at is None or now - self._busy_at >= QUIET:
            return timedelta(0)
        if self._stepped_at is None or now - self._stepped_at >= PATIENCE:
            return timedelta(0)
        return QUIET

    async def _rescore_some(
        self, transaction: Transaction, accords: Accords, accord: CompiledAccord
    ) -> Sequence[Outgoing]:
        """The next leads of the partition."""
        connection, partition = transaction.connection, self._desk.partition
        before = accords.before(accord.version)[-1]
        after = await self._progress.after(connection, accord.version, partition)
        found = await self._progress.behind(connection, partition, accord=before, after=after or FIRST, limit=LEADS_MAX)
        if not found and after:  # those who came behind it
            found = await self._progress.behind(connection, partition, accord=before, after=FIRST, limit=LEADS_MAX)
        if not found:
            self._finish(transaction, accord)
            return ()
        chosen = dict(_within_bounds(found))
        if len(chosen) < len(found):
            transaction.on_commit(self._metrics.rescore_limit_reached.inc)
        if not chosen:
            return await self._rescore_portion(transaction, accords, accord, *found[0])
        return await self._rescore_all(transaction, accords, accord, chosen)

    async def _rescore_all(
        self, transaction: Transaction, accords: Accords, accord: CompiledAccord, states: dict[UUID, State]
    ) -> Sequence[Outgoing]:
        hot = self._desk.hot.take(transaction, states)
        done = await self._store.done(transaction.connection, list(states))
        scoring = Scoring(accords, states, {})
        granted = 0
        for lead_id, state in states.items():
            scoring.rescore(lead_id, state, accord, regrant(done[lead_id], accord))
            granted += len(done[lead_id])
            if granted >= SLICE_ACTIVITIES:
                granted = 0
                await asyncio.sleep(0)
        saved = self._save(transaction, scoring, after=list(states)[-1])
        self._desk.hot.keep(transaction, {lead_id: saved[lead_id] for lead_id in hot})
        return scoring.outgoing

    async def _rescore_asked(self, transaction: Transaction, accords: Accords) -> Sequence[Outgoing]:
        """A lead with a long history, whose next event waits."""
        asked = self._desk.asked
        lead_id, version = next(iter(asked.items()))
        state = (await self._desk.states(transaction, self._store, [lead_id])).get(lead_id)
        left = accords.since(state.accord, version) if state else ()
        if state is None or not left:
            del asked[lead_id]
            return ()
        return await self._rescore_portion(transaction, accords, left[0], lead_id, state)

    async def _rescore_portion(
        self, transaction: Transaction, accords: Accords, accord: CompiledAccord, lead_id: UUID, state: State
    ) -> Sequence[Outgoing]:
        """As much of a long history as a step may read; what is left is the next one's."""
        connection, progress, version = transaction.connection, self._progress, accord.version
        partial = await progress.partial(connection, lead_id)
        if partial is None or partial.version != version:
            partial = Partial(version, 0, EMPTY)
        number, line = partial.number, partial.line
        through = min(number + INPUTS_MAX, state.number)
        done = await progress.done_between(connection, lead_id, number, through)
        older = None
        if number and needs_older(done, accord, line.as_of):
            older = await progress.older(connection, lead_id, version, number)
        regranted = regrant(done, accord, line, older)
        transaction.on_commit(self._metrics.rescore_portions.inc)
        if through < state.number:
            ledger = list(ledger_lines(lead_id, regranted.earned))
            transaction.add(*progress.keep_partial(lead_id, Partial(version, through, regranted.line), ledger))
            return ()
        self._desk.hot.take(transaction, [lead_id])
        scoring = Scoring(accords, {lead_id: state}, {})
        scoring.rescore(lead_id, state, accord, regranted)
        transaction.add(progress.drop_partial(lead_id))
        self._save(transaction, scoring, after=None)
        return scoring.outgoing

    def _save(self, transaction: Transaction, scoring: Scoring, *, after: UUID | None) -> Mapping[UUID, str]:
        """Returns the states as they are written."""
        batch, partition = scoring.batch, self._desk.partition
        writes, saved = self._store.save(batch, partition)
        transaction.add(*writes, self._progress.count(batch.tallies, partition, after))
        transaction.on_commit(lambda: self._metrics.rescored(batch))
        return saved

    def _finish(self, transaction: Transaction, accord: CompiledAccord) -> None:
        partition, version = self._desk.partition, accord.version

        def note() -> None:
            if self._finished is not None:
                self._finished.add(version)
            log.info("rescore_finished", accord=version, partition=partition)

        transaction.add(self._progress.finish(version, partition))
        transaction.on_commit(note)


def _within_bounds(found: Sequence[tuple[UUID, State]]) -> Iterator[tuple[UUID, State]]:
    """As many leads as a step may read the histories of; none if the first one's alone is too long for any step."""
    inputs = 0
    for lead_id, state in found:
        if state.number > INPUTS_MAX or (inputs and inputs + state.number > STEP_INPUTS_MAX):
            return
        inputs += state.number
        yield lead_id, state


async def watch_rescores(pool: Any, progress: RescoreStore, metrics: Metrics, interval_seconds: float) -> None:
    """Keeps the gauge of leads still to be rescored, of all partitions, from the table."""
    while True:
        try:
            left = await progress.left(pool)
        except DATABASE_ERRORS as error:
            log.warning("leads_left_not_counted", kind=type(error).__name__)
        else:
            metrics.rescore_leads_left.set(left)
        await asyncio.sleep(interval_seconds)
