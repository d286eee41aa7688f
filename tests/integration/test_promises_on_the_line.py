"""Promises on many leads through the real scoring, stages and sla_monitor: counted as leads enter stages, judged on
time, each announcement once, whoever owns the partition."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid5

import pytest
from line_builders import activity, lead, sales_action
from msgspec import json
from promise_builders import FIRST_MONDAY, day
from whole_line import SERVICES, WholeLine, whole_line

from services.audit.report import first
from services.audit.run import audit
from shared.events import codec
from shared.events.activity import LeadErased
from shared.events.base import Payload
from shared.events.codec import decode
from shared.events.envelope import Outgoing
from shared.events.promises import PromiseEvent, promise_key
from shared.events.sales import Action
from shared.events.topics import ACTIVITY, SLA

OPEN = ["09:00-17:00"]
DOCUMENT: dict[str, Any] = {
    "accord": 1,
    "name": "Promised",
    "currency": "EUR",
    "calendar": {"timezone": "UTC", "hours": dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), OPEN)},
    "scoring": {
        "engagement": {"half_life": "never", "rules": [{"id": "demo", "activity": "demo.requested", "points": 50}]},
        "fit": {"rules": [], "grades": {"A": 50, "B": 30, "C": 10}},
    },
    "stages": {"mql": {"engagement": {"gte": 40}}},
    "sla": {
        "promises": [
            {"id": "leads", "of": "marketing", "counts": "mql", "at_least": 3, "per": "week", "warn_at": "60%"},
            {"id": "accepted", "of": "sales", "share_of": "mql", "that_reached": "sal", "at_least": "50%"}
            | {"per": "week", "settles_after": "1d"},
            {"id": "pipeline", "of": "marketing", "share_of": "opportunity", "sourced_by": "marketing"}
            | {"at_least": "40%", "per": "quarter"},
        ]
    },
}


class House:
    """A line that began in the week before day 0."""

    def __init__(self, line: WholeLine) -> None:
        self.line = line

    async def at(self, moment: datetime, *payloads: Payload, reads: tuple[str, ...] = SERVICES) -> None:
        """Moves the clock there, posts, and lets these read and do what is due."""
        self.line.clock.advance(moment - self.line.clock.now())
        if payloads:
            await self.line.post(*payloads)
        for service in reads:
            await self.line.work(service)
        # A look that finds something unread, or begins a period, is followed by another.
        for _ in range(2):
            self.line.clock.advance(timedelta(seconds=16))
            await self.line.work("sla-monitor")

    async def said(self) -> list[str]:
        told = [decode(event) for event in await self.line.told(SLA)]
        events = [payload for payload in told if isinstance(payload, PromiseEvent)]
        return [f"{event.occurred_at:%a %H:%M} {event.TYPE[15:]} {event.promise}: {event.reached}" for event in events]

    async def erase(self, name: str, at: datetime) -> None:
        erased = LeadErased(lead_id=lead(name), id=uuid5(lead(name), "erased"), erased_at=at, by="test")
        lane = await self.line.carrier.claim_lane("ingest")
        async with lane.step(lane.positions, lane.breaker) as transaction:
            event = codec.event(erased, id=erased.id, time=at, received_at=at)
            await transaction.emit([Outgoing(ACTIVITY, event)])
        await lane.release()

    async def audit(self) -> None:
        assert first(await audit(self.line.url)) == []


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    async with whole_line(database_url, json.encode(DOCUMENT).decode(), FIRST_MONDAY - timedelta(days=3)) as line:
        house = House(line)
        await house.at(day(-3))
        yield house


def demos(at: datetime, *names: str) -> list[Payload]:
    return [activity("demo.requested", at, lead_id=lead(name)) for name in names]


async def test_a_week_is_counted_warned_of_settled_and_corrected(house: House) -> None:
    await house.at(day(1, "17:01"))
    assert await house.said() == ["Tue 17:00 warned leads: 0"]
    await house.at(day(2, "12:00"), *demos(day(2, "12:00"), "one", "two"))
    await house.at(day(2, "13:00"), sales_action(Action.ACCEPTED, day(2, "13:00"), lead_id=lead("one")))
    await house.at(day(7, "0:01"))
    assert (await house.said())[1:] == ["Mon 00:00 breached leads: 2"]
    # Sales tells late of what it did in time: the second lead came as far before its week was settled.
    await house.at(day(8, "0:01"))
    assert (await house.said())[2:] == ["Tue 00:00 kept accepted: 0.5"]
    late = sales_action(Action.ACCEPTED, day(6), lead_id=lead("two"), received_at=day(8, "9:00"))
    await house.at(day(8, "9:00"), late)
    assert (await house.said())[3:] == ["Tue 09:00 corrected accepted: 1.0"]
    told = [event for event in await house.line.told(SLA) if event.type.startswith("accord.promise.")]
    assert [event.key for event in told] == [promise_key(name) for name in ("leads", "leads", "accepted", "accepted")]
    await house.audit()


async def test_what_lies_unread_on_the_line_is_waited_for(house: House) -> None:
    await house.at(day(1, "17:01"))
    await house.at(day(6, "23:00"), *demos(day(6, "23:00"), "one", "two", "three"), reads=())
    for minute, services in enumerate([("sla-monitor",), ("scoring", "sla-monitor"), ("stages",)]):
        assert (await house.said())[1:] == []
        await house.at(day(7, f"0:{minute}"), reads=services)
    assert (await house.said())[1:] == ["Mon 00:00 kept leads: 3"]


async def test_what_was_counted_stays_when_the_person_is_forgotten(house: House) -> None:
    await house.at(day(0, "12:00"), *demos(day(0, "12:00"), "one", "two", "three"))
    await house.erase("two", day(1))
    await house.at(day(1))
    assert await house.line.pool.fetchval("SELECT count(*) FROM sla.promise_entries") == 4
    await house.at(day(7, "0:01"))
    assert await house.said() == ["Mon 00:00 kept leads: 3"]
    await house.audit()


async def test_two_owners_tell_it_once(house: House) -> None:
    successor = house.line.overtake("sla-monitor")
    house.line.clock.advance(day(7, "0:01") - house.line.clock.now())
    (former,) = house.line.zombies
    for _ in range(3):
        house.line.clock.advance(timedelta(seconds=16))
        await former.work()
        await successor.work()
    assert await house.said() == ["Mon 00:00 breached leads: 0"]
    assert await house.line.pool.fetchval("SELECT count(*) FROM sla.promise_events") == 1


async def test_a_step_that_fails_or_dies_counts_once(house: House) -> None:
    await house.at(day(0, "12:00"), *demos(day(0, "12:00"), "one"), reads=("scoring", "stages"))
    for how in ("fails", "loses its connection"):
        house.line.workers["sla-monitor"].handler.breaks = how
        await house.at(day(0, "13:00"))
        await house.at(day(1), *demos(day(1), how), reads=("scoring", "stages"))
    await house.at(day(1, "1:00"))
    count = "SELECT entries FROM sla.promise_counts WHERE promise = 'leads'"
    assert await house.line.pool.fetchval(count) == 3
    await house.audit()


async def test_a_clock_that_is_set_back_does_not_put_off_the_next_look(house: House) -> None:
    await house.at(day(1, "12:00"), *demos(day(1, "12:00"), "one"))
    await house.at(day(8, "20:00"))
    said = await house.said()
    late = sales_action(Action.ACCEPTED, day(6), lead_id=lead("one"), received_at=day(8, "9:00"))
    await house.at(day(8, "9:00"), late)
    assert (await house.said())[len(said) :] == ["Tue 09:00 corrected accepted: 1.0"]


async def test_amounts_of_more_digits_than_are_added_up_are_no_difference(house: House) -> None:
    names, at = ("one", "two", "three"), day(0, "12:00")
    await house.at(at, *demos(at, *names))
    deals = {"one": 3391.7123456789123, "two": 8412.987654321098, "three": 0.1234567890123456}
    opened = [
        sales_action(Action.OPPORTUNITY_OPENED, at, lead_id=lead(name), amount=amount, currency="EUR")
        for name, amount in deals.items()
    ]
    await house.at(day(0, "13:00"), *opened)
    amount = await house.line.pool.fetchval("SELECT amount FROM sla.promise_counts WHERE promise = 'pipeline'")
    assert float(amount) == pytest.approx(sum(deals.values()))
    await house.audit()
    await house.line.pool.execute("UPDATE sla.promise_counts SET amount = amount - 0.01 WHERE promise = 'pipeline'")
    assert len(first(await audit(house.line.url))) == 1
