"""`python -m benchmarks.deliveries`: deliveries beside the HTTP client alone, and good endpoints beside bad ones.

`share`: deliveries a second (claimed, signed, posted, recorded in a durable Postgres) over bare posts a second of the
same client: as many at once, bodies of the same length, to the same receiver, which has the same CPUs, as Postgres has.
`cpu_us`: this process's own for each. Prints JSON. A busy machine makes noise: compare within one run only.
"""

import argparse
import asyncio
import gc
import json
import shutil
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import aiohttp
import uvloop
from prometheus_client import CollectorRegistry

from benchmarks.numbers import summary_ms
from services.delivery.handler import Nudge
from services.delivery.metrics import Metrics
from services.delivery.settings import Settings
from services.delivery.store.subscriptions import SubscriptionBook
from services.delivery.sweeper.posting import HttpPost, session
from services.delivery.sweeper.sender import Sender
from services.delivery.sweeper.signer import Signer
from services.serving import YOUNG_OBJECTS
from shared.clock import SystemClock, new_id
from shared.db.connections import create_pool
from shared.db.embedded import EmbeddedPostgres
from shared.db.migrate import upgrade
from shared.telemetry.logging import configure_logging

SECRET = "whsec_" + "QUJD" * 8
AT_ONCE = Settings().in_flight_per_subscription
BODIES = 2_000
LOOK_SECONDS = 0.02
PADDING = "x" * 350

_SUBSCRIBE = """INSERT INTO api.subscriptions (subscription_id, name, url, types, secret)
SELECT id, 'bench', url, '{*}', $3 FROM unnest($1::uuid[], $2::text[]) AS s(id, url)"""
_FILL = """
WITH told AS (INSERT INTO delivery.events (lead_id, event_id, type, received_at, body, partition)
    SELECT lead_id, event_id, 'accord.lead.qualified', now(), body::json, 0
    FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS e(lead_id, event_id, body) RETURNING lead_id, event_id, number)
INSERT INTO delivery.deliveries (lead_id, delivery_id, subscription_id, number, event_id, type, received_at,
    next_attempt_at)
SELECT lead_id, gen_random_uuid(), subscription_id, number, event_id, 'accord.lead.qualified', now(), now()
FROM unnest($1::uuid[], $2::uuid[], $4::uuid[]) AS d(lead_id, event_id, subscription_id)
JOIN told USING (lead_id, event_id)"""

_IS_PENDING = "SELECT state = 'pending' FROM delivery.deliveries WHERE lead_id = $1"


class Pace(NamedTuple):
    """How many a second, and this process's CPU for each."""

    per_second: float
    cpu_us: float


class Bench:
    """One database, one receiver, one sender."""

    def __init__(self, pool: Any, port: int) -> None:
        self._pool = pool
        self._address = f"http://127.0.0.1:{port}"

    async def client_alone(self, seconds: float) -> Pace:
        """Bare posts, as many at once as one subscription may have."""
        count, bodies = 0, cycle([_body().encode() for _ in range(BODIES)])
        began, end = _seconds(), time.monotonic() + seconds
        async with session(Settings(allowed_networks="127.0.0.0/8")) as client:

            async def post() -> None:
                nonlocal count
                while time.monotonic() < end:
                    async with client.post(f"{self._address}/good", data=next(bodies)) as response:
                        await response.read()
                    count += 1

            await asyncio.gather(*(post() for _ in range(AT_ONCE)))
        return _pace(count, began)

    async def deliveries(self, count: int) -> Pace:
        """Deliveries of one subscription with a backlog."""
        (subscription,) = await self._subscribe(["/good"])
        filled = [await self._fill([subscription] * min(BODIES, count - start)) for start in range(0, count, BODIES)]
        began = _seconds()
        async with self._sending():
            # Whether any is left Postgres finds out by reading past all that were there: that is asked at the end.
            while await self._pool.fetchval(_IS_PENDING, filled[-1]):
                await asyncio.sleep(LOOK_SECONDS)
            await self._until_delivered()
        return _pace(count, began)

    async def others(self, *, bad: int, good: int, per_second: float, seconds: float) -> list[float]:
        """Seconds from the commit to the receiver, of the good ones among so many endpoints; half of the bad ones hang,
        half fail. `bad` negative: the same endpoints, all of them good."""
        paths = ["/hangs", "/fails"] * (max(bad, 0) // 2) + ["/good?beside"] * (-min(bad, 0))
        wanted, beside = await self._subscribe(["/good"] * good), await self._subscribe(paths)
        await self._report()
        everybody = [*wanted, *beside]
        async with self._sending() as nudge:
            began = time.monotonic()
            step = 0.1
            for number in range(round(seconds / step)):
                each = round(per_second * step)
                due = [everybody[(number * each + n) % len(everybody)] for n in range(each)]
                await self._fill(due)
                nudge.give(due)
                await asyncio.sleep(max(0.0, began + (number + 1) * step - time.monotonic()))
            await self._until_delivered(tuple(wanted))
        return await self._report()

    async def _subscribe(self, paths: list[str]) -> list[UUID]:
        ids = [new_id() for _ in paths]
        await self._pool.execute(_SUBSCRIBE, ids, [self._address + path for path in paths], SECRET)
        return ids

    async def _fill(self, subscriptions: list[UUID]) -> UUID:
        """The lead of the last one."""
        ids = [new_id() for _ in subscriptions]
        await self._pool.execute(_FILL, ids, ids, [_body() for _ in ids], subscriptions)
        return ids[-1]

    @asynccontextmanager
    async def _sending(self) -> AsyncIterator[Nudge]:
        settings, clock, nudge = Settings(allowed_networks="127.0.0.0/8", timeout_seconds=15), SystemClock(), Nudge()
        signer = Signer("accord.example")
        async with session(settings) as client:
            sender = Sender(
                pool=self._pool,
                post=HttpPost(client, settings, signer),
                signer=signer,
                clock=clock,
                roll=lambda: 0.5,
                nudge=nudge,
                metrics=Metrics(CollectorRegistry()),
                settings=settings,
                book=SubscriptionBook(),
            )
            running = asyncio.create_task(sender.run())
            try:
                yield nudge
            finally:
                running.cancel()
                await asyncio.wait([running])
        await self._pool.execute("UPDATE api.subscriptions SET deleted_at = now() WHERE deleted_at IS NULL")
        await self._pool.execute("DELETE FROM delivery.deliveries WHERE state = 'pending'")

    async def _until_delivered(self, subscriptions: tuple[UUID, ...] = ()) -> None:
        statement = """SELECT EXISTS (SELECT FROM delivery.deliveries
            WHERE state = 'pending' AND (cardinality($1::uuid[]) = 0 OR subscription_id = ANY($1)))"""
        while await self._pool.fetchval(statement, subscriptions):
            await asyncio.sleep(LOOK_SECONDS)

    async def _report(self) -> list[float]:
        async with aiohttp.ClientSession() as client, client.get(f"{self._address}/report") as response:
            found: list[float] = json.loads(await response.read())
            return found


def _seconds() -> tuple[float, float]:
    """Of the wall's clock, and of this process's CPU."""
    return time.monotonic(), time.process_time()


def _pace(count: int, began: tuple[float, float]) -> Pace:
    seconds, cpu = (now - then for now, then in zip(_seconds(), began, strict=True))
    return Pace(round(count / seconds), round(cpu / count * 1e6, 1))


def _body() -> str:
    return json.dumps({"specversion": "1.0", "data": {"at": time.monotonic(), "padding": PADDING}})


async def _measure(database_url: str, options: argparse.Namespace) -> dict[str, Any]:
    await upgrade(database_url)
    receiver = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.webhook_receiver", stdout=PIPE)
    assert receiver.stdout is not None
    port = int(await receiver.stdout.readline())
    pool = await create_pool(database_url, max_size=10)
    bench = Bench(pool, port)
    try:
        await bench.client_alone(1)
        await bench.deliveries(BODIES)
        rounds = []
        for _ in range(options.rounds):
            alone, delivered = await bench.client_alone(options.seconds), await bench.deliveries(options.count)
            share = round(delivered.per_second / alone.per_second, 3)
            rounds.append({"client_alone": alone._asdict(), "deliveries": delivered._asdict(), "share": share})
        load = {"good": 80, "per_second": options.per_second, "seconds": options.seconds}
        alone_seconds, beside_seconds = [], []
        for _ in range(options.rounds):
            alone_seconds += await bench.others(bad=-20, **load)
            beside_seconds += await bench.others(bad=20, **load)
        without, beside = summary_ms(alone_seconds), summary_ms(beside_seconds)
        return {
            "rounds": rounds,
            "good_endpoints_alone": without,
            "good_endpoints_beside_bad": beside,
            "p99_ratio": round(beside["p99_ms"] / without["p99_ms"], 2),
        }
    finally:
        pool.terminate()
        receiver.kill()
        await receiver.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deliveries")
    parser.add_argument("--count", type=int, default=20_000, help="deliveries of one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--per-second", type=float, default=200.0, help="events for 100 endpoints together")
    options = parser.parse_args()
    configure_logging("error", "auto")
    gc.collect()  # from here on as the services do
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
    folder = Path(tempfile.mkdtemp(prefix="accord-bench-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder) as postgres:
            found = uvloop.run(_measure(postgres.dsn, options))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
