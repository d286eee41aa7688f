"""Dead letters over HTTP, and everything that is held about a lead."""

import json
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from api_builders import Caller, running_line
from builders import eventually

from services.api.store.export import PARTS
from shared.clock import new_id
from shared.events.topics import partition_of

BURIED = """INSERT INTO stream.dead_letters (letter_id, service, topic, partition, log_offset, emitter, seq, event_id,
        key, occurred_at, received_at, type, value, kind, message, buried_at)
    SELECT $1, 'stages', topic, partition, 1000, 'ingest/0', 1000, $2, key, now(), now(), 'accord.sales.action', $3,
        'KeyError', 'no such rule', now() FROM (
            SELECT 'accord.sales.v1' AS topic, $4::smallint AS partition, $5::uuid AS key) AS letter"""
VIEWS_OF_LEADS = """SELECT table_schema || '.' || table_name FROM information_schema.columns
    WHERE table_name LIKE 'published\\_%' AND column_name = 'lead_id'"""


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url) as caller:
        yield caller


async def a_letter(pool: asyncpg.Pool, lead_id: str, value: bytes) -> str:
    """A note on this lead that stages could not apply."""
    letter, event = new_id(), new_id()
    await pool.execute(BURIED, letter, event, value, partition_of(UUID(lead_id), 4), lead_id)
    return str(letter)


def note_of(lead_id: str) -> bytes:
    at = "2026-11-02T15:00:00Z"
    action = {"lead_id": lead_id, "id": str(new_id()), "action": "note", "occurred_at": at, "received_at": at}
    return json.dumps({**action, "source": "crm", "actor": "Mary", "identifiers": {}, "note": "call back"}).encode()


async def test_a_dead_letter_is_listed_looked_at_and_applied_again(caller: Caller, pool: asyncpg.Pool) -> None:
    await caller.post_event("demo.requested", "mary@acme.example")
    lead = await caller.lead_in_stage("mary@acme.example", "lead")
    letter = await a_letter(pool, lead["id"], note_of(lead["id"]))
    items = (await caller.get(f"/v1/dead-letters?state=open&service=stages&lead_id={lead['id']}")).json["items"]
    assert [(item["id"], item["kind"], item["state"]) for item in items] == [(letter, "KeyError", "open")]
    assert "data" not in items[0]
    shown = (await caller.get(f"/v1/dead-letters/{letter}")).json
    assert (shown["data"]["note"], shown["data_base64"]) == ("call back", None)
    asked = [await caller.post(f"/v1/dead-letters/{letter}/replay", {}, idempotency_key="1") for _ in range(2)]
    assert [answer.status for answer in asked] == [202, 202]

    async def is_applied() -> bool:
        return bool((await caller.get(f"/v1/dead-letters/{letter}")).json["state"] == "replayed")

    await eventually(is_applied, within=10)
    timeline = (await caller.get(f"/v1/leads/{lead['id']}/timeline")).json["items"]
    assert "call back" in [item["detail"].get("note") for item in timeline]
    assert (await caller.post(f"/v1/dead-letters/{letter}/replay", {})).status == 409
    assert (await caller.post(f"/v1/dead-letters/{letter}/discard", {})).status == 409
    logged = (await caller.get(f"/v1/audit-log?subject=dead-letter&subject_id={letter}")).json["items"]
    assert [(entry["action"], entry["actor"]) for entry in logged] == [("dead-letter.replay-asked", "tests")]


async def test_a_dead_letter_is_given_up_once(caller: Caller, pool: asyncpg.Pool) -> None:
    letters = [await a_letter(pool, str(new_id()), b"\xff no json") for _ in range(3)]
    assert (await caller.get(f"/v1/dead-letters/{letters[0]}")).json["data_base64"] == "/yBubyBqc29u"
    for _ in range(2):
        answer = await caller.post(f"/v1/dead-letters/{letters[0]}/discard", {})
        assert (answer.status, answer.json["state"]) == (200, "discarded")
    assert (await caller.post(f"/v1/dead-letters/{letters[0]}/replay", {})).status == 409
    assert (await caller.post(f"/v1/dead-letters/{new_id()}/discard", {})).status == 404
    assert (await caller.get("/v1/dead-letters/x")).status == 422
    first = (await caller.get("/v1/dead-letters?limit=2")).json
    second = (await caller.get(f"/v1/dead-letters?limit=2&cursor={first['next']}")).json
    assert {item["id"] for item in (*first["items"], *second["items"])} == set(letters)


async def test_an_export_holds_every_row_that_bears_the_lead_s_id(caller: Caller, pool: asyncpg.Pool) -> None:
    profile = {"title": "VP Operations", "company": "Acme", "employees": 400, "industry": "logistics"}
    await caller.post_event("demo.requested", "mary@acme.example", profile=profile, data={"why": "soon"})
    lead = await caller.lead_in_stage("mary@acme.example", "mql")
    letter = await a_letter(pool, lead["id"], note_of(lead["id"]))
    export = (await caller.get("/v1/leads/mary@acme.example/export")).json
    assert export["lead"]["email"] == "mary@acme.example"
    held = export["held"]
    assert [row["type"] for row in held["activities"]] == ["profile.updated", "demo.requested"]
    assert held["activities"][1]["body"]["data"] == {"why": "soon"}
    assert [row["to_stage"] for row in held["transitions"]] == ["mql"]
    assert [row["letter_id"] for row in held["dead_letters"]] == [letter]
    assert held["identities"] == [{"kind": "email", "value": "mary@acme.example"}]
    values = [value for rows in held.values() for row in rows for value in row.values() if isinstance(value, str)]
    assert not [value for value in values if value.endswith("+00:00")]
    assert (await caller.get(f"/v1/leads/{new_id()}/export")).status == 404
    views = {name for (name,) in await pool.fetch(VIEWS_OF_LEADS)}
    # A wish to erase is a tombstone within a second.
    endings = (".published_erased", ".published_erasures", ".published_erasure_wishes")
    tombstones = {name for name in views if name.endswith(endings)}
    said_twice = {"scoring.published_first_inputs"}  # rows of published_history, for reports
    assert views - tombstones - said_twice == {view for view, _ in PARTS.values()}
