"""Owners: whose turn it may be, and what they have."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from services.api.schemas.fields import Body, Instant

OwnerName = Annotated[str, Field(min_length=1, max_length=320)]
OwnerState = Literal["active", "paused", "gone", "queue"]


class OwnerBody(Body):
    """An owner to be taken up, at once or paused."""

    owner: OwnerName
    paused: bool | None = None
    paused_until: Instant | None = None


class OwnerChange(Body):
    """`paused_until` alone pauses until then; `paused` true without it until somebody resumes."""

    paused: bool | None = None
    paused_until: Instant | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "OwnerChange":
        if not self.model_fields_set & {"paused", "paused_until"}:
            raise ValueError("needs paused or paused_until")
        return self


class Membership(BaseModel):
    """Part of a team, as the accord in effect says. `capacity` is leads per calendar day, null without a bound."""

    team: str
    weight: int
    capacity: int | None


class Owner(BaseModel):
    """Somebody who gets leads; or, with the state queue, those that nobody has. `leads_today` are those given since
    midnight in the accord's zone, `open_leads` those between mql and opportunity."""

    owner: str
    teams: list[Membership]
    state: OwnerState
    paused: bool
    paused_until: Instant | None
    leads_today: int
    open_leads: int
    updated_at: Instant | None
