"""The configured senders, read from what api publishes and believed for a second."""

import asyncio
from typing import Any
from uuid import UUID

from services.ingest.vendors.plain import Sender
from shared.http.auth import Principal

REFRESH_SECONDS = 1.0
SOURCES_MAX = 10_000

READ = "SELECT source_id, name, team FROM api.published_sources LIMIT $1"


class SourceBook:
    """Knows each source's name and team."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._by_id: dict[UUID, tuple[str, str]] = {}
        self._teams: dict[str, str] = {}
        self._read_at = float("-inf")

    async def sender(self, principal: Principal) -> Sender:
        """Who this key's events come from."""
        now = asyncio.get_running_loop().time()
        if now - self._read_at >= REFRESH_SECONDS:
            self._read_at = now
            rows = await self._pool.fetch(READ, SOURCES_MAX)
            self._by_id = {row["source_id"]: (row["name"], row["team"]) for row in rows}
            self._teams = {row["name"]: row["team"] for row in rows}
        name, team = self._by_id.get(principal.source_id, (None, None)) if principal.source_id else (None, None)
        return Sender(name="api", source=name, team=team, teams=self._teams)
