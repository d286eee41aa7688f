"""Operations: the line is seen at work; a dead letter is applied again or given up; who is told what, and the audit."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest_asyncio
from browser import Desk, at_desk
from builders import eventually
from playwright.async_api import Browser, expect
from running_accord import Caller, RunningAccord, has_applied

from services.demo.receiver import Receiver
from shared.clock import new_id
from shared.db.data_folder import ADDRESS_FILE
from shared.events.topics import partition_of

BURIED = """INSERT INTO stream.dead_letters (letter_id, service, topic, partition, log_offset, emitter, seq, event_id,
        key, occurred_at, received_at, type, value, kind, message, buried_at)
    VALUES ($1, 'stages', 'accord.sales.v1', $2, 1000, 'ingest/9', 1000, $3, $4, now(), now(), 'accord.sales.action',
        $5, 'KeyError', $6, now())"""
HOSTILE = "<script>alert(1)</script> " + "ö" * 300
PARTITIONS = "SELECT value::integer FROM stream.settings WHERE name = 'partitions'"


@pytest_asyncio.fixture(loop_scope="session")
async def database(shared_accord: RunningAccord) -> AsyncIterator[asyncpg.Connection]:
    """That of the shared Accord."""
    address = (shared_accord.process.log.parent / ADDRESS_FILE).read_text().strip()
    connection = await asyncpg.connect(address)
    yield connection
    await connection.close()


async def a_letter(caller: Caller, database: asyncpg.Connection, note: str) -> tuple[str, str]:
    """A note on a lead that stages could not apply, and the lead's address."""
    email = f"{new_id().hex}@operations.example"
    assert (await caller.post("/v1/events", {"type": "page.viewed", "lead": {"email": email}})).status == 202
    await eventually(lambda: has_applied(caller, email, lambda lead: lead["stage"] == "lead"), within=30)
    lead_id = (await caller.get(f"/v1/leads/{email}")).json["id"]
    at = "2026-11-02T15:00:00Z"
    action = {"lead_id": lead_id, "id": str(new_id()), "action": "note", "occurred_at": at, "received_at": at}
    said = json.dumps({**action, "source": "crm", "actor": "Mary", "identifiers": {}, "note": note}).encode()
    letter, partition = new_id(), partition_of(UUID(lead_id), await database.fetchval(PARTITIONS))
    await database.execute(BURIED, letter, partition, new_id(), UUID(lead_id), said, HOSTILE)
    return str(letter), email


async def test_every_service_is_seen_at_work(desk: Desk) -> None:
    await desk.go("/operations")
    rows = desk.page.locator("#services tbody tr")
    await expect(rows.locator("th")).to_have_text(["ingest", "scoring", "stages", "sla-monitor", "delivery", "api"])
    await expect(rows.locator(".tag.good")).to_have_text(["at work"] * 6)


async def test_a_dead_letter_is_applied_again(desk: Desk, caller: Caller, database: asyncpg.Connection) -> None:
    letter, email = await a_letter(caller, database, "call back in spring")
    await desk.go("/operations")
    row = desk.page.locator(f"#letters tr[data-key='{letter}']")
    await expect(row).to_contain_text(HOSTILE)
    await expect(row).to_contain_text(email)
    await row.get_by_role("button", name="Apply again").click()
    await expect(desk.page.locator(".done")).to_contain_text("being applied again")
    await expect(row).to_have_count(0)

    async def is_told() -> bool:
        timeline = await caller.get(f"/v1/leads/{email}/timeline")
        return "call back in spring" in [item["detail"].get("note") for item in timeline.json["items"]]

    await eventually(is_told, within=30)
    await desk.page.get_by_role("link", name="applied again", exact=True).click()
    await expect(desk.page.locator(f"#letters tr[data-key='{letter}']")).to_be_visible()


async def test_a_dead_letter_is_given_up(desk: Desk, caller: Caller, database: asyncpg.Connection) -> None:
    letter, _ = await a_letter(caller, database, "never mind")
    await desk.go("/operations")
    await desk.page.locator(f"#letters tr[data-key='{letter}']").get_by_role("button", name="Give up").click()
    await expect(desk.page.locator(".done")).to_contain_text("given up for good")
    assert (await caller.get(f"/v1/dead-letters/{letter}")).json["state"] == "discarded"


async def test_who_only_reads_decides_nothing(
    browser: Browser, shared_accord: RunningAccord, caller: Caller, database: asyncpg.Connection
) -> None:
    letter, _ = await a_letter(caller, database, "to be read")
    made = await caller.post("/v1/keys", {"name": "watch", "role": "operations", "scopes": ["operations:read"]})
    async with at_desk(browser, shared_accord.url) as desk:
        await desk.page.goto(f"{desk.url}/sign-in?next=/operations#{made.json['key']}")
        await expect(desk.page.locator(f"#letters tr[data-key='{letter}']")).to_be_visible()
        await expect(desk.page.locator("main button")).to_have_count(0)
        await expect(desk.page.locator("#subscriptions")).to_have_count(0)


async def test_a_subscription_shows_what_it_was_told_and_is_tried_out(desk: Desk, caller: Caller) -> None:
    async with Receiver(lambda event: None) as receiver:
        body = {"name": f"<b>tool</b> {new_id()}", "url": receiver.url, "types": ["accord.lead.qualified"]}
        made = await caller.post("/v1/subscriptions", {**body, "secret": receiver.secret})
        assert made.status == 201, made
        await desk.go("/operations")
        one = desk.page.locator(f"#subscriptions li[data-key='{made.json['id']}']")
        await expect(one).to_contain_text(body["name"])
        await expect(one).to_contain_text("Nothing was told yet")
        await one.get_by_role("button", name="Send a test").click()
        await expect(desk.page.locator(".done")).to_have_text("A test is on its way to the endpoint.")
        await expect(one.locator("summary")).to_contain_text("Latest deliveries: delivered")
        await one.locator("summary").click()
        await expect(one.locator("tbody tr")).to_contain_text(["delivered"])
        # It stays open while the page is fetched again and again.
        await expect(desk.page.locator("#services .aside")).to_be_visible()
    assert (await caller.delete(f"/v1/subscriptions/{made.json['id']}")).status == 204


async def test_the_verdict_of_the_last_audit_is_told(desk: Desk, session_folder: Path) -> None:
    await desk.go("/operations")
    command = (sys.executable, "-m", "services.cli", "audit", "--data", str(session_folder), "--json")
    audit = await asyncio.create_subprocess_exec(*command, env=dict(os.environ), stdout=DEVNULL)
    assert await audit.wait() in (0, 1)
    verdict = desk.page.locator("#audit .verdict")
    await expect(verdict).to_be_visible()
    await desk.page.locator("#checks").evaluate("one => { one.open = true }")
    await expect(desk.page.locator("#checks")).to_contain_text("scores equal the fold of their history")
