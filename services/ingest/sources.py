"""The configured senders, read from what api publishes and believed for a second."""

import asyncio
import hashlib
from collections import OrderedDict
from time import monotonic
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from pydantic_core import from_json

from services.ingest.vendors.plain import Sender
from services.ingest.vendors.registry import check_settings
from services.ingest.vendors.source_settings import InvalidSettings
from services.ingest.vendors.vendor import SourceConfig
from shared.clock import Clock
from shared.errors import Unavailable
from shared.events.activity import UNNAMED_SOURCE
from shared.http.auth import Principal
from shared.secret_box import SecretBox, WrongSecretKey
from shared.source_secrets import read

log = structlog.get_logger(component="sources")

REFRESH_SECONDS = 1.0
# A secret that isn't known may have been given just now, and a key's source may be new: they are read again, so often
# at most.
SURPRISED_SECONDS = 0.05
SOURCES_MAX = 10_000

READ = """SELECT source_id, name, team, settings -> 'historical' = 'true' AS is_historical
FROM api.published_sources LIMIT $1"""
READ_ONE = """SELECT source_id, name, kind, team, secret, settings::text, changed_at FROM api.published_sources
WHERE source_id = $1"""
READ_KIND = """SELECT source_id, name, kind, team, secret, settings::text, changed_at FROM api.published_sources
WHERE kind = $1 ORDER BY source_id LIMIT $2"""

READ_NAMED = "SELECT source_id FROM api.published_sources WHERE name = $1 ORDER BY source_id LIMIT 2"


class SourceBook:
    """Knows each source's name and team, for events that are posted with a key."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._by_id: dict[UUID, tuple[str, str]] = {}
        self._teams: dict[str, str] = {}
        self._historical: frozenset[str] = frozenset()
        self._gone: set[UUID] = set()  # sources that keys belong to, and that were deleted
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def sender(self, principal: Principal) -> Sender:
        """Who this key's events come from. An event's id is made of it, so that nobody is told who it was before."""
        asked_at = monotonic()
        if asked_at - self._read_at >= REFRESH_SECONDS:
            await self._read(asked_at)
        name, team = None, None
        if principal.source_id is not None and principal.source_id not in self._gone:
            name, team = self._by_id.get(principal.source_id) or await self._made_just_now(
                principal.source_id, asked_at
            )
        return Sender(name=UNNAMED_SOURCE, source=name, team=team, teams=self._teams, historical=self._historical)

    async def _made_just_now(self, source_id: UUID, asked_at: float) -> tuple[str | None, str | None]:
        """A source that isn't known; nothing if it is no more."""
        if self._read_at < asked_at:
            await asyncio.sleep(self._read_at + SURPRISED_SECONDS - monotonic())
            await self._read(asked_at)
        if source_id not in self._by_id:
            if len(self._gone) >= SOURCES_MAX:
                self._gone.clear()
            self._gone.add(source_id)
        return self._by_id.get(source_id, (None, None))

    async def _read(self, asked_at: float) -> None:
        """Reads all sources, unless somebody did since this was asked."""
        async with self._reading:
            now = monotonic()
            if self._read_at >= asked_at:
                return
            rows = await self._pool.fetch(READ, SOURCES_MAX)
            self._by_id = {row["source_id"]: (row["name"], row["team"]) for row in rows}
            self._teams = {row["name"]: row["team"] for row in rows}
            self._historical = frozenset(row["name"] for row in rows if row["is_historical"])
            self._read_at = now


class _Held(NamedTuple):
    config: SourceConfig | None  # None: no such source
    row: Any  # what it was made from
    read_at: float


class ConfiguredBook:
    """Knows sources whole, with their secrets opened: by id, and by the secret that a request brings.

    A source that can't be used (sealed with another key, settings of another release) raises Unavailable, so that its
    sender tries again; the log says what is wrong with it."""

    def __init__(self, pool: Any, box: SecretBox, clock: Clock) -> None:
        self._pool = pool
        self._box = box
        self._clock = clock
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._under_way: dict[str, asyncio.Future[SourceConfig | None]] = {}
        self._by_secret: dict[bytes, SourceConfig] = {}
        self._kind_read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def get(self, source_id: str) -> SourceConfig | None:
        """The source with this id as it stands in an address; None if there is none. Raises Unavailable."""
        held = self._held.get(source_id)
        if held is not None and monotonic() - held.read_at < REFRESH_SECONDS:
            return held.config
        # A busy source's requests share the look of the first of them.
        reading = self._under_way.get(source_id)
        if reading is None:
            reading = self._under_way[source_id] = asyncio.ensure_future(self._read_one(source_id, held))
            reading.add_done_callback(lambda _: self._under_way.pop(source_id))
        return await asyncio.shield(reading)

    async def named(self, name: str) -> list[SourceConfig]:
        """Those of this name, or the one of this id; two at most. Raises Unavailable."""
        ids = [row[0] for row in await self._pool.fetch(READ_NAMED, name)] or [name]
        found = [await self.get(str(id)) for id in ids]
        return [config for config in found if config is not None]

    async def newer(self, config: SourceConfig) -> SourceConfig | None:
        """The source if it is another than this now, as it is when its secret was just rotated; else None. Raises
        Unavailable."""
        source_id, asked_at = str(config.id), monotonic()
        if (held := self._held.get(source_id)) is not None:
            await asyncio.sleep(held.read_at + SURPRISED_SECONDS - asked_at)
        async with self._reading:
            held = self._held.get(source_id)
            is_read = held is not None and held.read_at >= asked_at
            found = held.config if held is not None and is_read else await self._read_one(source_id, held)
        return None if found == config else found

    async def _read_one(self, source_id: str, held: _Held | None) -> SourceConfig | None:
        now = monotonic()
        try:
            id = UUID(source_id)
        except ValueError:
            return None
        if str(id) != source_id:
            return None
        row = await self._pool.fetchrow(READ_ONE, id)
        config = self._config(row, held) if row is not None else None
        self._held[source_id] = _Held(config, row, now)
        self._held.move_to_end(source_id)
        if len(self._held) > SOURCES_MAX:
            self._held.popitem(last=False)
        return config

    async def with_secret(self, kind: str, secret: str) -> SourceConfig | None:
        """The source of this kind that has this secret now. Raises Unavailable."""
        asked_at, digest = monotonic(), _sha256(secret)
        if asked_at - self._kind_read_at >= REFRESH_SECONDS:
            await self._read_kind(kind, asked_at)
        if digest not in self._by_secret and self._kind_read_at < asked_at:
            await asyncio.sleep(self._kind_read_at + SURPRISED_SECONDS - monotonic())
            await self._read_kind(kind, asked_at)
        return self._by_secret.get(digest)

    async def _read_kind(self, kind: str, asked_at: float) -> None:
        """Reads all sources of a kind, unless somebody did since this was asked."""
        async with self._reading:
            now = monotonic()
            if self._kind_read_at >= asked_at:
                return
            by_secret: dict[bytes, SourceConfig] = {}
            for row in await self._pool.fetch(READ_KIND, kind, SOURCES_MAX):
                before = self._held.get(str(row["source_id"]))
                try:
                    config = self._config(row, before)
                except Unavailable:
                    continue  # the others of this kind work on
                self._held[str(row["source_id"])] = _Held(config, row, now)
                by_secret |= {_sha256(one): config for one in config.secrets}
            self._by_secret, self._kind_read_at = by_secret, now

    def _config(self, row: Any, held: _Held | None) -> SourceConfig:
        """What a row says; opened and checked anew only if it changed or one of its secrets may have ended."""
        if held is not None and held.config is not None and held.row == row and len(held.config.secrets) == 1:
            return held.config
        try:
            secrets = read(self._box.open(row["secret"]))
            settings = check_settings(row["kind"], from_json(row["settings"]))
        except (WrongSecretKey, InvalidSettings) as error:
            log.error("source_unusable", source_id=str(row["source_id"]), kind=type(error).__name__)
            raise Unavailable("this source can't be used; the log says why", retry_after_seconds=60) from None
        now = self._clock.now()
        return SourceConfig(
            id=row["source_id"],
            name=row["name"],
            kind=row["kind"],
            team=row["team"],
            secrets=tuple(secret.text for secret in secrets if secret.counts_at(now)),
            settings=settings,
        )


def _sha256(secret: str) -> bytes:
    """A look-up by it tells nothing of the secret by the time it takes."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
