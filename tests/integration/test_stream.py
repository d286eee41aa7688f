"""The stream over a real server and a real database: resumed anywhere, filtered, behind its scope."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid5

import aiohttp
import asyncpg
import pytest
import uvicorn
from api_builders import ADMIN_KEY, Caller, running_line
from builders import NOON, eventually, lead_in
from line_builders import open_step
from patience import within
from prometheus_client import CollectorRegistry
from sla_builders import NAMES, sales_recorded, stage_changed

from services.api.routes import stream as module
from services.delivery.handler import EventHandler, Nudge
from services.delivery.store import events, trim
from services.delivery.store.subscriptions import SubscriptionBook
from shared.events import codec
from shared.events.envelope import Record
from shared.events.topics import LIFECYCLE
from shared.http.edge import Edge


class Line:
    """Events as delivery keeps them, and a real server that streams them."""

    def __init__(self, pool: asyncpg.Pool, caller: Caller, url: str, client: aiohttp.ClientSession) -> None:
        self.pool = pool
        self.caller = caller
        self.url = url
        self.client = client
        self.number = 0

    async def tell(self, partition: int = 0, *, count: int = 1, kind: Any = stage_changed) -> None:
        handler = EventHandler(store=events, subscriptions=SubscriptionBook(), nudge=Nudge())
        records = []
        for _ in range(count):
            self.number += 1
            payload = kind(NOON, lead_id=lead_in(partition), reason=f"{self.number}")
            event = codec.event(payload, id=uuid5(NAMES, f"{self.number}"), time=NOON, received_at=NOON, accord=1)
            records.append(Record(LIFECYCLE, partition, self.number, "stages/0", self.number, event))
        async with open_step(self.pool) as transaction:
            await handler.handle(transaction, records)

    @asynccontextmanager
    async def reading(
        self, query: str = "", *, after: str | None = None, key: str = ADMIN_KEY
    ) -> AsyncIterator["Reading"]:
        headers = {"authorization": f"Bearer {key}", **({"last-event-id": after} if after else {})}
        async with self.client.get(f"{self.url}/v1/stream{query}", headers=headers) as response:
            yield Reading(response)


class Reading:
    """What one connection gets."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.last_id = ""
        self.comments = 0

    async def next(self, count: int) -> list[str]:
        """The reasons of the next events, or the type of one that is not of the line."""
        found: list[str] = []
        async with within(10):
            while len(found) < count:
                fields = await self._block()
                if "data" not in fields:
                    continue
                self.last_id = fields.get("id", self.last_id)
                data = json.loads(fields["data"])
                found.append(data["data"]["reason"] if "data" in data else fields["event"])
        return found

    async def _block(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        while (line := (await self.response.content.readline()).decode()) != "\n":
            if not line:
                raise EOFError
            name, _, value = line.rstrip("\n").partition(": ")
            self.comments += name == ""
            fields[name] = value
        return fields


@pytest.fixture
async def line(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Line]:
    async with running_line(database_url, "api") as caller, aiohttp.ClientSession() as client:
        edge = Edge(CollectorRegistry())
        config = uvicorn.Config(caller.app, port=0, log_config=None, lifespan="off", http=edge.protocol)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield Line(pool, caller, f"http://127.0.0.1:{port}", client)
        finally:
            for service in caller.house.services:
                service.on_stopping()
            server.should_exit = True
            async with within(5):
                await serving


async def test_a_reader_gets_what_comes_and_goes_on_from_any_event(line: Line) -> None:
    await line.tell(0)
    async with line.reading() as live:
        assert live.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        await eventually(
            lambda: line.caller.house.resources.registry.get_sample_value("accord_api_stream_readers") == 1
        )
        for partition in (0, 1, 3, 0):
            await line.tell(partition, count=2)
        got = [await live.next(1) + [live.last_id] for _ in range(8)]
        assert [reason for reason, _ in got] == [f"{n}" for n in range(2, 10)]
    for index, (_, id_) in enumerate(got):
        left = {reason for reason, _ in got[index + 1 :]}
        async with line.reading(after=id_) as resumed:
            assert set(await resumed.next(len(left))) == left
            await line.tell(2)
            assert await resumed.next(1) == [f"{line.number}"]
        got.append([f"{line.number}", ""])
        if index == 3:
            break


async def test_a_reader_that_was_away_for_long_catches_up_page_by_page(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENTRIES_MAX", 7)
    async with line.reading() as live:
        await line.tell(0)
        await live.next(1)
    for partition in (0, 1, 2, 3):
        await line.tell(partition, count=40)
    async with line.reading(after=live.last_id) as resumed:
        got = await resumed.next(160)
        assert sorted(map(int, got)) == list(range(2, 162))
        await line.tell(1)
        assert await resumed.next(1) == ["162"]


async def test_types_and_a_lead_narrow_it_down(line: Line) -> None:
    where = f"?types=accord.stage.*,accord.lead.qualified&lead={lead_in(1)}"
    async with line.reading(where) as narrow:
        await line.tell(1, kind=sales_recorded)
        await line.tell(0)
        await line.tell(1)
        assert await narrow.next(1) == ["3"]
    for wrong in ("?types=nope", "?lead=nobody@example.com"):
        async with line.reading(wrong) as refused:
            assert refused.response.status in (404, 422)
    async with line.reading(after="junk") as refused:
        assert refused.response.status == 422
        assert (await refused.response.json())["errors"][0]["path"] == "Last-Event-ID"


async def test_what_was_forgotten_is_said_and_what_is_left_follows(line: Line) -> None:
    async with line.reading() as live:
        await line.tell(0, kind=sales_recorded)
        await live.next(1)
    await line.tell(0, count=2, kind=sales_recorded)
    await line.tell(0)
    await line.pool.execute("UPDATE delivery.events SET received_at = $1 WHERE number <= 3", NOON - timedelta(days=31))
    assert await trim.trim(line.pool, NOON - timedelta(days=30)) == (3, 0, 0)
    await line.tell(0)
    async with line.reading(after=live.last_id) as resumed:
        assert await resumed.next(3) == ["reset", "4", "5"]


async def test_a_key_needs_the_scope_and_a_revoked_one_is_cut_off(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.3)
    made = await line.caller.post("/v1/keys", {"name": "x", "role": "sales", "scopes": ["leads:read"]})
    async with line.reading(key=made.json["key"]) as refused:
        assert refused.response.status == 403
    made = await line.caller.post("/v1/keys", {"name": "y", "role": "sales", "scopes": ["stream:read"]})
    async with line.reading(key=made.json["key"]) as allowed:
        await line.tell(0)
        assert await allowed.next(1) == ["1"]
        await line.caller.delete(f"/v1/keys/{made.json['id']}")
        with pytest.raises(EOFError):
            await allowed.next(1)
        assert allowed.comments >= 1


async def test_a_comment_comes_while_nothing_happens(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.HEARTBEAT_SECONDS == 15
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.05)
    async with line.reading() as live:
        assert live.response.headers["cache-control"] == "no-store"
        async with within(10):
            told = [(await live.response.content.readline()).decode() for _ in range(5)]
    assert told == [": connected\n", "retry: 2000\n", *[": heartbeat\n"] * 3]


async def test_a_stop_of_the_process_ends_the_stream_in_order(line: Line) -> None:
    async with line.reading() as live:
        assert await live.response.content.readline() == b": connected\n"
        for service in line.caller.house.services:
            service.on_stopping()
        with pytest.raises(EOFError):
            await live.next(1)
