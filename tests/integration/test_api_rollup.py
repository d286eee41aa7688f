"""What reports are counted from is, after any changes, what the services publish, and what a plain model says."""

from collections.abc import AsyncIterator
from itertools import product
from typing import Any, get_args
from uuid import UUID

import asyncpg
import pytest
from api_builders import LINE, running_line
from report_model import expected_attainment, expected_attribution, expected_contact, expected_funnel
from report_world import BEGAN, World
from sqlalchemy.ext.asyncio import AsyncEngine

from services.api.store.attainment import AttainmentStore
from services.api.store.attribution import AttributionStore, Touch
from services.api.store.clocks import ClockFilter
from services.api.store.database import Database
from services.api.store.erasure import ErasureStore
from services.api.store.funnel import FunnelStore
from services.api.store.lists import ListStore
from services.api.store.rolled import KEPT, PUBLISHED, Model, Rolled
from services.audit.reports_sql import statements
from shared.agreement.compiled import compile_accord
from shared.agreement.loading import default_accord_text, load_accord
from shared.agreement.versions import Accords
from shared.clock import new_id
from shared.db.api_role import take_on_api_role
from shared.db.engine import create_engine


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, init=take_on_api_role)
    yield engine
    await engine.dispose()


async def check(world: World, database: Database, rolled: Rolled) -> None:
    async def reading() -> Rolled:
        return rolled

    funnel, attribution = FunnelStore(database, reading), AttributionStore(database, reading)
    attainment = AttainmentStore(database)
    leads, period = world.counted, world.period()
    for by in (None, "source", "campaign", "owner", "week"):
        rows = await funnel.rows(period, by)
        found = {(row["stage"], row["cohort"], row["is_total"]): tuple(row.values())[3:] for row in rows}
        assert found == expected_funnel(leads, period, by), (period, by)
    for kind, model in product(get_args(Touch), get_args(Model)):
        rows = await attribution.attributed(period, kind, model)
        shares: dict[Any, float] = {(row["key"], row["to_stage"]): row["outcomes"] for row in rows}
        shares |= {(row["key"], row["to_stage"], "amount"): row["amount"] for row in rows if row["amount"]}
        assert shares == pytest.approx(expected_attribution(leads, period, kind, model)), (period, kind, model)
    for owner in (None, "ann"):
        row = await attribution.first_contact(period, owner)
        seen = tuple(row[name] for name in ("qualified", "contacted", "median_seconds", "p90_seconds"))
        assert seen == expected_contact(leads, period, owner), period
        for side in ("owner", "team", "clock", "week"):
            items = await attainment.page(side, None, 100, period, ClockFilter(owner=owner))
            counted = {
                row["key"]: (row["started"], row["met"], row["breached"], (row["median_seconds"], row["p90_seconds"]))
                for row in items
            }
            assert counted == expected_attainment(leads, period, side, owner), (period, side)


async def differences(pool: asyncpg.Pool) -> list[str]:
    """What an audit finds in what is rolled up."""
    return [row[0] for statement in statements() for row in await pool.fetch(statement.differences)]


async def made_anew(pool: asyncpg.Pool, database: Database) -> None:
    """Everything that reports are counted from, by a walk over all leads."""
    for rows in ("leads", "entries", "touches", "days", "outcomes"):
        await pool.execute(f"DELETE FROM api.report_{rows}")
    await pool.execute("INSERT INTO api.list_state (walked_through) VALUES ('00000000-0000-0000-0000-000000000000')")
    lists = ListStore(database)
    async with database.transaction() as connection:
        while lead_ids := await lists.next_of_walk(connection):
            await lists.bring(connection, lead_ids)


async def accords() -> Accords:
    return Accords([(BEGAN, compile_accord(load_accord(default_accord_text()), 1))])


@pytest.mark.parametrize("seed", range(3))
async def test_reports_are_what_a_model_says_before_and_after_they_are_rolled_up(
    pool: asyncpg.Pool, engine: AsyncEngine, seed: int
) -> None:
    database = Database(engine)
    lists, erasures = ListStore(database), ErasureStore(database, accords)

    async def ask(lead_id: UUID) -> None:
        await erasures.ask(lead_id, BEGAN, "tests", nobody_id=new_id())

    world = World(pool, seed, ask)
    for _ in range(8):
        for _ in range(25):
            await world.live_on()
        await check(world, database, PUBLISHED)
        async with database.transaction() as connection:
            await lists.bring(connection, sorted(world.changed))
        world.changed.clear()
        await check(world, database, KEPT)
    assert len(world.erased) > 3
    assert await differences(pool) == []
    await made_anew(pool, database)
    await check(world, database, KEPT)
    assert await differences(pool) == []
    await pool.execute("DELETE FROM api.report_touches WHERE is_first")
    told = {sentence.split(":")[0] for sentence in await differences(pool)}
    assert told == {"api.report_touches", "api.report_outcomes"}
    counted = await pool.fetchval("SELECT sum(leads) FROM api.report_days")
    assert counted == sum(bool(lead.touches) for lead in world.counted)
    assert await pool.fetchval("SELECT count(*) FROM api.report_days WHERE leads < 0") == 0


def entered(answer: Any) -> dict[str, int]:
    return {step["stage"]: step["entered"] for step in answer.json["steps"] if step["entered"]}


async def test_what_was_just_written_is_in_every_report(database_url: str, pool: asyncpg.Pool) -> None:
    async with running_line(database_url, *LINE, "delivery") as line:
        email = ""
        for number in range(1, 6):
            email = f"p{number}@acme.example"
            profile = {"title": "VP", "company": f"Acme {number}", "employees": 400, "industry": "logistics"}
            await line.post_event("demo.requested", email, profile=profile, source="website", campaign="spring")
            await line.lead_in_stage(email, "mql")
            acted = await line.post(f"/v1/leads/{email}/actions", {"action": "accepted"}, prefer="wait=10")
            assert acted.status == 200
            for by in ("source", "campaign", "owner", "week"):
                funnel = await line.get(f"/v1/funnel?by={by}")
                assert entered(funnel) == {"lead": number, "mql": number, "sal": number}, by
            (item,) = (await line.get("/v1/attribution?by=campaign")).json["items"]
            assert (item["key"], item["qualified"]) == ("spring", number)
            assert (await line.get("/v1/first-contact")).json["qualified"] == number
            kept = (await line.get("/v1/attainment?by=team")).json["items"]
            assert sum(row["met"] for row in kept) == number
        assert await pool.fetchval("SELECT sum(leads) FROM api.report_days") == 5
        assert (await line.delete(f"/v1/leads/{email}", prefer="wait=20")).status == 200
        assert entered(await line.get("/v1/funnel")) == {"lead": 5, "mql": 5, "sal": 5}


async def test_one_process_reads_what_another_is_rolling_up(database_url: str, pool: asyncpg.Pool) -> None:
    async with running_line(database_url) as line, running_line(database_url, "api") as other:
        for number in range(1, 9):
            await line.post_event("page.viewed", f"p{number}@acme.example")
            await line.lead_in_stage(f"p{number}@acme.example", "lead")
            for caller in (other, line):
                assert entered(await caller.get("/v1/funnel")) == {"lead": number}
