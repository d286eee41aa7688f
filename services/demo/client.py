"""Accord's HTTP interface as the demo uses it. Every call has a time limit; an unexpected answer is an error."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp

from services.demo.settings import REQUEST_SECONDS
from services.simulate import Post
from shared.errors import AccordError

_MEDIA_TYPES = {"plain": "application/json", "cloudevent": "application/cloudevents+json"}
_PAGE = 500
_TRIES = 5


class UnexpectedAnswer(AccordError):
    """Accord answered something that the demo can't go on with."""


class Answer(NamedTuple):
    """What ingest said of one post."""

    accepted: int
    duplicates: int
    rejected: int


class Hook(NamedTuple):
    """The address of a source, and what proves that a request is its."""

    url: str
    secret: str


class AccordClient:
    """Calls with one key. `session` is shared and closed by its owner."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self.key = key

    def with_key(self, key: str) -> "AccordClient":
        return AccordClient(self._session, self._url, key)

    async def create(self, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A source, key or subscription, with its secret."""
        status, answer = await self._call("POST", f"/v1/{what}", body=body)
        if status != 201:
            raise UnexpectedAnswer(f"POST /v1/{what}: {status} {answer}")
        created: dict[str, Any] = answer
        return created

    async def post(self, post: Post, hook: Hook | None = None) -> Answer:
        """Posts events, to the address of a source or with this client's key; while nothing durable can be reached it
        tries again, which counts nothing twice."""
        address = hook.url.removeprefix(self._url) if hook else "/v1/events"
        caller = self.with_key(hook.secret) if hook else self
        body: Any = post.events[0] if len(post.events) == 1 else {"events": post.events}
        for tries_left in reversed(range(_TRIES)):
            status, answer = await caller._call("POST", address, body=body, media_type=_MEDIA_TYPES[post.form])
            if status in (200, 202):
                return Answer(answer["accepted"], answer["duplicates"], len(answer["rejected"]))
            if status == 422:
                return Answer(0, 0, len(post.events))
            if status not in (429, 503) or not tries_left:
                raise UnexpectedAnswer(f"POST {address}: {status} {answer}")
            await asyncio.sleep(1.0)
        raise AssertionError("the last try returns or raises")

    async def act(self, lead_id: str, body: Mapping[str, Any]) -> None:
        status, answer = await self._call("POST", f"/v1/leads/{lead_id}/actions", body=body)
        if status not in (200, 202):
            raise UnexpectedAnswer(f"POST /v1/leads/{{id}}/actions: {status} {answer}")

    async def metrics(self) -> str:
        """Every metric, in Prometheus' text format."""
        _, text = await self._call("GET", "/metrics")
        return str(text)

    async def page(self, path: str, **query: str | int) -> dict[str, Any]:
        status, answer = await self._call("GET", path, params=query)
        if status != 200:
            raise UnexpectedAnswer(f"GET {path}: {status} {answer}")
        found: dict[str, Any] = answer
        return found

    async def all(self, path: str, **query: str | int) -> list[dict[str, Any]]:
        """Every item of a list, page by page."""
        page = await self.page(path, limit=_PAGE, **query)
        items: list[dict[str, Any]] = page["items"]
        while page["next"]:
            page = await self.page(path, limit=_PAGE, cursor=page["next"], **query)
            items += page["items"]
        return items

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        media_type: str = "application/json",
        params: Mapping[str, str | int] | None = None,
    ) -> tuple[int, Any]:
        headers = {**self._headers, "Content-Type": media_type} if body is not None else self._headers
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        async with self._session.request(
            method, self._url + path, json=body, params=params, headers=headers, timeout=timeout
        ) as response:
            return response.status, _parsed(await response.text())


def _parsed(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
