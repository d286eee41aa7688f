"""Who calls: keys `acc_<id>_<secret>`, kept as a SHA-256 only, with a role, scopes, an expiry and a source; or
tokens of the issuer that people sign in at (tokens.py), which work wherever a key does.

Refusals never say which keys exist. What is read of a key is believed for half a second, so a revoked key stops working
within a second in every process; an unknown key is never remembered, so a new one works at once.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import asyncpg
import structlog
from starlette.requests import Request

from shared.clock import Clock
from shared.db.faults import DATABASE_ERRORS
from shared.errors import InvalidDocument
from shared.http.problems import Problem
from shared.http.scopes import ADMIN, ROLES

__all__ = ["ADMIN", "ROLES", "KeyRing", "Principal", "ensure_admin_key", "new_key", "parse_key"]

CACHE_SECONDS = 0.5
USES_WRITTEN_SECONDS = 10.0
CACHED_KEYS_MAX = 10_000
SECRET_BYTES = 32

log = structlog.get_logger(component="keys")

_FORM = re.compile(r"acc_([A-Za-z0-9-]{1,64})_([A-Za-z0-9_-]{8,256})", re.ASCII)
_NO_SECRET = bytes(32)
# One number for all of Accord's advisory locks of this kind: the first start of several processes makes one admin key.
_FIRST_KEY_LOCK = 0x6163635F6B6579

_READ = """SELECT key_id, secret_sha256, name, role, scopes, source_id, owner, expires_at, revoked_at,
    former_secret_sha256, former_until FROM api.published_keys WHERE key_id = $1"""
# In the order of the ids, so that two processes that write theirs at once can't block each other.
_USED = """INSERT INTO api.key_uses (key_id, last_used_at)
    SELECT key_id, at FROM unnest($1::text[], $2::timestamptz[]) AS used (key_id, at) ORDER BY key_id
    ON CONFLICT (key_id) DO UPDATE SET last_used_at = greatest(key_uses.last_used_at, excluded.last_used_at)"""
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
    """Who calls, and what they may do. With `owner` only on the leads of that one."""

    key_id: str
    name: str
    role: str
    scopes: frozenset[str]
    source_id: UUID | None = None
    owner: str | None = None

    def may(self, scope: str) -> bool:
        return self.role == ADMIN or scope in self.scopes

    def require(self, scope: str) -> None:
        """Raises Problem 403 without this scope."""
        self.require_any(scope)

    def require_any(self, *scopes: str) -> None:
        """Raises Problem 403 without one of these scopes."""
        if not any(self.may(scope) for scope in scopes):
            raise Problem(403, "Not allowed", f"This call needs the scope {' or '.join(scopes)}.")


# Where a page's own call of the api carries who makes it, in its ASGI scope. Nothing from outside can put it there.
CALLER: Final = "accord.caller"
Authenticate = Callable[[], Awaitable[Principal]]


class Tokens(Protocol):
    """Checks tokens of an issuer."""

    async def authenticate(self, token: str) -> Principal | None:
        """The person that the token was made for; None if it isn't valid. Raises Problem 403 without a role."""


class _Held(NamedTuple):
    principal: Principal
    secret_sha256: bytes
    former_secret_sha256: bytes | None
    former_until: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    believed_until: float

    def is_opened_by(self, secret_sha256: bytes, now: datetime) -> bool:
        """By its secret, or by the former one while a rotation overlaps."""
        is_present = hmac.compare_digest(secret_sha256, self.secret_sha256)
        is_former = hmac.compare_digest(secret_sha256, self.former_secret_sha256 or _NO_SECRET)
        return is_present or (is_former and self.former_until is not None and now < self.former_until)

    def is_over(self, now: datetime) -> bool:
        return self.revoked_at is not None or (self.expires_at is not None and self.expires_at <= now)


_NOBODY = _Held(Principal("", "", "", frozenset()), _NO_SECRET, None, None, None, None, 0.0)


class KeyRing:
    """Reads keys and keeps each for half a second; notes when each was used last.

    `on_full` is called whenever the cache is at its bound; `run` writes the uses, for as long as the process lives.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        clock: Clock,
        *,
        tokens: Tokens | None = None,
        on_full: Callable[[], None] = lambda: None,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._tokens = tokens
        self._on_full = on_full
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._used: dict[str, datetime] = {}

    def caller_of(self, request: Request) -> Authenticate:
        """Who makes this request, to be asked again for as long as it lasts. It raises as `authenticate` does."""
        return request.scope.get(CALLER) or partial(self.authenticate, request.headers.get("authorization"))

    async def authenticate(self, authorization_header: str | None) -> Principal:
        """The caller of `Authorization: Bearer <key>`. Raises Problem 401, or 403 for a token without a role."""
        scheme, _, credentials = (authorization_header or "").strip().partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorized()
        credentials = credentials.strip()
        if self._tokens is not None and not credentials.startswith("acc_"):
            principal = await self._tokens.authenticate(credentials)
            if principal is None:
                raise _unauthorized()
            return principal
        return await self.authenticate_key(credentials)

    async def authenticate_key(self, key: str) -> Principal:
        """The holder of this key, however it was sent. Raises Problem 401."""
        parsed = parse_key(key)
        if parsed is None:
            raise _unauthorized()
        return await self.authenticate_digest(*parsed)

    async def authenticate_digest(self, key_id: str, secret_sha256: bytes) -> Principal:
        """The holder of the key of this id, for who knows the SHA-256 of its secret. Raises Problem 401."""
        held, now = await self._read(key_id), self._clock.now()
        # An unknown id costs the same comparisons as a wrong secret.
        is_secret = (held or _NOBODY).is_opened_by(secret_sha256, now)
        if held is None or not is_secret or held.is_over(now):
            raise _unauthorized()
        self._used[key_id] = now
        return held.principal

    async def run(self) -> None:
        """Writes every ten seconds when keys were used last."""
        while True:
            await asyncio.sleep(USES_WRITTEN_SECONDS)
            await self.write_uses()

    async def write_uses(self) -> None:
        """What can't be written now is written the next time."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            await self._pool.execute(_USED, list(used), list(used.values()))
        except DATABASE_ERRORS as error:
            log.warning("key_uses_not_written", reason=type(error).__name__)
            self._used = used | self._used

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
    return _Held(
        Principal(row["key_id"], row["name"], row["role"], scopes, row["source_id"], row["owner"]),
        bytes(row["secret_sha256"]),
        bytes(row["former_secret_sha256"]) if row["former_secret_sha256"] else None,
        row["former_until"],
        row["expires_at"],
        row["revoked_at"],
        believed_until,
    )


def _unauthorized() -> Problem:
    return Problem(401, "No valid key", "Send Authorization: Bearer <key>.", headers={"WWW-Authenticate": "Bearer"})
