"""Promises on many leads, as they stand."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from services.api.schemas.clocks import Interval
from services.api.schemas.fields import Instant
from shared.agreement.promises import PromiseState, Unit
from shared.events.lifecycle import Stage

Side = Literal["marketing", "sales"]


class PromisePeriod(BaseModel):
    """A period in the time zone of the accord's calendar; a week begins on Monday."""

    unit: Unit
    since: Instant
    until: Instant = Field(description="Its end, which is the beginning of the next one.")


class ToldPromise(BaseModel):
    """What both sides were told of it in this period."""

    state: Literal["running", "kept", "breached"]
    warned_at: Instant | None = Field(description="The close of the day at which it was behind.")
    settled_at: Instant | None
    reached: int | float | None = Field(description="Null while it runs, and for a share of nothing.")
    corrections: int


class Promise(BaseModel):
    """A promise of the accord in force in one period: what was reached, of which numbers, and what would be due."""

    promise: str = Field(description="The promise's id in the accord.", examples=["pipeline-share"])
    accord: int
    of: Side = Field(description="Who promises.")
    counts: Stage | None = Field(description="The stage whose first entries are counted.")
    share_of: Stage | None = Field(description="The stage that a share is taken of.")
    sourced_by: Side | None = Field(description="The share whose first activity came from this side.")
    that_reached: Stage | None = Field(description="The share that came as far as this stage.")
    when: dict[str, Any] | None = Field(
        description="Which entries count, as the accord says it; judged on what was known of the lead at its entry.",
        examples=[{"grade": "A"}],
    )
    period: PromisePeriod
    state: PromiseState = Field(description="Settling: the period is over, and what comes late still counts.")
    settles_at: Instant = Field(description="When it is kept or breached.")
    target: int | float = Field(description="A count, or a share such as 0.4.")
    reached: int | float | None = Field(description="A count or a share, as the target; null: a share of nothing.")
    numerator: int | float
    denominator: int | float | None = Field(description="What it is a share of; null for a count.")
    measure: Literal["leads", "amount"] = Field(description="What numerator and denominator count.")
    currency: str | None = Field(description="That of amounts; null where leads are counted.")
    falls_back_to_counts: bool = Field(
        description="An amount is not in the accord's currency, so leads are counted instead of amounts."
    )
    pace: float = Field(description="What would be due by now: the target, pro rata of open hours.")
    open_seconds_elapsed: float = Field(description="Open hours of the period that have passed.")
    open_seconds: float = Field(description="Open hours of the whole period.")
    warn_at: float | None = Field(description="Below which share of the pace it is behind.")
    behind: bool | None = Field(description="Whether it is behind; null without `warn_at`, and after the period.")
    told: ToldPromise | None = Field(
        description="Null for a period that isn't judged: it was not promised, or not counted, from its beginning."
    )
    working: list[Interval] = Field(description="Which hours of the period count.")
