"""Funnel, attribution and first contact beside a plain recount of the same made-up leads."""

import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import asyncpg
import pytest
from api_builders import Caller, running_line
from builders import eventually

from services.scoring.model.rules import instant
from shared.events.sales import AMOUNT_MAX

SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
PERIOD = "from=2026-03-01T00:00:00Z&to=2026-05-01T00:00:00Z"
STAGES = ("lead", "mql", "sal", "sql", "opportunity", "customer")
SOURCES, OWNERS = ("website", "events", "partner"), ("ann@sales.example", "ben@sales.example")


class Entry(NamedTuple):
    stage: str
    at: datetime
    owner: str | None
    action: str | None = None
    amount: float | None = None
    currency: str | None = None


class Made(NamedTuple):
    """A lead with its touches as (time, source, campaign), its entries, and when it was contacted."""

    id: UUID
    touches: list[tuple[datetime, str, str | None]]
    entries: list[Entry]
    contacts: list[datetime]


def made_up(number: int, dice: random.Random) -> Made:
    at = SINCE - timedelta(days=20) + timedelta(hours=dice.randrange(24 * 90))
    touches, entries, contacts = [], [Entry("lead", at, None)], []
    for _ in range(dice.randrange(1, 5)):
        touches.append((at, dice.choice(SOURCES), dice.choice(("spring", None))))
        at += timedelta(hours=dice.randrange(1, 60))
    owner = dice.choice(OWNERS)
    for stage in STAGES[1 : dice.randrange(1, 7)]:
        amount = amount_of(number, dice) if stage in ("opportunity", "customer") else None
        currency = dice.choice(("EUR", "USD")) if amount else None
        action = {"opportunity": "opportunity.opened", "customer": "won"}.get(stage)
        entries.append(Entry(stage, at, owner, action, amount, currency))
        if stage == "mql" and dice.random() < 0.2:
            entries += [
                Entry("recycled", at + timedelta(hours=1), "desk"),
                Entry("mql", at + timedelta(hours=2), owner),
            ]
        if stage == "mql" and dice.random() < 0.7:
            contacts.append(at + timedelta(minutes=dice.randrange(4_000)))
        at += timedelta(hours=dice.randrange(3, 300))
    return Made(uuid5(UUID(int=1), str(number)), touches, entries, contacts)


def amount_of(number: int, dice: random.Random) -> float:
    """Some are what nobody pays: another producer put them on the log, where nobody bounds them."""
    return dice.choice((1.7e308, 5e-324)) if number % 4 == 0 else dice.randrange(1, 9) * 1_000.0


@pytest.fixture
def leads() -> list[Made]:
    return [made_up(number, random.Random(number)) for number in range(80)]


# Nothing of this stands on the log: a walk over all leads rolls it up, and while it can't begin, nothing is.
WALK = "INSERT INTO api.list_state (walked_through) VALUES ('00000000-0000-0000-0000-000000000000')"
WALKED = "SELECT walked_through IS NULL FROM api.list_state"
NO_PASS = "SELECT pg_advisory_lock(x'6163635F6C7374'::bigint)"


@pytest.fixture(params=["rolled up", "published"])
async def caller(
    request: pytest.FixtureRequest, database_url: str, pool: asyncpg.Pool, leads: list[Made]
) -> AsyncIterator[Caller]:
    for lead in leads:
        await write(pool, lead)
    await pool.execute(WALK)
    async with pool.acquire() as connection:
        if request.param == "published":
            await connection.execute(NO_PASS)
        async with running_line(database_url, "api") as caller:
            if request.param == "rolled up":

                async def is_rolled_up() -> bool:
                    return bool(await pool.fetchval(WALKED))

                await eventually(is_rolled_up, within=10)
            yield caller


async def write(pool: asyncpg.Pool, lead: Made) -> None:
    campaigns = [campaign for *_, campaign in lead.touches if campaign]
    state: list[Any] = [1, 1, 1, instant(SINCE), {}, {}, {}, {}, {}, None, lead.touches[-1][1]]
    state += [campaigns[-1] if campaigns else None, lead.touches[0][1], "marketing", 0.0, 0, [], "D"]
    values = "(lead_id, engagement, fit, grade, state, partition, accord) VALUES ($1, 0, 0, 'D', $2, 0, 1)"
    await pool.execute(f"INSERT INTO scoring.leads {values}", lead.id, json.dumps(state))
    for number, (at, source, campaign) in enumerate(lead.touches, 1):
        body = {"type": "page.viewed", "occurred_at": at.isoformat(), "source": source, "campaign": campaign}
        await pool.execute(
            "INSERT INTO scoring.history VALUES ($1, $2, $3, 'activity', $4, $5)",
            *(lead.id, uuid5(lead.id, f"touch {number}"), number, at, json.dumps(body).encode()),
        )
    for version, entry in enumerate(lead.entries[1:], 1):
        cause = uuid5(lead.id, f"cause {version}")
        await pool.execute(
            "INSERT INTO stages.transitions VALUES ($1, $2, $3, $4, $5, 'x', $6, 'x', $7, false, $8)",
            *(lead.id, version, uuid5(cause, "t"), cause, entry.at, entry.stage, entry.action, entry.owner),
        )
        if entry.action is not None:
            await act(pool, lead.id, cause, entry.at, action=entry.action, amount=entry.amount, currency=entry.currency)
    for number, at in enumerate(lead.contacts):
        await act(pool, lead.id, uuid5(lead.id, f"contact {number}"), at, action="contacted")


async def act(pool: asyncpg.Pool, lead_id: UUID, event_id: UUID, at: datetime, **body: Any) -> None:
    value = json.dumps({"occurred_at": at.isoformat(), **body}).encode()
    await pool.execute("INSERT INTO stages.history VALUES ($1, $2, 1, $3, $4)", lead_id, event_id, at, value)


def recount(leads: list[Made], stage: str, cohort_of: Any = lambda lead, entry: None) -> dict[Any, list[float | None]]:
    """By cohort, the seconds each lead took to the next stage; None for one that never came there."""
    found: dict[Any, list[float | None]] = defaultdict(list)
    following = STAGES[STAGES.index(stage) + 1] if stage != "customer" else None
    for lead in leads:
        inside = [(place, e) for place, e in enumerate(lead.entries) if e.stage == stage and SINCE <= e.at < UNTIL]
        if inside:
            place, entry = inside[0]
            later = [e.at for e in lead.entries[place + 1 :] if e.stage == following]
            found[cohort_of(lead, entry)].append((later[0] - entry.at).total_seconds() if later else None)
    return found


def check_steps(steps: list[dict[str, Any]], leads: list[Made], cohort: Any = None, cohort_of: Any = None) -> None:
    for step in steps:
        counted = recount(leads, step["stage"], cohort_of or (lambda lead, entry: None)).get(cohort, [])
        took = [seconds for seconds in counted if seconds is not None]
        assert step["entered"] == len(counted), (cohort, step)
        if step["stage"] == "customer":
            assert (step["converted"], step["rate"]) == (None, None)
            continue
        assert step["converted"] == len(took), (cohort, step)
        assert step["rate"] == (pytest.approx(len(took) / len(counted)) if counted else None)
        assert step["median_seconds"] == (pytest.approx(median(took)) if took else None)


async def test_the_funnel_counts_what_a_recount_counts(caller: Caller, leads: list[Made]) -> None:
    funnel = (await caller.get(f"/v1/funnel?{PERIOD}")).json
    assert [step["stage"] for step in funnel["steps"]] == list(STAGES)
    assert funnel["steps"][1]["entered"] > 10
    check_steps(funnel["steps"], leads)
    assert funnel["cohorts"] == []
    assert (funnel["from"], funnel["to"]) == ("2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z")


COHORTS = {
    "source": lambda lead, entry: lead.touches[0][1],
    "campaign": lambda lead, entry: "spring" if any(campaign for *_, campaign in lead.touches) else None,
    "owner": lambda lead, entry: entry.owner,
    "week": lambda lead, entry: "{}-W{:02}".format(*entry.at.isocalendar()[:2]),
}


async def test_cohorts_add_up_and_each_is_recounted(caller: Caller, leads: list[Made]) -> None:
    for by in COHORTS:
        await check_cohorts(caller, leads, by)


async def check_cohorts(caller: Caller, leads: list[Made], by: str) -> None:
    funnel = (await caller.get(f"/v1/funnel?{PERIOD}&by={by}")).json
    assert len(funnel["cohorts"]) > 1
    assert all(any(step["entered"] for step in cohort["steps"]) for cohort in funnel["cohorts"])
    for place in range(len(STAGES)):
        of_cohorts = [cohort["steps"][place]["entered"] for cohort in funnel["cohorts"]]
        assert sum(of_cohorts) == funnel["steps"][place]["entered"]
    if by == "week":  # the accord's weeks are those of its own zone
        return
    for cohort in funnel["cohorts"]:
        check_steps(cohort["steps"], leads, cohort["cohort"], COHORTS[by])


def shares(touches: list[tuple[datetime, str, str | None]], at: datetime, by: int, model: str) -> dict[Any, float]:
    keys = [touch[by] for touch in touches if touch[by] is not None and touch[0] <= at]
    if not keys:
        return {None: 1.0}
    chosen = {"first": keys[:1], "last": keys[-1:], "linear": keys}[model]
    found: dict[Any, float] = defaultdict(float)
    for key in chosen:
        found[key] += 1 / len(chosen)
    return found


async def test_outcomes_are_shared_out_in_full(caller: Caller, leads: list[Made]) -> None:
    for by in ("source", "campaign"):
        for model in ("first", "last", "linear"):
            await check_shares(caller, leads, by, model)


async def check_shares(caller: Caller, leads: list[Made], by: str, model: str) -> None:
    items = (await caller.get(f"/v1/attribution?{PERIOD}&by={by}&model={model}")).json["items"]
    expected: dict[Any, dict[Any, float]] = defaultdict(lambda: defaultdict(float))
    for lead in leads:
        for entry in lead.entries[1:]:
            if entry.stage in ("mql", "opportunity", "customer") and SINCE <= entry.at < UNTIL:
                for key, share in shares(lead.touches, entry.at, ("source", "campaign").index(by) + 1, model).items():
                    expected[key][entry.stage] += share
                    if entry.amount and 1 <= entry.amount <= AMOUNT_MAX:
                        expected[key][entry.stage, entry.currency] += share * entry.amount
    assert {item["key"] for item in items} == set(expected)
    for item in items:
        counted = expected[item["key"]]
        for name, stage in (("qualified", "mql"), ("opportunities", "opportunity"), ("customers", "customer")):
            assert item[name] == pytest.approx(counted[stage])
        for name, stage in (("pipeline", "opportunity"), ("revenue", "customer")):
            amounts = {key[1]: amount for key, amount in counted.items() if isinstance(key, tuple) and key[0] == stage}
            assert item[name] == pytest.approx(amounts)


async def test_first_contact_falls_into_its_bucket(caller: Caller, leads: list[Made]) -> None:
    answer = (await caller.get(f"/v1/first-contact?{PERIOD}")).json
    took = []
    for lead in leads:
        entered = [entry.at for entry in lead.entries if entry.stage == "mql" and SINCE <= entry.at < UNTIL]
        if entered:
            after = [at for at in lead.contacts if at >= entered[0]]
            took.append((min(after) - entered[0]).total_seconds() if after else None)
    contacted = [seconds for seconds in took if seconds is not None]
    assert (answer["qualified"], answer["contacted"]) == (len(took), len(contacted))
    assert answer["not_contacted"] == len(took) - len(contacted)
    assert answer["median_seconds"] == pytest.approx(median(contacted))
    assert sum(bucket["leads"] for bucket in answer["buckets"]) == len(contacted)
    hour = [seconds for seconds in contacted if 900 < seconds <= 3_600]
    assert next(b["leads"] for b in answer["buckets"] if b["up_to_seconds"] == 3_600) == len(hour)


async def test_a_period_is_bounded(caller: Caller) -> None:
    for query in ("from=2026-05-01T00:00:00Z&to=2026-03-01T00:00:00Z", "from=2020-01-01T00:00:00Z", "by=moon"):
        for report in ("funnel", "first-contact", "attribution"):
            if query != "by=moon" or report != "first-contact":
                assert (await caller.get(f"/v1/{report}?{query}")).status == 422, query
    assert (await caller.get("/v1/funnel")).status == 200
