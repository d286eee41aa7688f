"""The load generator, a process of its own: a plan as one line of JSON on stdin, `ready`, then the result on stdout.

Bodies are built before `ready`; after the line `go` nothing is done but posting. The clock is CLOCK_MONOTONIC: all
processes of the machine share it.
"""

import asyncio
import gc
import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop
from pydantic_core import to_json

from benchmarks.http_client import Answer, Connection, post_request
from benchmarks.numbers import summary_ms
from benchmarks.traffic import Traffic, batch_body
from shared.clock import SystemClock

CONNECTIONS_MAX = 128


@dataclass(frozen=True)
class Target:
    """Where to post, and as whom."""

    host: str
    port: int
    key: str

    def request(self, body: bytes) -> bytes:
        return post_request(f"{self.host}:{self.port}", self.key, body)


@dataclass(frozen=True)
class Plan:
    """`batches`: all as fast as it is taken. `singles`: one event a post, `per_second`, for `seconds`, on time."""

    kind: str
    target: Target
    run: str
    leads: int
    seed: int = 1
    activities: int = 0
    batch_events: int = 100
    connections: int = 12
    per_second: float = 0
    seconds: float = 0
    warm_up_seconds: float = 0
    qualify_every: int = 10


@dataclass
class Tally:
    """What the answers said."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    refused: int = 0
    answer_seconds: list[float] = field(default_factory=list)

    def count(self, answer: Answer) -> None:
        if answer.status != 202:
            raise RuntimeError(f"{answer.status}: {answer.body[:500].decode(errors='replace')}")
        told = json.loads(answer.body)
        self.accepted += told["accepted"]
        self.duplicates += told["duplicates"]
        self.rejected += len(told["rejected"])


async def post_batches(target: Target, requests: Iterator[bytes], tally: Tally, connections: int) -> None:
    """Each connection posts the next request as soon as its last one was answered; refused ones again when told to."""

    async def work() -> None:
        connection = await Connection.open(target.host, target.port)
        for request in requests:
            sent_at = time.monotonic()
            while (answer := await connection.send(request)).status in (429, 503):
                tally.refused += 1
                await asyncio.sleep(answer.retry_after_seconds or 1)
            tally.answer_seconds.append(time.monotonic() - sent_at)
            tally.count(answer)
        connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(work())


def batch_requests(plan: Plan) -> list[bytes]:
    events = Traffic(plan.run, leads=plan.leads, seed=plan.seed).events(plan.activities, SystemClock().now())
    starts = range(0, len(events), plan.batch_events)
    return [plan.target.request(batch_body(events[start : start + plan.batch_events])) for start in starts]


class OpenLoop:
    """Posts at its own times, whatever the answers take; a post waits for no other's answer."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._traffic = Traffic(plan.run, leads=plan.leads, seed=plan.seed)
        self._idle: deque[Connection] = deque()
        self._opened = 0
        self._late_seconds: list[float] = []
        self._tally = Tally()
        self._due: dict[str, float] = {}

    async def prepare(self) -> None:
        """Makes every lead known, each with a profile for which one demo request is enough."""
        at, profile = SystemClock().now(), self._traffic.good_profile()
        events = [self._traffic.single(lead, "page.viewed", at, profile) for lead in range(self._plan.leads)]
        bodies = [batch_body(events[start : start + 100]) for start in range(0, len(events), 100)]
        await post_batches(self._plan.target, map(self._plan.target.request, bodies), Tally(), 2)

    def requests(self) -> list[tuple[bytes, str | None]]:
        """In order of posting; with the email of the lead that this post qualifies."""
        plan, at = self._plan, SystemClock().now()
        posts: list[tuple[bytes, str | None]] = []
        for index in range(round((plan.warm_up_seconds + plan.seconds) * plan.per_second)):
            qualifies = index % plan.qualify_every == 0
            lead = index // plan.qualify_every if qualifies else index * 7_919 % plan.leads
            event = self._traffic.single(lead, "demo.requested" if qualifies else "page.viewed", at)
            posts.append((plan.target.request(to_json(event)), self._traffic.email(lead) if qualifies else None))
        return posts

    async def run(self, posts: list[tuple[bytes, str | None]]) -> dict[str, Any]:
        start, warm_up = time.monotonic() + 0.05, round(self._plan.warm_up_seconds * self._plan.per_second)
        async with asyncio.TaskGroup() as group:
            for index, (request, email) in enumerate(posts):
                due = start + index / self._plan.per_second
                if (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                is_measured = index >= warm_up
                if email and is_measured:
                    self._due[email] = due
                group.create_task(self._post(request, due, is_measured))
        tally = self._tally
        return {
            "due": self._due,
            "posts": len(posts) - warm_up,
            "refused": tally.refused,
            "answer": summary_ms(tally.answer_seconds),
            "late": summary_ms(self._late_seconds),
            "connections": self._opened,
        }

    async def _post(self, request: bytes, due: float, is_measured: bool) -> None:
        connection = await self._take()
        sent_at = time.monotonic()
        answer = await connection.send(request)
        self._idle.append(connection)
        if answer.status in (429, 503):
            self._tally.refused += 1
            return
        self._tally.count(answer)
        if is_measured:
            self._late_seconds.append(sent_at - due)
            self._tally.answer_seconds.append(time.monotonic() - due)

    async def _take(self) -> Connection:
        # The one that has rested longest, so that none idles until the server closes it.
        while self._idle:
            connection = self._idle.popleft()
            if connection.is_open:
                return connection
        self._opened += 1
        if self._opened > CONNECTIONS_MAX:
            raise RuntimeError(f"more than {CONNECTIONS_MAX} posts without an answer: the line can't keep up")
        return await Connection.open(self._plan.target.host, self._plan.target.port)


async def _batches(plan: Plan) -> dict[str, Any]:
    requests, tally = batch_requests(plan), Tally()
    _wait_for_go()
    started_at = time.monotonic()
    await post_batches(plan.target, iter(requests), tally, plan.connections)
    finished_at = time.monotonic()
    result = asdict(tally) | {"answer": summary_ms(tally.answer_seconds)}
    del result["answer_seconds"]
    return result | {"started_at": started_at, "finished_at": finished_at, "bytes": sum(map(len, requests))}


async def _singles(plan: Plan) -> dict[str, Any]:
    loop = OpenLoop(plan)
    await loop.prepare()
    posts = loop.requests()
    _wait_for_go()
    return await loop.run(posts)


def _wait_for_go() -> None:
    gc.collect()
    gc.disable()
    print("ready", flush=True)
    if sys.stdin.readline() != "go\n":
        raise SystemExit("the benchmark went away")


def main() -> None:
    fields = json.loads(sys.stdin.readline())
    plan = Plan(**(fields | {"target": Target(**fields["target"])}))
    try:
        result = uvloop.run(_batches(plan) if plan.kind == "batches" else _singles(plan))
    except ExceptionGroup as failed:
        # Its posts fail alike: one is enough to see why.
        raise failed.exceptions[0] from None
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
