"""Every service in a process of its own: the line works, and processes come, go and are killed without a loss."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from builders import eventually
from e2e.apart import ACCORD, KEY, Installation, ServiceProcess, metric
from e2e.chaos_traffic import Load, Sender
from running_accord import Caller, subscribe

from services.carriers import DEFAULT_PARTITIONS
from services.demo.receiver import Receiver

SERVICES = ("ingest", "scoring", "scoring", "stages", "sla-monitor", "delivery", "api")
LANES_HELD = "SELECT count(*) FROM stream.ownership WHERE kind = 'lane' AND service = 'ingest' AND owner IS NOT NULL"


@pytest.fixture
def installation(
    open_folder: Path, database_url: str, pool: Any, request: pytest.FixtureRequest
) -> Iterator[Installation]:
    installation = Installation(open_folder, database_url, pool)
    yield installation
    installation.end()
    for name, log in installation.logs().items():
        request.node.add_report_section("teardown", f"end of {name}", log)


async def test_every_service_apart_passes_the_line_and_loses_nothing_when_processes_end(
    installation: Installation, session: aiohttp.ClientSession
) -> None:
    code, said = await installation.command("migrate", "--accord", str(ACCORD), ACCORD_ADMIN_KEY=KEY)
    assert (code, "accord version 1" in said) == (0, True), said
    ingest, first, second, *_, api = await installation.start(*SERVICES)
    await _shares_are(installation, {first: 2, second: 2})
    sender = Sender(session, KEY, [ingest.url])
    events: list[dict[str, Any]] = []
    async with Receiver(events.append) as receiver:
        await subscribe(Caller(session, api.url, KEY), receiver, "accord.lead.qualified")
        async with Load(sender, seed=1) as load:
            await eventually(lambda: receiver.qualified > 0, within=20)
            await load.goes_on(10)
            first.kill()
            await _shares_are(installation, {second: DEFAULT_PARTITIONS})
            await load.goes_on(20)
            (third,) = await installation.start("scoring")
            await _shares_are(installation, {second: 2, third: 2})
            await eventually(lambda: _runs(session, third, 2))
            assert second.terminate() == 0
            await _shares_are(installation, {third: DEFAULT_PARTITIONS})
            await load.goes_on(10)
        found = await installation.audit(sender.accepted)
        assert (found.counts["qualified"] > 0, found.counts["dead_letters"]) == (True, 0)
        told = await installation.pool.fetchval("SELECT count(*) FROM delivery.deliveries")
        await eventually(lambda: receiver.delivered == told, within=10)
        assert receiver.failed == 0
    assert ingest.terminate() == 0
    assert await installation.pool.fetchval(LANES_HELD) == 0


async def test_a_process_that_is_started_before_there_is_an_accord_waits_for_it(
    installation: Installation, session: aiohttp.ClientSession
) -> None:
    process = installation.begin("scoring")
    await eventually(lambda: "accord migrate" in process.log.read_text(), within=30)
    process.check()
    assert process.address() is None
    code, said = await installation.command("migrate")
    assert (code, "Admin key, shown this once: acc_" in said) == (0, True), said
    await eventually(lambda: process.address() is not None, within=20)
    async with session.get(f"{process.url}/readyz") as response:
        assert (response.status, (await response.json())["waiting_for"]) == (200, [])
    assert process.terminate() == 0


async def _runs(session: aiohttp.ClientSession, process: ServiceProcess, partitions: int) -> bool:
    return await metric(session, process, "accord_stream_partitions_owned") == partitions


async def _shares_are(installation: Installation, wanted: dict[ServiceProcess, int]) -> None:
    async def are_as_wanted() -> bool:
        return await installation.shares("scoring") == {process.pid: count for process, count in wanted.items()}

    await eventually(are_as_wanted, within=20)
