"""Group commits of ingest against a real Postgres: seen once, one lead, profile before activity."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import pytest
from builders import eventually
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from services.ingest.handler.commits import IngestHandler, Outcome, Submission
from services.ingest.metrics import Metrics
from services.ingest.model import Identifier, Kind, Posted, Receipt
from services.ingest.store.identities import IdentityStore
from shared.clock import new_id
from shared.errors import Raced
from shared.events import codec
from shared.events.activity import Activity, ProfileUpdated
from shared.events.topics import ACTIVITY, SALES, TOPICS
from shared.stream.handover import Handover
from shared.stream.lane import LanePublisher
from shared.stream.log import PostgresCarrier
from shared.stream.metrics import Metrics as StreamMetrics
from shared.stream.setup import initialise

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
EMAIL = ("email", "ada@example.com")
COOKIE = ("anonymous_id", "c1")

Publisher = LanePublisher[Submission, Outcome]


def posted(name: str, *identifiers: Identifier, type: str = "page.viewed", **changes: Any) -> Posted:
    kind: Kind = "sales" if type.startswith("sales.") else "activity"
    plain = Posted(
        uuid5(UUID(int=1), name), kind, type, NOW, NOW, identifiers or (EMAIL,), {}, {}, "web", "marketing", None
    )
    return replace(plain, **changes)


@pytest.fixture
async def carrier(pool: asyncpg.Pool, database_url: str) -> PostgresCarrier:
    async with pool.acquire() as connection:
        partitions, names = await initialise(connection, topics=TOPICS, partitions=None, default=4)

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(database_url)

    return PostgresCarrier(pool=pool, connect=connect, partitions=partitions, names=names, handover=Handover())


def publisher(carrier: PostgresCarrier) -> Publisher:
    registry = CollectorRegistry()
    handler = IngestHandler(IdentityStore(), Metrics(registry), new_id)
    return Publisher(
        carrier,
        "ingest",
        handler.prepare,
        metrics=StreamMetrics(registry),
        weigh=lambda one: len(one.events),
        at_once=True,
    )


async def publish(publishers: list[Publisher], submissions: list[Submission]) -> list[Outcome]:
    """Publishes all at the same time, turn about."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(one.run()) for one in publishers]
        await eventually(lambda: all(one.is_ready for one in publishers), within=10)
        try:
            return list(
                await asyncio.gather(
                    *(publishers[n % len(publishers)].publish(submission) for n, submission in enumerate(submissions))
                )
            )
        finally:
            for task in running:
                task.cancel()


async def logged(pool: asyncpg.Pool) -> list[Any]:
    rows = await pool.fetch(
        """SELECT name, type, event_id, key, value FROM stream.log JOIN stream.topics USING (topic_id)
        ORDER BY partition, topic_id, log_offset"""
    )
    return list(rows)


async def test_an_event_posted_five_times_is_accepted_once(carrier: PostgresCarrier, pool: asyncpg.Pool) -> None:
    outcomes = await publish([publisher(carrier), publisher(carrier)], [Submission([posted("a")], None)] * 5)
    assert sorted((one.accepted, one.duplicates) for one in outcomes) == [(0, 1)] * 4 + [(1, 0)]
    assert len(await logged(pool)) == 1


async def test_a_repeat_within_one_request_is_a_duplicate(carrier: PostgresCarrier, pool: asyncpg.Pool) -> None:
    (outcome,) = await publish([publisher(carrier)], [Submission([posted("a"), posted("b"), posted("a")], None)])
    assert (outcome.accepted, outcome.repeated) == (2, [posted("a").id])


async def test_two_publishers_that_meet_a_new_email_make_one_lead(carrier: PostgresCarrier, pool: asyncpg.Pool) -> None:
    submissions = [Submission([posted(f"e{n}", ("email", f"lead{n % 3}@example.com"))], None) for n in range(60)]
    outcomes = await publish([publisher(carrier) for _ in range(3)], submissions)
    assert sum(outcome.accepted for outcome in outcomes) == 60
    assert await pool.fetchval("SELECT count(*) FROM ingest.identities") == 3
    assert len({row["key"] for row in await logged(pool)}) == 3


async def test_a_profile_is_published_before_its_activity_and_each_decodes(
    carrier: PostgresCarrier, pool: asyncpg.Pool
) -> None:
    event = posted("a", EMAIL, COOKIE, profile={"title": "CTO"}, data={"path": "/pricing"})
    await publish([publisher(carrier)], [Submission([event], "00-" + "1" * 32 + "-" + "2" * 16 + "-01")])
    rows = await logged(pool)
    assert [row["type"] for row in rows] == ["accord.profile.updated", "accord.activity"]
    profile, activity = (codec.DECODERS[row["type"]].decode(row["value"]) for row in rows)
    assert isinstance(profile, ProfileUpdated)
    assert profile.fields == {"title": "CTO"}
    assert isinstance(activity, Activity)
    assert activity.identifiers == {"email": "ada@example.com", "anonymous_id": "c1"}
    assert profile.lead_id == activity.lead_id


async def test_a_sales_action_on_a_new_lead_introduces_it_to_scoring(
    carrier: PostgresCarrier, pool: asyncpg.Pool
) -> None:
    actions = [posted("s1", type="sales.contacted", data={"channel": "call"}), posted("s2", type="sales.note")]
    await publish([publisher(carrier)], [Submission(actions, None)])
    rows = await logged(pool)
    assert [(row["name"], row["type"]) for row in rows] == [
        (ACTIVITY, "accord.profile.updated"),
        (SALES, "accord.sales.action"),
        (SALES, "accord.sales.action"),
    ]


async def test_an_anonymous_lead_that_names_its_email_stays_one_lead(
    carrier: PostgresCarrier, pool: asyncpg.Pool
) -> None:
    for events in ([posted("a", COOKIE)], [posted("b", EMAIL, COOKIE)], [posted("c", EMAIL)], [posted("d", COOKIE)]):
        await publish([publisher(carrier)], [Submission(events, None)])
    assert len({row["key"] for row in await logged(pool)}) == 1


async def test_sequences_are_contiguous_over_concurrent_publishers(
    carrier: PostgresCarrier, pool: asyncpg.Pool
) -> None:
    submissions = [
        Submission([posted(f"e{n}.{m}", ("email", f"l{m}@example.com")) for m in range(7)], None) for n in range(40)
    ]
    await publish([publisher(carrier) for _ in range(3)], submissions)
    broken = await pool.fetchval(
        """SELECT count(*) FROM (SELECT emitter_id, topic_id, partition, count(*) AS events, max(seq) AS last
        FROM stream.log GROUP BY 1, 2, 3) AS numbered WHERE events <> last"""
    )
    assert broken == 0
    assert await pool.fetchval("SELECT count(*) FROM stream.log") == 280


async def test_two_publishers_that_meet_a_new_cookie_make_one_lead(
    carrier: PostgresCarrier, pool: asyncpg.Pool
) -> None:
    """Each has looked before the other wrote."""
    first, second = await carrier.claim_lane("ingest"), await carrier.claim_lane("ingest")
    handler = IngestHandler(IdentityStore(), Metrics(CollectorRegistry()), new_id)
    with pytest.raises(Raced):
        async with second.step({}, second.breaker, at_once=True) as slower:
            outgoing, _ = await handler.prepare(slower, [Submission([posted("b", COOKIE)], None)])
            async with first.step({}, first.breaker, at_once=True) as faster:
                await faster.put((await handler.prepare(faster, [Submission([posted("a", COOKIE)], None)]))[0])
            await slower.put(outgoing)
    await first.release()
    await second.release()
    await publish([publisher(carrier)], [Submission([posted("b", COOKIE)], None)])
    assert len({row["key"] for row in await logged(pool)}) == 1


async def test_identifiers_are_locked_before_the_counters_of_the_log(
    carrier: PostgresCarrier, pool: asyncpg.Pool
) -> None:
    """Whoever wrote an identifier and goes on to the counters never meets one who holds these and waits for it."""
    writing = asyncio.create_task(_hold_cookie_then_counters(pool, started := asyncio.Event()))
    await started.wait()
    assert await publish([publisher(carrier)], [Submission([posted("a", COOKIE)], None)]) == [Outcome(1, [])]
    await writing


async def _hold_cookie_then_counters(pool: asyncpg.Pool, started: asyncio.Event) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO ingest.identities (kind, value, lead_id, is_tied) VALUES ($1, $2, $3, false)",
            *COOKIE,
            new_id(),
        )
        started.set()
        waiting = "SELECT count(*) = 1 FROM pg_locks WHERE NOT granted"
        await eventually(lambda: pool.fetchval(waiting))
        await connection.execute("SELECT FROM stream.offsets FOR UPDATE")


async def test_an_event_that_needs_somebody_on_file_counts_only_then(
    carrier: PostgresCarrier, pool: asyncpg.Pool
) -> None:
    deal, known, together = posted("deal", COOKIE), posted("known", EMAIL), posted("together", ("crm", "7"))
    receipt = Receipt(UUID(int=5), UUID(int=6), NOW, "incomplete", "deal", "nobody", (), "sealed", 6)
    first = Submission([deal, known], None, frozenset({deal.id}), None, receipt)
    (outcome,) = await publish([publisher(carrier)], [first])
    assert (outcome.accepted, outcome.left_out) == (1, frozenset({deal.id}))
    assert await pool.fetchval("SELECT reason FROM ingest.receipts") == "nobody"
    beside = [posted("names it", ("crm", "7")), together]
    (outcome,) = await publish(
        [publisher(carrier)], [Submission(beside, None, frozenset({together.id}), None, receipt)]
    )
    assert (outcome.accepted, outcome.left_out) == (2, frozenset())
    later = Submission([posted("ties", EMAIL, COOKIE), deal], None, frozenset({deal.id}), None, receipt)
    (outcome,) = await publish([publisher(carrier)], [later])
    assert outcome.accepted == 2
