"""Runs one service on one partition: fetch, step, tick, replay, at its own pace (DESIGN.md "The step, exactly").

One runner owns one partition under one epoch. A commit moves states, history, positions and emitted events together;
a failure of the surroundings is retried for ever with backoff, an event that can't be applied ends as a dead letter.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence

import structlog

from shared.clock import Clock
from shared.errors import AlreadyApplied, Gap, OutOfRange, OwnershipLost, PositionsMoved, Surroundings, TooMuch
from shared.events.envelope import Outgoing, Record
from shared.stream import dead_letter
from shared.stream.breaker import Stopped
from shared.stream.carrier import Carrier, Claim, Missing, Slot
from shared.stream.causes import PATIENCE_SECONDS, Ordered
from shared.stream.faults import is_poison, kind_of
from shared.stream.handler import Handler, Ticker
from shared.stream.kafka_codec import raise_if_unreadable
from shared.stream.metrics import Metrics
from shared.stream.pace import Pace
from shared.stream.positions import admit, advance, in_order_of_receipt, missing_before
from shared.stream.replay import Replayer

log = structlog.get_logger()

BATCH_EVENTS_MAX = 500
POLL_SECONDS = 0.25
BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
RESUME_CHECK_SECONDS = 1.0
# While a number is missing it is looked for so far ahead: its emitter's relay sends it again, with what followed.
GAP_EVENTS_MAX = 50_000


class Runner:
    """`run` returns when `stop` was called or the ownership was lost; `state` says which, for readiness and people.

    `at_once`: the handler's steps are one statement each, unless it opens them."""

    def __init__(
        self,
        *,
        carrier: Carrier,
        slot: Slot,
        topics: Sequence[str],
        handler: Handler,
        clock: Clock,
        metrics: Metrics,
        release: str,
        ticker: Ticker | None = None,
        batch_events_max: int = BATCH_EVENTS_MAX,
        at_once: bool = False,
    ) -> None:
        self.slot = slot
        self.state = "starting"
        self._carrier = carrier
        self._topics = topics
        self._handler = handler
        self._ticker = ticker
        self._clock = clock
        self._metrics = metrics
        self._release = release
        self._limit = batch_events_max
        self._at_once = at_once
        self._labels = (slot.service, str(slot.number))
        self._log = log.bind(service=slot.service, partition=slot.number)
        self._claim: Claim | None = None
        self._pace = Pace()
        self._stopping = False
        self._replayer = Replayer(slot, handler, clock=clock, metrics=metrics)
        self._missing: Missing | None = None
        self._held_since: float | None = None
        metrics.begin(slot.service)

    def stop(self) -> None:
        """Asks the runner to finish the step at hand and return."""
        self._stopping = True
        self._carrier.wake(self.slot)

    async def run(self) -> None:
        self._tell_held_up()
        try:
            await self._run()
        except OwnershipLost:
            self.state = "lost"
            self._metrics.epoch_losses.labels(self.slot.service).inc()
            self._log.warning("ownership_lost")
        finally:
            claim, self._claim = self._claim, None
            if claim is not None:
                await claim.release()
            if self.state != "lost":
                self.state = "ended"
            self._tell_held_up()

    async def _run(self) -> None:
        failures = 0
        while not self._stopping:
            try:
                await self._turn(await self._ready_claim(failures))
                failures = 0
            except OwnershipLost:
                raise
            except PositionsMoved:
                failures = 1
            except Exception as error:
                failures += 1
                await self._back_off(error, failures)

    async def _ready_claim(self, failures: int) -> Claim:
        """The claim, read afresh after a failure: what looked failed may have been committed."""
        if self._claim is None:
            self._claim = await self._carrier.claim(self.slot, self._topics)
        elif failures:
            await self._claim.reload()
        if self.state == "starting":
            await self._begin(self._claim)
        return self._claim

    async def _begin(self, claim: Claim) -> None:
        """A stop of the breaker made by another release ends here."""
        breaker = claim.breaker.at_start(self._release)
        if breaker is not claim.breaker:
            async with claim.step(claim.positions, breaker):
                pass
            self._log.warning("breaker_reset_by_release", release=self._release)
        self.state = "running"

    async def _turn(self, claim: Claim) -> None:
        """One round: what has come is applied, what is due is acted on, what was asked for is replayed; else wait."""
        if claim.breaker.is_stopped:
            await self._wait_for_resume(claim)
            return
        await self._pace.wait()
        fetched = await self._fetch(claim)
        if fetched:
            self._pace.begin()
            try:
                await self._apply(claim, fetched)
            except Stopped:
                return
            except TooMuch:  # for the ticker to prepare
                if await self._tick_if_due(claim) != 0:
                    raise
                return
        due_in = await self._tick_if_due(claim)
        if await self._replay_if_asked(claim) or due_in == 0:
            return
        if len(fetched) < self._limit:
            # Commits wake us, those of other processes by a notice; a look at the log is for a notice that was lost.
            await self._carrier.wait(self.slot, self._topics, min(POLL_SECONDS, due_in or POLL_SECONDS))

    async def _fetch(self, claim: Claim) -> Sequence[Record]:
        if self.state == "gap":
            return self._after_causes(claim, in_order_of_receipt(await claim.fetch(self._topics, GAP_EVENTS_MAX)))
        fetched = self._after_causes(claim, in_order_of_receipt(await claim.fetch(self._topics, self._limit)))
        if self.state == "out of range":
            self.state = "running"
        return fetched[: self._limit]

    def _after_causes(self, claim: Claim, fetched: Sequence[Record]) -> Sequence[Record]:
        """What names an event that is still to be read waits for it, but not for ever with nothing else to do."""
        ordered = Ordered(claim.positions, fetched)
        if not ordered.held or ordered.records:
            self._held_since = None
            return ordered.records
        now = asyncio.get_running_loop().time()
        self._held_since = self._held_since if self._held_since is not None else now
        if now - self._held_since < PATIENCE_SECONDS:
            return ordered.records
        self._log.warning("order_given_up", events=len(ordered.held))
        self._held_since = None
        return ordered.held

    async def _apply(self, claim: Claim, fetched: Sequence[Record]) -> None:
        admission = admit(claim.positions, fetched)
        if len(fetched) >= self._limit:
            self._metrics.batch_limit_reached.labels(self.slot.service).inc()
        if len(admission.records) > self._limit:  # after a gap
            await self._step(claim, admission.records[: self._limit])
            return
        if admission.records:
            await self._step(claim, admission.records)
        if admission.positions != claim.positions:
            async with claim.step(admission.positions, claim.breaker, at_once=True):
                pass
        self._metrics.duplicates.labels(self.slot.service).inc(admission.duplicates)
        missing = missing_before(claim.positions, admission.gap)
        if missing != self._missing:
            await claim.note_missing(missing)
            self._missing = missing
            self.state = "gap" if missing else "running"
            self._tell_held_up()
        if missing is not None:
            raise Gap

    def _tell_held_up(self) -> None:
        """What gauges and log say is of this owner: one that lost its partition says nothing of its successor's."""
        if self.state == "gap" and self._missing:
            self._log.error("gap_found", **self._missing._asdict())
        self._metrics.gaps.labels(*self._labels).set(self.state == "gap")
        self._metrics.stopped.labels(*self._labels).set(self.state == "stopped")

    async def _step(self, claim: Claim, records: Sequence[Record]) -> None:
        """Applies the records as one step, or, if one of them is poison, as halves, each a whole step of its own."""
        try:
            await self._commit(claim, records)
        except AlreadyApplied as error:
            left = [record for record in records if record.event.id not in error.event_ids]
            if len(left) == len(records):
                raise Surroundings("a handler named events as applied that are not in its batch") from error
            self._metrics.duplicates.labels(self.slot.service).inc(len(records) - len(left))
            if left:
                await self._step(claim, left)
            async with claim.step(advance(claim.positions, records), claim.breaker):
                pass
        except Exception as error:
            if len(records) == 1 and is_poison(error):
                await self._bury(claim, records[0], error)
            elif len(records) > 1 and (is_poison(error) or isinstance(error, TooMuch)):
                middle = len(records) // 2
                await self._step(claim, records[:middle])
                await self._step(claim, records[middle:])
            else:
                raise

    async def _commit(self, claim: Claim, records: Sequence[Record]) -> None:
        service = self.slot.service
        with self._metrics.step_seconds.labels(service).time():
            positions, breaker = advance(claim.positions, records), claim.breaker.after_success(len(records))
            async with claim.step(positions, breaker, at_once=self._at_once) as transaction:
                raise_if_unreadable(records)
                outgoing = await self._handler.handle(transaction, records)
                await transaction.put(outgoing)
        self._metrics.batch_events.labels(service).observe(len(records))
        for type_, count in Counter([record.event.type for record in records]).items():
            self._metrics.events_in.labels(service, type_).inc(count)
        self._count_out(outgoing)

    def _count_out(self, outgoing: Sequence[Outgoing]) -> None:
        for type_, count in Counter([event.type for _, event in outgoing]).items():
            self._metrics.events_out.labels(self.slot.service, type_).inc(count)

    async def _bury(self, claim: Claim, record: Record, error: Exception) -> None:
        """A dead letter is written in a step of its own: row, event and position together."""
        breaker = claim.breaker.after_dead_letter(self._release)
        letter = dead_letter.of(
            record, service=self.slot.service, kind=kind_of(error), error=error, at=self._clock.now()
        )
        async with claim.step(advance(claim.positions, [record]), breaker) as transaction:
            await transaction.bury([letter])
            await transaction.emit([dead_letter.outgoing(letter, self.slot.service)])
        self._metrics.dead_letters.labels(self.slot.service).inc()
        self._log.error("event_dead_lettered", event_id=str(record.event.id), kind=letter.kind, offset=record.offset)
        if breaker.is_stopped:
            raise Stopped

    async def _tick_if_due(self, claim: Claim) -> float | None:
        """Seconds until the next due moment; 0 when a tick was made, since more may be due."""
        if self._ticker is None:
            return None
        now = self._clock.now()
        due_in = await self._ticker.seconds_to_next(now)
        if due_in is None or due_in > 0:
            return due_in
        async with claim.step(claim.positions, claim.breaker) as transaction:
            outgoing = await self._ticker.tick(transaction, now)
            await transaction.put(outgoing)
        self._count_out(outgoing)
        return 0

    async def _replay_if_asked(self, claim: Claim) -> bool:
        emitted = await self._replayer.replay_asked(claim)
        self._count_out(emitted or ())
        return emitted is not None

    async def _wait_for_resume(self, claim: Claim) -> None:
        if self.state != "stopped":
            self.state = "stopped"
            self._tell_held_up()
            self._log.error("partition_stopped_by_breaker", in_a_row=claim.breaker.in_a_row)
        await self._carrier.wait(self.slot, self._topics, RESUME_CHECK_SECONDS)
        await claim.reload()
        if not claim.breaker.is_stopped:
            self.state = "running"
            self._tell_held_up()
            self._log.warning("partition_resumed")

    async def _back_off(self, error: Exception, failures: int) -> None:
        if isinstance(error, OutOfRange):
            self.state = "out of range"
        elif not isinstance(error, Gap):
            self._metrics.retries.labels(self.slot.service).inc()
            self._log.warning("step_retried", kind=kind_of(error), failures=failures)
        seconds = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS)) - 1]
        await self._carrier.wait(self.slot, self._topics, seconds)
