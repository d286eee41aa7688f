"""FastStream, a message at a time: its at-least-once is NACK_ON_ERROR, with one worker per partition."""

from typing import Annotated, Any

from faststream import AckPolicy, Context, FastStream
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage

from benchmarks.rivals import where
from benchmarks.rivals.faststream_parts import Activity, lifespan
from benchmarks.rivals.job import score

NAME = "faststream"

broker = KafkaBroker(where.BROKER, acks="all", logger=None)
app = FastStream(broker, lifespan=lifespan)
to_scores = broker.publisher(where.scores(NAME))

_SAVE = """INSERT INTO leads (lead_id, state) VALUES ($1, $2)
ON CONFLICT (lead_id) DO UPDATE SET state = excluded.state"""


@broker.subscriber(
    where.activities(NAME),
    group_id=where.group(NAME),
    auto_offset_reset="earliest",
    ack_policy=AckPolicy.NACK_ON_ERROR,
    max_workers=where.PARTITIONS,
)
async def on_activity(activity: Activity, message: KafkaMessage, pool: Annotated[Any, Context()]) -> None:
    key = message.raw_message.key
    lead_id = key.decode()
    async with pool.acquire() as connection:
        before = await connection.fetchval("SELECT state FROM leads WHERE lead_id = $1", lead_id)
        state, event = score(before, lead_id, activity.model_dump())
        await connection.execute(_SAVE, lead_id, state)
    await to_scores.publish(event, key=key)
