"""`stages` and `routing`: when a lead is handed over, and to whom."""

from typing import Annotated, Final, Literal

from pydantic import Field

from shared.agreement.document_base import Part
from shared.agreement.values import Capacity, Duration, Name, When

# Bounds of the period of a team's turns, which is laid out once.
WEIGHT_MAX: Final = 100
OWNERS_MAX: Final = 100
# The reference's list of domains that say nothing about a company.
FREE_MAIL: Final = ["gmail.com", "yahoo.com", "outlook.com", "hotmail.com", "icloud.com", "proton.me"]


class Recycle(Part):
    """How long a recycled lead is left alone."""

    cool_down: Duration


class Stages(Part):
    """What makes an MQL, and where rejected ones go."""

    mql: When
    recycle: Recycle | None = None
    rejection_reasons: dict[Name, Literal["recycled", "disqualified"]] = Field(default={})


class TeamOwner(Part):
    """A member of a team, and the share of its leads."""

    owner: Name
    weight: int = Field(default=1, ge=1, le=WEIGHT_MAX)
    capacity: Capacity | None = None


class RoutingRule(Part):
    """The team for leads of a kind."""

    when: When | None = None
    team: Name


class Routing(Part):
    """Teams and who gets what."""

    teams: dict[Name, Annotated[list[TeamOwner], Field(max_length=OWNERS_MAX)]] = Field(default={})
    rules: list[RoutingRule] = Field(default=[], max_length=1000)
    sticky: Name | None = None
    free_mail: list[Name] = Field(default=FREE_MAIL, max_length=10_000)
    managers: dict[Name, Name] = Field(default={})
