"""Reports over a period: the funnel by cohort, attribution, and time to first contact. At most a year at a time."""

from collections.abc import Mapping, Sequence
from datetime import MAXYEAR, MINYEAR, datetime, timedelta
from itertools import groupby
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field

from services.api.routes.parts import Parts, Registrar, invalid
from services.api.schemas.fields import Instant
from services.api.schemas.reports import Attributed, Attribution, Bucket, Cohort, FirstContact, Funnel, FunnelStep
from services.api.store.attribution import BUCKETS_SECONDS, AttributionStore, Touch
from services.api.store.funnel import By, FunnelStore
from services.api.store.periods import Period
from services.api.store.rolled import NEXT, Model

DAYS_MAX = 366
DAYS = 90

Row = Mapping[str, Any]


class PeriodQuery(BaseModel):
    """The last 90 days, unless said otherwise."""

    from_: Instant | None = Field(None, alias="from")
    to: Instant | None = None


class FunnelQuery(PeriodQuery):
    by: By | None = None


class AttributionQuery(PeriodQuery):
    by: Touch = "source"
    model: Model = Field("first", description="Which touches count: the first, the last, or all in equal shares.")


class FirstContactQuery(PeriodQuery):
    owner: str | None = Field(None, max_length=320)


class ReportRoutes:
    """Reads only."""

    def __init__(self, parts: Parts, funnel: FunnelStore, attribution: AttributionStore) -> None:
        self._parts = parts
        self._funnel = funnel
        self._attribution = attribution

    def register(self, to: Registrar) -> None:
        to.add("GET /v1/funnel", self.show_funnel, summary="From stage to stage, by cohort", answer=Funnel)
        to.add("GET /v1/attribution", self.show_attribution, summary="What came from where", answer=Attribution)
        to.add("GET /v1/first-contact", self.show_contact, summary="How soon sales called", answer=FirstContact)

    async def show_funnel(self, query: Annotated[FunnelQuery, Query()]) -> Funnel:
        """A lead counts once per step, by its first entry in the period. Its source is its first one, its campaign that
        of its latest activity that has one, its owner the one it had then; weeks are in the accord's time zone."""
        period = await period_of(self._parts, query)
        rows = await self._funnel.rows(period, query.by)
        of_all = [row for row in rows if row["is_total"]]
        cohorts = groupby((row for row in rows if not row["is_total"]), lambda row: row["cohort"])
        return Funnel(
            from_=period.since,
            to=period.until,
            by=query.by,
            steps=_steps(of_all),
            cohorts=[Cohort(cohort=cohort, steps=_steps(list(of))) for cohort, of in cohorts] if query.by else [],
        )

    async def show_attribution(self, query: Annotated[AttributionQuery, Query()]) -> Attribution:
        """A touch is an activity with a source (or campaign) that happened before the outcome."""
        period = await period_of(self._parts, query)
        rows = await self._attribution.attributed(period, query.by, query.model)
        items = [_attributed(key, list(of)) for key, of in groupby(rows, lambda row: row["key"])]
        return Attribution(from_=period.since, to=period.until, by=query.by, model=query.model, items=items)

    async def show_contact(self, query: Annotated[FirstContactQuery, Query()]) -> FirstContact:
        """In plain time; `GET /v1/attainment` counts business hours."""
        period = await period_of(self._parts, query)
        row = await self._attribution.first_contact(period, query.owner)
        counts = [0, *(row[f"up_to_{seconds}"] for seconds in BUCKETS_SECONDS), row["contacted"]]
        buckets = [
            Bucket(up_to_seconds=seconds, leads=counts[place + 1] - counts[place])
            for place, seconds in enumerate((*BUCKETS_SECONDS, None))
        ]
        return FirstContact(
            from_=period.since,
            to=period.until,
            owner=query.owner,
            qualified=row["qualified"],
            contacted=row["contacted"],
            not_contacted=row["qualified"] - row["contacted"],
            median_seconds=row["median_seconds"],
            p90_seconds=row["p90_seconds"],
            buckets=buckets,
        )


async def period_of(parts: Parts, query: PeriodQuery) -> Period:
    """The period that is asked for. Raises Problem 422."""
    now = parts.clock.now()
    until = query.to or now
    since = query.from_ or _before(until)
    if until.year == MAXYEAR:
        raise invalid("to", f"must lie before the year {MAXYEAR}")
    if since.year == MINYEAR:  # where its week began there may have been no date yet
        raise invalid("from", f"must lie after the year {MINYEAR}")
    if since >= until:
        raise invalid("from", "must lie before to")
    if until - since > timedelta(days=DAYS_MAX):
        raise invalid("from", f"must lie at most {DAYS_MAX} days before to")
    accord = (await parts.accords()).at(now)
    return Period(since, until, accord.document.calendar.timezone)


def _before(until: datetime) -> datetime:
    try:
        return until - timedelta(days=DAYS)
    except OverflowError:
        raise invalid("to", "must not lie before 2000-01-01") from None


def _steps(rows: Sequence[Row]) -> list[FunnelStep]:
    """Every stage, those that nobody entered too."""
    found = {row["stage"]: row for row in rows}
    return [_step(stage, found.get(stage)) for stage in NEXT]


def _step(stage: str, row: Row | None) -> FunnelStep:
    entered = row["entered"] if row else 0
    converted = (row["converted"] if row else 0) if NEXT[stage] else None
    return FunnelStep(
        stage=stage,
        entered=entered,
        converted=converted,
        rate=converted / entered if entered and converted is not None else None,
        median_seconds=row["median_seconds"] if row else None,
        p90_seconds=row["p90_seconds"] if row else None,
    )


def _attributed(key: str | None, rows: Sequence[Row]) -> Attributed:
    def outcomes(stage: str) -> float:
        return float(sum(row["outcomes"] for row in rows if row["to_stage"] == stage))

    def amounts(stage: str) -> dict[str, float]:
        of_stage = [row for row in rows if row["to_stage"] == stage and row["amount"] is not None]
        return {row["currency"] or "": row["amount"] for row in of_stage}

    return Attributed(
        key=key,
        qualified=outcomes("mql"),
        opportunities=outcomes("opportunity"),
        pipeline=amounts("opportunity"),
        customers=outcomes("customer"),
        revenue=amounts("customer"),
    )
