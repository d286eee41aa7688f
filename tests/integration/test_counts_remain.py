"""Who is erased stays counted: every report says the same before and after, and nothing says who it was."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from accord_builders import now
from api_builders import LINE, Caller, running_line
from builders import eventually
from tables_searched import where_it_stands

from services.api.handler import ActionLine
from services.api.sweeper import erasures
from services.audit.run import audit
from shared.agreement.loading import default_accord_text
from shared.errors import Unavailable


def period(since: datetime, until: datetime) -> str:
    return f"from={since.isoformat()}&to={until.isoformat()}".replace("+00:00", "Z")


DAY, BEGAN = timedelta(days=1), now()
ANYTIME = period(BEGAN - DAY, BEGAN + 30 * DAY)
HOT = {"title": "VP Xylophones", "company": "Okapi", "employees": 400, "industry": "logistics"}
DEAL = {"amount": 12_500.5, "currency": "USD"}
# By address, how far each comes, and whom the season is about to forget.
SEASON: Mapping[str, tuple[str, ...]] = {
    "mary.looker@okapi.example": (),
    "paul.waiter@okapi.example": ("mql",),
    "nina.caller@okapi.example": ("mql", "contacted", "accepted"),
    "otto.buyer@okapi.example": ("mql", "contacted", "accepted", "qualified", "opportunity.opened", "won"),
    "rosa.refused@okapi.example": ("mql", "rejected"),
    "kept.looker@quagga.example": (),
    "kept.buyer@quagga.example": ("mql", "accepted", "qualified", "opportunity.opened"),
}
ERASED = [email for email in SEASON if not email.startswith("kept")]
MORE: Mapping[str, Mapping[str, Any]] = {
    "rejected": {"reason": "not_ready"},
    "opportunity.opened": DEAL,
    "won": DEAL,
    "contacted": {"channel": "call"},
}
# In plain time: it runs out for whom nobody calls.
QUICK = ("within: 1h\n      hours: business", "within: 3s\n      hours: always")
QUIET = ("      escalate: [{at: 100%, to: owner}, {at: 200%, to: manager, then: reassign}]\n", "")
WALK = """INSERT INTO api.list_state (walked_through) VALUES ('00000000-0000-0000-0000-000000000000')
ON CONFLICT (is_only) DO UPDATE SET walked_through = excluded.walked_through"""
MODELS = ("first", "last", "linear")
REPORTS = ("leads", "entries", "touches", "days", "outcomes")


def quick_accord() -> str:
    text = default_accord_text()
    for right, other in (QUICK, QUIET):
        assert right in text
        text = text.replace(right, other, 1)
    return text


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, *LINE, "delivery", accord=quick_accord()) as caller:
        yield caller


async def live(caller: Caller, email: str, steps: tuple[str, ...]) -> str:
    """The lead's id, once it has come so far."""
    more = {"source": "website", "campaign": "spring" if steps else None}
    if not steps:
        await caller.post_event("page.viewed", email, **more)
        return str((await caller.lead_in_stage(email, "lead"))["id"])
    await caller.post_event("whitepaper.downloaded", email, profile=HOT | {"company": email}, **more)
    await caller.post_event("demo.requested", email, source="website", campaign="summer", data={"why": "Xylophones"})
    lead = await caller.lead_in_stage(email, "mql")
    for action in steps[1:]:
        answer = await caller.post(
            f"/v1/leads/{email}/actions", {"action": action, **MORE.get(action, {})}, prefer="wait=10"
        )
        assert answer.status == 200, answer.body
    return str(lead["id"])


async def a_season(caller: Caller) -> tuple[dict[str, str], str]:
    """Ids by address, and a period that ends in the middle of it."""
    ids, middle = {}, ""
    for number, (email, steps) in enumerate(SEASON.items()):
        ids[email] = await live(caller, email, steps)
        if number == 2:
            middle = period(BEGAN - DAY, now())

    async def have_run_out() -> bool:
        running = (await caller.get("/v1/clocks?rule=first-contact-hot&state=open,warned")).json["items"]
        return not running and bool((await caller.get("/v1/breaches")).json["items"])

    await eventually(have_run_out, within=20)
    return ids, middle


async def figures(caller: Caller, middle: str) -> dict[str, Any]:
    """Every figure of every report, by what was asked."""
    paths = [
        f"{path}&{within}"
        for within in (ANYTIME, middle)
        for path in (
            "/v1/funnel?",
            *(f"/v1/funnel?by={by}" for by in ("source", "campaign", "owner", "week")),
            *(f"/v1/attainment?by={by}" for by in ("owner", "team", "clock", "week")),
            *("/v1/attainment?owner=linus@sales.example", "/v1/attainment?rule=accept-or-reject"),
            *(f"/v1/attribution?by={by}&model={model}" for by in ("source", "campaign") for model in MODELS),
            "/v1/first-contact?",
        )
    ]
    found = {}
    for path in paths:
        answer = await caller.get(path)
        assert answer.status == 200, (path, answer.body)
        found[path] = answer.json
    moving = ("pace", "behind", "open_seconds_elapsed", "working")
    items = (await caller.get("/v1/promises")).json["items"]
    found["/v1/promises"] = [{name: value for name, value in item.items() if name not in moving} for item in items]
    return found


async def test_who_is_erased_stays_counted_and_nothing_says_who_it_was(
    caller: Caller, pool: asyncpg.Pool, database_url: str
) -> None:
    ids, middle = await a_season(caller)
    before = await figures(caller, middle)
    assert [step["entered"] for step in before[f"/v1/funnel?&{ANYTIME}"]["steps"]] == [7, 5, 3, 2, 2, 1]
    for email in ERASED:
        answer = await caller.delete(f"/v1/leads/{email}", prefer="wait=20")
        assert answer.status == 200
        assert await figures(caller, middle) == before, email
    await _nothing_says_who_it_was(caller, pool, ids)
    await _are_done(pool)
    assert await figures(caller, middle) == before
    done = await audit(database_url)
    assert done.is_clean, done.findings.first
    # Made anew by a walk: first from what is published, then from what was rolled up again.
    async with pool.acquire() as connection, connection.transaction():
        for rows in REPORTS:
            await connection.execute(f"DELETE FROM api.report_{rows}")
        await connection.execute(WALK)
    assert await figures(caller, middle) == before

    async def is_walked() -> bool:
        return bool(await pool.fetchval("SELECT walked_through IS NULL FROM api.list_state"))

    await eventually(is_walked, within=10)
    assert await figures(caller, middle) == before
    done = await audit(database_url)
    assert done.is_clean, done.findings.first


async def _nothing_says_who_it_was(caller: Caller, pool: asyncpg.Pool, ids: Mapping[str, str]) -> None:
    tombstones = {f"{schema}.erased" for schema in ("ingest", "scoring", "stages", "sla", "delivery")}
    for email in ERASED:
        assert await where_it_stands(pool, email, email.partition("@")[0]) <= {"stream.log"}
        kept = await where_it_stands(pool, ids[email])
        assert kept - {"stream.log"} == tombstones | {"api.erasures", "api.audit_log"}
    nobodies = {str(row[0]) for row in await pool.fetch("SELECT nobody_id FROM api.nobodies")}
    assert len(nobodies) == len(ERASED)
    assert {UUID(nobody).version for nobody in nobodies} == {4}
    listed = (await caller.get("/v1/leads")).json["items"]
    assert {lead["email"] for lead in listed} == SEASON.keys() - set(ERASED)
    clocks = (await caller.get("/v1/clocks")).json["items"] + (await caller.get("/v1/breaches")).json["items"]
    assert {clock["lead_id"] for clock in clocks}.isdisjoint(nobodies)
    for nobody in nobodies:
        for path in ("", "/timeline", "/explanation", "/export"):
            assert (await caller.get(f"/v1/leads/{nobody}{path}")).status == 404
        assert (await caller.get(f"/v1/leads?q={nobody}")).json["items"] == []
        assert (await caller.delete(f"/v1/leads/{nobody}")).status == 404


async def _are_done(pool: asyncpg.Pool) -> None:
    async def are_done() -> bool:
        return not await pool.fetchval("SELECT count(*) FROM api.erasures WHERE done_at IS NULL OR told_at IS NULL")

    await eventually(are_done, within=10)


async def test_a_campaign_that_says_who_somebody_is_goes_with_them(caller: Caller, pool: asyncpg.Pool) -> None:
    campaigns = ("for mary.looker@okapi.example", "crm-4711-again", "@home")
    for number, campaign in enumerate(campaigns):
        lead = {"email": f"mary{number}@okapi.example", "ids": {"crm": f"CRM-4711{'' if number == 1 else number}"}}
        event = {"type": "page.viewed", "lead": lead, "source": "website", "campaign": campaign}
        assert (await caller.post("/v1/events", event)).status == 202
        await caller.lead_in_stage(f"mary{number}@okapi.example", "lead")
    assert await by_campaign(caller) == dict.fromkeys(campaigns, 1)
    for number in range(3):
        assert (await caller.delete(f"/v1/leads/mary{number}@okapi.example", prefer="wait=20")).status == 200
    assert await by_campaign(caller) == {None: 2, "@home": 1}
    assert await where_it_stands(pool, *campaigns[:2]) <= {"stream.log"}


async def by_campaign(caller: Caller) -> dict[str | None, int]:
    cohorts = (await caller.get(f"/v1/funnel?by=campaign&{ANYTIME}")).json["cohorts"]
    return {cohort["cohort"]: cohort["steps"][0]["entered"] for cohort in cohorts}


async def test_an_erasure_that_the_log_was_not_told_of_is_told_later(
    caller: Caller, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends between the two, or the log is away."""
    lead_id = await live(caller, ERASED[1], ("mql",))
    before = await caller.get(f"/v1/funnel?{ANYTIME}")

    async def away(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as patched:
        patched.setattr(ActionLine, "erase", away)
        assert (await caller.delete(f"/v1/leads/{lead_id}")).status == 503
    assert (await caller.get(f"/v1/funnel?{ANYTIME}")).json == before.json
    assert (await caller.get(f"/v1/leads/{lead_id}")).status == 200
    monkeypatch.setattr(erasures, "UNTOLD_FOR", timedelta(0))
    await _are_done(pool)
    assert (await caller.get(f"/v1/leads/{lead_id}")).status == 404
    assert (await caller.get(f"/v1/funnel?{ANYTIME}")).json == before.json
    logged = (await caller.get(f"/v1/audit-log?subject=lead&subject_id={lead_id}")).json["items"]
    assert [entry["action"] for entry in logged] == ["lead.erased"]


async def test_whoever_asks_at_the_same_time_makes_one_nobody(caller: Caller, pool: asyncpg.Pool) -> None:
    lead_id = await live(caller, ERASED[1], ("mql",))
    before = await caller.get(f"/v1/funnel?{ANYTIME}")
    asked = await asyncio.gather(*(caller.delete(f"/v1/leads/{lead_id}", prefer="wait=20") for _ in range(4)))
    assert {answer.status for answer in asked} == {200}
    assert await pool.fetchval("SELECT count(*) FROM api.nobodies") == 1
    assert (await caller.get(f"/v1/funnel?{ANYTIME}")).json == before.json


async def test_what_was_accepted_before_is_counted_though_the_line_is_still_at_it(caller: Caller) -> None:
    """An erasure waits until what was accepted of the lead is where reports count it."""
    lead_id = await live(caller, ERASED[0], ())
    events = [
        {"type": "demo.requested", "lead": {"email": ERASED[0]}, "profile": HOT, "source": "website", "id": f"d{n}"}
        for n in range(3)
    ]
    assert (await caller.post("/v1/events", {"events": events})).status == 202
    assert (await caller.delete(f"/v1/leads/{lead_id}", prefer="wait=20")).status == 200
    steps = (await caller.get(f"/v1/funnel?{ANYTIME}")).json["steps"]
    assert [step["entered"] for step in steps[:2]] == [1, 1]
