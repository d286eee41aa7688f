"""Senders of webhooks for tests: sources made over the API, and requests that are signed as they would be."""

import gzip
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
from api_builders import PUBLIC_URL, Caller
from asgi_client import Answer, ask

SIGNED: Mapping[str, Any] = {"auth": {"type": "hmac"}}


@dataclass
class Sender:
    """A sender of kind `generic` that signs with the secret it was given, unless told otherwise."""

    caller: Caller
    id: str
    url: str
    secret: str

    @property
    def path(self) -> str:
        return self.url.removeprefix(PUBLIC_URL)

    async def send(self, body: Any, *, secret: str | None = None, zipped: bool = False, **headers: str) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = hmac.digest((secret or self.secret).encode(), raw, "sha256").hex()
        sent = {"x-signature": signature, **({"content-encoding": "gzip"} if zipped else {}), **headers}
        return await self.post(gzip.compress(raw) if zipped else raw, sent)

    async def post(self, raw: bytes, headers: Mapping[str, str] | None = None, *, method: str = "POST") -> Answer:
        """As it stands."""
        return await ask(self.caller.app, self.path, method=method, headers=headers, chunks=[raw])

    async def events(self, *standings: str) -> list[dict[str, Any]]:
        query = "&".join(f"standing={one}" for one in standings)
        answer = await self.caller.get(f"/v1/sources/{self.id}/events?{query}")
        assert answer.status == 200, answer.body
        items: list[dict[str, Any]] = answer.json["items"]
        return items


async def a_source(caller: Caller, **changes: Any) -> Sender:
    """A new source; of kind generic with an HMAC unless changed."""
    body = {"name": "site", "kind": "generic", "team": "marketing", "settings": SIGNED, **changes}
    answer = await caller.post("/v1/sources", body)
    assert answer.status == 201, answer.body
    return Sender(caller, answer.json["id"], answer.json["url"], answer.json["secret"])


def event(name: str, email: str = "ada@okapi.example", **more: Any) -> dict[str, Any]:
    """A plain event with an id of its own."""
    return {"type": "Whitepaper Downloaded", "id": name, "lead": {"email": email}, **more}


async def logged(pool: asyncpg.Pool) -> list[tuple[str, dict[str, Any]]]:
    """Every event on the log: its type and its data."""
    rows = await pool.fetch("SELECT type, value FROM stream.log ORDER BY topic_id, partition, log_offset")
    return [(row["type"], json.loads(row["value"])) for row in rows]
