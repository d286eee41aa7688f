"""Keys against a real database: who gets in, with what, and for how long."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from builders import eventually

from shared.clock import ManualClock
from shared.errors import InvalidDocument
from shared.http.auth import KeyRing, ensure_admin_key, new_key
from shared.http.problems import Problem

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
INSERT = "INSERT INTO api.keys (key_id, secret_sha256, name, role, scopes, expires_at) VALUES ($1, $2, $3, $4, $5, $6)"


async def add_key(pool: asyncpg.Pool, *scopes: str, role: str = "sales", expires_at: datetime | None = None) -> str:
    key = new_key()
    await pool.execute(INSERT, key.key_id, key.secret_sha256, "test", role, list(scopes), expires_at)
    return key.text


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def ring(pool: asyncpg.Pool, clock: ManualClock) -> KeyRing:
    return KeyRing(pool, clock)


async def status_of(ring: KeyRing, key: str) -> int:
    try:
        await ring.authenticate(f"Bearer {key}")
    except Problem as problem:
        return problem.status
    return 200


async def test_a_key_gives_its_holder_its_scopes_and_no_others(pool: asyncpg.Pool, ring: KeyRing) -> None:
    principal = await ring.authenticate(f"bearer {await add_key(pool, 'leads:read')}")
    principal.require("leads:read")
    with pytest.raises(Problem) as refused:
        principal.require("leads:act")
    assert refused.value.status == 403


async def test_role_admin_has_every_scope(pool: asyncpg.Pool, ring: KeyRing) -> None:
    principal = await ring.authenticate(f"Bearer {await add_key(pool, role='admin')}")
    principal.require("anything:atall")


async def test_refusals_don_t_say_which_keys_exist(pool: asyncpg.Pool, ring: KeyRing) -> None:
    known = await add_key(pool)
    wrong_secret = known[:-1] + ("A" if known[-1] != "A" else "B")
    answers = []
    for header in (
        None,
        "",
        "Basic abc",
        "Bearer",
        f"Bearer {wrong_secret}",
        f"Bearer {new_key().text}",
        "Bearer acc_é_x",
    ):
        with pytest.raises(Problem) as refused:
            await ring.authenticate(header)
        answers.append((refused.value.status, refused.value.title, refused.value.detail))
    assert set(answers) == {(401, "No valid key", "Send Authorization: Bearer <key>.")}


async def test_a_key_ends_when_it_expires(pool: asyncpg.Pool, ring: KeyRing, clock: ManualClock) -> None:
    key = await add_key(pool, expires_at=NOW + timedelta(seconds=1))
    assert await status_of(ring, key) == 200
    clock.advance(timedelta(seconds=1))
    assert await status_of(ring, key) == 401


async def test_a_revoked_key_stops_working_within_a_second(pool: asyncpg.Pool, ring: KeyRing) -> None:
    key = await add_key(pool)
    assert await status_of(ring, key) == 200
    await pool.execute("UPDATE api.keys SET revoked_at = now()")

    async def is_refused() -> bool:
        return await status_of(ring, key) == 401

    await eventually(is_refused, within=1.5)


async def test_a_new_key_works_although_it_was_refused_just_before(pool: asyncpg.Pool, ring: KeyRing) -> None:
    key = new_key()
    assert await status_of(ring, key.text) == 401
    await pool.execute(INSERT, key.key_id, key.secret_sha256, "test", "sales", [], None)
    assert await status_of(ring, key.text) == 200


async def test_the_first_start_makes_one_admin_key_even_when_two_processes_start(
    pool: asyncpg.Pool, ring: KeyRing
) -> None:
    async def start() -> str | None:
        async with pool.acquire() as connection:
            return await ensure_admin_key(connection, None)

    made = [key for key in await asyncio.gather(start(), start()) if key is not None]
    assert len(made) == 1
    assert (await ring.authenticate(f"Bearer {made[0]}")).role == "admin"
    assert await start() is None


async def test_a_preset_key_replaces_what_stood_under_its_id(pool: asyncpg.Pool, ring: KeyRing) -> None:
    async with pool.acquire() as connection:
        for key in ("acc_ops_first-secret", "acc_ops_second-secret"):
            assert await ensure_admin_key(connection, key) is None
        with pytest.raises(InvalidDocument, match="ACCORD_ADMIN_KEY"):
            await ensure_admin_key(connection, "hunter2")
    assert await status_of(ring, "acc_ops_second-secret") == 200
    assert await status_of(ring, "acc_ops_first-secret") == 401


async def test_no_secret_is_kept(pool: asyncpg.Pool) -> None:
    key = await add_key(pool)
    row = await pool.fetchval("SELECT keys::text FROM api.keys")
    assert key.rpartition("_")[2] not in row
