"""Lag after a burst: many activities on the topic at once, and every second how many events each reader has left."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.broken import Broken
from benchmarks.fill import Filler
from benchmarks.progress import read_offsets, unread, until_read
from benchmarks.traffic import Traffic
from shared.events.topics import ACTIVITY

LOOK_SECONDS = 1.0
_PATIENCE_SECONDS = 300
# What scoring reads here doesn't come from ingest, so that its backlog is counted by offsets.
_LATER = ("stages", "sla-monitor", "delivery")


@dataclass(frozen=True)
class Burst:
    """`looks`: seconds since the burst began, events left for scoring, for stages, and for the two after it."""

    events: int
    sent_seconds: float
    seconds: float
    looks: list[tuple[float, int, int, int]]


async def measure_burst(connection: Any, filler: Filler, traffic: Traffic, events: int) -> Burst:
    """On a line at rest, until everybody has read everything."""
    messages = filler.messages(traffic, events)
    await until_read(connection, None, _PATIENCE_SECONDS)
    before = sum((await read_offsets(connection, "scoring", ACTIVITY)).values())
    started_at = time.monotonic()
    sending = asyncio.create_task(filler.send(messages))
    sending.add_done_callback(lambda _: sent_at.append(time.monotonic()))
    sent_at: list[float] = []
    looks: list[tuple[float, int, int, int]] = []
    while True:
        read = sum((await read_offsets(connection, "scoring", ACTIVITY)).values()) - before
        left = await unread(connection)
        stages, later = left["stages"], left["sla-monitor"] + left["delivery"]
        seconds = time.monotonic() - started_at
        looks.append((round(seconds, 1), events - read, stages, later))
        if read >= events and not stages and not later:
            break
        if seconds > _PATIENCE_SECONDS:
            raise Broken(f"the burst was not read within {_PATIENCE_SECONDS} s: {looks[-1]}")
        await asyncio.sleep(LOOK_SECONDS - (time.monotonic() - started_at) % LOOK_SECONDS)
    await sending
    return Burst(events, sent_at[0] - started_at, looks[-1][0], looks)
