"""Kills, freezes and poisons a running Accord under load. After each fault: no accepted event lost, none counted
twice, numbers contiguous, stored states equal to the fold of the histories (`accord audit`)."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from uuid import UUID, uuid5

import aiohttp
import pytest
from builders import NAMES, eventually, lead_in
from e2e.chaos_house import KEY, ChaosHouse
from e2e.chaos_traffic import Load, Sender, passes, posts

from services.carriers import DEFAULT_PARTITIONS
from shared.clock import SystemClock
from shared.events.activity import Activity
from shared.events.codec import encode
from shared.events.envelope import Event
from shared.events.topics import READERS
from shared.stream.breaker import IN_A_ROW_MAX

pytestmark = pytest.mark.chaos

ROUNDS = int(os.environ.get("ACCORD_CHAOS_ROUNDS", "1"))
SEEDS = range(1, ROUNDS + 1)
PARTITIONS = DEFAULT_PARTITIONS
KILLS = 3
POSTGRES_KILLS = 3
PARTITION = 2
OPEN_LETTERS = "SELECT event_id, kind FROM stream.dead_letters WHERE state = 'open'"
OWNERS = "SELECT service, owner FROM stream.ownership WHERE kind = 'partition'"
END_LEASES = "UPDATE stream.ownership SET leased_until = now() WHERE kind = 'lane' RETURNING service"
END_MEMBERSHIP = "UPDATE stream.members SET seen_at = now() - interval '1 minute'"

MakeHouse = Callable[..., ChaosHouse]


@pytest.fixture
def make_house(open_folder: Path, request: pytest.FixtureRequest) -> Iterator[MakeHouse]:
    """Makes houses, each with a folder of its own, and ends those that still run."""
    houses: list[ChaosHouse] = []

    def make(database_url: str | None = None) -> ChaosHouse:
        houses.append(ChaosHouse(open_folder / f"house-{len(houses)}", database_url))
        return houses[-1]

    yield make
    for house in houses:
        house.end()
        request.node.add_report_section("teardown", f"log of {house.folder.name}", house.log())


@pytest.mark.parametrize("seed", SEEDS)
async def test_kill_nine_at_random_moments_loses_nothing_and_counts_nothing_twice(
    make_house: MakeHouse, session: aiohttp.ClientSession, seed: int
) -> None:
    house, random = make_house(), Random(seed)
    await house.start()
    sender = Sender(session, KEY, [house.url])
    async with Load(sender, seed) as load:
        for _ in range(KILLS):
            await load.goes_on(20)
            await passes(random.uniform(0, 0.6))
            house.process.kill()
            await house.start()
        await load.goes_on(40)
    assert sender.answers["none"] > 0
    found = await house.audit(sender.accepted)
    assert found.counts["qualified"] > 0
    assert found.counts["breached"] > 0
    assert found.counts["dead_letters"] == 0


@pytest.mark.parametrize("seed", SEEDS)
async def test_postgres_killed_under_a_living_accord_makes_it_answer_503_and_lose_nothing(
    make_house: MakeHouse, session: aiohttp.ClientSession, seed: int
) -> None:
    house, random = make_house(), Random(seed)
    await house.start()
    sender = Sender(session, KEY, [house.url])
    async with Load(sender, 1_000 + seed) as load:
        for _ in range(POSTGRES_KILLS):
            await load.goes_on(20)
            await passes(random.uniform(0, 0.6))
            house.kill_postgres()
            await load.is_refused()
        await load.goes_on(60)
    assert sender.without_retry_after == 0
    house.process.check()
    found = await house.audit(sender.accepted)
    assert found.counts["qualified"] > 0
    assert found.counts["dead_letters"] == 0


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_frozen_owner_whose_work_was_taken_over_commits_nothing_more(
    make_house: MakeHouse, session: aiohttp.ClientSession, database_url: str, seed: int
) -> None:
    former, successor, random = make_house(database_url), make_house(database_url), Random(seed)
    await former.start()
    sender = Sender(session, KEY, [former.url])
    async with Load(sender, 2_000 + seed) as load:
        await load.goes_on(30)
        await passes(random.uniform(0, 0.5))
        former.freeze()
        # Its leases run out while it stands still.
        assert {row["service"] for row in await former.ask(END_LEASES)} == {"api", "ingest"}
        await former.ask(END_MEMBERSHIP)
        sender.urls = [successor.url]
        await successor.start()
        await load.goes_on(20)
        await eventually(lambda: _share(successor, {successor.process.pid: PARTITIONS}), within=20)
        former.thaw()
        sender.urls = [former.url, successor.url]
        half = PARTITIONS // 2
        shares = {former.process.pid: half, successor.process.pid: half}
        await eventually(lambda: _share(successor, shares), within=20)
        await load.goes_on(40)
    found = await successor.audit(sender.accepted)
    assert found.counts["qualified"] > 0
    assert found.counts["dead_letters"] == 0


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_event_posted_five_times_counts_once_in_whatever_order_events_come(
    make_house: MakeHouse, session: aiohttp.ClientSession, database_url: str, seed: int
) -> None:
    house, random = make_house(database_url), Random(seed)
    await house.start()
    sender = Sender(session, KEY, [house.url])
    made = posts(3_000 + seed)
    events = [event for _ in range(60) for event in next(made)]
    copies = events * 5
    random.shuffle(copies)
    batches = [copies[start : start + 10] for start in range(0, len(copies), 10)]
    for start in range(0, len(batches), 8):
        await asyncio.gather(*(sender.post(batch) for batch in batches[start : start + 8]))
    assert sender.counted == {"accepted": len(events), "duplicates": 4 * len(events)}
    found = await house.audit(set(sender.accepted))
    assert found.counts["accepted"] == len(events)
    assert found.counts["dead_letters"] == 0


async def test_a_poison_event_in_mid_batch_becomes_one_dead_letter_and_the_line_goes_on(
    make_house: MakeHouse, session: aiohttp.ClientSession, database_url: str
) -> None:
    house = make_house(database_url)
    await house.start()
    sender = Sender(session, KEY, [house.url])
    async with Load(sender, 4_000) as load:
        await load.goes_on(10)
        batch = [*map(_activity, range(10)), _poison(0), *map(_activity, range(10, 20))]
        await house.emit(batch)
        await load.goes_on(10)
    found = await house.audit(sender.accepted)
    assert found.counts["dead_letters"] == 1
    assert [tuple(row.values()) for row in await house.ask(OPEN_LETTERS)] == [(_poison(0).id, "Poison")]


async def test_a_partition_stopped_by_its_breaker_stays_stopped_over_a_restart_until_it_is_resumed(
    make_house: MakeHouse, session: aiohttp.ClientSession
) -> None:
    house = make_house()
    await house.start()
    sender = Sender(session, KEY, [house.url])
    poison = [_poison(number) for number in range(IN_A_ROW_MAX + 5)]
    after = _activity(0)

    async def is_stopped() -> bool:
        stopped = await house.metric(session, "accord_stream_stopped", service="scoring", partition=str(PARTITION))
        return stopped == 1

    await house.emit([*poison, after])
    await eventually(is_stopped, within=10)
    house.process.kill()
    await house.start()
    await eventually(is_stopped, within=10)
    async with Load(sender, 5_000) as load:
        await load.goes_on(10)
        assert len(await house.ask(OPEN_LETTERS)) == IN_A_ROW_MAX + 1
        code, said = await house.run("resume", "scoring", str(PARTITION), "--data", str(house.folder))
        assert (code, said.strip()) == (0, f"scoring/{PARTITION} goes on.")
        await load.goes_on(10)
    found = await house.audit(sender.accepted)
    assert found.counts["dead_letters"] == len(poison)
    assert not await is_stopped()


async def _share(house: ChaosHouse, wanted: Mapping[int, int]) -> bool:
    """Whether the processes with these ids own so many partitions of each service."""
    owned = Counter((row["service"], str(row["owner"]).rpartition("/")[2]) for row in await house.ask(OWNERS))
    return owned == {(service, str(pid)): count for service in READERS for pid, count in wanted.items()}


def _activity(number: int) -> Event:
    """What ingest would have put on the log."""
    now, id = SystemClock().now(), uuid5(NAMES, f"activity {number}")
    lead = lead_in(PARTITION)
    payload = Activity(lead_id=lead, id=id, type="demo.requested", occurred_at=now, received_at=now, source="foreign")
    return Event(id, Activity.TYPE, lead, now, now, encode(payload))


def _poison(number: int) -> Event:
    return _activity(number)._replace(id=_poison_id(number), value=b'{"type": "demo.requ')


def _poison_id(number: int) -> UUID:
    return uuid5(NAMES, f"poison {number}")
