"""Clocks and breaches, each with the working of its deadline; and how promises were kept."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query, Request

from services.api.routes.parts import Cursor, Limit, Parts, Registrar, invalid, keys_of, owner_of
from services.api.routes.reports import PeriodQuery, period_of
from services.api.routes.shown import clock_body
from services.api.schemas.clocks import Attainment, Clock
from services.api.schemas.lists import Page
from services.api.store.attainment import AttainmentStore, By
from services.api.store.clocks import STATES, ClockFilter
from services.api.store.cursors import encode_cursor

States = Annotated[
    str | None,
    Query(
        max_length=200,
        description="Exactly this state, or one of several with commas between, such as `open,warned,paused` for every "
        f"clock that still runs. States: {', '.join(STATES)}.",
        examples=["open,warned,paused"],
    ),
]
Text = Annotated[str | None, Query(max_length=320)]
Rule = Annotated[str | None, Query(max_length=320, description="The clock's id in the accord.")]
Sort = Annotated[
    Literal["deadline", "-deadline"], Query(description="By deadline: the earliest first, or with a minus the latest.")
]
_KEYS = (datetime, UUID)


def _filter(
    request: Request, *, owner: Text = None, team: Text = None, rule: Rule = None, lead: UUID | None = None
) -> ClockFilter:
    return ClockFilter(owner_of(request, owner), team, rule, lead)


class AttainmentQuery(PeriodQuery):
    by: By = "clock"
    limit: Limit = 50
    cursor: Cursor = None


Filter = Annotated[ClockFilter, Depends(_filter)]


class ClockRoutes:
    """Reads about clocks."""

    def __init__(self, parts: Parts, attainment: AttainmentStore) -> None:
        self._parts = parts
        self._attainment = attainment

    def register(self, to: Registrar) -> None:
        to.add("GET /v1/clocks", self.list_clocks, summary="Clocks by deadline", answer=Page[Clock])
        to.add("GET /v1/breaches", self.list_breaches, summary="Broken promises, latest first", answer=Page[Clock])
        to.add(
            "GET /v1/attainment",
            self.list_attainment,
            summary="How promises were kept, by owner, team, clock or week",
            answer=Page[Attainment],
        )

    async def list_clocks(
        self,
        of: Filter,
        *,
        state: States = None,
        sort: Sort = "deadline",
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[Clock]:
        kind = f"clocks/{sort}"
        keys = keys_of(cursor, kind, _KEYS)
        rows = await self._parts.clocks.page(_states(state), keys, limit + 1, of, is_latest_first=sort == "-deadline")
        return await self._page(rows, kind, limit, "deadline")

    async def list_breaches(self, of: Filter, *, limit: Limit = 50, cursor: Cursor = None) -> Page[Clock]:
        """What was announced as breached and not voided since; resolved ones too."""
        rows = await self._parts.clocks.breaches(keys_of(cursor, "breaches", _KEYS), limit + 1, of)
        return await self._page(rows, "breaches", limit, "breached_at")

    async def list_attainment(self, of: Filter, query: Annotated[AttainmentQuery, Query()]) -> Page[Attainment]:
        """Of the clocks that started in the period. Breached are those that stay so; what was voided is counted beside,
        and those that were late from the start don't count. Times are those of all stops, in each clock's own hours."""
        period, kind, limit = await period_of(self._parts, query), f"attainment/{query.by}", query.limit
        rows = await self._attainment.page(query.by, keys_of(query.cursor, kind, (str,)), limit + 1, period, of)
        following = encode_cursor(kind, (rows[limit - 1]["sort_key"],)) if len(rows) > limit else None
        return Page(items=[_attainment(row) for row in rows[:limit]], next=following)

    async def _page(self, rows: Sequence[Mapping[str, Any]], kind: str, limit: int, sorted_by: str) -> Page[Clock]:
        accords, now = await self._parts.accords(), self._parts.clock.now()
        following = None
        if len(rows) > limit:
            following = encode_cursor(kind, (rows[limit - 1][sorted_by], rows[limit - 1]["clock_id"]))
        return Page(items=[clock_body(row, accords, now) for row in rows[:limit]], next=following)


def _attainment(row: Mapping[str, Any]) -> Attainment:
    decided = row["met"] + row["breached"]
    share = row["met"] / decided if decided else None
    return Attainment(share_met=share, **{name: value for name, value in row.items() if name != "sort_key"})


def _states(state: str | None) -> list[str]:
    states = [part.strip() for part in state.split(",")] if state else []
    if any(part not in STATES for part in states):
        raise invalid("state", f"allowed: {', '.join(STATES)}")
    return states
