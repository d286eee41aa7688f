"""How a field of the accord is said in a sentence. A field without a phrase of its own is said by its name."""

from typing import Any, Final

from shared.agreement.document import Accord
from shared.agreement.document_base import Part
from shared.agreement.document_calendar import Calendar, Holidays, Hours
from shared.agreement.document_scoring import AfterActivity, AtMostPer, Engagement, EngagementRule, FitRule, Grades
from shared.agreement.document_sla import Clock, EscalationStep, Promise
from shared.agreement.document_stages import Recycle, Routing, RoutingRule, Stages, TeamOwner
from shared.agreement.wording import in_words

Field = tuple[type[Part], str]

# A rule's half-life that was left out is the default's, which `never` isn't; both are None in the model.
DEFAULT: Final = "the default"
NEVER: Final = "never"
_DAYS: Final = {"mon": "Mondays", "tue": "Tuesdays", "wed": "Wednesdays", "thu": "Thursdays"} | {
    "fri": "Fridays",
    "sat": "Saturdays",
    "sun": "Sundays",
}

_PHRASES: Final[dict[Field, str]] = {
    (Accord, "accord"): "form {}",
    (Calendar, "timezone"): "time zone {}",
    **{(Hours, day): f"{name} {{}}" for day, name in _DAYS.items()},
    (Holidays, "country"): "public holidays of {}",
    (Holidays, "subdivision"): "public holidays of its part {}",
    (Holidays, "extra"): "extra closed days {}",
    (Engagement, "half_life"): "default half-life {}",
    (Engagement, "cap"): "engagement cap {}",
    (EngagementRule, "activity"): "for {}",
    (EngagementRule, "where"): "where {}",
    (EngagementRule, "points"): "{} points",
    (EngagementRule, "half_life"): "half-life {}",
    (EngagementRule, "at_most"): "{}",
    (EngagementRule, "once"): "once per lead: {}",
    (EngagementRule, "after"): "{}",
    (AtMostPer, "points"): "at most {} points",
    (AtMostPer, "per"): "in {}",
    (AfterActivity, "activity"): "only after {}",
    (AfterActivity, "where"): "where {}",
    (AfterActivity, "within"): "within {}",
    (FitRule, "where"): "where {}",
    (FitRule, "points"): "{} points",
    **{(Grades, grade): f"grade {grade} from a fit of {{}}" for grade in ("A", "B", "C")},
    (Stages, "mql"): "qualified (mql) when {}",
    (Stages, "recycle"): "{}",
    (Recycle, "cool_down"): "recycled leads rest {}",
    (TeamOwner, "capacity"): "{} a day",
    (RoutingRule, "when"): "when {}",
    (RoutingRule, "team"): "to team {}",
    (Routing, "sticky"): "kept with its owner by {}",
    (Routing, "free_mail"): "free-mail domains {}",
    (Clock, "starts"): "starts on {}",
    (Clock, "stops"): "stops on {}",
    (Clock, "when"): "when {}",
    (Clock, "within"): "within {}",
    (Clock, "hours"): "hours that count: {}",
    (Clock, "warn_at"): "warns at {}",
    (Clock, "escalate"): "escalates: {}",
    (Clock, "pauses_while"): "pauses while {}",
    (EscalationStep, "at"): "at {}",
    (EscalationStep, "to"): "tell the {}",
    (EscalationStep, "then"): "then {}",
    (Promise, "counts"): "counts {}",
    (Promise, "when"): "when {}",
    (Promise, "at_least"): "at least {}",
    (Promise, "warn_at"): "warns at {}",
    (Promise, "settles_after"): "settles after {}",
}
_NOTHING: Final[dict[Field, str]] = {
    **{(Hours, day): "closed" for day in _DAYS},
    (Engagement, "half_life"): NEVER,
    (EngagementRule, "where"): "always",
    (EngagementRule, "at_most"): "no limit",
    (EngagementRule, "after"): "after anything",
    (FitRule, "where"): "always",
    (Stages, "recycle"): "recycled leads don't rest",
    (TeamOwner, "capacity"): "any number",
    (RoutingRule, "when"): "always",
    (Routing, "sticky"): "nothing",
    (Clock, "when"): "always",
    (Clock, "pauses_while"): "never",
    (Promise, "when"): "always",
}
_SUBJECTS: Final[dict[Field, str]] = {
    (Stages, "rejection_reasons"): "rejection reason",
    (Routing, "teams"): "team",
    (Routing, "managers"): "manager of team",
    (Routing, "rules"): "routing rule",
    (Clock, "escalate"): "escalation",
}
_NAMES: Final[dict[type[Part], str]] = {FitRule: "fit rule "}


def value_of(part: Part, field: str) -> Any:
    """The value as it decides."""
    value = getattr(part, field)
    if value is None and isinstance(part, EngagementRule) and field == "half_life":
        return NEVER if field in part.model_fields_set else DEFAULT
    return value


def phrase(kind: type[Part], field: str, words: str) -> str:
    """The field with these words in the place of its value."""
    return _PHRASES.get((kind, field), f"{_plain(field)} {{}}").format(words)


def subject(kind: type[Part], field: str) -> str:
    """What one entry of this list or mapping is called."""
    return _SUBJECTS.get((kind, field), _plain(field))


def name_of(part: Part, key: str) -> str:
    """A part that has a name, before what is said of it."""
    return f"{_NAMES.get(type(part), '')}{key}: "


def described(kind: type[Part], field: str, value: Any) -> str:
    """A value of this field in words; a part by those of its fields that are not as by default."""
    if value is None or value == []:
        return _NOTHING.get((kind, field), "none")
    if isinstance(value, Part):
        return _whole(value)
    if isinstance(value, list) and isinstance(value[0], Part):
        return "; ".join(_with_name(part) for part in value)
    return in_words(value)


def _whole(part: Part) -> str:
    """What is said in a part beyond its name and what holds by default."""
    kind = type(part)
    said = []
    for field, info in kind.model_fields.items():
        value = value_of(part, field)
        if field not in ("id", "owner") and (info.is_required() or value not in (info.default, DEFAULT)):
            said.append(phrase(kind, field, described(kind, field, value)))
    return _JOINTS.get(kind, ", ").join(said)


def _with_name(part: Part) -> str:
    name = getattr(part, "owner", None)
    said = _whole(part)
    return said if name is None else f"{name} ({said})" if said else name


_JOINTS: Final[dict[type[Part], str]] = {AtMostPer: " ", AfterActivity: " ", RoutingRule: " "}


def _plain(field: str) -> str:
    return field.replace("_", " ")
