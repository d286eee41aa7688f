"""faust-streaming: an agent and a table.

Its documentation keeps state in a table, in RocksDB for production, with a changelog topic; so no Postgres here.
At-least-once is its default.
"""

from typing import Any

import faust

from benchmarks.rivals import where
from benchmarks.rivals.job import score

NAME = "faust"


class Activity(faust.Record):
    """As it lies on the topic."""

    type: str
    occurred_at: str
    received_at: str
    source: str
    identifiers: dict[str, str]
    data: dict[str, Any]
    campaign: str | None = None


app = faust.App(
    where.group(NAME),
    broker=f"kafka://{where.BROKER}",
    store="rocksdb://",
    datadir=where.FOLDER,
    topic_partitions=where.PARTITIONS,
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
)
activities_topic = app.topic(where.activities(NAME), key_type=str, key_serializer="raw", value_type=Activity)
scores_topic = app.topic(where.scores(NAME), key_type=str, key_serializer="raw", value_serializer="json")
leads = app.Table("leads", default=dict, partitions=where.PARTITIONS)


@app.agent(activities_topic)
async def score_activities(activities: faust.Stream[Activity]) -> None:
    async for lead_id, activity in activities.items():
        leads[lead_id], event = score(leads[lead_id], lead_id, activity.asdict())
        await scores_topic.send(key=lead_id, value=event)


if __name__ == "__main__":
    app.main()
