"""Clocks and breaches, each with the working of its deadline."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from fastapi import Query, Request

from services.api.routes.parts import Cursor, Limit, Parts, Registrar, invalid, keys_of, owner_of
from services.api.routes.shown import clock_body
from services.api.schemas.clocks import Clock
from services.api.schemas.lists import Page
from services.api.store.cursors import encode_cursor

State = Literal["open", "warned", "met", "breached", "resolved", "voided", "cancelled", "paused", "late_start"]
States = Annotated[
    str | None,
    Query(
        max_length=200,
        description="Exactly this state, or one of several with commas between, such as `open,warned,paused` for every "
        f"clock that still runs. States: {', '.join(get_args(State))}.",
        examples=["open,warned,paused"],
    ),
]
Text = Annotated[str | None, Query(max_length=320)]
_KEYS = (datetime, UUID)


class ClockRoutes:
    """Reads about clocks."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def register(self, to: Registrar) -> None:
        to.add("GET /v1/clocks", self.list_clocks, summary="Clocks, the earliest deadline first", answer=Page[Clock])
        to.add("GET /v1/breaches", self.list_breaches, summary="Broken promises, latest first", answer=Page[Clock])

    async def list_clocks(
        self,
        request: Request,
        *,
        state: States = None,
        owner: Text = None,
        sort: Literal["deadline"] = "deadline",
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[Clock]:
        kind = f"clocks/{sort}"
        keys = keys_of(cursor, kind, _KEYS)
        rows = await self._parts.clocks.page(_states(state), keys, limit + 1, owner=owner_of(request, owner))
        return await self._page(rows, kind, limit, "deadline")

    async def list_breaches(
        self, request: Request, owner: Text = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[Clock]:
        """What was announced as breached and not voided since; resolved ones too."""
        keys = keys_of(cursor, "breaches", _KEYS)
        rows = await self._parts.clocks.breaches(keys, limit + 1, owner_of(request, owner))
        return await self._page(rows, "breaches", limit, "breached_at")

    async def _page(self, rows: Sequence[Mapping[str, Any]], kind: str, limit: int, sorted_by: str) -> Page[Clock]:
        accords, now = await self._parts.accords(), self._parts.clock.now()
        following = None
        if len(rows) > limit:
            following = encode_cursor(kind, (rows[limit - 1][sorted_by], rows[limit - 1]["clock_id"]))
        return Page(items=[clock_body(row, accords, now) for row in rows[:limit]], next=following)


def _states(state: str | None) -> list[str]:
    states = [part.strip() for part in state.split(",")] if state else []
    if any(part not in get_args(State) for part in states):
        raise invalid("state", f"allowed: {', '.join(get_args(State))}")
    return states
