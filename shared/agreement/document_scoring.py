"""`scoring`: what earns points."""

from pydantic import Field

from shared.agreement.document_base import Part
from shared.agreement.values import ActivityType, HalfLife, Name, Points, PositiveDuration, When

RULES_MAX = 1000


class AtMostPer(Part):
    """A rule grants at most these points within this time."""

    points: int = Field(ge=0)
    per: PositiveDuration


class AfterActivity(Part):
    """A rule grants only after this activity."""

    activity: ActivityType
    where: When | None = None
    within: PositiveDuration


class EngagementRule(Part):
    """Points for an activity."""

    id: Name
    activity: ActivityType
    where: When | None = None
    points: Points
    # Left out: the default. `never`: None, told apart by model_fields_set.
    half_life: HalfLife = None
    at_most: AtMostPer | None = None
    once: bool = False
    after: AfterActivity | None = None


class Engagement(Part):
    """Points by activities; they decay."""

    half_life: HalfLife = None
    cap: int | None = Field(default=None, ge=0)
    rules: list[EngagementRule] = Field(default=[], max_length=RULES_MAX)


class FitRule(Part):
    """Points for a profile."""

    id: Name
    where: When | None = None
    points: Points


class Grades(Part):
    """The fit that each grade begins at; below all of them it is D."""

    A: int | None = None
    B: int | None = None
    C: int | None = None


class Fit(Part):
    """Points by the profile."""

    rules: list[FitRule] = Field(default=[], max_length=RULES_MAX)
    grades: Grades = Grades()


class Scoring(Part):
    """Engagement and fit."""

    engagement: Engagement = Engagement()
    fit: Fit = Fit()
