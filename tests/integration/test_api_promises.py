"""How promises on many leads stand: a small house whose numbers were worked out by hand, in the week after the clocks
went back."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import asyncpg
import pytest
from api_builders import Caller, running_line
from builders import eventually
from report_world import HELD
from sqlalchemy import text

from services.api import handler
from services.api.store import promises as store
from services.api.store.database import Database
from services.scoring.model.rules import instant
from shared.agreement.document_sla import Promise
from shared.agreement.loading import default_accord_text, load_accord, read_accord
from shared.agreement.promises import period_at
from shared.clock import ManualClock
from shared.db.api_role import take_on_api_role
from shared.db.engine import create_engine

ANN, BEN = "ann@sales.example", "ben@sales.example"
SIGNED = """INSERT INTO api.accords (version, document, source_text, sha256, effective_at, state)
VALUES (2, $1, '', ''::bytea, $2, 'effective')"""
QUALIFIED, ACCEPTED = {"of": "marketing", "counts": "mql"}, {"of": "sales", "share_of": "mql", "that_reached": "sal"}
SOURCED: dict[str, Any] = {"of": "marketing", "sourced_by": "marketing"}
PROMISES: list[dict[str, Any]] = [
    {"id": "acceptance-rate", **ACCEPTED, "at_least": "60%", "per": "month"},
    {"id": "anns-acceptance", **ACCEPTED, "when": {"owner": ANN}, "at_least": "60%", "per": "week"},
    {"id": "anns-engaged", **QUALIFIED, "at_least": 1, "per": "week"}
    | {"when": {"owner": ANN, "engagement": {"gte": 50}}},
    {"id": "hot-leads", **QUALIFIED, "when": {"grade": {"in": ["A"]}}, "at_least": 1, "per": "week"},
    {"id": "leads-per-week", **QUALIFIED, "at_least": 4, "per": "week", "warn_at": "60%"},
    {"id": "pipeline-share", **SOURCED, "share_of": "opportunity", "at_least": "40%", "per": "quarter"}
    | {"warn_at": "100%"},
    {"id": "quick-acceptance", **ACCEPTED, "at_least": "60%", "per": "month", "settles_after": "0d"},
    {"id": "wins-share", **SOURCED, "share_of": "customer", "at_least": "10%", "per": "week", "warn_at": "50%"},
]


def at(words: str) -> datetime:
    return datetime.fromisoformat(f"{words}Z")


# 17:00 in New York: of the week's 4 x 8.5 + 6 hours 8.5 + 8.5 + 8 have passed. That week began an hour later in UTC.
NOW = at("2026-11-04T22:00")
BEGAN = at("2026-01-05T12:00")


def document() -> dict[str, Any]:
    """The packaged accord with these promises, and no holidays that one would have to know by heart."""
    written = dict(load_accord(default_accord_text()).as_written())
    calendar = {name: value for name, value in written["calendar"].items() if name != "holidays"}
    return written | {"calendar": calendar, "sla": {**written["sla"], "promises": PROMISES}}


class Entry(NamedTuple):
    stage: str
    at: datetime
    owner: str = BEN
    amount: float | None = None
    currency: str = "USD"
    is_implied: bool = False


A_TITLE = {"title": "Head of Sales", "employees": 5_000}  # 60 points of fit: an A

# What is known of each lead's profile, and since when.
PROFILES = {
    "sunday": [(BEGAN, A_TITLE), (at("2026-11-03T15:00"), {"title": "student", "employees": 1})],
    "monday": [(at("2026-11-03T15:00"), A_TITLE)],
    "twice": [(BEGAN, A_TITLE)],
}
# The points of each, which don't decay much within a day.
EARNED = {"twice": [(at("2026-11-01T12:00"), 60)], "monday": [(at("2026-11-02T06:00"), 60)]}
SOURCED_BY_SALES = ("cold call", "called in summer")
ENTRIES = {
    # Monday 00:00, when the clocks had not gone back yet: the first instant of that week.
    "first": [Entry("mql", at("2026-10-26T04:00"), ANN), Entry("sal", at("2026-11-02T15:00"))],
    # Sunday 23:59:59, after they had: the last second of that week, and already November.
    "sunday": [Entry("mql", at("2026-11-02T04:59:59"))],
    "monday": [Entry("mql", at("2026-11-02T05:00"), ANN), Entry("sal", at("2026-11-03T15:00"))],
    "twice": [
        Entry("mql", at("2026-11-02T15:00"), ANN),
        Entry("recycled", at("2026-11-02T16:00")),
        Entry("mql", at("2026-11-03T15:00"), ANN),
    ],
    "skipped": [Entry("mql", at("2026-11-03T15:00"), is_implied=True), Entry("sal", at("2026-11-03T15:00"))],
    "skipped, then scored": [
        Entry("mql", at("2026-11-03T15:00"), is_implied=True),
        Entry("recycled", at("2026-11-03T16:00")),
        Entry("mql", at("2026-11-04T15:00")),
    ],
    "opened": [Entry("opportunity", at("2026-10-05T15:00"), amount=3_000)],
    "cold call": [Entry("opportunity", at("2026-10-06T15:00"), amount=1_000)],
    "won at once": [
        Entry("opportunity", at("2026-10-07T15:00"), amount=4_000, is_implied=True),
        Entry("customer", at("2026-10-07T15:00"), amount=4_000),
    ],
    "in euros": [Entry("opportunity", at("2026-08-05T15:00"), amount=100, currency="EUR")],
    "called in summer": [Entry("opportunity", at("2026-08-06T15:00"), amount=900)],
}


async def write(pool: asyncpg.Pool, name: str, entries: list[Entry]) -> None:
    lead_id = uuid5(UUID(int=2), name)
    team = "sales" if name in SOURCED_BY_SALES else "marketing"
    state: list[Any] = [1, 1, 2, instant(BEGAN), {}, {}, {}, {}, {}, None, "website", None, "website", team]
    values = "(lead_id, engagement, fit, grade, state, partition, accord) VALUES ($1, 0, 0, 'D', $2, 0, 2)"
    await pool.execute(f"INSERT INTO scoring.leads {values}", lead_id, json.dumps([*state, 0.0, 0, [], "D"]))
    for number, (known_at, fields) in enumerate(PROFILES.get(name, ()), 1):
        body = {"occurred_at": known_at.isoformat(), "fields": fields, "identifiers": {"email": "x@acme.example"}}
        await pool.execute(
            "INSERT INTO scoring.history VALUES ($1, $2, $3, 'profile', $4, $5)",
            *(lead_id, uuid5(lead_id, f"profile {number}"), number, known_at, json.dumps(body).encode()),
        )
    for earned_at, points in EARNED.get(name, ()):
        await pool.execute(
            "INSERT INTO scoring.grants VALUES ($1, $2, $3, $3, $4, 0, 2, 'demo.requested', 'demo')",
            *(lead_id, uuid5(lead_id, "earned"), earned_at, points),
        )
    for version, entry in enumerate(entries, 1):
        cause = uuid5(lead_id, f"cause {version}")
        await pool.execute(
            "INSERT INTO stages.transitions VALUES ($1, $2, $3, $4, $5, 'x', $6, 'x', 'won', $7, $8)",
            *(lead_id, version, uuid5(cause, "t"), cause, entry.at, entry.stage, entry.is_implied, entry.owner),
        )
        action = {
            "occurred_at": entry.at.isoformat(),
            "action": "won",
            "amount": entry.amount,
            "currency": entry.currency,
        }
        await pool.execute(
            "INSERT INTO stages.history VALUES ($1, $2, $3, $4, $5)",
            *(lead_id, cause, version, entry.at, json.dumps(action).encode()),
        )


@pytest.fixture
async def caller(database_url: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Caller]:
    for name, entries in ENTRIES.items():
        await write(pool, name, entries)
    clock = ManualClock(NOW)
    monkeypatch.setattr("services.composition.SystemClock", lambda: clock)
    async with running_line(database_url, "api") as caller:
        await pool.execute(SIGNED, json.dumps(document()), BEGAN)

        async def is_in_force() -> bool:
            return any(item["accord"] == 2 for item in await every_item(caller))

        await eventually(is_in_force, within=10)
        yield caller


async def every_item(caller: Caller, limit: int = 500) -> list[dict[str, Any]]:
    items, cursor = [], ""
    while True:
        answer = await caller.get(f"/v1/promises?limit={limit}{cursor}")
        assert answer.status == 200, answer.body
        items += answer.json["items"]
        if answer.json["next"] is None:
            return items
        cursor = f"&cursor={answer.json['next']}"


async def test_every_promise_is_told_with_the_numbers_it_was_made_of(caller: Caller) -> None:
    items = await every_item(caller)
    told = [(item["promise"], item["state"], item["numerator"], item["denominator"], item["reached"]) for item in items]
    assert told == [
        ("acceptance-rate", "running", 1, 4, 0.25),  # sunday, monday, twice, skipped then scored
        ("acceptance-rate", "settling", 1, 1, 1.0),  # first
        ("anns-acceptance", "running", 1, 2, 0.5),  # of monday and twice
        ("anns-acceptance", "settling", 1, 1, 1.0),  # first
        ("anns-engaged", "running", 1, None, 1),  # twice; monday earned its points an hour after it was one
        ("anns-engaged", "breached", 0, None, 0),  # first had earned nothing
        ("hot-leads", "running", 1, None, 1),  # twice; monday's title came later
        ("hot-leads", "kept", 1, None, 1),  # sunday, who became a student later
        ("leads-per-week", "running", 3, None, 3),  # monday, twice, skipped then scored
        ("leads-per-week", "breached", 2, None, 2),  # first, sunday
        ("pipeline-share", "running", 7_000.0, 8_000.0, 0.875),
        ("pipeline-share", "kept", 1, 2, 0.5),
        ("quick-acceptance", "running", 1, 4, 0.25),
        ("quick-acceptance", "breached", 0, 1, 0.0),  # first was accepted in November
        ("wins-share", "running", 0.0, 0.0, None),
        ("wins-share", "kept", 0.0, 0.0, None),
    ]
    measures = {(item["promise"], item["state"]): (item["measure"], item["currency"]) for item in items}
    assert measures["pipeline-share", "running"] == ("amount", "USD")
    assert measures["pipeline-share", "kept"] == ("leads", None)
    assert measures["leads-per-week", "running"] == ("leads", None)
    fell_back = [(item["promise"], item["state"]) for item in items if item["falls_back_to_counts"]]
    assert fell_back == [("pipeline-share", "kept")]


async def test_a_promise_is_told_in_the_words_of_the_accord(caller: Caller) -> None:
    items = {item["promise"]: item for item in reversed(await every_item(caller))}
    terms = ("accord", "of", "counts", "share_of", "sourced_by", "that_reached", "when", "target", "warn_at")
    said = {name: [items[name][term] for term in terms] for name in ("hot-leads", "pipeline-share", "acceptance-rate")}
    assert said == {
        "hot-leads": [2, "marketing", "mql", None, None, None, {"grade": {"in": ["A"]}}, 1, None],
        "pipeline-share": [2, "marketing", None, "opportunity", "marketing", None, None, 0.4, 1.0],
        "acceptance-rate": [2, "sales", None, "mql", None, "sal", None, 0.6, None],
    }


async def test_the_pace_is_pro_rata_of_open_hours_and_shows_which_counted(caller: Caller) -> None:
    items = await every_item(caller)
    running, before = (item for item in items if item["promise"] == "leads-per-week")
    assert running["period"] == {"unit": "week", "since": "2026-11-02T05:00:00Z", "until": "2026-11-09T05:00:00Z"}
    assert (running["open_seconds_elapsed"], running["open_seconds"]) == (25 * 3_600, 40 * 3_600)
    assert (running["pace"], running["behind"]) == (2.5, False)
    pieces = running["working"]
    assert (pieces[0]["from"], pieces[-1]["to"]) == (running["period"]["since"], running["period"]["until"])
    assert [(piece["why"], piece["to"]) for piece in pieces[:2]] == [
        ("night", "2026-11-02T14:00:00Z"),
        ("open", "2026-11-02T22:30:00Z"),
    ]
    # The week in which the clocks went back is an hour longer, on a Sunday.
    assert before["period"] == {"unit": "week", "since": "2026-10-26T04:00:00Z", "until": "2026-11-02T05:00:00Z"}
    assert (before["pace"], before["behind"], before["open_seconds"]) == (4.0, None, 40 * 3_600)
    assert before["settles_at"] == before["period"]["until"]
    conversion = next(item for item in items if item["state"] == "settling")  # acceptance-rate
    assert conversion["settles_at"] == "2026-11-15T04:00:00Z"
    assert conversion["period"]["unit"] == "month"
    behind = {item["promise"]: item["behind"] for item in items if item["state"] == "running"}
    assert behind == dict.fromkeys(behind) | {"leads-per-week": False, "pipeline-share": False, "wins-share": False}


async def test_pages_of_promises_are_the_list(caller: Caller) -> None:
    assert await every_item(caller, limit=3) == await every_item(caller)
    answer = await caller.get("/v1/promises?cursor=x")
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "cursor")


async def test_what_holds_at_the_entry_is_what_the_lead_is_told_to_have_been_then(caller: Caller) -> None:
    for name in ("sunday", "monday", "twice"):
        entry = ENTRIES[name][0]
        moment = entry.at.isoformat().replace("+00:00", "Z")
        lead = (await caller.get(f"/v1/leads/{uuid5(UUID(int=2), name)}?at={moment}")).json
        assert (lead["grade"] == "A") is (name in ("sunday", "twice"))
        assert (lead["engagement"] >= 50) is (name == "twice")


async def test_what_was_counted_of_the_erased_stays_counted(
    caller: Caller, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "COUNTED_SECONDS_MAX", 0.0)  # no service reads here

    def counted(items: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        names = ("promise", "state", "numerator", "denominator", "reached", "measure", "falls_back_to_counts")
        return [tuple(item[name] for name in names) for item in items]

    before = counted(await every_item(caller))
    for name in ENTRIES:
        lead_id = uuid5(UUID(int=2), name)
        assert (await caller.delete(f"/v1/leads/{lead_id}")).status == 202
        assert counted(await every_item(caller)) == before, name
        for table in HELD:
            await pool.execute(f"DELETE FROM {table} WHERE lead_id = $1", lead_id)
        await pool.execute("UPDATE api.erasures SET done_at = now()")
        assert counted(await every_item(caller)) == before, name
    assert await pool.fetchval("SELECT count(*) FROM stages.transitions") == 0
    # What was said of them is kept, not what it was said of: a question that nobody asked then has no answer.
    await pool.execute("UPDATE api.nobody_entries SET held = '{}'")
    lost = [before[place] for place, item in enumerate(counted(await every_item(caller))) if item != before[place]]
    assert {promise for promise, *_ in lost} == {"anns-acceptance", "anns-engaged", "hot-leads"}


# A lead an hour for three years, each with one activity, what it was granted, and one entry by an action.
MANY = """
INSERT INTO scoring.leads (lead_id, engagement, fit, grade, state, partition, accord)
    SELECT md5(n::text)::uuid, 0, 0, 'D', '[]', 0, 1 FROM generate_series(1, 26000) AS n;
INSERT INTO scoring.history
    SELECT md5(n::text)::uuid, md5('e' || n)::uuid, 1, 'activity', timestamptz '2026-01-01' + n * interval '1 h', '{}'
    FROM generate_series(1, 26000) AS n;
INSERT INTO scoring.grants
    SELECT lead_id, event_id, received_at, received_at, 1, 0, 1, 'x', 'x' FROM scoring.history;
INSERT INTO stages.transitions
    SELECT lead_id, 1, md5('t' || event_id)::uuid, event_id, received_at, 'lead', 'opportunity', 'x', 'won', false
    FROM scoring.history;
INSERT INTO stages.history SELECT lead_id, event_id, 1, received_at, '{}' FROM scoring.history"""
TABLES = ("scoring.leads", "scoring.history", "scoring.grants", "stages.transitions", "stages.history")


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: str(promise["id"]))
async def test_no_promise_scans(pool: asyncpg.Pool, database_url: str, promise: dict[str, Any]) -> None:
    await pool.execute(MANY)
    for table in TABLES:
        await pool.execute(f"VACUUM (ANALYZE) {table}")
    one = by_id(promise["id"])
    period = period_at("week", at("2028-06-01T12:00"), read_accord(document()).calendar.business_calendar().zone)
    lead_ids = [row[0] for row in await pool.fetch("SELECT lead_id FROM scoring.leads LIMIT 500")]
    of_leads = {"lead_ids": lead_ids}
    statements = [store.tally(one, period, currency="USD", chosen=chosen) for chosen in (None, lead_ids)]
    statements += [(statement, of_leads) for statement in (store.VERSIONS, store.INPUTS)]
    statements += [(store.GRANTS, of_leads | {"accords": [1] * len(lead_ids)})]
    engine = create_engine(database_url, init=take_on_api_role)
    for statement, values in statements:
        rows = await Database(engine).rows(text(f"EXPLAIN {statement}").bindparams(**values))
        plan = "\n".join(row["QUERY PLAN"] for row in rows)
        for table in ("leads", "history", "grants", "transitions"):
            assert f"Seq Scan on {table}" not in plan, (statement, plan)
    await engine.dispose()


def by_id(promise_id: str) -> Promise:
    return next(one for one in read_accord(document()).sla.promises if one.id == promise_id)
