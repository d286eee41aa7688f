"""Applies dead letters whose replay was asked for, each in a step that moves no position."""

import asyncio
from collections.abc import Sequence

import structlog

from shared.clock import Clock
from shared.errors import AlreadyApplied, OwnershipLost, PositionsMoved
from shared.events.envelope import Outgoing
from shared.stream import dead_letter
from shared.stream.carrier import Claim, Slot
from shared.stream.faults import is_poison, kind_of
from shared.stream.handler import Handler
from shared.stream.metrics import Metrics

CHECK_SECONDS = 1.0

log = structlog.get_logger()


class Replayer:
    """Belongs to the runner of one partition."""

    def __init__(self, slot: Slot, handler: Handler, *, clock: Clock, metrics: Metrics) -> None:
        self._slot = slot
        self._handler = handler
        self._clock = clock
        self._metrics = metrics
        self._log = log.bind(service=slot.service, partition=slot.number)
        self._next_check = 0.0

    async def replay_asked(self, claim: Claim) -> Sequence[Outgoing] | None:
        """What the replays emitted; None if none was asked for, or it isn't time to look."""
        now = asyncio.get_running_loop().time()
        if now < self._next_check:
            return None
        self._next_check = now + CHECK_SECONDS
        letters = await claim.replays()
        emitted: list[Outgoing] = []
        for letter in letters:
            emitted.extend(await self._replay(claim, letter))
        return emitted if letters else None

    async def _replay(self, claim: Claim, letter: dead_letter.DeadLetter) -> Sequence[Outgoing]:
        try:
            async with claim.step(claim.positions, claim.breaker) as transaction:
                outgoing = await self._handler.handle(transaction, [letter.record])
                await transaction.emit(outgoing)
                await transaction.mark_replayed(letter.id)
        except AlreadyApplied:
            async with claim.step(claim.positions, claim.breaker) as transaction:
                await transaction.mark_replayed(letter.id)
            return ()
        except (OwnershipLost, PositionsMoved):
            raise
        except Exception as error:
            if not is_poison(error):
                raise
            await self._bury_again(claim, letter, error)
            return ()
        self._metrics.replays.labels(self._slot.service).inc()
        self._log.info("dead_letter_replayed", letter_id=str(letter.id))
        return outgoing

    async def _bury_again(self, claim: Claim, letter: dead_letter.DeadLetter, error: Exception) -> None:
        again = dead_letter.of(
            letter.record, service=self._slot.service, kind=kind_of(error), error=error, at=self._clock.now()
        )
        async with claim.step(claim.positions, claim.breaker) as transaction:
            await transaction.bury([again])
        self._log.error("replay_failed", letter_id=str(letter.id), kind=again.kind)
