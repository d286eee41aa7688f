"""What a lead page begins with: why the lead stands where it does and what is due by when, in plain sentences. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from services.api.pages.waterfall import Waterfall
from services.api.pages.words import When, instant, person, points, signed

Lead = Mapping[str, Any]
REASONS_MAX: Final = 3
RUNNING: Final = ("open", "warned", "paused")
_LINE: Final = ("mql", "sal", "sql", "opportunity", "customer")
_SINCE: Final = {
    "mql": Markup("is marketing qualified (MQL) since {}"),
    "sal": Markup("is accepted by sales (SAL) since {}"),
    "sql": Markup("is sales qualified (SQL) since {}"),
    "opportunity": Markup("is an opportunity since {}"),
    "customer": Markup("is a customer since {}"),
    "recycled": Markup("is back with marketing (recycled) since {}"),
    "disqualified": Markup("is disqualified since {}"),
}
_TO_DO: Final = {
    "accepted": "accept",
    "rejected": "reject",
    "contacted": "contact",
    "snoozed": "snooze",
    "qualified": "qualify",
    "disqualified": "disqualify",
    "recycled": "recycle",
    "reopened": "reopen",
    "assigned": "assign",
    "opportunity.opened": "open an opportunity for",
    "won": "win",
    "lost": "close as lost",
    "note": "write a note on",
}


class Qualified(NamedTuple):
    """When the lead became an MQL, under which version, with what score, and which rules gave most of it."""

    at: str
    accord: int
    engagement: float
    grade: str
    reasons: Sequence[tuple[str, float]]


def qualified(at: str, explanation: Mapping[str, Any], steps: Waterfall) -> Qualified:
    """`explanation` and `steps` as of that time."""
    most = [(rule_words(step.name), step.worth) for step in steps.steps if step.is_rule and step.worth > 0]
    return Qualified(at, explanation["accord"], explanation["engagement"], explanation["grade"], most[:REASONS_MAX])


def sentences(lead: Lead, clocks: Iterable[Mapping[str, Any]], when: When, was: Qualified | None) -> list[Markup]:
    """Why, what is due by when, and when decay ends it. `was`: how it qualified, None if no score made it an MQL."""
    return [_why(lead, when, was), *_due(lead, clocks, when), *_falls(lead, when)]


def rule_words(rule: str) -> str:
    """A rule's name as people read it."""
    return rule.replace("-", " ").replace("_", " ")


def to_do(stops: Sequence[str]) -> str:
    """`accept, reject or recycle`: what stops a clock."""
    return either([_TO_DO.get(stop, stop) for stop in stops])


def either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _why(lead: Lead, when: When, was: Qualified | None) -> Markup:
    who, line, stage = person(lead), lead["mql"]["words"], lead["stage"]
    name = Markup('<strong dir="auto">{}</strong>').format(who)
    if stage not in _SINCE:
        return _not_yet(name, lead)
    since = _SINCE[stage].format(when.moment(lead["stage_entered_at"]))
    if was is None:
        return Markup("{} {}. Sales took this lead up before its score reached the agreed line: {}.").format(
            name, since, line
        )
    # The words at hand are those of the version that the lead stands under now.
    agreed = line if was.accord == lead["accord"] else f"as it was in version {was.accord} of the accord"
    met = Markup("engagement of {} with fit grade {} met the agreed line, {}").format(
        points(was.engagement), was.grade, agreed
    )
    most = _most(was.reasons)
    if stage == "mql":
        return Markup("{} {}, because {}.{}").format(name, since, met, most)
    return Markup("{} {}. It qualified {}, because {}.{}").format(name, since, _on(was.at, when), met, most)


def _not_yet(name: Markup, lead: Lead) -> Markup:
    score = Markup("engagement of {} with fit grade {}").format(points(lead["engagement"]), lead["grade"])
    if lead["mql"]["holds"]:
        return Markup("{} is not handed to sales yet, although {} meets the agreed line, {}: it is the next time that "
                      "something is heard of this lead.").format(name, score, lead["mql"]["words"])  # fmt: skip
    return Markup("{} is not qualified: {} does not meet the agreed line, {}.").format(
        name, score, lead["mql"]["words"]
    )


def _most(reasons: Sequence[tuple[str, float]]) -> Markup:
    if not reasons:
        return Markup("")
    words = [f"{words} ({signed(worth)})" for words, worth in reasons]
    joined = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return Markup(" Most of it came from {}.").format(joined)


def _due(lead: Lead, clocks: Iterable[Mapping[str, Any]], when: When) -> list[Markup]:
    """The most urgent first."""
    told = [_one_due(clock, when) for clock in sorted(_wanted(clocks), key=lambda clock: str(clock["deadline"]))]
    if told:
        return told
    if lead["stage"] in _LINE[:-1]:
        return [Markup("<strong>Nothing is due</strong> now.")]
    return [Markup("<strong>Nothing is due</strong>: promises begin when a lead is qualified.")] if (
        lead["stage"] == "lead"
    ) else [Markup("<strong>Nothing is due.</strong>")]  # fmt: skip


def _wanted(clocks: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those whose promise is still to be kept, late or not; of one that passed to another owner the last attempt."""
    still = [
        clock
        for clock in clocks
        if clock["state"] in RUNNING or (clock["state"] == "breached" and clock["closed_at"] is None)
    ]
    last = {clock["rule"]: clock for clock in sorted(still, key=lambda clock: str(clock["started_at"]))}
    return list(last.values())


def _one_due(clock: Mapping[str, Any], when: When) -> Markup:
    who = Markup('<span dir="auto">{}</span>').format(clock["owner"] or "somebody (nobody owns this lead)")
    what, by = to_do(clock["stops"]), when.moment(clock["deadline"])
    if clock["state"] == "breached":
        return Markup('<strong class="late">Overdue:</strong> {} was to {} this lead by {}, {}.').format(
            who, what, by, when.until(clock["deadline"])
        )
    paused = Markup("")
    if clock["state"] == "paused" and clock["paused_until"]:
        paused = Markup(" It is snoozed until {}.").format(when.moment(clock["paused_until"]))
    return Markup("<strong>Due {}:</strong> {} is to {} this lead by {}.{}").format(
        when.until(clock["deadline"]), who, what, by, paused
    )


def _falls(lead: Lead, when: When) -> list[Markup]:
    falls_at = lead["below_threshold_at"]
    if falls_at is not None:
        return [
            Markup("If nothing more happens, decay takes its score below the line {} ({}).").format(
                _on(falls_at, when), when.until(falls_at)
            )
        ]
    if lead["stage"] in _LINE[:-1] and not lead["mql"]["holds"]:
        return [
            Markup("Its score, {} by now, is below the line; that takes no lead back from sales.").format(
                points(lead["engagement"])
            )
        ]
    return []


def _on(at: str, when: When) -> Markup:
    """`at 14:05` of today, `on Mon 23 Nov 14:05` of another day."""
    moment = instant(at).astimezone(when.zone)
    is_today = abs(moment - when.now) < timedelta(days=1) and moment.date() == when.now.astimezone(when.zone).date()
    return Markup("{} {}").format("at" if is_today else "on", when.moment(at))
