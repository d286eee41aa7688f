"""The outbox without a broker: what relays send and in which order, what is trimmed, what the gauges say."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from builders import an_event, eventually
from contract.worlds import PARTITIONS, emit
from prometheus_client import CollectorRegistry

from shared.events.envelope import Outgoing
from shared.events.topics import ACTIVITY, READERS, SCORE, TOPICS
from shared.stream import relay
from shared.stream.carrier import Position, Slot
from shared.stream.feed import Feed
from shared.stream.kafka import KafkaCarrier, KafkaClaim
from shared.stream.metrics import Metrics
from shared.stream.outbox import OutboxKeeper, OutboxLag
from shared.stream.relay import Row
from shared.stream.setup import initialise, register_readers

SLOT = Slot("scoring", "partition", 0)


class Broker:
    """Takes rows, or refuses them while it is away."""

    def __init__(self) -> None:
        self.batches: list[list[Row]] = []
        self.is_away = False

    async def send(self, emitter: str, rows: Sequence[Row]) -> None:
        await asyncio.sleep(0)
        if self.is_away:
            raise ConnectionError("the broker is away")
        self.batches.append(list(rows))

    @property
    def numbers(self) -> list[int]:
        return [row.number for batch in self.batches for row in batch]


class Bench:
    """The Kafka carrier on a real Postgres, with a broker that is only a list."""

    def __init__(self, pool: Any, connect: Any, names: Any) -> None:
        self.pool = pool
        self.broker = Broker()
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.is_full = False
        self.carrier = KafkaCarrier(
            pool=pool,
            connect=connect,
            partitions=PARTITIONS,
            names=names,
            feed_of=lambda service: Feed(service, self.metrics),
            send=self.broker.send,
            metrics=self.metrics,
        )

    def keeper(self, bytes_max: int = 10**9) -> OutboxKeeper:
        return OutboxKeeper(self.pool, metrics=self.metrics, bytes_max=bytes_max, on_full=self._hear)

    def _hear(self, is_full: bool) -> None:
        self.is_full = is_full

    def gauge(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def lag(self, place: dict[str, str]) -> tuple[float | None, float | None]:
        return self.gauge("accord_stream_lag_events", **place), self.gauge("accord_stream_lag_seconds", **place)

    async def rows(self) -> int:
        return int(await self.pool.fetchval("SELECT count(*) FROM stream.outbox"))


@pytest.fixture
async def bench(database_url: str, pool: Any) -> Bench:
    async with pool.acquire() as connection:
        _, names = await initialise(connection, topics=TOPICS, partitions=PARTITIONS, default=1)
        await register_readers(connection, READERS, PARTITIONS)
    return Bench(pool, lambda: asyncpg.connect(database_url), names)


async def test_rows_are_sent_in_order_whatever_the_broker_does(bench: Bench) -> None:
    claim = await bench.carrier.claim_lane("ingest")
    await emit(claim, an_event("0"))
    await eventually(lambda: bench.broker.numbers == [1])
    bench.broker.is_away = True
    for n in range(5):
        await emit(claim, an_event(f"away {n}", partition=n % 2))
    await eventually(lambda: (bench.gauge("accord_relay_restarts_total", service="ingest") or 0) >= 2)
    bench.broker.is_away = False
    await emit(claim, an_event("back"))
    await eventually(lambda: bench.broker.numbers == [1, 2, 3, 4, 5, 6, 7])
    await claim.release()
    assert await bench.pool.fetchval("SELECT shipped_through FROM stream.ownership WHERE kind = 'lane'") == 7


async def test_a_step_notes_what_was_acknowledged_before_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "NOTE_SECONDS", 3_600.0)
    claim = await bench.carrier.claim_lane("ingest")
    assert isinstance(claim, KafkaClaim)
    noted = "SELECT shipped_through FROM stream.ownership WHERE kind = 'lane'"
    for n in range(1, 4):
        async with claim.step(claim.positions, claim.breaker, at_once=True) as transaction:
            await transaction.put([Outgoing(ACTIVITY, an_event(f"{n}"))])
        assert await claim.shipped(5)
        assert await bench.pool.fetchval(noted) == n - 1
    await claim.release()
    assert await bench.pool.fetchval(noted) == 3


async def test_a_successor_sends_what_its_predecessor_left(bench: Bench) -> None:
    bench.broker.is_away = True
    former = await bench.carrier.claim(SLOT, [ACTIVITY])
    await emit(former, *(an_event(f"{n}") for n in range(3)), topic=SCORE)
    await former.release()
    bench.broker.is_away = False
    successor = await bench.carrier.claim(SLOT, [ACTIVITY])
    await eventually(lambda: bench.broker.numbers == [1, 2, 3])
    await emit(successor, an_event("next"), topic=SCORE)
    await eventually(lambda: bench.broker.numbers == [1, 2, 3, 4])
    assert [row.seq for batch in bench.broker.batches for row in batch] == [1, 2, 3, 4]
    await successor.release()


async def test_what_is_shipped_is_trimmed_once_it_is_old_and_what_waits_never(bench: Bench) -> None:
    claim = await bench.carrier.claim_lane("ingest")
    await emit(claim, *(an_event(f"{n}") for n in range(4)))
    await eventually(lambda: bench.broker.numbers == [1, 2, 3, 4])
    await claim.release()
    keeper = bench.keeper()
    assert await keeper.trim() == 0
    bench.broker.is_away = True
    again = await bench.carrier.claim_lane("ingest")
    await emit(again, *(an_event(f"waits {n}") for n in range(2)))
    await bench.pool.execute("UPDATE stream.outbox SET appended_at = now() - interval '1 hour'")
    assert await keeper.trim() == 4
    assert await bench.rows() == 2
    assert bench.gauge("accord_stream_trimmed_total", topic=ACTIVITY) == 4
    await again.release()


async def test_over_its_bound_the_outbox_trims_early_and_then_refuses(bench: Bench) -> None:
    claim = await bench.carrier.claim_lane("ingest")
    await emit(claim, *(an_event(f"{n}") for n in range(4)))
    await eventually(lambda: bench.broker.numbers == [1, 2, 3, 4])
    await claim.release()
    assert await bench.keeper(bytes_max=500).trim() == 4
    assert not bench.is_full
    bench.broker.is_away = True
    again = await bench.carrier.claim_lane("ingest")
    await emit(again, *(an_event(f"waits {n}") for n in range(4)))
    await bench.keeper(bytes_max=500).trim()
    assert bench.is_full
    assert bench.gauge("accord_stream_log_full") == 1
    await again.release()


async def test_the_gauges_tell_how_far_readers_and_relays_are_behind(bench: Bench) -> None:
    lag = OutboxLag(bench.pool, bench.metrics)
    await lag.refresh()
    place = {"service": "scoring", "topic": ACTIVITY, "partition": "0"}
    assert (bench.gauge("accord_stream_lag_events", **place), bench.gauge("accord_stream_lag_seconds", **place)) == (
        0,
        0,
    )
    bench.broker.is_away = True
    lane = await bench.carrier.claim_lane("ingest")
    await emit(lane, *(an_event(f"{n}") for n in range(3)))

    async def is_told_as_older() -> bool:
        await lag.refresh()
        return (bench.gauge("accord_stream_lag_seconds", **place) or 0) >= 0.05

    await eventually(is_told_as_older)
    assert bench.gauge("accord_stream_lag_events", **place) == 3
    slot = {"service": "ingest", "kind": "lane", "number": "0"}
    assert bench.gauge("accord_relay_backlog_events", **slot) == 3
    assert (bench.gauge("accord_relay_oldest_seconds", **slot) or 0) > 0
    reader = await bench.carrier.claim(SLOT, [ACTIVITY])
    async with reader.step({ACTIVITY: Position(3, {"ingest/0": 3})}, reader.breaker):
        pass
    await lag.refresh()
    assert (bench.gauge("accord_stream_lag_events", **place), bench.gauge("accord_stream_lag_seconds", **place)) == (
        0,
        0,
    )
    await lane.release()
    await reader.release()
