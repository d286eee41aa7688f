"""Endpoints that lie, drip, flood or lead inside: what is called, and how much of an answer is read."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from builders import lead_in
from delivery_builders import Desk, OpenDesk, Receiver, desks, listening
from own_certificates import own_certificate
from patience import PATIENCE, within

from services.delivery.sweeper import posting


@pytest.fixture
async def open_desk(pool: asyncpg.Pool) -> AsyncIterator[OpenDesk]:
    async with desks(pool) as make:
        yield make


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening(Receiver()) as made:
        yield made


@asynccontextmanager
async def raw_server(answer: Any, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that does what an HTTP library would not: `answer` gets reader and writer of each connection."""

    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        try:
            with suppress(ConnectionError):
                await answer(reader, writer)
                await writer.drain()
        finally:
            if writer.is_closing() or task.cancelling():
                writer.transport.abort()
            else:
                writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{port}/"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def outcome(desk: Desk) -> tuple[str, str]:
    row = await desk.pool.fetchrow("SELECT state, outcome FROM delivery.published_deliveries")
    return row["state"], row["outcome"]


# Forms of addresses inside, as people who attack write them.
INSIDE = (
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "0"),
    *("0.0.0.0", "localhost", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]"),
    *("169.254.169.254", "[fd00:ec2::254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "10.0.0.1"),
    *("192.168.0.1", "172.16.0.1", "100.100.100.200", "localhost.", "127.0.0.1.", "１２７.0.0.1"),
)
NO_ADDRESS = frozenset(
    {
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "[fe80::1]",
        "127.0.0.1.",
        "localhost.",
    }
)


async def test_no_form_of_an_address_inside_is_called(open_desk: OpenDesk, receiver: Receiver) -> None:
    desk = await open_desk(allowed="")
    for host in INSIDE:
        await desk.subscribe(receiver.url.replace("127.0.0.1", host))
    await desk.handle(desk.record("one"))
    await desk.sends()
    rows = await desk.pool.fetch(
        """SELECT url, outcome FROM delivery.published_deliveries JOIN api.published_subscriptions
        USING (subscription_id)"""
    )
    assert len(rows) == len(INSIDE)
    # Some are no address at all to the parser or the resolver: nothing is called then either.
    outcomes = {row["url"].split("/")[2].rpartition(":")[0]: row["outcome"] for row in rows}
    odd = {host for host, found in outcomes.items() if found != "forbidden address"}
    assert odd <= NO_ADDRESS
    assert {outcomes[host] for host in odd} <= {"unreachable", "invalid subscription"}
    assert receiver.asked == 0


class Rebinding(AbstractResolver):
    """Says a public address first, and one inside whenever it is asked again."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        self.asked += 1
        address = "192.0.2.1" if self.asked == 1 else "127.0.0.1"
        return [{"hostname": host, "host": address, "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


async def test_a_name_that_is_bound_anew_between_tries_leads_nowhere(
    open_desk: OpenDesk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "DNS_SECONDS", 0)
    resolver = Rebinding()
    desk = await open_desk(allowed="192.0.2.0/24", resolver=resolver, timeout_seconds=1, connect_timeout_seconds=0.3)
    await desk.subscribe(receiver.url.replace("127.0.0.1", "crm.example"))
    await desk.handle(desk.record("one"))
    await desk.sends()
    assert (await outcome(desk), resolver.asked) == (("pending", "unreachable"), 1)
    desk.clock.advance(timedelta(minutes=1))
    await desk.sends()
    assert (await outcome(desk), resolver.asked) == (("dead", "forbidden address"), 2)
    assert receiver.asked == 0


async def test_a_redirect_is_not_followed(open_desk: OpenDesk, receiver: Receiver) -> None:
    desk = await open_desk()
    async with listening(Receiver()) as inside:
        for status in (301, 302, 303, 307, 308):
            receiver.statuses.append((status, {"location": inside.url}))
        await desk.subscribe(receiver.url)
        await desk.handle(*(desk.record(f"{n}", lead=lead_in(0, n)) for n in range(5)))
        await desk.sends()
        assert (inside.asked, receiver.asked) == (0, 2)  # the window of an endpoint that is not known yet
        assert {row[2] for row in await desk.deliveries() if row[2]} == {301, 302}


async def test_a_certificate_that_nobody_vouches_for_is_refused(open_desk: OpenDesk, tmp_path: Any) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    desk = await open_desk()
    async with raw_server(answer, own_certificate(tmp_path)) as url:
        await desk.subscribe(url)
        await desk.handle(desk.record("one"))
        await desk.sends()
    assert await outcome(desk) == ("pending", "unreachable")


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An answer whose body never ends and hardly comes."""
    await reader.read(1_000_000)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.Event().wait()


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An answer larger than anybody wants, and zipped on top of it."""
    await reader.read(1_000_000)
    writer.write(b"HTTP/1.1 500 No\r\ncontent-encoding: gzip\r\ncontent-length: 50000000\r\n\r\n")
    for _ in range(50):
        writer.write(b"\x1f" * 1_000_000)
        await writer.drain()


async def endless_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1_000_000)
    writer.write(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("answer", "state", "what"),
    [
        (drip, "delivered", "delivered"),
        (flood, "pending", "failed at receiver"),
        (endless_head, "pending", "unreachable"),
    ],
)
async def test_an_odd_answer_is_read_to_a_bound(open_desk: OpenDesk, answer: Any, state: str, what: str) -> None:
    desk = await open_desk(timeout_seconds=5 * PATIENCE)
    async with raw_server(answer) as url:
        await desk.subscribe(url)
        await desk.handle(desk.record("one"))
        async with within(4):
            await desk.sends()
    assert await outcome(desk) == (state, what)
    assert await desk.pool.fetchval("SELECT length(answer) <= 1024 FROM delivery.published_attempts")
