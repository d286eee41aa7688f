"""How promises on many leads stand: a small house whose numbers were worked out by hand, in the week after the clocks
went back."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import pytest
from accord_builders import HOUR
from api_builders import Caller, running_line
from builders import eventually
from promise_house import ANN, BEGAN, BEN, ENTRIES, NOW, QUALIFIED, SIGNED, document, write
from report_world import HELD

from services.api import handler
from services.api.store import signed
from shared.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def caller(
    database_url: str, pool: asyncpg.Pool, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Caller]:
    for name, entries in ENTRIES.items():
        await write(pool, name, entries)
    monkeypatch.setattr("services.composition.SystemClock", lambda: clock)
    monkeypatch.setattr(signed, "BELIEVED_SECONDS", 0.0)
    async with running_line(database_url, "api") as caller:
        await pool.execute(SIGNED, 2, json.dumps(document()), BEGAN)

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


async def test_an_accord_that_was_signed_for_later_counts_the_erased_and_one_of_later_does_not(
    caller: Caller, pool: asyncpg.Pool, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`when` is judged as long as there is somebody to judge it on."""
    monkeypatch.setattr(handler, "COUNTED_SECONDS_MAX", 0.0)
    asks = {"hot-leads": {"owner": ANN, "grade": "A"}, "of-ben": {"owner": BEN}}

    async def sign(version: int, *names: str) -> None:
        promises = [{"id": name, **QUALIFIED, "when": asks[name], "at_least": 1, "per": "week"} for name in names]
        written = document()
        sla = {**written["sla"], "promises": promises}
        await pool.execute(SIGNED, version, json.dumps({**written, "sla": sla}), NOW + version * HOUR)

    await sign(3, "hot-leads")
    for name in ENTRIES:
        assert (await caller.delete(f"/v1/leads/{uuid5(UUID(int=2), name)}")).status == 202
    await sign(4, "hot-leads", "of-ben")
    clock.advance(3 * HOUR)
    assert [(item["accord"], item["numerator"]) for item in await every_item(caller)] == [(3, 1), (3, 0)]  # twice
    clock.advance(HOUR)
    told = [(item["promise"], item["numerator"]) for item in await every_item(caller)]
    assert told == [("hot-leads", 1), ("hot-leads", 0), ("of-ben", 0), ("of-ben", 0)]
