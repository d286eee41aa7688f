"""Keeps lists and reports up with the log, and engagements in lists up with the time, at its own bounded pace.

A pass goes on in slices, each followed by a rest nine times as long, or as long as itself after minutes behind the log.
Who asks for a list or a report has a pass made without rests, and waits for it: for a list a moment, at most.
A walk over all leads, when the thread was lost, goes on beside that in small steps. One process at a time does it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from services.api.metrics import Metrics
from services.api.model import live_totals
from services.api.store.lists import LEADS_MAX, REFRESHED_MAX, REFRESHED_SECONDS, ListStore, Told
from services.api.store.rolled import KEPT, PUBLISHED, Rolled
from shared.agreement.compiled import CompiledAccord
from shared.agreement.decay import RuleTotal, engagement_at, worth
from shared.agreement.versions import Accords
from shared.clock import Clock
from shared.errors import Surroundings, Unavailable

REST_SECONDS_MIN: Final = 0.25
REST_SECONDS_MAX: Final = 5.0
REST_SHARE: Final = 9.0
# What lists go by may be a quarter of an hour old (HTTP.md): after a third of that the line must leave them more.
BEHIND_SECONDS: Final = 300.0
REST_SHARE_BEHIND: Final = 1.0
STANDBY_SECONDS: Final = 1.0
CATCH_UP_SECONDS: Final = 0.5
REACH_SECONDS: Final = 10.0
# While another process makes a pass, this one looks again so soon.
LOOK_SECONDS: Final = 0.02
# What all grants of a lead together are worth less than no longer moves it in a list.
NEGLIGIBLE: Final = 0.0005

log = structlog.get_logger(component="lists")


class Rests:
    """How long a slice is followed by nothing. Times are a loop's, in seconds."""

    def __init__(self) -> None:
        self._behind_since: float | None = None

    def look(self, left: int, now: float) -> None:
        """A pass began, and leaves so many events to the next ones."""
        if not left:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now

    def seconds(self, slice_seconds: float, now: float) -> float:
        """After a slice that took so long."""
        is_late = self._behind_since is not None and now - self._behind_since >= BEHIND_SECONDS
        return min(REST_SECONDS_MAX, (REST_SHARE_BEHIND if is_late else REST_SHARE) * slice_seconds)


class Lists:
    """`loops` run until cancelled."""

    def __init__(
        self, store: ListStore, accords: Callable[[], Awaitable[Accords]], clock: Clock, metrics: Metrics
    ) -> None:
        self._store = store
        self._accords = accords
        self._clock = clock
        self._metrics = metrics
        self._asked = asyncio.Event()
        self._passed = asyncio.Condition()
        self._begun = self._ended = self._wanted = 0
        self._slice_began = 0.0
        self._rests = Rests()
        self._one = asyncio.Lock()  # passes and steps of a walk bring the same rows
        self.loops = (self.run, self.walk, self.keep_fresh)

    async def catch_up(self) -> None:
        """Returns once a pass that begins now has ended, or after half a second: a list may then lag."""
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                await self._next_pass()
        except TimeoutError:
            self._metrics.reach("list_wait")

    async def reading(self) -> Rolled:
        """What a report may read, so that it has all that was committed before now: what was rolled up, once that has
        come so far, or what the services publish if it hasn't for ten seconds, or walks over all leads."""
        standing = await self._store.standing()
        ends = standing.ends
        try:
            async with asyncio.timeout(REACH_SECONDS):
                while not standing.is_past(ends):
                    if standing.is_lost:
                        return PUBLISHED
                    await self._next_pass()
                    standing = await self._store.standing()
                    if not standing.is_past(ends):
                        await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            self._metrics.reach("report_wait")
            return PUBLISHED
        return KEPT

    async def _next_pass(self) -> None:
        wanted = self._wanted = self._begun + 1  # one that is under way may have looked already
        self._asked.set()
        async with self._passed:
            await self._passed.wait_for(lambda: self._ended >= wanted)

    async def run(self) -> None:
        while True:
            self._begun += 1
            try:
                is_mine = await self.go()
            except (Unavailable, Surroundings) as error:
                log.warning("lists_retried", kind=type(error).__name__)
                is_mine = False
            await self._tell()
            await self._rest(max(REST_SECONDS_MIN, self._rest_seconds()) if is_mine else STANDBY_SECONDS)

    async def go(self) -> bool:
        """One pass; each slice of leads is a transaction, the last one moves on. False if another process is at it."""
        told: Told | None = None
        begin = 0
        while told is None or begin < len(told.lead_ids):
            if told is not None:
                await self._rest(self._rest_seconds())
            self._slice_began = asyncio.get_running_loop().time()
            async with self._one, self._store.database.transaction() as connection:
                if not await self._store.is_mine(connection):
                    self._note(0)
                    return False
                if told is None:
                    told = await self._store.told_of(connection)
                    self._note(told.left)
                lead_ids = told.lead_ids[begin : begin + LEADS_MAX]
                begin += LEADS_MAX
                if lead_ids:
                    await self._store.bring(connection, lead_ids)
                if begin >= len(told.lead_ids):
                    await self._store.move(connection, told.places)
            self._metrics.listed.inc(len(lead_ids))
        return True

    async def walk(self) -> None:
        """Runs until cancelled. A step is followed by a rest as long: until the walk has ended, reports are slow."""
        await self._go_on(self.step, rest_share=1.0)

    async def step(self) -> bool:
        """The next leads of a walk over all, a transaction; False if there is no walk, or another process is at it."""
        async with self._one, self._store.database.transaction() as connection:
            if not await self._store.is_mine(connection):
                return False
            lead_ids = await self._store.next_of_walk(connection)
            if lead_ids:
                await self._store.bring(connection, lead_ids)
        self._metrics.listed.inc(len(lead_ids))
        return bool(lead_ids)

    async def keep_fresh(self) -> None:
        """Runs until cancelled: engagements are worked out anew beside the passes that people wait for."""
        await self._go_on(self.refresh, rest_share=REST_SHARE)

    async def _go_on(self, turn: Callable[[], Awaitable[bool]], *, rest_share: float) -> None:
        """Takes turns for as long as one says that there is more, with rests between them; then looks again."""
        time = asyncio.get_running_loop().time
        while True:
            began = time()
            try:
                is_more = await turn()
            except (Unavailable, Surroundings) as error:
                log.warning("lists_retried", kind=type(error).__name__)
                is_more = False
            rest = min(REST_SECONDS_MAX, rest_share * (time() - began))
            await asyncio.sleep(rest if is_more else STANDBY_SECONDS)

    async def refresh(self) -> bool:
        """The next leads whose engagement was looked at too long ago, a transaction; False if no more are waiting, or
        another process is at it."""
        async with self._store.database.transaction() as connection:
            if not await self._store.is_mine_to_refresh(connection):
                return False
            now = self._clock.now()
            due = await self._store.due(connection, now)
            if due:
                accords = await self._accords()
                await self._store.refresh(connection, [_refreshed(row, accords, now) for row in due])
        self._metrics.refreshed.inc(len(due))
        return len(due) == REFRESHED_MAX

    async def _tell(self) -> None:
        async with self._passed:
            self._ended = self._begun
            self._passed.notify_all()

    def _rest_seconds(self) -> float:
        """After the last slice."""
        now = asyncio.get_running_loop().time()
        return self._rests.seconds(now - self._slice_began, now)

    def _note(self, left: int) -> None:
        """So many events are left to the passes after this one."""
        self._metrics.unlisted.set(left)
        self._rests.look(left, self._slice_began)

    async def _rest(self, seconds: float) -> None:
        """Until then, or until somebody asks; not at all while somebody waits."""
        if self._ended >= self._wanted:
            self._asked.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._asked.wait()


def _refreshed(row: Mapping[str, Any], accords: Accords, now: datetime) -> tuple[Any, float, datetime | None]:
    if row["accord"] is None:
        return row["lead_id"], 0.0, None
    accord = accords.version(row["accord"])
    totals = live_totals(row["rule_totals"], accord)
    is_over = sum(_magnitude(total, accord, id, now) for id, total in totals.items()) < NEGLIGIBLE
    again = None if is_over else now + timedelta(seconds=REFRESHED_SECONDS)
    return row["lead_id"], engagement_at(totals, accord, now), again


def _magnitude(total: RuleTotal, accord: CompiledAccord, id: str, now: datetime) -> float:
    return abs(worth(total.worth, total.at, accord.rule(id).half_life, max(now, total.at)))
