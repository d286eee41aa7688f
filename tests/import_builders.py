"""Files for tests of imports, and what is asked of them over HTTP."""

import asyncio
import csv
import io
from typing import Any

from api_builders import Caller
from asgi_client import Answer, ask
from builders import eventually

HEADER = "Email,First Name,Company,Scanned at,Rating,Show"
ROW = "ada@okapi.example,Ada,Okapi,2026-11-20T09:30:00Z,5,Fair 26"
PIECE = 65_536


async def send(caller: Caller, body: bytes | str, *, query: str = "source=fair", **headers: str) -> Answer:
    raw = body.encode() if isinstance(body, str) else body
    sent = {"content-type": "text/csv", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if caller.key is not None:
        sent["authorization"] = f"Bearer {caller.key}"
    pieces = [raw[start : start + PIECE] for start in range(0, max(1, len(raw)), PIECE)]
    return await ask(caller.app, f"/v1/imports?{query}", method="POST", headers=sent, chunks=pieces)


async def ended(caller: Caller, id: str, within: float = 30) -> dict[str, Any]:
    """The import, once it is read."""
    shown: dict[str, Any] = {}

    async def has_ended() -> bool:
        shown.update((await caller.get(f"/v1/imports/{id}")).json)
        return shown["state"] in ("done", "failed")

    await eventually(has_ended, within=within)
    return shown


async def imported(caller: Caller, body: bytes | str, *, query: str = "source=fair", **headers: str) -> dict[str, Any]:
    answer = await send(caller, body, query=query, **headers)
    assert answer.status == 202, answer.body
    return await ended(caller, answer.json["id"])


def counts(shown: dict[str, Any]) -> tuple[int, int, int, int]:
    found = shown["counts"]
    return found["rows"], found["accepted"], found["duplicates"], found["rejected"]


async def errors_of(caller: Caller, id: str, separator: str = ",") -> list[list[str]]:
    raw = await errors_file(caller, id)
    assert raw.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), delimiter=separator))


async def errors_file(caller: Caller, id: str) -> bytes:
    """As it is streamed to somebody who stays until its end."""
    parts: list[bytes] = []

    async def stay() -> Any:
        await asyncio.Event().wait()

    async def take(message: Any) -> None:
        assert message.get("status", 200) == 200
        parts.append(message.get("body", b""))

    path = f"/v1/imports/{id}/errors.csv"
    headers = [(b"authorization", f"Bearer {caller.key}".encode())]
    scope = {"type": "http", "http_version": "1.1", "headers": headers, "server": ("testserver", 80)}
    address = {"method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": ""}
    await caller.app({**scope, **address, "scheme": "http"}, stay, take)
    return b"".join(parts)
