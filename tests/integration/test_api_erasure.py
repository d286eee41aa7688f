"""A lead is erased: from every table, for good, while everything else goes on and still adds up."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from api_builders import LINE, Caller, running_line
from builders import eventually
from tables_searched import where_it_stands

from services.audit.run import audit

HOT = {"title": "VP Xylophones", "company": "Acme", "employees": 400, "industry": "logistics"}
EMAIL, OTHER = "mary.unmistakable@acme.example", "paul@other.example"
# Topics: they age out.
TOPICS = {"stream.log", "stream.outbox"}


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, *LINE, "delivery") as caller:
        yield caller


async def a_lead_with_a_life(caller: Caller, email: str) -> str:
    profile = {**HOT, "company": email}
    await caller.post_event("demo.requested", email, profile=profile, source="website", data={"why": "Xylophones"})
    lead = await caller.lead_in_stage(email, "mql")
    note = {"action": "note", "note": "likes Xylophones"}
    assert (await caller.post(f"/v1/leads/{email}/actions", note, prefer="wait=10")).status == 200
    accepted = await caller.post(f"/v1/leads/{email}/actions", {"action": "accepted"}, prefer="wait=10")
    assert (accepted.status, accepted.json["stage"]) == (200, "sal")
    return str(lead["id"])


async def test_a_lead_is_gone_from_every_table_and_the_audit_stays_clean(
    caller: Caller, pool: asyncpg.Pool, database_url: str
) -> None:
    url = {"name": "CRM", "url": "https://crm.example/hook", "types": ["*"]}
    assert (await caller.post("/v1/subscriptions", url)).status == 201
    lead_id = await a_lead_with_a_life(caller, EMAIL)
    other = await a_lead_with_a_life(caller, OTHER)
    before = await where_it_stands(pool, EMAIL, lead_id)
    schemas = {table.partition(".")[0] for table in before}
    assert schemas >= {"ingest", "scoring", "stages", "sla", "delivery", "stream"}
    answer = await caller.delete(f"/v1/leads/{EMAIL}", prefer="wait=20")
    assert (answer.status, answer.json) == (200, {"lead_id": lead_id, "is_applied": True})
    assert answer.headers["preference-applied"] == "wait=20"
    assert await where_it_stands(pool, EMAIL, "mary.unmistakable") <= TOPICS
    tombstones = {f"{schema}.erased" for schema in ("ingest", "scoring", "stages", "sla", "delivery")}
    kept = await where_it_stands(pool, lead_id)
    assert kept - TOPICS == tombstones | {"api.erasures", "api.audit_log"}
    for path in ("", "/timeline", "/explanation", "/export"):
        assert (await caller.get(f"/v1/leads/{lead_id}{path}")).status == 404
        assert (await caller.get(f"/v1/leads/{EMAIL}{path}")).status == 404
    assert [lead["id"] for lead in (await caller.get("/v1/leads")).json["items"]] == [other]
    done = await audit(database_url)
    assert done.is_clean, done.findings.differences
    logged = (await caller.get(f"/v1/audit-log?subject=lead&subject_id={lead_id}")).json["items"]
    assert [(entry["action"], entry["actor"]) for entry in logged] == [("lead.erased", "tests")]


async def test_what_surfaces_later_is_dropped_and_the_address_is_a_new_lead_s(
    caller: Caller, pool: asyncpg.Pool, database_url: str
) -> None:
    lead_id = await a_lead_with_a_life(caller, EMAIL)
    asked = [await caller.delete(f"/v1/leads/{lead_id}") for _ in range(2)]
    assert [answer.status for answer in asked] == [202, 202]
    assert (await caller.delete(f"/v1/leads/{lead_id}", prefer="wait=20")).status == 200
    # An event that another ingest process still had on its way under the old id.
    late = {"type": "page.viewed", "lead": {"email": EMAIL}}
    await caller.post("/v1/events", late)
    await caller.post_event("whitepaper.downloaded", EMAIL)

    async def is_a_new_lead() -> bool:
        answer = await caller.get(f"/v1/leads/{EMAIL}")
        return answer.status == 200 and answer.json["id"] != lead_id

    await eventually(is_a_new_lead, within=10)
    lead = (await caller.get(f"/v1/leads/{EMAIL}")).json
    assert lead["stage"] == "lead"
    assert await pool.fetchval("SELECT count(*) FROM scoring.leads WHERE lead_id = $1", lead_id) == 0
    done = await audit(database_url)
    assert done.is_clean, done.findings.differences


async def test_events_of_an_erased_lead_are_dropped_wherever_they_surface(
    caller: Caller, pool: asyncpg.Pool, database_url: str
) -> None:
    lead_id = await a_lead_with_a_life(caller, EMAIL)
    posting = [caller.post_event("page.viewed", EMAIL, id=f"view {n}") for n in range(30)]
    erasing = caller.delete(f"/v1/leads/{lead_id}", prefer="wait=20")
    *_, answer = await asyncio.gather(*posting, erasing)
    assert answer is not None
    assert answer.status == 200

    async def is_read() -> bool:
        return not (await audit(database_url)).in_flight

    await eventually(is_read, within=10)
    for table in ("scoring.leads", "scoring.history", "stages.leads", "sla.clocks", "delivery.events"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table} WHERE lead_id = $1", lead_id) == 0, table
    done = await audit(database_url)
    assert done.is_clean, done.findings.differences


async def test_who_is_known_by_a_vendor_s_number_alone_is_erased_by_it(caller: Caller) -> None:
    lead = {"email": EMAIL, "ids": {"hubspot": "101", "user_id": "u:1", "shop": "7/1"}}
    assert (await caller.post("/v1/events", {"type": "page.viewed", "lead": lead})).status == 202
    lead_id = (await caller.lead_in_stage(EMAIL, "lead"))["id"]
    for name in ("user_id:u:1", "hubspot:101", "shop:7%2F1"):
        assert (await caller.get(f"/v1/leads/{name}")).json["id"] == lead_id
    for name in ("hubspot:102", "pipedrive:101", "hubspot:", ":101", "email:"):
        assert (await caller.delete(f"/v1/leads/{name}")).status == 404
    answer = await caller.delete("/v1/leads/hubspot:101", prefer="wait=20")
    assert (answer.status, answer.json) == (200, {"lead_id": lead_id, "is_applied": True})
    assert (await caller.get("/v1/leads/hubspot:101")).status == 404


async def test_nobody_is_erased_by_mistake(caller: Caller) -> None:
    assert (await caller.delete("/v1/leads/nobody@acme.example")).status == 404
    lead_id = await a_lead_with_a_life(caller, EMAIL)
    made = await caller.post("/v1/keys", {"name": "x", "role": "sales", "scopes": ["leads:read", "leads:act"]})
    assert (await caller.with_key(made.json["key"]).delete(f"/v1/leads/{lead_id}")).status == 403
    assert (await caller.get(f"/v1/leads/{EMAIL}")).status == 200
