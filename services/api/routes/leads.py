"""Leads: the list, one lead, its timeline, and why its score is what it is."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from services.api.model import Explanation, Moment, engagement_by_day
from services.api.routes.lead_reader import LeadReader, named
from services.api.routes.numbers import DECIMAL, WHOLE
from services.api.routes.parts import PAGE_MAX, Cursor, Limit, PageSize, Parts, Registrar, invalid, keys_of, owner_of
from services.api.routes.shown import listed_lead
from services.api.schemas.fields import Instant
from services.api.schemas.leads import Adjustment, ExplanationBody, GrantLine, Lead, ListedLead, TimelineItem
from services.api.schemas.lists import Page
from services.api.store.cursors import encode_cursor
from services.api.store.leads import KEY_TYPES, LeadFilter, Sort
from services.api.store.timeline import KINDS, Wanted
from services.api.store.trends import TrendStore
from shared.agreement.versions import Accords
from shared.events.lifecycle import Stage

TREND_DAYS_MAX: Final = 90
At = Annotated[Instant | None, Query(description="As Accord knew it then; as of now without it.")]
Kinds = Annotated[
    str | None,
    Query(max_length=200, description=f"One, or several with commas between: {', '.join(KINDS)}. All without it."),
]
Until = Annotated[Instant | None, Query(description="What happened later is left out.")]
Known = Annotated[Literal["now"] | None, Query(description="With `at`: count what arrived later, too.")]


class LeadQuery(BaseModel):
    """What a list of leads can be narrowed to and sorted by."""

    stage: Stage | None = None
    grade: Literal["A", "B", "C", "D"] | None = None
    owner: str | None = Field(
        None, max_length=320, description="An owner, or unassigned: sales' leads that nobody has."
    )
    q: str | None = Field(None, max_length=200, description="Part of the email, name, company or title.")
    min_engagement: Annotated[float, Field(allow_inf_nan=False), DECIMAL] | None = None
    source: str | None = Field(None, max_length=200)
    id: list[UUID] = Field([], max_length=PAGE_MAX, description="Only these leads, of those that there are.")
    sort: Sort = "engagement"
    trend_days: Annotated[int, Field(ge=1, le=TREND_DAYS_MAX), WHOLE] | None = Field(
        None, description="Show how the engagement went in the last so many days."
    )
    limit: PageSize = 50
    cursor: str | None = Field(None, max_length=2_000)

    def filter(self, owner: str | None) -> LeadFilter:
        asked = self.model_dump(include=set(LeadFilter.__dataclass_fields__), mode="json")
        return LeadFilter(**{**asked, "owner": owner, "id": tuple(self.id)})


async def _wanted(kind: Kinds = None, until: Until = None, order: Literal["asc", "desc"] = "asc") -> Wanted:
    """Raises Problem 422."""
    asked = [part.strip() for part in kind.split(",")] if kind else KINDS
    kinds = [one for one in KINDS if one in asked]
    if len(kinds) < len(set(asked)):
        raise invalid("kind", f"allowed: {', '.join(KINDS)}")
    return Wanted(kinds, until, order == "desc")


class LeadRoutes:
    """Reads about leads."""

    def __init__(
        self, parts: Parts, reader: LeadReader, trends: TrendStore, *, catch_up: Callable[[], Awaitable[None]]
    ) -> None:
        self._parts = parts
        self._reader = reader
        self._trends = trends
        self._catch_up = catch_up

    def register(self, to: Registrar) -> None:
        to.add("GET /v1/leads", self.list_leads, summary="Leads, as of now", answer=Page[ListedLead])
        to.add("GET /v1/leads/{lead}", self.show_lead, summary="One lead, by id or email", answer=Lead)
        to.add_bare("GET /v1/leads/{lead}", self.show_lead_now)
        to.add("GET /v1/leads/{lead}/timeline", self.show_timeline, summary="Its life", answer=Page[TimelineItem])
        to.add(
            "GET /v1/leads/{lead}/explanation", self.show_explanation, summary="Why this score", answer=ExplanationBody
        )

    async def list_leads(self, request: Request, query: Annotated[LeadQuery, Query()]) -> Page[ListedLead]:
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
        items = [listed_lead(row, accords, now) for row in rows[: query.limit]]
        if query.trend_days is not None and items:
            await self._add_trends(items, query.trend_days, accords, now)
        return Page(items=items, next=following)

    async def _add_trends(self, items: Sequence[ListedLead], days: int, accords: Accords, now: datetime) -> None:
        scored = {item.id: accords.version(item.accord) for item in items}
        worths = await self._trends.worths(scored, days, now)
        for item in items:
            item.trend = engagement_by_day(worths[item.id], days, scored[item.id].cap)

    async def show_lead(self, lead: str, at: At = None, known: Known = None) -> Lead:
        moment = _moment(at, known)
        if moment is None:
            return await self._reader.now(named(lead))
        return await self._reader.at(await self._reader.resolve(lead), moment)

    async def show_lead_now(self, request: Request) -> Response:
        """As `show_lead` without a query."""
        lead = await self._reader.now(named(request.path_params["lead"]))
        return Response(lead.model_dump_json(by_alias=True), media_type=JSONResponse.media_type)

    async def show_timeline(
        self,
        lead: str,
        wanted: Annotated[Wanted, Depends(_wanted)],
        *,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[TimelineItem]:
        """Activities, scores, transitions, sales actions, clocks and deliveries in one order."""
        kind = f"timeline/{'desc' if wanted.is_descending else 'asc'}"
        keys = keys_of(cursor, kind, (datetime, int, str))
        lead_id = await self._reader.resolve(lead)
        await self._reader.whole(lead_id, await self._parts.accords(), self._parts.clock.now())
        rows = await self._parts.timeline.page(lead_id, keys, limit + 1, wanted)
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
        row = (await self._reader.whole(lead_id, accords, now)).row
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
