"""Quix Streams: a stateful function over a StreamingDataFrame.

Its documentation keeps state in its own RocksDB store with a changelog topic, written at each checkpoint; so no
Postgres here. At-least-once and a checkpoint every five seconds are its defaults.
"""

from typing import Any

from quixstreams import Application, State

from benchmarks.rivals import where
from benchmarks.rivals.job import score

NAME = "quix"


def score_activity(activity: dict[str, Any], key: bytes, timestamp: int, headers: Any, state: State) -> dict[str, Any]:
    lead_id = key.decode()
    after, event = score(state.get("lead"), lead_id, activity)
    state.set("lead", after)
    return event


def main() -> None:
    app = Application(
        broker_address=where.BROKER,
        consumer_group=where.group(NAME),
        auto_offset_reset="earliest",
        state_dir=where.FOLDER / "state",
        loglevel="WARNING",
    )
    activities = app.topic(where.activities(NAME), value_deserializer="json")
    scores = app.topic(where.scores(NAME), value_serializer="json")
    app.dataframe(activities).apply(score_activity, stateful=True, metadata=True).to_topic(scores)
    app.run()


if __name__ == "__main__":
    main()
