"""FastStream with its batch subscriber and batch publisher: one read, one write and one publish per batch."""

from typing import Annotated, Any

from faststream import AckPolicy, Context, FastStream
from faststream.kafka import KafkaBroker, KafkaPublishMessage
from faststream.kafka.annotations import KafkaMessage

from benchmarks.rivals import where
from benchmarks.rivals.faststream_parts import Activity, lifespan
from benchmarks.rivals.job import score

NAME = "faststream-batches"
RECORDS_MAX = 500
BATCH_BYTES_MAX = 1024 * 1024

broker = KafkaBroker(where.BROKER, acks="all", max_batch_size=BATCH_BYTES_MAX, logger=None)
app = FastStream(broker, lifespan=lifespan)
to_scores = broker.publisher(where.scores(NAME), batch=True)

_SAVE = """INSERT INTO leads (lead_id, state) SELECT * FROM unnest($1::text[], $2::jsonb[])
ON CONFLICT (lead_id) DO UPDATE SET state = excluded.state"""


@broker.subscriber(
    where.activities(NAME),
    group_id=where.group(NAME),
    auto_offset_reset="earliest",
    ack_policy=AckPolicy.NACK_ON_ERROR,
    batch=True,
    max_records=RECORDS_MAX,
)
async def on_activities(activities: list[Activity], message: KafkaMessage, pool: Annotated[Any, Context()]) -> None:
    keys = [record.key for record in message.raw_message]
    lead_ids = [key.decode() for key in keys]
    events = []
    async with pool.acquire() as connection:
        rows = await connection.fetch("SELECT lead_id, state FROM leads WHERE lead_id = ANY($1)", list(set(lead_ids)))
        states: dict[str, Any] = dict(rows)
        for lead_id, activity in zip(lead_ids, activities, strict=True):
            states[lead_id], event = score(states.get(lead_id), lead_id, activity.model_dump())
            events.append(event)
        await connection.execute(_SAVE, list(states), list(states.values()))
    await to_scores.publish(
        *[KafkaPublishMessage(event, key=key) for event, key in zip(events, keys, strict=True)],
        partition=message.raw_message[0].partition,
    )
