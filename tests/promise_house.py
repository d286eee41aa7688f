"""A small house whose promises were worked out by hand, in the week after the clocks went back."""

import json
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import asyncpg

from services.scoring.model.rules import instant
from shared.agreement.loading import default_accord_text, load_accord

ANN, BEN = "ann@sales.example", "ben@sales.example"
SIGNED = """INSERT INTO api.accords (version, document, source_text, sha256, effective_at, state)
VALUES ($1, $2, '', ''::bytea, $3, 'effective')"""
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
