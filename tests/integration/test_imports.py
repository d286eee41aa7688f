"""Files over HTTP and a real Postgres: durable once answered, read once, refused row by row with reasons."""

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
from api_builders import Caller, running_line
from hook_builders import a_source, logged
from import_builders import HEADER, ROW, counts, ended, errors_file, errors_of, imported, send

from services.ingest.sweeper import importing


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "LOOK_SECONDS", 0.02)
    monkeypatch.setenv("ACCORD_INGEST_IMPORT_ROWS_PER_SECOND", "1000000")


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, "ingest", "api") as one:
        await a_source(one, name="fair")
        yield one


async def test_a_file_of_scans_becomes_activities_with_their_profiles(caller: Caller, pool: asyncpg.Pool) -> None:
    answer = await send(caller, f"{HEADER}\n{ROW}\n")
    assert (answer.status, answer.json["state"]) == (202, "waiting")
    assert answer.headers["location"] == f"/v1/imports/{answer.json['id']}"
    shown = await ended(caller, answer.json["id"])
    assert (shown["state"], counts(shown)) == ("done", (1, 1, 0, 0))
    assert shown["bytes_read"] == shown["bytes"] == len(f"{HEADER}\n{ROW}\n")
    assert shown["columns"]["Company"] == "profile.company"
    (_, profile), (_, activity) = await logged(pool)
    assert profile["fields"] == {"first_name": "Ada", "company": "Okapi"}
    assert (activity["type"], activity["campaign"], activity["source"], activity["team"]) == (
        *("tradeshow.scanned", "Fair 26", "fair", "marketing"),
    )
    assert (activity["occurred_at"], activity["data"]) == ("2026-11-20T09:30:00Z", {"rating": 5})
    assert await pool.fetchval("SELECT count(*) FROM ingest.import_chunks") == 0


async def test_excels_habits_are_understood(caller: Caller, pool: asyncpg.Pool) -> None:
    text = (
        'sep=;\r\nE-MAIL ; Vorname;Firma;Scan Date;Scan Time;Notes;;\r\n\r\n"ada@okapi.example";Zoë;"Öka;pi ""AG""";'
        '20.11.2026;09:30;"two\r\nlines";;\r\n;;;;;;;\r\nbob@okapi.example;Bob\r\n'
    )
    query = "source=fair&time_zone=Europe/Berlin&time_format=DD.MM.YYYY%20HH:mm&mapping=" + quote(
        json.dumps({"vorname": "profile.first_name", "Firma": "profile.company"})
    )
    shown = await imported(caller, text.encode("utf-16"), query=query)
    assert counts(shown) == (2, 2, 0, 0)
    found = {data["identifiers"]["email"]: data for type_, data in await logged(pool) if type_ == "accord.activity"}
    assert found["ada@okapi.example"]["occurred_at"] == "2026-11-20T08:30:00Z"
    assert found["ada@okapi.example"]["data"] == {"note": "two\r\nlines"}
    fields = [data["fields"] for type_, data in await logged(pool) if type_ == "accord.profile.updated"]
    assert {"first_name": "Zoë", "company": 'Öka;pi "AG"'} in fields
    for charset, zipped in (("utf-8-sig", True), ("utf-8", False), ("windows-1252", False)):
        body = text.encode(charset)
        headers = {"content_encoding": "gzip"} if zipped else {}
        headers["content_type"] = f"text/csv; charset={charset.removesuffix('-sig')}"
        again = await imported(caller, gzip.compress(body) if zipped else body, query=query, **headers)
        # The row without a time is an event of its own in each file.
        assert counts(again) == (2, 1, 1, 0), charset


async def test_refused_rows_are_listed_with_line_column_and_reason_and_can_be_mended(caller: Caller) -> None:
    rows = [
        ROW,
        "nobody,Bob,=HYPERLINK(1),2026-11-20T09:30:00Z,5,Fair",
        "bob@okapi.example,Bob,Okapi,yesterday,5,Fair",
        'cy@okapi.example,"Cy"x,Okapi,2026-11-20,5,Fair',
        "di@okapi.example,Di,Okapi,2026-11-20,5,Fair,too much",
        ",Eve,Okapi,2026-11-20,5,Fair",
    ]
    shown = await imported(caller, "\n".join([HEADER, *rows]))
    assert (shown["state"], counts(shown)) == ("done", (6, 1, 0, 5))
    assert [error["line"] for error in shown["first_errors"]] == [3, 4, 5, 6, 7]
    assert shown["first_errors"][0]["errors"] == [{"path": "Email", "message": "must be an email address"}]
    header, *found = await errors_of(caller, shown["id"])
    assert header == ["accord_line", "accord_reason", *HEADER.split(",")]
    assert found[0][2:5] == ["nobody", "Bob", "'=HYPERLINK(1)"]
    assert found[1][1].startswith("Scanned at: must be a time: RFC 3339")
    assert found[2][1].startswith("its quotes can't be read")
    assert found[3][1].startswith("column 7 has something in it")
    assert found[4][1] == "lead: needs at least one identifier: email, anonymous_id or ids"
    mended = (
        (await errors_file(caller, shown["id"]))
        .replace(b"nobody", b"nob@okapi.example")
        .replace(b"yesterday", b"2026-11-19")
    )
    again = await imported(caller, mended)
    assert counts(again) == (5, 2, 0, 3)


async def test_the_same_file_again_is_all_duplicates_with_and_without_times_and_ids(
    caller: Caller, pool: asyncpg.Pool
) -> None:
    for header, row in (
        (HEADER, ROW),
        ("Email,Company", "bob@okapi.example,Okapi"),
        ("Email,id", "cy@okapi.example,7"),
    ):
        first = await imported(caller, f"{header}\n{row}\n")
        again = await imported(caller, f"{header}\n{row}\n")
        assert (counts(first), counts(again)) == ((1, 1, 0, 0), (1, 0, 1, 0))
    # As if the rows had been posted.
    event = {"type": "tradeshow.scanned", "id": "7", "lead": {"email": "cy@okapi.example"}, "source": "fair"}
    assert (await caller.post("/v1/events", event)).json["duplicates"] == 1


async def test_the_sources_settings_count(caller: Caller, pool: asyncpg.Pool) -> None:
    settings = {
        "historical": True,
        "campaign": "Spring",
        "events": {"booth": "stand.visited", "noise": None},
        "profile": {"Funktion": "title", "Intern": None},
    }
    await a_source(caller, name="old", team="sales", settings=settings)
    body = "Email,Type,Funktion,Intern\na@x.example,booth,CTO,secret\nb@x.example,noise,,\n"
    shown = await imported(caller, body, query="source=old")
    assert (shown["counts"]["accepted"], shown["counts"]["ignored"]) == (1, 1)
    (_, profile), (_, activity) = await logged(pool)
    assert profile["fields"] == {"title": "CTO"}
    assert (activity["type"], activity["campaign"], activity["historical"]) == ("stand.visited", "Spring", True)
    assert (activity["team"], activity["data"]) == ("sales", {})


@pytest.mark.parametrize(
    ("query", "body", "path", "words"),
    [
        ("", ROW, "source", "is required"),
        ("source=nobody", f"{HEADER}\n{ROW}", "source", "no source has this name or id"),
        ("source=fair&mapping=x", f"{HEADER}\n{ROW}", "mapping", "must be a JSON object"),
        ('source=fair&mapping={"Email":"x"}', f"{HEADER}\n{ROW}", "mapping.Email", "one of id, type"),
        ('source=fair&mapping={"Mail":"email"}', f"{HEADER}\n{ROW}", "mapping.Mail", 'it has "Email"'),
        ("source=fair&typ=x", f"{HEADER}\n{ROW}", "typ", "allowed: source, mapping"),
        ("source=fair&type=No Type", f"{HEADER}\n{ROW}", "type", "lower-case words"),
        ("source=fair&time_zone=Berlin", f"{HEADER}\n{ROW}", "time_zone", "Europe/Berlin"),
        ("source=fair&time_format=d.m.y", f"{HEADER}\n{ROW}", "time_format", "DD/MM/YYYY HH:mm"),
        ("source=fair", "", "file", "is empty"),
        ("source=fair", HEADER, "file", "no row below it"),
        ("source=fair", "Name,Company\nAda,Okapi", "header", 'this file has "Name", "Company"'),
        ("source=fair", "Email,Email\na@x.example,", "header", 'columns 1 and 2 are both named "Email"'),
        ("source=fair", "Email,Work Email\na@x.example,", "header", '"Work Email": null'),
        ("source=fair", b"PK\x03\x04abc", "file", "is an Excel workbook"),
        ("source=fair", b"Email\nzo\xeb@x.example", "file", "is not utf-8 at byte 8"),
        ("source=fair", 'Email,Company\na@x.example,"' + "x" * 70_000, "file", "begins in line 2"),
        ("source=fair", f"{HEADER}\n{ROW.replace('2026-11-20T', '20/11/2026 ')}", "line 2: Scanned at", "time_format"),
    ],
)
async def test_what_the_header_and_the_first_rows_tell_is_told_before_202(
    caller: Caller, pool: asyncpg.Pool, query: str, body: str | bytes, path: str, words: str
) -> None:
    answer = await send(caller, body, query=query.replace(" ", "%20"))
    assert answer.status == 422, answer.body
    assert [error["path"] for error in answer.json["errors"]][:1] == [path]
    assert words in answer.json["errors"][0]["message"]
    assert await pool.fetchval("SELECT count(*) FROM ingest.imports") == 0


async def test_limits_name_themselves_and_leave_nothing(
    database_url: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCORD_INGEST_IMPORT_BYTES_MAX", "1000000")
    monkeypatch.setenv("ACCORD_INGEST_IMPORTS_PENDING_MAX", "1")
    monkeypatch.setattr(importing, "LOOK_SECONDS", 60)
    async with running_line(database_url, "ingest", "api") as caller:
        await a_source(caller, name="fair")
        large = f"{HEADER}\n{ROW}\n" + f"{ROW}\n" * 20_000
        for body, headers in ((large.encode(), {}), (gzip.compress(large.encode()), {"content_encoding": "gzip"})):
            refused = await send(caller, body, **headers)
            assert (refused.status, "1000000" in refused.json["detail"]) == (413, True)
        for headers in (
            {"content_type": "application/json"},
            {"content_type": "text/csv; charset=ebcdic"},
            {"content_encoding": "br"},
        ):
            assert (await send(caller, f"{HEADER}\n{ROW}", **headers)).status == 415
        broken = gzip.compress(f"{HEADER}\n{ROW}".encode())[:-9]
        assert (await send(caller, broken, content_encoding="gzip")).status == 422
        assert await pool.fetchval("SELECT count(*) FROM ingest.imports") == 0
        assert await pool.fetchval("SELECT count(*) FROM ingest.import_chunks") == 0
        assert (await send(caller, f"{HEADER}\n{ROW}")).status == 202
        refused = await send(caller, f"{HEADER}\n{ROW}")
        assert (refused.status, refused.headers["retry-after"]) == (429, "60")
        assert "allowed: 1" in refused.json["detail"]


async def test_an_upload_that_breaks_off_leaves_nothing(caller: Caller, pool: asyncpg.Pool) -> None:
    chunk = (f"{HEADER}\n" + f"{ROW}\n" * 20_000).encode()
    told: list[int] = []

    async def broken() -> None:
        messages = [{"type": "http.request", "body": chunk, "more_body": True}, {"type": "http.disconnect"}]

        async def receive() -> Any:
            if len(messages) == 1:
                told.append(await pool.fetchval("SELECT count(*) FROM ingest.import_chunks"))
            return messages.pop(0)

        async def forget(_: Any) -> None: ...

        headers = [(b"content-type", b"text/csv"), (b"authorization", f"Bearer {caller.key}".encode())]
        scope = {"type": "http", "http_version": "1.1", "headers": headers, "server": ("testserver", 80)}
        address = {"method": "POST", "path": "/v1/imports", "raw_path": b"/v1/imports", "query_string": b"source=fair"}
        await caller.app({**scope, **address, "root_path": "", "scheme": "http"}, receive, forget)

    await broken()
    assert told[0] > 0
    assert await pool.fetchval("SELECT count(*) FROM ingest.imports") == 0
    assert await pool.fetchval("SELECT count(*) FROM ingest.import_chunks") == 0
    assert (await caller.get("/v1/imports")).json["items"] == []


async def test_too_many_refused_rows_end_an_import(
    database_url: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCORD_INGEST_IMPORT_REJECTED_MAX", "20")
    async with running_line(database_url, "ingest", "api") as caller:
        await a_source(caller, name="fair")
        shown = await imported(caller, "\n".join([HEADER, ROW, *["nobody"] * 21]))
        assert (shown["state"], counts(shown)) == ("failed", (21, 0, 0, 21))
        assert "more than 20 rows were refused" in shown["failure"]
        assert await pool.fetchval("SELECT count(*) FROM ingest.import_chunks") == 0
        assert len(await errors_of(caller, shown["id"])) == 22
