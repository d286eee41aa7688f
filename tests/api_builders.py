"""What tests of the api are made of: the line in this process over a real database, and a caller with a key."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import asyncpg
import pytest
from asgi_client import Answer, ask
from builders import eventually
from fastapi.routing import APIRoute
from patience import PATIENCE
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.main import bootstrap_accord
from services.api.sweeper import lists
from services.carriers import Site
from services.composition import House, build
from services.http_app import build_app
from shared.agreement.loading import default_accord_text
from shared.db import watch
from shared.http.auth import ensure_admin_key
from shared.secret_box import SecretBox

ADMIN_KEY = "acc_tests_0123456789abcdef"
SECRET_KEY = "tests-tests-tests-tests-tests-tests-tests-0="
PUBLIC_URL = "http://accord.example:8080"
LINE = ("ingest", "scoring", "stages", "sla-monitor", "api")


def unquoted(app: ASGIApp) -> ASGIApp:
    """Decodes the path, as a server does; the query was split off by `ask`."""

    async def decoded(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "path": unquote(scope["path"])}, receive, send)

    return decoded


@dataclass(frozen=True)
class Caller:
    """Asks the app with a key."""

    app: ASGIApp
    house: House
    key: str | None = ADMIN_KEY

    def with_key(self, key: str | None) -> "Caller":
        return Caller(self.app, self.house, key)

    async def get(self, path: str, **headers: str) -> Answer:
        return await ask(unquoted(self.app), path, headers=self._headers(headers))

    async def post(self, path: str, body: Any, **headers: str) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"content-type": "application/json", **self._headers(headers)}
        return await ask(unquoted(self.app), path, method="POST", headers=given, chunks=[raw])

    async def patch(self, path: str, body: Any) -> Answer:
        given = {"content-type": "application/json", **self._headers({})}
        return await ask(unquoted(self.app), path, method="PATCH", headers=given, chunks=[json.dumps(body).encode()])

    async def delete(self, path: str, **headers: str) -> Answer:
        return await ask(unquoted(self.app), path, method="DELETE", headers=self._headers(headers))

    async def post_event(self, type_: str, email: str, **more: Any) -> None:
        answer = await self.post("/v1/events", {"type": type_, "lead": {"email": email}, **more})
        assert answer.status == 202, answer.body

    async def lead_in_stage(self, email: str, stage: str) -> Mapping[str, Any]:
        """The lead, once it has arrived in that stage: one that stages hasn't heard of yet is shown as a `lead` too."""
        found: dict[str, Any] = {}

        async def has_arrived() -> bool:
            answer = await self.get(f"/v1/leads/{email}")
            if answer.status != 200:
                return False
            found.update(answer.json)
            return bool(found["stage"] == stage and found["stage_entered_at"])

        await eventually(has_arrived, within=10)
        return found

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        return headers if self.key is None else {"authorization": f"Bearer {self.key}", **headers}


def calls_of(caller: Caller) -> list[tuple[str, str]]:
    """Method and path of everything that the api answers."""
    (api,) = (service for service in caller.house.services if service.name == "api")
    return [
        (method, route.path) for route in api.routes if isinstance(route, APIRoute) for method in route.methods or ()
    ]


@asynccontextmanager
async def running_line(database_url: str, *names: str, accord: str | None = None) -> AsyncIterator[Caller]:
    """The named services at work on this database; the whole line without names, the packaged accord without one."""
    connection = await asyncpg.connect(database_url)
    try:
        await bootstrap_accord(connection, accord or default_accord_text())
        await ensure_admin_key(connection, ADMIN_KEY)
    finally:
        await connection.close()
    registry = CollectorRegistry()
    site = Site(database_url, PUBLIC_URL, 20, secrets=SecretBox(SECRET_KEY))
    async with AsyncExitStack() as stack:
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        # On a busy machine a list lags sooner, and Postgres is taken for gone: neither is what these tests look at.
        patched.setattr(lists, "CATCH_UP_SECONDS", 5.0 * PATIENCE)
        patched.setattr(watch, "ANSWER_SECONDS_MAX", watch.ANSWER_SECONDS_MAX * PATIENCE)
        house = await build(names or LINE, site, registry=registry, stack=stack)
        app = build_app(house, registry, house.services)
        stopped = asyncio.Event()
        # Not a task group: pytest runs a fixture's two halves in different tasks.
        running = asyncio.create_task(house.run(stopped))
        try:
            await eventually(lambda: running.done() or house.readiness()[0], within=10)
            yield Caller(app, house)
        finally:
            stopped.set()
            await running
