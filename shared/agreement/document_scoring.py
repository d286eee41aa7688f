"""`scoring`: what earns points."""

from pydantic import Field

from shared.agreement.document_base import Part
from shared.agreement.values import ActivityType, HalfLife, Name, Points, PositiveDuration, When

RULES_MAX = 1000


class AtMostPer(Part):
    """A rule grants at most these points within this time."""

    points: int = Field(ge=0)
    """The most points within that time."""
    per: PositiveDuration
    """How long a time, such as 30d, before each activity."""


class AfterActivity(Part):
    """A rule grants only after this activity."""

    activity: ActivityType
    """The type of the activity, such as survey.completed."""
    where: When | None = None
    """What must hold; without it the rule always does."""
    within: PositiveDuration
    """At most how long before."""


class EngagementRule(Part):
    """Points for an activity."""

    id: Name
    """The name by which explanations and differences call the rule."""
    activity: ActivityType
    """The type of the activity, such as survey.completed."""
    where: When | None = None
    """What must hold; without it the rule always does."""
    points: Points
    """What it earns; less than 0 takes away."""
    # Left out: the default. `never`: None, told apart by model_fields_set.
    half_life: HalfLife = None
    """After this time a grant is worth half; left out, the default; never does not decay."""
    at_most: AtMostPer | None = None
    """A bound of what the rule grants to one lead within a time."""
    once: bool = False
    """Whether the rule grants to a lead only once, ever."""
    after: AfterActivity | None = None
    """An activity that the lead must have done before."""


class Engagement(Part):
    """Points by activities; they decay."""

    half_life: HalfLife = None
    """The half-life of rules that name none; without it they do not decay."""
    cap: int | None = Field(default=None, ge=0)
    """The most that engagement can be."""
    rules: list[EngagementRule] = Field(default=[], max_length=RULES_MAX)
    """What activities earn; every rule that holds grants."""


class FitRule(Part):
    """Points for a profile."""

    id: Name
    """The name by which explanations and differences call the rule."""
    where: When | None = None
    """What must hold; without it the rule always does."""
    points: Points
    """What it earns; less than 0 takes away."""


class Grades(Part):
    """The fit that each grade begins at; below all of them it is D."""

    A: int | None = None
    """The fit from which on the grade is A."""
    B: int | None = None
    """The fit from which on the grade is B."""
    C: int | None = None
    """The fit from which on the grade is C."""


class Fit(Part):
    """Points by the profile."""

    rules: list[FitRule] = Field(default=[], max_length=RULES_MAX)
    """What the profile is worth; every rule that holds counts."""
    grades: Grades = Grades()
    """The fit from which on each grade is given."""


class Scoring(Part):
    """Engagement and fit."""

    engagement: Engagement = Engagement()
    """Points by activities; they decay."""
    fit: Fit = Fit()
    """Points by the profile; they do not decay."""
