"""From rows to bodies."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.api.model import live_totals, stage_of
from services.api.schemas.clocks import Clock, Interval
from services.api.schemas.leads import Due, LeadItem, ListedLead, MqlLine
from shared.agreement.clocks import ClockRule, Pause, working
from shared.agreement.compiled import CompiledAccord
from shared.agreement.decay import RuleTotal, engagement_at
from shared.agreement.versions import Accords
from shared.agreement.wording import condition_in_words


def accord_of(accords: Accords, version: int | None, now: datetime) -> CompiledAccord:
    """The version that a lead's score or a clock was made under; the present one for a lead without a score."""
    return accords.version(version) if version else accords.at(now)


def totals_of(row: Mapping[str, Any], accord: CompiledAccord) -> dict[str, RuleTotal]:
    """The totals of the rules that this version has."""
    return live_totals(row["rule_totals"] or {}, accord)


def lead_item(row: Mapping[str, Any], accords: Accords, now: datetime) -> LeadItem:
    """A lead as of now, from a row of scoring joined with stages'."""
    accord = accord_of(accords, row["accord"], now)
    changes = [at for at in (row["updated_at"], row["staged_at"]) if at is not None]
    return LeadItem(
        id=row["lead_id"],
        email=row["email"],
        profile=row["profile"] or {},
        source=row["source"],
        campaign=row["campaign"],
        first_source=row["first_source"],
        stage=stage_of(row["stage"]),
        stage_entered_at=row["entered_at"],
        owner=row["owner"],
        team=row["team"],
        engagement=engagement_at(totals_of(row, accord), accord, now),
        fit=row["fit"],
        grade=row["grade"],
        as_of=now,
        accord=accord.version,
        updated_at=max(changes, default=None),
    )


def listed_lead(row: Mapping[str, Any], accords: Accords, now: datetime) -> ListedLead:
    """As `lead_item`, from a row that has the next deadline too."""
    due = None
    if row["due_rule"] is not None:
        due = Due(rule=row["due_rule"], state=row["due_state"], deadline=row["due_deadline"])
    return ListedLead(**dict(lead_item(row, accords, now)), due=due)


def mql_line(lead: LeadItem, accord: CompiledAccord) -> MqlLine:
    """Where the line is, and on which side of it this lead."""
    return MqlLine(
        words=condition_in_words(accord.document.stages.mql),
        holds=accord.is_mql(facts_of(lead, accord)),
        engagement=list(accord.mql_thresholds),
    )


def unscored_row(row: Mapping[str, Any], accord: CompiledAccord) -> dict[str, Any]:
    """A lead that stages knows and scoring doesn't yet: nothing earned."""
    email = row["staged_email"]
    return {**row, "email": email, "fit": 0, "grade": accord.fit({}, email).grade}


def facts_of(lead: LeadItem, accord: CompiledAccord) -> dict[str, Any]:
    """What a condition may ask of this lead."""
    return dict(
        accord.facts(
            engagement=lead.engagement, fit=lead.fit, grade=lead.grade, stage=lead.stage, owner=lead.owner, lead=lead
        )
    )


_WORKED_OUT = ("id", "within_seconds", "hours", "stops", "working", "lagging")
_CLOCK_FIELDS = tuple(name for name in Clock.model_fields if name not in _WORKED_OUT)


def clock_body(row: Mapping[str, Any], accords: Accords, now: datetime) -> Clock:
    """A clock with the working of its deadline, under the accord that it started under."""
    accord = accord_of(accords, row["accord"], now)
    rule = accord.clock_rule(row["rule"])
    return Clock(
        id=row["clock_id"],
        within_seconds=rule.within.total_seconds(),
        hours=rule.hours,
        stops=list(rule.stops),
        working=_working(row, accord, rule),
        lagging=row["is_lagging"],
        **{name: row[name] for name in _CLOCK_FIELDS},
    )


def _working(row: Mapping[str, Any], accord: CompiledAccord, rule: ClockRule) -> list[Interval]:
    pauses = [Pause(*map(datetime.fromisoformat, pause)) for pause in row["pauses"]]
    pieces = working(accord, rule, row["started_at"], row["deadline"], pauses)
    return [Interval(from_=from_, to=to, counted=counted, why=why) for from_, to, counted, why in pieces]
