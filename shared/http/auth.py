"""Who calls: keys `acc_<id>_<secret>`, kept as a SHA-256 only, with a role, scopes, an expiry and a source.

Refusals never say which keys exist. What is read of a key is believed for at most a second, so a revoked key stops
working within that time; an unknown key is never remembered, so a new one works at once.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from shared.clock import Clock
from shared.errors import InvalidDocument
from shared.http.problems import Problem

ADMIN = "admin"
ROLES = ("marketing", "sales", "operations", ADMIN)
CACHE_SECONDS = 1.0
CACHED_KEYS_MAX = 10_000
SECRET_BYTES = 32

_FORM = re.compile(r"acc_([A-Za-z0-9-]{1,64})_([A-Za-z0-9_-]{8,256})", re.ASCII)
_NO_SECRET = bytes(32)
# One number for all of Accord's advisory locks of this kind: the first start of several processes makes one admin key.
_FIRST_KEY_LOCK = 0x6163635F6B6579

_READ = """SELECT key_id, secret_sha256, name, role, scopes, source_id, expires_at, revoked_at
    FROM api.published_keys WHERE key_id = $1"""
_PRESET = """INSERT INTO api.keys (key_id, secret_sha256, name, role) VALUES ($1, $2, $3, 'admin')
    ON CONFLICT (key_id) DO UPDATE SET secret_sha256 = excluded.secret_sha256, role = 'admin', source_id = NULL,
        expires_at = NULL, revoked_at = NULL"""
_FIRST = "INSERT INTO api.keys (key_id, secret_sha256, name, role) VALUES ($1, $2, 'first start', 'admin')"
_HAS_ADMIN = "SELECT EXISTS (SELECT FROM api.keys WHERE role = 'admin')"


class NewKey(NamedTuple):
    """A key just made. `text` is what its holder gets, once."""

    key_id: str
    text: str
    secret_sha256: bytes


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, and what they may do."""

    key_id: str
    name: str
    role: str
    scopes: frozenset[str]
    source_id: UUID | None = None

    def may(self, scope: str) -> bool:
        return self.role == ADMIN or scope in self.scopes

    def require(self, scope: str) -> None:
        """Raises Problem 403 without this scope."""
        self.require_any(scope)

    def require_any(self, *scopes: str) -> None:
        """Raises Problem 403 without one of these scopes."""
        if not any(self.may(scope) for scope in scopes):
            raise Problem(403, "Not allowed", f"This call needs the scope {' or '.join(scopes)}.")


class _Held(NamedTuple):
    principal: Principal
    secret_sha256: bytes
    expires_at: datetime | None
    revoked_at: datetime | None
    believed_until: float


class KeyRing:
    """Reads keys and keeps each for at most a second. `on_full` is called whenever the cache is at its bound."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock, *, on_full: Callable[[], None] = lambda: None) -> None:
        self._pool = pool
        self._clock = clock
        self._on_full = on_full
        self._held: OrderedDict[str, _Held] = OrderedDict()

    async def authenticate(self, authorization_header: str | None) -> Principal:
        """The caller of `Authorization: Bearer <key>`. Raises Problem 401."""
        scheme, _, credentials = (authorization_header or "").strip().partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorized()
        return await self.authenticate_key(credentials.strip())

    async def authenticate_key(self, key: str) -> Principal:
        """The holder of this key, however it was sent. Raises Problem 401."""
        parsed = parse_key(key)
        if parsed is None:
            raise _unauthorized()
        key_id, secret_sha256 = parsed
        held = await self._read(key_id)
        # An unknown id costs the same comparison as a wrong secret.
        is_secret = hmac.compare_digest(secret_sha256, held.secret_sha256 if held else _NO_SECRET)
        if held is None or not is_secret or held.revoked_at is not None:
            raise _unauthorized()
        if held.expires_at is not None and held.expires_at <= self._clock.now():
            raise _unauthorized()
        return held.principal

    async def _read(self, key_id: str) -> _Held | None:
        now = asyncio.get_running_loop().time()
        held = self._held.get(key_id)
        if held is not None and now < held.believed_until:
            return held
        row = await self._pool.fetchrow(_READ, key_id)
        if row is None:
            self._held.pop(key_id, None)
            return None
        held = _held(row, now + CACHE_SECONDS)
        self._held[key_id] = held
        self._held.move_to_end(key_id)
        if len(self._held) > CACHED_KEYS_MAX:
            self._held.popitem(last=False)
            self._on_full()
        return held


def new_key() -> NewKey:
    """A random key."""
    text = f"acc_{secrets.token_hex(8)}_{secrets.token_urlsafe(SECRET_BYTES)}"
    parsed = parse_key(text)
    assert parsed is not None
    return NewKey(parsed[0], text, parsed[1])


def parse_key(key: str) -> tuple[str, bytes] | None:
    """The id and the SHA-256 of the secret; None if this isn't a key."""
    match = _FORM.fullmatch(key)
    return (match[1], hashlib.sha256(match[2].encode()).digest()) if match else None


async def ensure_admin_key(connection: Any, preset: str | None) -> str | None:
    """Makes sure that somebody can get in. Returns a key that was made now, to be shown once; else None.

    A preset key (ACCORD_ADMIN_KEY) is put on file, whatever was there under its id; raises InvalidDocument if it
    doesn't have the form of a key. `connection` is asyncpg's.
    """
    if preset:
        parsed = parse_key(preset)
        if parsed is None:
            raise InvalidDocument(
                "ACCORD_ADMIN_KEY must look like acc_<id>_<secret>, with a secret of 8 to 256 characters"
            )
        await connection.execute(_PRESET, *parsed, "ACCORD_ADMIN_KEY")
        return None
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _FIRST_KEY_LOCK)
        if await connection.fetchval(_HAS_ADMIN):
            return None
        key = new_key()
        await connection.execute(_FIRST, key.key_id, key.secret_sha256)
        return key.text


def _held(row: Any, believed_until: float) -> _Held:
    scopes = frozenset(row["scopes"])
    principal = Principal(row["key_id"], row["name"], row["role"], scopes, row["source_id"])
    return _Held(principal, bytes(row["secret_sha256"]), row["expires_at"], row["revoked_at"], believed_until)


def _unauthorized() -> Problem:
    return Problem(401, "No valid key", "Send Authorization: Bearer <key>.", headers={"WWW-Authenticate": "Bearer"})
