"""What a crowd comes to in the tables: rows, each made by the code with which the service itself writes it."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

from benchmarks.large.line import House, Told
from benchmarks.large.prospects import Prospect
from services.delivery.model.attempts import Outcome
from services.delivery.model.messages import body_of, delivery_id
from services.scoring import store as scoring_store
from services.scoring.model import HistoryLine, LedgerLine
from services.sla_monitor.model.decisions import announcement_id
from services.sla_monitor.model.states import Clock
from services.sla_monitor.store import clocks as sla_store
from services.stages import store as stages_store
from shared.events.lifecycle import StageChanged
from shared.events.topics import partition_of

KEPT: Final = timedelta(days=30)  # ids seen, bodies of events that were told, deliveries
_RETRIED_SHARE, _DEAD_SHARE = 0.03, 0.003

Row = Sequence[Any]


class Subscribed(NamedTuple):
    """A subscription that was told of some types of events all the time."""

    subscription_id: UUID
    types: tuple[str, ...]


class Table(NamedTuple):
    """A table of the house, the columns that are written, and the one in whose order the services would have written:
    rows lie about in it as time went by."""

    name: str
    columns: tuple[str, ...]
    order: str


_CLOCKS: Final = ("partition", *Clock._fields)
TABLES: Final = {
    table.name: table
    for table in (
        Table("ingest.identities", ("kind", "value", "lead_id", "is_tied"), "lead_id"),
        Table("ingest.events_seen", ("event_id", "received_at"), "received_at"),
        Table("scoring.history", HistoryLine._fields, "received_at"),
        Table("scoring.grants", LedgerLine._fields, "received_at"),
        Table("scoring.leads", scoring_store.STATE_COLUMNS, "lead_id"),
        Table("stages.history", stages_store.HISTORY_COLUMNS, "received_at"),
        Table("stages.leads", stages_store.STATE_COLUMNS, "lead_id"),
        Table("stages.transitions", stages_store.TRANSITION_COLUMNS, "occurred_at"),
        Table("stages.sticky", ("value", "owner", "team"), "value"),
        Table("stages.loads", ("owner", "day", "leads"), "day"),
        Table("stages.turns", ("team", "turn"), "team"),
        Table(
            "sla.history",
            ("lead_id", "number", "event_id", "type", "received_at", "seq", "cause", "body"),
            "received_at",
        ),
        Table("sla.leads", sla_store.LEAD_COLUMNS, "lead_id"),
        Table("sla.clocks", _CLOCKS, "started_at"),
        Table(
            "sla.clock_events",
            ("lead_id", "event_id", "clock_id", "type", "occurred_at", "rule", "owner", "level", "pause"),
            "occurred_at",
        ),
        Table("delivery.events", ("lead_id", "event_id", "type", "received_at", "body", "partition"), "received_at"),
        Table(
            "delivery.deliveries",
            (
                *("lead_id", "delivery_id", "subscription_id", "event_id", "type", "received_at", "state", "attempts"),
                *("status", "outcome", "latency_seconds", "delivered_at", "created_at"),
            ),
            "received_at",
        ),
        Table(
            "delivery.attempts",
            ("lead_id", "delivery_id", "attempt", "started_at", "outcome", "status", "latency_seconds", "answer"),
            "started_at",
        ),
    )
}


class Crowd(NamedTuple):
    """What is turned into rows."""

    house: House
    prospects: Sequence[Prospect]
    partitions: int
    until: datetime
    subscribed: Sequence[Subscribed]


def rows_of(crowd: Crowd) -> Iterator[tuple[str, list[Row]]]:
    """By table; a table may come twice."""
    yield "ingest.identities", list(_identities(crowd.prospects))
    yield from _scoring(crowd)
    yield from _stages(crowd.house)
    yield from _sla(crowd)
    yield "delivery.events", list(_events(crowd))
    deliveries = list(_deliveries(crowd))
    yield "delivery.deliveries", [row for row, _ in deliveries]
    yield "delivery.attempts", [attempt for _, attempts in deliveries for attempt in attempts]


def _identities(prospects: Iterable[Prospect]) -> Iterator[Row]:
    for prospect in prospects:
        if prospect.email:
            yield "email", prospect.email, prospect.lead_id, True
        yield "anonymous_id", prospect.visitor, prospect.lead_id, prospect.email is not None


def _scoring(crowd: Crowd) -> Iterator[tuple[str, list[Row]]]:
    batch, since = crowd.house.scoring.batch, crowd.until - KEPT
    yield "scoring.history", [tuple(line) for line in batch.history]
    yield "scoring.grants", [tuple(line) for line in batch.regranted]
    yield (
        "scoring.leads",
        [
            scoring_store.state_row(lead_id, state, partition_of(lead_id, crowd.partitions))
            for lead_id, state in batch.states.items()
        ],
    )
    seen = [(line.event_id, line.received_at) for line in batch.history if line.kind == "activity"]
    seen += crowd.house.told_by_crm
    yield "ingest.events_seen", [(id, received_at) for id, received_at in seen if received_at >= since]


def _stages(house: House) -> Iterator[tuple[str, list[Row]]]:
    yield "stages.history", [stages_store.history_row(line) for line in house.stages_history]
    yield "stages.leads", [stages_store.state_row(state) for state in house.staged.values()]
    yield "stages.transitions", [stages_store.transition_row(line) for line in house.transitions]
    yield "stages.sticky", [(value, *sticky) for value, sticky in house.routing.sticky.items()]
    yield "stages.loads", [(*load, leads) for load, leads in house.given.items()]
    yield "stages.turns", list(house.routing.turns.items())


def _sla(crowd: Crowd) -> Iterator[tuple[str, list[Row]]]:
    house = crowd.house
    yield "sla.history", [sla_store.history_row(entry) for entry in house.sla_history]
    yield "sla.leads", [sla_store.lead_row(lead) for lead in house.watched.values()]
    yield (
        "sla.clocks",
        [
            (partition_of(clock.lead_id, crowd.partitions), *sla_store.clock_row(clock))
            for lead in house.watched.values()
            for clock in lead.clocks
        ],
    )
    yield (
        "sla.clock_events",
        [
            (e.lead_id, announcement_id(e), e.clock_id, e.TYPE, e.occurred_at, e.rule, e.owner, e.level, e.pause)
            for e in house.announcements
        ],
    )


def _events(crowd: Crowd) -> Iterator[Row]:
    """Of what is older than 30 days bodies are forgotten, but for the last change of a lead's stage."""
    told = crowd.house.told
    standing = {one.event.key: one.event.id for one in told if one.event.type == StageChanged.TYPE}
    for event, emitter, partition in told:
        is_kept = event.received_at >= crowd.until - KEPT or standing.get(event.key) == event.id
        body = body_of(event, emitter) if is_kept else None
        yield event.key, event.id, event.type, event.received_at, body, partition


def _deliveries(crowd: Crowd) -> Iterator[tuple[Row, list[Row]]]:
    """Each with its tries: most came through at once."""
    random = Random(f"{crowd.until}/{len(crowd.house.told)}")
    recent = [one for one in crowd.house.told if one.event.received_at >= crowd.until - KEPT]
    for subscribed in crowd.subscribed:
        for told in recent:
            if told.event.type in subscribed.types:
                yield _delivery(random, told, subscribed)


def _delivery(random: Random, told: Told, subscribed: Subscribed) -> tuple[Row, list[Row]]:
    event, dice = told.event, random.random()
    id = delivery_id(event.id, subscribed.subscription_id)
    is_dead, is_retried = dice < _DEAD_SHARE, dice < _RETRIED_SHARE
    tries, attempts = 10 if is_dead else 2 if is_retried else 1, list[Row]()
    for number in range(1, tries + 1):
        came_through = number == tries and not is_dead
        latency = random.lognormvariate(-2.5, 0.6)
        started_at = event.received_at + timedelta(seconds=0.02 + 5.2 * (number - 1))
        outcome, status = (Outcome.DELIVERED, 200) if came_through else (Outcome.FAILED, 503)
        attempts.append((event.key, id, number, started_at, outcome, status, latency, b"ok" if came_through else b""))
    _, _, _, started_at, outcome, status, latency, _ = attempts[-1]
    delivered_at = None if is_dead else started_at + timedelta(seconds=latency)
    what = (event.key, id, subscribed.subscription_id, event.id, event.type, event.received_at)
    state = "dead" if is_dead else "delivered"
    return (*what, state, tries, status, outcome, latency, delivered_at, event.received_at), attempts
