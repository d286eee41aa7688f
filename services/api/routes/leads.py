"""Leads: the list, one lead, its timeline, and why its score is what it is."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query, Request
from pydantic import BaseModel, Field

from services.api.model import Explanation, Moment
from services.api.routes.lead_reader import LeadReader
from services.api.routes.parts import PAGE_MAX, Cursor, Limit, Parts, Registrar, invalid, keys_of, owner_of
from services.api.routes.shown import lead_item
from services.api.schemas.fields import Instant
from services.api.schemas.leads import Adjustment, ExplanationBody, GrantLine, Lead, LeadItem, TimelineItem
from services.api.schemas.lists import Page
from services.api.store.cursors import encode_cursor
from services.api.store.leads import KEY_TYPES, LeadFilter, Sort
from shared.events.lifecycle import Stage

At = Annotated[Instant | None, Query(description="As Accord knew it then; as of now without it.")]
Known = Annotated[Literal["now"] | None, Query(description="With `at`: count what arrived later, too.")]


class LeadQuery(BaseModel):
    """What a list of leads can be narrowed to and sorted by."""

    stage: Stage | None = None
    grade: str | None = Field(None, max_length=8)
    owner: str | None = Field(
        None, max_length=320, description="An owner, or unassigned: sales' leads that nobody has."
    )
    q: str | None = Field(None, max_length=200, description="Part of the email, name, company or title.")
    min_engagement: float | None = Field(None, allow_inf_nan=False)
    source: str | None = Field(None, max_length=200)
    id: list[UUID] = Field([], max_length=PAGE_MAX, description="Only these leads, of those that there are.")
    sort: Sort = "engagement"
    limit: int = Field(50, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=2_000)

    def filter(self, owner: str | None) -> LeadFilter:
        asked = self.model_dump(include=set(LeadFilter.__dataclass_fields__), mode="json")
        return LeadFilter(**{**asked, "owner": owner, "id": tuple(self.id)})


class LeadRoutes:
    """Reads about leads."""

    def __init__(self, parts: Parts, reader: LeadReader, catch_up: Callable[[], Awaitable[None]]) -> None:
        self._parts = parts
        self._reader = reader
        self._catch_up = catch_up

    def register(self, to: Registrar) -> None:
        to.add("GET /v1/leads", self.list_leads, summary="Leads, as of now", answer=Page[LeadItem])
        to.add("GET /v1/leads/{lead}", self.show_lead, summary="One lead, by id or email", answer=Lead)
        to.add("GET /v1/leads/{lead}/timeline", self.show_timeline, summary="Its life", answer=Page[TimelineItem])
        to.add(
            "GET /v1/leads/{lead}/explanation", self.show_explanation, summary="Why this score", answer=ExplanationBody
        )

    async def list_leads(self, request: Request, query: Annotated[LeadQuery, Query()]) -> Page[LeadItem]:
        """Filter and sort by engagement use a value at most some ten minutes old; those shown are as of now."""
        kind = f"leads/{query.sort}"
        keys = keys_of(query.cursor, kind, (KEY_TYPES[query.sort], UUID))
        if not query.id:  # who names leads has heard of them
            await self._catch_up()
        wanted = query.filter(owner_of(request, query.owner))
        rows = await self._parts.leads.page(wanted, query.sort, keys, query.limit + 1)
        accords, now = await self._parts.accords(), self._parts.clock.now()
        following = None
        if len(rows) > query.limit:
            last = rows[query.limit - 1]
            following = encode_cursor(kind, (last["sort_key"], last["lead_id"]))
        return Page(items=[lead_item(row, accords, now) for row in rows[: query.limit]], next=following)

    async def show_lead(self, lead: str, at: At = None, known: Known = None) -> Lead:
        moment = _moment(at, known)
        lead_id = await self._reader.resolve(lead)
        return await (self._reader.at(lead_id, moment) if moment else self._reader.now(lead_id))

    async def show_timeline(
        self, lead: str, limit: Limit = 100, cursor: Cursor = None, order: Literal["asc", "desc"] = "asc"
    ) -> Page[TimelineItem]:
        """Activities, scores, transitions, sales actions, clocks and deliveries in one order."""
        kind = f"timeline/{order}"
        keys = keys_of(cursor, kind, (datetime, int, str))
        lead_id = await self._reader.resolve(lead)
        await self._reader.row(lead_id, await self._parts.accords(), self._parts.clock.now())
        rows = await self._parts.timeline.page(lead_id, keys, limit + 1, is_descending=order == "desc")
        following = None
        if len(rows) > limit:
            following = encode_cursor(kind, [rows[limit - 1][name] for name in ("at", "rank", "id")])
        items = [TimelineItem(**{name: row[name] for name in TimelineItem.model_fields}) for row in rows[:limit]]
        return Page(items=items, next=following)

    async def show_explanation(self, lead: str, at: At = None, known: Known = None) -> ExplanationBody:
        """Every grant, what it is worth at that time, and what a cap or a condition withheld."""
        moment = _moment(at, known)
        lead_id = await self._reader.resolve(lead)
        accords, now = await self._parts.accords(), self._parts.clock.now()
        row = await self._reader.row(lead_id, accords, now)
        when = moment or Moment(now, knows_later=True)
        accord = accords.reached(when.at, row["accord"])
        explanation = await self._reader.explain(lead_id, accord, when)
        fit, grade, fit_rules = await self._reader.fit_at(row, accord, moment)
        return ExplanationBody(
            lead_id=lead_id,
            engagement=explanation.engagement,
            fit=fit,
            grade=grade,
            as_of=when.at,
            accord=accord.version,
            grants=_grant_lines(explanation),
            adjustments=[Adjustment(kind=kind, points=points) for kind, points in explanation.adjustments],
            fit_rules=fit_rules,
        )


def _moment(at: datetime | None, known: str | None) -> Moment | None:
    if at is None:
        if known is not None:
            raise invalid("known", "needs at")
        return None
    return Moment(at, knows_later=known == "now")


def _grant_lines(explanation: Explanation) -> list[GrantLine]:
    return [GrantLine(**grant._asdict(), worth=worth) for grant, worth in explanation.grants]
