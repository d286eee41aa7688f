"""A newcomer's first source, in the terminal; and that no secret is ever found where it shouldn't be."""

import asyncio
import hmac
import json
import os
import sys
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from builders import eventually
from running_accord import ADMIN_KEY, Caller, RunningAccord, has_applied, start_accord

from services.demo.settings import ACCORD

CANARIES = ("canary-3f9a-given", "canary-3f9a-rotated", "canary-3f9a-segment", "canary-3f9a-mailchimp")


async def terminal(accord: RunningAccord, *arguments: str) -> tuple[int, str]:
    """What `accord sources …` says, and its exit code."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", "sources", *arguments),
        env={**inherited, "ACCORD_URL": accord.url, "ACCORD_KEY": ADMIN_KEY},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def json_of(accord: RunningAccord, *arguments: str) -> Any:
    code, said = await terminal(accord, *arguments, "--json")
    assert code == 0, said
    return json.loads(said)


async def test_a_newcomer_makes_a_source_and_sees_its_first_event(
    shared_accord: RunningAccord, session: aiohttp.ClientSession, caller: Caller, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text('{"map": {"type": "what", "email": "who", "id": "no"}}')
    made = await json_of(shared_accord, "add", "first site", "--kind", "generic", "--settings", str(settings))
    sample = tmp_path / "sample.json"
    sample.write_text('{"what": "Demo Requested", "who": "first@okapi.example", "no": 1}')
    code, said = await terminal(shared_accord, "test", "first site", str(sample))
    assert (code, "mapped demo.requested" in said) == (0, True), said
    headers = {"Authorization": f"Bearer {made['secret']}", "Content-Type": "application/json"}
    async with session.post(made["url"], data=sample.read_bytes(), headers=headers) as answer:
        assert answer.status == 200

    async def is_listed() -> bool:
        return "demo.requested" in (await terminal(shared_accord, "events", made["id"]))[1]

    await eventually(is_listed, within=30)
    await eventually(lambda: has_applied(caller, "first@okapi.example", lambda lead: lead["engagement"] > 0), within=10)
    rotated = await json_of(shared_accord, "rotate", "first site")
    assert rotated["secret"] not in (None, made["secret"])
    assert made["id"] in (await terminal(shared_accord, "list"))[1]
    assert (await json_of(shared_accord, "replay", "first site")) == {"asked": 0}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "x", "--kind", "fax"), "kind"),
        (("events", "nobody knows it"), "there is no source"),
        (("rotate", "00000000-0000-4000-8000-000000000000"), "No such source"),
    ],
)
async def test_what_goes_wrong_is_said_in_a_sentence(
    shared_accord: RunningAccord, arguments: tuple[str, ...], words: str
) -> None:
    code, said = await terminal(shared_accord, *arguments)
    assert code == 1
    assert words in said
    assert "Traceback" not in said


async def test_no_secret_is_ever_written_down(open_folder: Path, session: aiohttp.ClientSession) -> None:
    """Not in a log, not in any table, not in a file of the data folder but the key's own."""
    accord = await start_accord(open_folder, ACCORD, ACCORD_LOG_LEVEL="debug")
    try:
        caller = Caller(session, accord.url)
        given = await add(caller, "generic", CANARIES[0], auth={"type": "hmac"})
        segment, mailchimp = await add(caller, "segment", CANARIES[2]), await add(caller, "mailchimp", CANARIES[3])
        rotated = await caller.post(f"/v1/sources/{given['id']}/rotation", {"secret": CANARIES[1]}, Idempotency_Key="r")
        assert rotated.status == 200
        await send_everything(session, accord, given, segment, mailchimp)
        await _listed(caller, given["id"])
        assert await found_in_tables((open_folder / "database-url").read_text().strip()) == []
        logged = accord.logged()
        assert not [canary for canary in CANARIES if canary in logged]
        assert (open_folder / "secret-key").read_text().strip() not in logged
        assert oct((open_folder / "secret-key").stat().st_mode & 0o777) == "0o600"
    finally:
        assert accord.process.stop() == 0


async def add(caller: Caller, kind: str, secret: str, **settings: Any) -> dict[str, Any]:
    body = {"name": kind, "kind": kind, "team": "marketing", "secret": secret, "settings": settings}
    answer = await caller.post("/v1/sources", body, Idempotency_Key=f"add {kind}")
    assert answer.status == 201, answer
    made: dict[str, Any] = answer.json
    return made


async def send_everything(
    session: aiohttp.ClientSession,
    accord: RunningAccord,
    given: dict[str, Any],
    segment: dict[str, Any],
    mailchimp: dict[str, Any],
) -> None:
    """Good, bad, forged and unreadable requests, each with its secret somewhere in it."""
    bodies = [b'{"type": "a.b", "lead": {"email": "a@b.example"}}', b'{"type": "a.b"}', b"{", b"\xff"]
    for body in bodies:
        for secret in CANARIES[:2]:
            signature = hmac.digest(secret.encode(), body, "sha256").hex()
            async with session.post(given["url"], data=body, headers={"X-Signature": signature}) as answer:
                assert answer.status < 500
        async with session.post(given["url"], data=body, headers={"X-Signature": CANARIES[0]}) as answer:
            assert answer.status == 401
        login = aiohttp.encode_basic_auth(CANARIES[2], "")
        async with session.post(f"{segment['url']}/v1/track", data=body, headers={"Authorization": login}) as answer:
            assert answer.status < 500
        async with session.post(mailchimp["url"], data=body) as answer:
            assert answer.status < 500
    async with session.get(f"{accord.url}/v1/sources", headers={"Authorization": f"Bearer {ADMIN_KEY}"}) as answer:
        assert not [canary for canary in CANARIES if canary in await answer.text()]


async def _listed(caller: Caller, source_id: str) -> None:
    async def are_listed() -> bool:
        return len((await caller.get(f"/v1/sources/{source_id}/events")).json["items"]) >= 4

    await eventually(are_listed, within=30)


async def found_in_tables(database_url: str) -> list[str]:
    """Every table in which a row has one of the canaries, in any column."""
    connection = await asyncpg.connect(database_url)
    try:
        tables = await connection.fetch(
            """SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
            WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"""
        )
        assert len(tables) > 30
        found = []
        for (name,) in tables:
            for canary in CANARIES:
                hexed = canary.encode().hex()
                sql = f"SELECT EXISTS (SELECT FROM {name} AS t WHERE t::text LIKE $1 OR t::text LIKE $2)"
                if await connection.fetchval(sql, f"%{canary}%", f"%{hexed}%"):
                    found.append(f"{name}: {canary}")
        return found
    finally:
        await connection.close()
