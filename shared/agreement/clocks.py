"""Which clocks start on entering a stage, and when their moments come: used by stages and sla_monitor alike."""

from datetime import datetime, timedelta

from shared.agreement.compiled import CompiledAccord
from shared.agreement.rules import ClockRule, Escalation, Facts

__all__ = ["ClockRule", "Escalation", "clocks_starting", "elapsed", "moment"]


def clocks_starting(accord: CompiledAccord, stage: str, facts: Facts) -> tuple[ClockRule, ...]:
    """The clocks of a lead that enters this stage with these facts. The caller leaves out implied entries."""
    return tuple(rule for rule in accord.clocks_of(stage) if rule.when(facts))


def moment(accord: CompiledAccord, rule: ClockRule, started_at: datetime, share: float) -> datetime:
    """The earliest instant by which this share of the clock's time has been counted; 1.0 is its deadline."""
    within = rule.within * share
    if rule.hours == "business":
        return accord.calendar.deadline(started_at, within)
    return started_at + within


def elapsed(accord: CompiledAccord, rule: ClockRule, start: datetime, end: datetime) -> timedelta:
    """The time that counted between two instants; zero if they are the wrong way round."""
    if rule.hours == "business":
        return accord.calendar.elapsed(start, end)
    return max(end - start, timedelta(0))
