"""Breaks Accord on Kafka under load, piece by piece. After each fault: no accepted event lost, none counted twice."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import aiohttp
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from builders import eventually
from e2e.apart import KEY, ServiceProcess, metric
from e2e.chaos_traffic import Load, Sender, passes
from e2e.kafka_house import SENDER_SECONDS, START_SECONDS, KafkaHouse, frozen, readiness_of
from kafka_topics import admin_client

from deploy.kafka.jars import Kafka
from shared.events.topics import LIFECYCLE, READERS
from shared.stream.kafka_client import KafkaClients, KafkaSettings

pytestmark = pytest.mark.chaos

ROUNDS = int(os.environ.get("ACCORD_CHAOS_ROUNDS", "1"))
BROKERS_AWAY_SECONDS = 60.0 if ROUNDS > 1 else 10.0
REBALANCES = 4

# What Kafka has acknowledged can't be noted while this stands.
# Steps go on, and what they and the relays note of what was shipped is lost.
LOSE_NOTES = """CREATE FUNCTION stream.lose_note() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN NEW.shipped_through := OLD.shipped_through; RETURN NEW; END$$;
CREATE TRIGGER lose_notes BEFORE UPDATE OF shipped_through ON stream.ownership
    FOR EACH ROW EXECUTE FUNCTION stream.lose_note()"""
KEEP_NOTES = "DROP TRIGGER lose_notes ON stream.ownership; DROP FUNCTION stream.lose_note()"
# Where delivery stands on the topic, and whether more was emitted.
DELIVERED = """SELECT o.number, (o.positions #>> ARRAY[$1, '0'])::bigint AS log_offset, sum(s.seq - coalesce(
    (o.positions #>> ARRAY[$1, '1', e.name])::bigint, 0)) AS unread
FROM stream.ownership o JOIN stream.sequences s ON s.partition = o.number
JOIN stream.topics t ON t.topic_id = s.topic_id AND t.name = $1 JOIN stream.emitters e USING (emitter_id)
WHERE o.service = 'delivery' AND o.kind = 'partition' GROUP BY 1, 2 ORDER BY unread DESC"""
# Where Kafka has more for it. One look: what is emitted after all was shipped is not on Kafka yet.
TO_DELIVER = f"""SELECT number, log_offset FROM ({DELIVERED}) AS delivered WHERE unread > 0
    AND NOT EXISTS (SELECT FROM stream.ownership WHERE next_row - 1 > shipped_through)"""


class Houses:
    """One house for a round, or another one after a test that has left it broken."""

    def __init__(self, folder: Path, kafka: Kafka) -> None:
        self._folder = folder
        self._kafka = kafka
        self._made = 0
        self._current: KafkaHouse | None = None

    async def whole(self) -> KafkaHouse:
        if self._current is not None and not self._current.is_whole:
            self.end()
        if self._current is None:
            self._made += 1
            self._current = KafkaHouse(self._folder / f"house-{self._made}", self._kafka)
            self._current.prepare()
            await self._current.start()
        return self._current

    def end(self) -> None:
        house, self._current = self._current, None
        if house is not None:
            house.end()


@pytest.fixture(scope="module", params=range(1, ROUNDS + 1), ids="round-{}".format)
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def houses(seed: int, session_folder: Path, kafka_jars: Kafka) -> Iterator[Houses]:
    folder = session_folder / f"kafka-round-{seed}"
    folder.mkdir(mode=0o755)
    houses = Houses(folder, kafka_jars)
    yield houses
    houses.end()


@pytest.fixture
async def house(houses: Houses, request: pytest.FixtureRequest) -> AsyncIterator[KafkaHouse]:
    house = await houses.whole()
    house.is_whole = False
    yield house
    if not house.is_whole:
        for name, log in house.logs():
            request.node.add_report_section("teardown", f"end of {name}", log)


@pytest.fixture
def random(seed: int, request: pytest.FixtureRequest) -> Random:
    return Random(f"{seed} {request.function.__name__}")


async def test_kill_nine_of_every_process_at_random_moments(
    house: KafkaHouse, session: aiohttp.ClientSession, random: Random
) -> None:
    async with house.loaded(session, random.randrange(10**9)) as load:
        for process in random.sample(house.processes, len(house.processes)):
            await passes(random.uniform(0, 0.6))
            process.kill()
            process.start()
            await load.goes_on(3)
        await house.are_ready()


async def test_members_come_and_go_in_mid_batch(
    house: KafkaHouse, session: aiohttp.ClientSession, random: Random
) -> None:
    first, second = house.of("scoring")
    async with house.loaded(session, random.randrange(10**9)) as load:
        third = house.begin("scoring")
        for _ in range(REBALANCES):
            service = random.choice(list(READERS))
            # It takes partitions and does nothing with them.
            idler = KafkaClients(KafkaSettings(kafka=house.rig.bootstrap)).consumer(f"accord-{service}")
            idler.subscribe(READERS[service])
            await idler.start()
            await passes(random.uniform(0, 1))
            await idler.stop()
            await load.goes_on(3)
        await house.are_shared_by("scoring", first, second, third)
        house.leave(third)
        await house.are_shared_by("scoring", first, second)


async def test_a_process_frozen_past_its_session_commits_nothing_more(
    house: KafkaHouse, session: aiohttp.ClientSession, random: Random
) -> None:
    former, successor = random.sample(house.of("scoring"), 2)
    async with house.loaded(session, random.randrange(10**9)) as load:
        async with frozen(former):
            await load.goes_on(5)
            await house.are_shared_by("scoring", successor)
            await load.goes_on(5)
        await house.are_shared_by("scoring", former, successor)
        await load.goes_on(5)


async def test_posts_are_accepted_while_all_brokers_are_away(
    house: KafkaHouse, session: aiohttp.ClientSession, random: Random
) -> None:
    async with house.loaded(session, random.randrange(10**9)) as load:
        before = load.sender.answers.copy()
        house.rig.kill()
        await passes(BROKERS_AWAY_SECONDS)
        await load.goes_on(5)
        assert set(load.sender.answers - before) == {"202"}
        assert await house.backlog() > 0
        # One that is started meanwhile takes posts too.
        for process in house.of("ingest"):
            process.kill()
        house.of("ingest")[0].start()
        await load.goes_on(5)
        house.of("ingest")[1].start()
        for node in house.rig.nodes:
            node.spawn()
        await house.goes_on(20)


async def test_readers_say_that_kafka_is_silent_and_who_takes_posts_is_ready_all_the_same(
    house: KafkaHouse, session: aiohttp.ClientSession, random: Random
) -> None:
    reader, (ingest, *_) = random.choice(house.of("scoring")), house.of("ingest")
    said = "scoring: Kafka has not answered for more than 5 s"
    async with house.loaded(session, random.randrange(10**9)) as load:
        for node in house.rig.nodes:
            node.pause()
        await eventually(lambda: _says(session, reader, said), within=START_SECONDS)
        assert await readiness_of(session, ingest) == (200, [])
        await load.goes_on(5)
        for node in house.rig.nodes:
            node.resume()

        async def is_ready() -> bool:
            return await readiness_of(session, reader) == (200, [])

        await eventually(is_ready, within=START_SECONDS)
        await house.goes_on(20)


async def test_one_broker_of_three_is_killed_or_frozen_again_and_again(
    house: KafkaHouse, session: aiohttp.ClientSession, random: Random
) -> None:
    async with house.loaded(session, random.randrange(10**9)) as load:
        before = load.sender.answers.copy()
        first, second = random.sample(house.rig.nodes, 2)
        first.kill()
        await house.goes_on(50)
        first.spawn()
        await first.answers(nodes=3)
        second.pause()
        await house.goes_on(50)
        second.resume()
        await second.answers(nodes=3)
        await house.goes_on(50)
        assert set(load.sender.answers - before) == {"202"}


async def test_postgres_is_killed_under_everything(
    house: KafkaHouse, session: aiohttp.ClientSession, random: Random
) -> None:
    async with house.loaded(session, random.randrange(10**9)) as load:
        os.kill(house.postgres.pid, signal.SIGKILL)
        await load.is_refused()
        await eventually(lambda: not house.postgres.is_running)
        await house.postgres.start_again()
        await load.goes_on(10)
        assert load.sender.without_retry_after == 0


async def test_events_that_were_shipped_but_not_noted_are_sent_again_and_count_once(
    house: KafkaHouse, session: aiohttp.ClientSession, random: Random
) -> None:
    emitters = [process for process in house.processes if process.service in ("ingest", "scoring", "stages")]
    async with house.loaded(session, random.randrange(10**9)) as load:
        await house.do(LOSE_NOTES)
        await house.goes_on(20)
        for process in emitters:
            process.kill()
        await house.do(KEEP_NOTES)
        for process in emitters:
            process.start()
        await house.are_ready()
        await load.goes_on(5)
    readers = [process for process in house.processes if process.service in READERS]
    assert sum([await metric(session, process, "accord_stream_duplicates_total") for process in readers]) > 0


async def test_a_reader_whose_events_retention_has_cut_stops_and_says_so(
    house: KafkaHouse, session: aiohttp.ClientSession, random: Random
) -> None:
    (delivery,) = house.of("delivery")
    delivery.kill()
    async with Load(Sender(session, KEY, house.ingest_urls), random.randrange(10**9), SENDER_SECONDS) as load:
        await load.goes_on(30)

    places: list[tuple[int, int]] = []

    async def has_more_to_deliver() -> bool:
        places.extend(map(tuple, await house.ask(TO_DELIVER, LIFECYCLE)))
        return bool(places)

    await eventually(has_more_to_deliver, within=30)
    partition, offset = places[0]
    async with admin_client(house.rig.bootstrap) as admin:
        await admin.delete_records({TopicPartition(LIFECYCLE, partition): RecordsToDelete(offset + 1)})
    said = f"delivery/{partition}: out of range"
    for _ in range(2):
        delivery.start()
        await eventually(lambda: _says(session, delivery, said), within=START_SECONDS)
        assert await metric(session, delivery, "accord_kafka_out_of_range") == 1
        # Nobody forgets it, and nothing is read from somewhere else.
        await passes(2)
        assert await _says(session, delivery, said)
        assert [partition, offset] in [list(row)[:2] for row in await house.ask(DELIVERED, LIFECYCLE)]
        delivery.kill()


async def _says(session: aiohttp.ClientSession, process: ServiceProcess, said: str) -> bool:
    """Whether this is all that /readyz names. A process that begins answers nothing."""
    try:
        return await readiness_of(session, process) == (503, [said])
    except aiohttp.ClientError:
        return False
