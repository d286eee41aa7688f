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
    """How long a recycled lead is left alone, such as 30d."""


class Stages(Part):
    """What makes an MQL, and where rejected ones go."""

    mql: When
    """When this holds a lead is handed to sales."""
    recycle: Recycle | None = None
    """What holds for recycled leads; without it they do not rest."""
    rejection_reasons: dict[Name, Literal["recycled", "disqualified"]] = Field(default={})
    """The reasons that sales may reject with, and where each leads."""


class TeamOwner(Part):
    """A member of a team, and the share of its leads."""

    owner: Name
    """A sales representative, or a queue."""
    weight: int = Field(default=1, ge=1, le=WEIGHT_MAX)
    """How many turns, in proportion to the others."""
    capacity: Capacity | None = None
    """The most leads in a calendar day, such as 20/d."""


class RoutingRule(Part):
    """The team for leads of a kind."""

    when: When | None = None
    """Which leads; without it all of them."""
    team: Name
    """The team that gets them."""


class Routing(Part):
    """Teams and who gets what."""

    teams: dict[Name, Annotated[list[TeamOwner], Field(max_length=OWNERS_MAX)]] = Field(default={})
    """Teams and the owners who take turns in them."""
    rules: list[RoutingRule] = Field(default=[], max_length=1000)
    """Read from the top: the first that holds decides."""
    sticky: Name | None = None
    """A field of the profile: leads with the same value go to the same owner."""
    free_mail: list[Name] = Field(default=FREE_MAIL, max_length=10_000)
    """Domains of e-mail that say nothing about a company."""
    managers: dict[Name, Name] = Field(default={})
    """Who is told, by team, when a clock is escalated to the manager."""
