"""A real `accord up` in its own process, and HTTP calls on it as any client makes them. For e2e tests."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from builders import eventually

from services.demo.process import AccordProcess
from services.demo.receiver import Receiver
from services.demo.settings import ALLOWED_NETWORKS

ADMIN_KEY = "acc_test_0123456789abcdef0123456789abcdef"
START_SECONDS = 120
UNSET = object()


class Answer(NamedTuple):
    """What came back. `json` is None where the body is none."""

    status: int
    json: Any
    headers: Mapping[str, str]
    text: str = ""


@dataclass
class RunningAccord:
    """One process of Accord that is ready."""

    process: AccordProcess
    url: str

    def logged(self) -> str:
        """Everything that this process and its Postgres have written down."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.process.log.parent.glob("*.log")))


async def start_accord(folder: Path, accord: Path, **environment: str) -> RunningAccord:
    """Returns once it is ready. The caller stops it."""
    preset = {"ACCORD_ADMIN_KEY": ADMIN_KEY, "ACCORD_DELIVERY_ALLOWED_NETWORKS": ALLOWED_NETWORKS}
    process = AccordProcess(folder, accord=accord, environment={**preset, **environment})
    process.start()
    try:
        await eventually(lambda: process.address() is not None, within=START_SECONDS)
    except BaseException:
        process.stop()
        raise
    address = process.address()
    assert address is not None
    return RunningAccord(process, address)


class Caller:
    """HTTP calls with one key (None: without any)."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str | None = ADMIN_KEY) -> None:
        self._session = session
        self._url = url
        self._key = key

    def with_key(self, key: str | None) -> "Caller":
        return Caller(self._session, self._url, key)

    async def post(self, path: str, body: Any = UNSET, *, raw: bytes | None = None, **headers: str) -> Answer:
        """`raw` is sent as it stands; header names are written with `_` for `-`."""
        data = raw if raw is not None else None if body is UNSET else json.dumps(body).encode()
        return await self._call("POST", path, data=data, headers=headers)

    async def get(self, path: str, **query: str) -> Answer:
        return await self._call("GET", path, query=query)

    async def patch(self, path: str, body: Any) -> Answer:
        return await self._call("PATCH", path, data=json.dumps(body).encode())

    async def delete(self, path: str) -> Answer:
        return await self._call("DELETE", path)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = {"Content-Type": "application/json"} if data is not None else {}
        sent |= {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if self._key is not None:
            sent["Authorization"] = f"Bearer {self._key}"
        body = io.BytesIO(data) if data else data
        async with self._session.request(method, self._url + path, data=body, headers=sent, params=query) as response:
            text = await response.text()
            is_json = "json" in response.headers.get("content-type", "")
            return Answer(response.status, json.loads(text) if is_json else None, response.headers, text)


async def subscribe(caller: Caller, receiver: Receiver, *types: str) -> None:
    """Has every event of these types delivered to this receiver."""
    body = {"name": "test", "url": receiver.url, "types": list(types), "secret": receiver.secret}
    answer = await caller.post("/v1/subscriptions", body)
    assert answer.status == 201, answer


async def has_applied(caller: Caller, email: str, holds: Callable[[dict[str, Any]], bool]) -> bool:
    """Whether the lead is known and what is shown of it holds."""
    answer = await caller.get(f"/v1/leads/{email}")
    return answer.status == 200 and holds(answer.json)
