"""What an erased lead left on Kafka ages out of the broker's files, and no log of Accord ever had its address. It stays
counted."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from builders import eventually
from kafka_fixtures import NEVER_GIVEN_UP
from kafka_topics import admin_client
from running_accord import Caller, RunningAccord, has_applied, start_accord

from deploy.kafka.jars import Kafka
from deploy.kafka.rig import Rig
from services.demo.settings import ACCORD
from shared.stream.trim import RETENTION

ERASED, KEPT = "mary.unmistakable@quagga.example", "paul.remembered@okapi.example"
# The broker looks for what is too old now and then, and leaves files that it has given up for a while.
QUICK = {
    **NEVER_GIVEN_UP,
    "log.retention.check.interval.ms": "300",
    "log.segment.delete.delay.ms": "100",
    "log.initial.task.delay.ms": "100",
}
AGES_OUT_SECONDS = 30.0


@pytest.fixture
def rig(kafka_jars: Kafka, tmp_path: Path) -> Iterator[Rig]:
    with Rig(kafka=kafka_jars, folder=tmp_path / "kafka", settings=QUICK) as rig:
        yield rig


@pytest.fixture
async def accord(open_folder: Path, rig: Rig) -> AsyncIterator[RunningAccord]:
    accord = await start_accord(open_folder, ACCORD, ACCORD_KAFKA=rig.bootstrap)
    yield accord
    assert await asyncio.to_thread(accord.process.stop) == 0


async def test_an_erased_lead_ages_out_of_the_broker_s_files(
    accord: RunningAccord, rig: Rig, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    caller = Caller(session, accord.url)
    await _a_lead(caller, ERASED)
    await eventually(lambda: _stands_in(tmp_path / "kafka", ERASED))
    counted = await _counted(caller)
    assert counted[0][0]["entered"] == 1
    assert (await caller.delete(f"/v1/leads/{ERASED}")).status == 202
    assert await _counted(caller) == counted
    await _is_gone(caller, ERASED)
    assert await _counted(caller) == counted
    await _age(rig, "1000")
    await eventually(lambda: not _stands_in(tmp_path / "kafka", ERASED), within=AGES_OUT_SECONDS)
    await _age(rig, "604800000")
    # The line goes on, and what is looked for would be found.
    await _a_lead(caller, KEPT)
    await eventually(lambda: _stands_in(tmp_path / "kafka", KEPT))
    logged = accord.logged()
    assert ERASED not in logged
    assert KEPT not in logged


async def _a_lead(caller: Caller, email: str) -> None:
    event = {"type": "demo.requested", "lead": {"email": email}, "profile": {"company": email}}
    assert (await caller.post("/v1/events", {"events": [event]})).status == 202
    await eventually(lambda: has_applied(caller, email, lambda lead: lead["engagement"] > 0))


async def _counted(caller: Caller) -> Any:
    answer = await caller.get("/v1/funnel?by=source")
    assert answer.status == 200
    return answer.json["steps"], answer.json["cohorts"]


async def _is_gone(caller: Caller, email: str) -> None:
    async def is_gone() -> bool:
        return (await caller.get(f"/v1/leads/{email}")).status == 404

    await eventually(is_gone)


async def _age(rig: Rig, milliseconds: str) -> None:
    """Has every topic keep its events for so long."""
    async with admin_client(rig.bootstrap) as admin:
        topics = [name for name in await admin.list_topics() if name in RETENTION]
        assert topics
        kept_for = {"retention.ms": milliseconds}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, kept_for) for name in topics])


def _stands_in(folder: Path, text: str) -> bool:
    """Whether a file of the broker holds it. What comes first in a compressed batch stands plain there too."""
    for path in folder.rglob("*"):
        try:
            if path.is_file() and text.encode() in path.read_bytes():
                return True
        except FileNotFoundError:  # the broker removes files meanwhile
            continue
    return False
