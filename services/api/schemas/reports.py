"""Reports: the funnel, attribution, and how soon sales made contact."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.api.schemas.fields import Instant


class Over(BaseModel):
    """The period of a report: entries at or after `from` and before `to`."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    from_: Instant = Field(alias="from")
    to: Instant


class FunnelStep(BaseModel):
    """Leads that entered a stage in the period, and those of them that ever went on to the next one; the last has none.

    Times are from entering this stage to entering the next.
    """

    stage: str
    entered: int
    converted: int | None
    rate: float | None
    median_seconds: float | None
    p90_seconds: float | None


class Cohort(BaseModel):
    """What the leads have in common (null: nothing known), and their steps."""

    cohort: str | None
    steps: list[FunnelStep]


class Funnel(Over):
    """All leads, and by cohort if one was asked for."""

    by: str | None
    steps: list[FunnelStep]
    cohorts: list[Cohort]


class Attributed(BaseModel):
    """What is attributed to one source or campaign (null: to none); amounts by currency."""

    key: str | None
    qualified: float
    opportunities: float
    pipeline: dict[str, float]
    customers: float
    revenue: dict[str, float]


class Attribution(Over):
    """Every outcome of the period is shared out in full: the items add up to all of them."""

    by: Literal["source", "campaign"]
    model: Literal["first", "last", "linear"]
    items: list[Attributed]


class Bucket(BaseModel):
    """Leads that were contacted within this time; null: later."""

    up_to_seconds: int | None
    leads: int


class FirstContact(Over):
    """Of the leads that qualified in the period: when each was first contacted after that."""

    owner: str | None
    qualified: int
    contacted: int
    not_contacted: int
    median_seconds: float | None
    p90_seconds: float | None
    buckets: list[Bucket]
