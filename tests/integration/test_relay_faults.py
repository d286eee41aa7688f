"""What a relay must survive: answers of Postgres that are lost, and batches that the broker takes too long for."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from builders import an_event, eventually
from contract.worlds import PARTITIONS, emit
from prometheus_client import CollectorRegistry

from shared.errors import Poison
from shared.events.envelope import Outgoing
from shared.events.topics import ACTIVITY, READERS, TOPICS
from shared.stream import relay as relay_module
from shared.stream.feed import Feed
from shared.stream.kafka import EVENT_BYTES_MAX, KafkaCarrier, KafkaClaim, KafkaTransaction
from shared.stream.metrics import Metrics
from shared.stream.relay import Relay, RelaySlot, Row
from shared.stream.setup import initialise, register_readers


class Broker:
    """Takes rows while it is open, at most so many at a time."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.tried: list[int] = []
        self.rows_max = 10_000
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, emitter: str, rows: Sequence[Row]) -> None:
        self.tried.append(len(rows))
        await self.open.wait()
        if len(rows) > self.rows_max:
            raise TimeoutError
        self.sent.extend(row.number for row in rows)


class ForgetfulPool:
    """A pool that loses the answers of so many statements, which were carried out all the same."""

    def __init__(self, pool: Any, answers_lost: int) -> None:
        self._pool = pool
        self.answers_lost = answers_lost
        self.carried_out = 0

    async def execute(self, *statement: Any, **options: Any) -> Any:
        answer = await self._pool.execute(*statement, **options)
        self.carried_out += 1
        if self.answers_lost:
            self.answers_lost -= 1
            raise ConnectionResetError
        return answer


class Unanswered(KafkaTransaction):
    """Commits, and never hears of it."""

    async def finish(self) -> None:
        await super().finish()
        raise ConnectionResetError


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
async def carrier(database_url: str, pool: Any, broker: Broker) -> KafkaCarrier:
    async with pool.acquire() as connection:
        _, names = await initialise(connection, topics=TOPICS, partitions=PARTITIONS, default=1)
        await register_readers(connection, READERS, PARTITIONS)
    metrics = Metrics(CollectorRegistry())
    return KafkaCarrier(
        pool=pool,
        connect=lambda: asyncpg.connect(database_url),
        partitions=PARTITIONS,
        names=names,
        feed_of=lambda service: Feed(service, metrics),
        send=broker.send,
        metrics=metrics,
    )


async def _lane(carrier: KafkaCarrier) -> KafkaClaim:
    claim = await carrier.claim_lane("ingest")
    assert isinstance(claim, KafkaClaim)
    return claim


async def test_a_commit_whose_answer_was_lost_leaves_no_hole_in_what_is_sent(
    carrier: KafkaCarrier, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = await _lane(carrier)
    broker.open.clear()
    await emit(claim, an_event("1"))
    await eventually(lambda: broker.tried == [1])
    await emit(claim, an_event("2"))
    with monkeypatch.context() as patch, pytest.raises(ConnectionResetError):
        patch.setattr(claim, "_transaction", lambda connection, moves: Unanswered(claim, connection, moves))
        await emit(claim, an_event("3"))
    await claim.reload()
    await emit(claim, an_event("4"))
    broker.open.set()
    await eventually(lambda: broker.sent == [1, 2, 3, 4])
    await claim.release()


async def test_a_note_whose_answer_was_lost_is_no_lost_slot(carrier: KafkaCarrier, pool: Any) -> None:
    claim = await _lane(carrier)
    await emit(claim, an_event("1"))
    assert await claim.shipped(5)
    await claim.abandon()
    await pool.execute("UPDATE stream.ownership SET shipped_through = 0 WHERE kind = 'lane'")
    relay = Relay(
        RelaySlot(claim.slot, claim.epoch, claim.emitter_id),
        send=Broker().send,
        pool=(forgetful := ForgetfulPool(pool, answers_lost=1)),
        topics=claim.names.topics,
        metrics=Metrics(CollectorRegistry()),
        shipped_through=0,
        last_row=0,
    )
    relay.give([Row(1, ACTIVITY, 0, 1, an_event("1"))])
    running = asyncio.create_task(relay.run())
    await eventually(lambda: forgetful.carried_out == 2)
    relay.give([Row(2, ACTIVITY, 0, 2, an_event("2"))])
    assert await relay.flush(5)
    assert not running.done()
    running.cancel()
    await claim.release()


async def test_a_batch_that_takes_too_long_is_tried_in_smaller_ones(
    carrier: KafkaCarrier, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "BACKOFF_SECONDS", (0.0,))
    broker.rows_max = 3
    claim = await _lane(carrier)
    await emit(claim, *(an_event(f"{n}") for n in range(20)))
    assert await claim.shipped(5)
    assert broker.sent == list(range(1, 21))
    broker.rows_max = 10_000
    await emit(claim, *(an_event(f"more {n}") for n in range(40)))
    assert await claim.shipped(5)
    assert max(broker.tried[-3:]) > 3
    await claim.release()


@pytest.mark.parametrize("at_once", [True, False])
async def test_an_event_larger_than_kafka_takes_is_poison_and_never_a_row(
    carrier: KafkaCarrier, pool: Any, at_once: bool
) -> None:
    claim = await _lane(carrier)
    event = an_event("large")._replace(value=b" " * (EVENT_BYTES_MAX + 1))
    with pytest.raises(Poison, match="larger than"):
        async with claim.step(claim.positions, claim.breaker, at_once=at_once) as transaction:
            await transaction.put([Outgoing(ACTIVITY, event)])
    assert await pool.fetchval("SELECT count(*) FROM stream.outbox") == 0
    await claim.release()
