"""Leads' lives through the real services: scoring, stages and sla_monitor, wired as a process wires them, each behind
its runner, on a real log. Things happen at random, late, twice, out of order; machines fail in mid-step, die, or go on
although another has taken over. In the end the slow references of tests/ and `accord audit` work it all out again.
ACCORD_TEST_LIVES is how many lives are lived (by default 12, about 20 s of CPU)."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from conftest import cloned
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from life_judges import judge_clocks, judge_scores, judge_stages, no_breach_was_false
from line_builders import START, activity, lead, profile, sales_action
from whole_line import SERVICES, WholeLine, whole_line

from services.audit.report import first
from services.audit.run import audit
from shared.events.activity import Activity, ProfileUpdated
from shared.events.base import Payload
from shared.events.sales import Action

LIVES: Final = int(os.environ.get("ACCORD_TEST_LIVES", "12"))
STEPS: Final = 45
SETTLED_MINUTES_MAX: Final = 600
# When it is over, what still runs runs out: two rounds of escalations.
LATER: Final = (timedelta(0), timedelta(hours=25), timedelta(hours=23))
CLOCKS: Final = """SELECT lead_id, started_at, deadline FROM sla.clocks
WHERE state IN ('open', 'warned', 'paused', 'breached', 'resolved') ORDER BY started_at DESC, clock_id LIMIT 6"""
ANSWERS: Final = (Action.CONTACTED, Action.CONTACTED, Action.SNOOZED, Action.NOTE, Action.QUALIFIED, Action.REJECTED)
OFTEN: Final = (Action.CONTACTED, Action.SNOOZED, Action.QUALIFIED)

DOCUMENT: Final[dict[str, Any]] = {
    "accord": 1,
    "name": "Fast",
    "calendar": {
        "timezone": "America/New_York",
        "hours": {day: ["10:00-11:00", "11:10-13:00"] for day in ("mon", "tue", "wed")},
    },
    "scoring": {
        "engagement": {
            "half_life": "1d",
            "cap": 90,
            "rules": [
                {"id": "demo", "activity": "demo.requested", "points": 40},
                {"id": "page", "activity": "page.viewed", "points": 9, "at_most": {"points": 20, "per": "1h"}},
                {"id": "left", "activity": "email.unsubscribed", "points": -30, "half_life": "2h"},
            ],
        },
        "fit": {
            "rules": [{"id": "ceo", "where": {"title": "CEO"}, "points": 40}],
            "grades": {"A": 50, "B": 30, "C": 10},
        },
    },
    "stages": {
        "mql": {"engagement": {"gte": 30}},
        "recycle": {"cool_down": "1h"},
        "rejection_reasons": {"no_budget": "recycled", "competitor": "disqualified"},
    },
    "routing": {
        "teams": {"all": [{"owner": "ada", "weight": 2}, {"owner": "grace", "capacity": "2/d"}, {"owner": "linus"}]},
        "rules": [{"team": "all"}],
        "sticky": "company_domain",
        "managers": {"all": "boss"},
    },
    "sla": {
        "clocks": [
            {
                "id": "contact",
                "starts": "mql",
                "stops": ["contacted", "rejected"],
                "within": "20m",
                "warn_at": "50%",
                "escalate": [{"at": "100%", "to": "owner"}, {"at": "150%", "to": "owner", "then": "reassign"}],
                "pauses_while": "snoozed",
            },
            {
                "id": "deal",
                "starts": "sql",
                "stops": ["opportunity.opened", "note", "assigned"],
                "within": "30m",
                "hours": "always",
                "warn_at": "50%",
                "escalate": [{"at": "300%", "to": "manager", "then": "recycle"}],
                "pauses_while": "snoozed",
            },
        ]
    },
}
# What the test itself put on the log again is no finding.
POSTED_TWICE: Final = re.compile(r"stream\.log: event \S+ lies \d+ times on accord\.(activity|sales)\.v1")
MAIL: Final = {"one": "one@maker.example", "two": "two@maker.example", "three": "three@other.example"}

whom = st.sampled_from(sorted(MAIL))
services = st.sampled_from(SERVICES)
did = st.sampled_from(
    ["demo.requested"] * 3 + ["page.viewed", "email.unsubscribed", "other.seen", "is CEO", "is Intern"]
)
# Who reads at once what was posted: nobody, all, or not to the end.
reading = st.sampled_from([(), (), SERVICES, SERVICES, SERVICES[:1], SERVICES[:2], SERVICES[1:]])
few_minutes = st.integers(0, 25).map(lambda number: timedelta(minutes=number))
jumps = st.sampled_from([0, 1, 5, 10, 19, 20, 21, 31, 60, 61, 90, 1_300]).map(lambda number: timedelta(minutes=number))


class LivesOnTheLine(RuleBasedStateMachine):
    """Three leads of two companies on one partition."""

    postgres: str
    template: str

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.house: WholeLine = self.run(self.open())
        self.posted: list[Payload] = []
        self.a_lead_acts(who="one", what="demo.requested", late=timedelta(0), reads=SERVICES)  # not a life without one

    async def open(self) -> WholeLine:
        databases = cloned(self.postgres, self.template)
        self.stack.push_async_callback(databases.aclose)
        text = msgspec.json.encode(DOCUMENT).decode()
        return await self.stack.enter_async_context(whole_line(await anext(databases), text, START))

    def run(self, work: Awaitable[Any]) -> Any:
        async def waiting() -> Any:
            return await work

        return self.loop.run(waiting())

    @property
    def now(self) -> datetime:
        return self.house.clock.now()

    # What happens

    @rule(by=few_minutes | jumps)
    def time_passes(self, by: timedelta) -> None:
        self.house.clock.advance(by)

    @rule(owner=st.sampled_from(["ada", "grace", "linus"]), absence=st.sampled_from(["none", "paused", "gone"]))
    def an_owner_comes_or_goes(self, owner: str, absence: str) -> None:
        gone = self.now if absence == "gone" else None
        statement = """INSERT INTO api.owners (owner, is_paused, deleted_at) VALUES ($1, $2, $3)
            ON CONFLICT (owner) DO UPDATE SET is_paused = EXCLUDED.is_paused, deleted_at = EXCLUDED.deleted_at"""
        self.run(self.house.pool.execute(statement, owner, absence == "paused", gone))

    @rule(who=whom, what=did, late=few_minutes, reads=reading)
    def a_lead_acts(self, who: str, what: str, late: timedelta, reads: Sequence[str]) -> None:
        at, known = self.now - late, self.known(who)
        posted: Activity | ProfileUpdated
        if what.startswith("is "):
            lead_id, number = known["lead_id"], known["n"]
            posted = profile(at, received_at=self.now, lead_id=lead_id, title=what.removeprefix("is "), number=number)
            posted = msgspec.structs.replace(posted, identifiers=known["identifiers"])
        else:
            posted = activity(what, at, received_at=self.now, **known)
        self.post(posted, reads)

    @rule(
        who=whom,
        action=st.sampled_from([*Action, *OFTEN, *OFTEN]),
        late=few_minutes | st.integers(-5, 90).map(lambda number: timedelta(minutes=number)),
        length=st.none() | st.integers(-5, 45),
        reason=st.sampled_from([None, "no_budget", "competitor", "because"]),
        owner=st.sampled_from([None, None, "grace", "boss"]),
        reads=reading,
    )
    def sales_acts(self, who: str, action: Action, late: timedelta, reads: Sequence[str], **fields: Any) -> None:
        at, length = self.now - late, fields.pop("length")
        fields["until"] = None if length is None else at + timedelta(minutes=length)
        self.post(sales_action(action, at, received_at=self.now, **self.known(who), **fields), reads)

    @rule(
        which=st.integers(0, 5),
        action=st.sampled_from(ANSWERS),
        edge=st.sampled_from(["started_at", "deadline", "deadline"]),
        off=st.integers(-1, 1),
        length=st.integers(1, 45),
        reads=reading,
    )
    def sales_answers_a_clock(
        self, which: int, action: Action, edge: str, off: int, length: int, reads: Sequence[str]
    ) -> None:
        """At, just before or just after a moment that matters; or it is said then to have been so."""
        clocks = self.run(self.house.pool.fetch(CLOCKS))
        if not clocks:
            return
        clock = clocks[which % len(clocks)]
        at, who = clock[edge] + timedelta(minutes=off), next(who for who in MAIL if lead(who) == clock["lead_id"])
        fields = {"until": at + timedelta(minutes=length), "reason": "no_budget"}
        self.post(sales_action(action, at, received_at=self.now, **self.known(who), **fields), reads)

    @rule(off=st.integers(-1, 1), names=st.sampled_from([(), SERVICES, SERVICES[2:], SERVICES[2:]]))
    def a_moment_comes(self, off: int, names: Sequence[str]) -> None:
        """The next one at which something is due."""
        due = self.run(self.house.pool.fetchval("SELECT min(next_due_at) FROM sla.clocks"))
        self.house.clock.advance(max(timedelta(0), (due or self.now) - self.now + timedelta(minutes=off)))
        self.run(self.work(names))

    @rule(which=st.integers(1, 6), reads=reading)
    def something_comes_again(self, which: int, reads: Sequence[str]) -> None:
        self.post(self.posted[-min(which, len(self.posted))], reads)

    # Who works

    @rule(names=st.sampled_from([SERVICES, SERVICES, *((name,) for name in SERVICES)]))
    def services_work(self, names: Sequence[str]) -> None:
        self.run(self.work(names))

    @rule(name=services, trouble=st.sampled_from(["fails", "loses its connection", "dies", "is overtaken", "goes on"]))
    def a_machine_is_in_trouble(self, name: str, trouble: str) -> None:
        """It fails in mid-step, or dies where it stands; or another takes over, and the first goes on all the same."""
        if trouble == "dies":
            self.run(self.house.workers[name].kill())
            self.house.employ(name, batch_events_max=1)
        elif trouble == "is overtaken":
            self.house.overtake(name)
            self.run(self.house.work(name))
        elif trouble == "goes on":
            for zombie in self.house.zombies:
                self.run(zombie.work())
        else:
            self.house.workers[name].handler.breaks = trouble

    # How it is done

    def known(self, who: str) -> dict[str, Any]:
        return {"lead_id": lead(who), "identifiers": {"email": MAIL[who]}, "n": len(self.posted)}

    def post(self, payload: Payload, reads: Sequence[str]) -> None:
        self.posted.append(payload)
        self.run(self.house.post(payload))
        self.run(self.work(reads))

    async def work(self, names: Sequence[str]) -> None:
        for name in names:
            await self.house.work(name)

    async def settle(self) -> None:
        """Until everything is read and nothing is due, at the pace of a minute."""
        for _ in range(SETTLED_MINUTES_MAX):
            await self.work(SERVICES)
            if await self.house.is_read() and not await self.house.is_due(self.now):
                return
            self.house.clock.advance(timedelta(minutes=1))
        raise AssertionError("the line doesn't come to rest")

    async def judge(self) -> None:
        judges: list[Callable[..., Awaitable[None]]] = [judge_scores, judge_stages, judge_clocks]
        for judged in judges:
            for who in MAIL:
                await judged(self.house, DOCUMENT, lead(who))
        await no_breach_was_false(self.house, DOCUMENT)
        assert not await self.house.pool.fetchval("SELECT count(*) FROM stream.dead_letters")
        sentences = [sentence for _, sentence in first(await audit(self.house.url))]
        assert not [one for one in sentences if not POSTED_TWICE.fullmatch(one)]

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            for later in LATER:
                self.house.clock.advance(later)
                self.run(self.settle())
            self.run(self.judge())
        finally:
            self.run(self.stack.aclose())
            self.loop.close()


def test_whatever_happens_the_line_says_what_the_references_say(
    postgres_url: str, template_database: str, monkeypatch: Any
) -> None:
    # In minutes of the clock that the test moves: some waits for a lagging line end, others run out.
    monkeypatch.setenv("ACCORD_ANNOUNCE_PATIENCE_SECONDS", "180")
    LivesOnTheLine.postgres, LivesOnTheLine.template = postgres_url, template_database
    lives = settings(
        max_examples=LIVES,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )
    run_state_machine_as_test(LivesOnTheLine, settings=lives)
