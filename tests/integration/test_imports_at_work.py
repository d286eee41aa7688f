"""Files while other things happen: live posts, a process that ends in the middle, a person who is erased, keys."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from api_builders import LINE, SECRET_KEY, Caller, running_line
from builders import eventually
from hook_builders import a_source, logged
from import_builders import HEADER, counts, ended, errors_of, imported, send

from services.ingest.handler.import_bodies import ImportBodies
from services.ingest.store import imports
from services.ingest.store.import_erasure import ImportErasureStore
from services.ingest.sweeper import importing
from shared.secret_box import SecretBox

ROWS = 50_000


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "LOOK_SECONDS", 0.02)
    monkeypatch.setenv("ACCORD_INGEST_IMPORT_ROWS_PER_SECOND", "1000000")


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, "ingest", "api") as one:
        await a_source(one, name="fair")
        yield one


def row(number: int, email: str | None = None) -> str:
    at = f"2026-11-20T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"
    return f"{email or f'p{number}@okapi.example'},Ada,Okapi {number % 100},{at},{number % 5},Fair"


def file_of(rows: int, *, broken_every: int = 0) -> str:
    lines = [row(n, "nobody" if broken_every and n % broken_every == 7 else None) for n in range(rows)]
    return "\n".join([HEADER, *lines]) + "\n"


async def test_fifty_thousand_rows_are_read_while_live_posts_go_on(caller: Caller, pool: asyncpg.Pool) -> None:
    answer = await send(caller, file_of(ROWS, broken_every=100))
    assert answer.status == 202, answer.body
    posted = 0
    importing_now = asyncio.create_task(ended(caller, answer.json["id"], within=180))
    while not importing_now.done():
        await caller.post_event("page.viewed", f"live{posted}@okapi.example", id=f"live {posted}")
        posted += 1
    shown = await importing_now
    assert (shown["state"], counts(shown)) == ("done", (ROWS, ROWS * 99 // 100, 0, ROWS // 100))
    assert shown["bytes_read"] == shown["bytes"]
    assert posted > 10
    found = await pool.fetchval("SELECT count(*) FROM stream.log WHERE type = 'accord.activity'")
    assert found == ROWS * 99 // 100 + posted
    _, *refused = await errors_of(caller, shown["id"])
    assert [int(line) for line, *_ in refused] == [n + 2 for n in range(ROWS) if n % 100 == 7]


async def test_of_a_process_that_dies_in_the_middle_another_takes_over_and_nothing_counts_twice(
    database_url: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "READ_LEASE_SECONDS", 1)
    monkeypatch.setenv("ACCORD_INGEST_IMPORT_ROWS_PER_SECOND", "3000")

    async def is_dead(_: importing.Importing) -> None: ...

    rows = 12_000
    read = "SELECT rows_read FROM ingest.imports"
    with monkeypatch.context() as patched:
        patched.setattr(importing.Importing, "_let_go", is_dead)
        async with running_line(database_url, "ingest", "api") as caller:
            await a_source(caller, name="fair")
            answer = await send(caller, file_of(rows, broken_every=100))

            async def is_in_the_middle() -> bool:
                return bool(await pool.fetchval(read) > 500)

            await eventually(is_in_the_middle, within=30)
    before = await pool.fetchval(read)
    assert 0 < before < rows
    async with running_line(database_url, "ingest", "api") as caller:
        shown = await ended(caller, answer.json["id"], within=60)
        assert len(await errors_of(caller, shown["id"])) == 1 + rows // 100
    assert (shown["state"], counts(shown)) == ("done", (rows, rows * 99 // 100, 0, rows // 100))
    activities = [data for type_, data in await logged(pool) if type_ == "accord.activity"]
    assert len({data["id"] for data in activities}) == len(activities) == rows * 99 // 100


async def test_two_processes_share_the_files_and_read_none_twice(database_url: str, pool: asyncpg.Pool) -> None:
    async with running_line(database_url, "ingest", "api") as one, running_line(database_url, "ingest"):
        await a_source(one, name="fair")
        files = ["\n".join([HEADER, *(row(n) for n in range(k * 6_000, k * 6_000 + 6_000))]) for k in range(3)]
        answers = [await send(one, file) for file in files]
        shown = [await ended(one, answer.json["id"], within=90) for answer in answers]
    assert [counts(one) for one in shown] == [(6_000, 6_000, 0, 0)] * 3
    assert await pool.fetchval("SELECT count(*) FROM stream.log WHERE type = 'accord.activity'") == 18_000


async def test_rows_of_a_chunk_are_sorted_by_time(caller: Caller, pool: asyncpg.Pool) -> None:
    lines = [row(n, "ada@okapi.example") for n in range(50)]
    await imported(caller, "\n".join([HEADER, *reversed(lines)]))
    times = [data["occurred_at"] for type_, data in await logged(pool) if type_ == "accord.activity"]
    assert times == sorted(times)
    assert len(times) == 50


async def test_an_imported_lead_has_the_score_of_the_same_rows_posted(database_url: str) -> None:
    ada, bob = "ada@okapi.example", "bob@okapi.example"
    async with running_line(database_url, *LINE) as caller:
        await a_source(caller, name="fair")
        body = "Email,Title,Company,Employees,Type,Scanned at,id\n" + "".join(
            f"{ada},VP Operations,Acme,400,{type_},2026-11-{day}T09:00:00Z,a{day}\n"
            for day, type_ in ((12, "whitepaper.downloaded"), (10, "tradeshow.scanned"), (14, "demo.requested"))
        )
        assert counts(await imported(caller, body)) == (3, 3, 0, 0)
        profile = {"title": "VP Operations", "company": "Acme", "employees": 400}
        for day, type_ in ((10, "tradeshow.scanned"), (12, "whitepaper.downloaded"), (14, "demo.requested")):
            at = f"2026-11-{day}T09:00:00Z"
            await caller.post_event(type_, bob, profile=profile, occurred_at=at, id=f"b{day}", source="fair")

        async def told(email: str) -> Any:
            found = (await caller.get(f"/v1/leads/{email}/explanation")).json
            grants = [(one["type"], one["occurred_at"], one["rule"], one["points"]) for one in found.get("grants", ())]
            return sorted(grants), found.get("fit")

        async def are_alike() -> bool:
            return len((await told(ada))[0]) >= 3 and await told(ada) == await told(bob)

        await eventually(are_alike, within=15)


async def test_an_erased_person_is_in_no_chunk_and_no_refused_row_any_more(
    database_url: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = "ada@okapi.example"
    async with running_line(database_url, "ingest", "scoring", "stages", "sla-monitor", "delivery", "api") as caller:
        await a_source(caller, name="fair")
        await caller.post_event("page.viewed", ada, id="1")
        lead = await caller.lead_in_stage(ada, "lead")
        refused = "\n".join([HEADER, row(1), f"{ada},Ada,Okapi,yesterday,1,Fair", "nobody,,,,,"])
        broken = await imported(caller, refused)
        assert len(await errors_of(caller, broken["id"])) == 3
        monkeypatch.setattr(imports.ImportStore, "claim", _nothing)
        other = f'bob@okapi.example,"Says: {ada}",Okapi,2026-11-20T10:00:00Z,1,Fair'
        lines = [row(2), row(3, ada.upper()), other, row(4)]
        waiting = await send(caller, "\n".join([HEADER, *lines]))
        erased = await caller.delete(f"/v1/leads/{lead['id']}", prefer="wait=10")
        assert erased.status in (200, 202), erased.body

        async def is_gone() -> bool:
            is_erased = await pool.fetchval("SELECT count(*) FROM ingest.erased WHERE lead_id = $1", lead["id"]) == 1
            return is_erased and (await caller.get(f"/v1/leads/{ada}")).status == 404

        await eventually(is_gone, within=15)
        assert [line for line, *_ in await errors_of(caller, broken["id"])] == ["accord_line", "4"]
        monkeypatch.undo()
        shown = await ended(caller, waiting.json["id"])
        assert counts(shown) == (3, 3, 0, 0)
        assert (await caller.get(f"/v1/leads/{ada}")).status == 404


async def _nothing(*_: Any) -> None:
    return None


async def test_rows_that_an_erasure_takes_out_while_they_are_in_memory_are_not_committed(
    caller: Caller, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if it happens after the last look."""
    commit_some, bodies, store = (
        importing.Importing._commit_some,
        ImportBodies(SecretBox(SECRET_KEY)),
        ImportErasureStore(),
    )
    told: list[int] = []

    async def too_late(self: importing.Importing, step: imports.Step, rows: Any) -> bool:
        if not told:
            text = bodies.unpack(step.chunk.body).replace(row(50), "")
            assert await store.rewrite(pool, step.claimed.import_id, step.chunk, bodies.pack(text), 299)
        told.append(len(rows))
        return await commit_some(self, step, rows)

    monkeypatch.setattr(importing.Importing, "_commit_some", too_late)
    shown = await imported(caller, file_of(300))
    assert (told[0], counts(shown)) == (200, (299, 299, 0, 0))
    emails = [data["identifiers"]["email"] for type_, data in await logged(pool) if type_ == "accord.activity"]
    assert ("p50@okapi.example" in emails, len(emails)) == (False, 299)


async def test_keys_reach_their_sources_files_and_no_others(caller: Caller) -> None:
    sources = (await caller.get("/v1/sources")).json["items"]
    fair = next(one["id"] for one in sources if one["name"] == "fair")
    await a_source(caller, name="other")

    async def holder(*scopes: str, **more: Any) -> Caller:
        made = await caller.post("/v1/keys", {"name": "x", "role": "marketing", "scopes": scopes, **more})
        assert made.status == 201, made.body
        return caller.with_key(made.json["key"])

    text = "\n".join([HEADER, row(1), "nobody,,,,,"])
    bound = await holder("events:write", source_id=fair)
    assert (await send(bound, text, query="source=other")).status == 403
    mine = await imported(bound, text, query="")
    other = await imported(caller, text, query="source=other")
    assert [one["id"] for one in (await bound.get("/v1/imports")).json["items"]] == [mine["id"]]
    assert (await bound.get(f"/v1/imports/{other['id']}")).status == 404
    assert len(await errors_of(bound, mine["id"])) == 2
    colleague, reader = await holder("events:write"), await holder("sources:read")
    assert (await colleague.get(f"/v1/imports/{mine['id']}")).status == 200
    assert (await reader.get("/v1/imports?source=fair")).json["items"][0]["id"] == mine["id"]
    for one in (colleague, reader):
        assert (await one.get(f"/v1/imports/{mine['id']}/errors.csv")).status == 403
    assert len(await errors_of(await holder("sources:inspect"), mine["id"])) == 2
    nobody = await holder("leads:read")
    for path in ("/v1/imports", f"/v1/imports/{mine['id']}", f"/v1/imports/{mine['id']}/errors.csv"):
        assert (await nobody.get(path)).status == 403
        assert (await caller.with_key(None).get(path)).status == 401
    assert (await send(nobody, text)).status == 403
    assert (await send(caller.with_key(None), text)).status == 401
    assert (await caller.get("/v1/imports/x")).status == 404


async def test_lists_go_on_where_the_page_before_ended(caller: Caller) -> None:
    ids = [(await imported(caller, "\n".join([HEADER, row(n)])))["id"] for n in range(3)]
    first = (await caller.get("/v1/imports?limit=2")).json
    second = (await caller.get(f"/v1/imports?limit=2&cursor={first['next']}")).json
    assert [one["id"] for one in (*first["items"], *second["items"])] == ids[::-1]
    assert second["next"] is None
    for query in ("limit=0", "limit=501", "limit=x", "cursor=x", "stage=mql"):
        assert (await caller.get(f"/v1/imports?{query}")).status == 422


async def test_what_is_old_is_forgotten_and_so_is_an_upload_that_nobody_goes_on_with(
    caller: Caller, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "TRIM_SECONDS", 0.0)
    shown = await imported(caller, "\n".join([HEADER, row(1), "nobody,,,,,"]))
    plan = json.dumps({})
    await pool.execute(
        """INSERT INTO ingest.imports (import_id, source_id, uploaded_by, plan, state, claimed_until)
        SELECT gen_random_uuid(), source_id, 'x', $1, 'uploading', now() - interval '1 s' FROM ingest.imports""",
        plan,
    )

    async def are(count: int) -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM ingest.imports") == count)

    await eventually(lambda: are(1))
    await pool.execute("UPDATE ingest.imports SET ended_at = ended_at - interval '31 days'")
    await eventually(lambda: are(0))
    assert (await caller.get(f"/v1/imports/{shown['id']}")).status == 404
    assert await pool.fetchval("SELECT count(*) FROM ingest.import_refusals") == 0


async def test_refused_rows_of_the_oldest_files_go_when_all_of_them_are_too_many(
    database_url: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "TRIM_SECONDS", 0.0)
    monkeypatch.setenv("ACCORD_INGEST_IMPORT_KEPT_BYTES_MAX", "300")
    async with running_line(database_url, "ingest", "api") as caller:
        await a_source(caller, name="fair")
        ids = [(await imported(caller, "\n".join([HEADER, row(n), "nobody,,,,,"])))["id"] for n in range(2)]

        async def only_the_latest_has_its_rows() -> bool:
            return [len(await errors_of(caller, id)) for id in ids] == [1, 2]

        await eventually(only_the_latest_has_its_rows)
        assert (await caller.get(f"/v1/imports/{ids[0]}")).json["counts"]["rejected"] == 1
