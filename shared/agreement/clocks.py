"""Which clocks start on entering a stage, when their moments come, and how their time was counted: used by stages,
sla_monitor and api alike."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from shared.agreement.calendar import WorkingInterval
from shared.agreement.compiled import CompiledAccord
from shared.agreement.rules import ClockRule, Escalation, Facts

__all__ = ["ClockRule", "Escalation", "Pause", "clocks_starting", "elapsed", "joined", "moment", "working"]

ZERO: Final = timedelta(0)
EVERY_HOUR: Final = "every hour counts"
SNOOZED: Final = "snoozed"


class Pause(NamedTuple):
    """A span in which a clock counts nothing, `to` exclusive."""

    from_: datetime
    to: datetime


def clocks_starting(accord: CompiledAccord, stage: str, facts: Facts) -> tuple[ClockRule, ...]:
    """The clocks of a lead that enters this stage with these facts. The caller leaves out implied entries."""
    return tuple(rule for rule in accord.clocks_of(stage) if rule.when(facts))


def moment(
    accord: CompiledAccord, rule: ClockRule, started_at: datetime, share: float, pauses: Sequence[Pause] = ()
) -> datetime:
    """The earliest instant by which this share of the clock's time has been counted; 1.0 is its deadline."""
    needed, at = rule.within * share, started_at
    for pause in joined(pauses, since=started_at) if pauses else ():
        counted = _counted(accord, rule, at, pause.from_)
        if needed <= counted:
            break
        needed, at = needed - counted, pause.to
    return accord.calendar.deadline(at, needed) if rule.hours == "business" else at + needed


def elapsed(
    accord: CompiledAccord, rule: ClockRule, start: datetime, end: datetime, pauses: Sequence[Pause] = ()
) -> timedelta:
    """The time that counted between two instants; zero if they are the wrong way round."""
    counted, at = ZERO, start
    for pause in joined(pauses, since=start) if pauses else ():
        if pause.from_ >= end:
            break
        counted, at = counted + _counted(accord, rule, at, pause.from_), pause.to
    return counted + _counted(accord, rule, at, end)


def working(
    accord: CompiledAccord, rule: ClockRule, start: datetime, end: datetime, pauses: Sequence[Pause] = ()
) -> list[WorkingInterval]:
    """How the span divides into what counted and what didn't, and why; without holes and in order."""
    pieces: list[WorkingInterval] = []
    at = start
    for pause in joined(pauses, since=start):
        if pause.from_ >= end:
            break
        pieces += _unpaused(accord, rule, at, pause.from_)
        at = min(pause.to, end)
        pieces.append(WorkingInterval(pause.from_, at, False, SNOOZED))
    return [*pieces, *_unpaused(accord, rule, at, end)]


def joined(pauses: Iterable[Pause], *, since: datetime) -> list[Pause]:
    """The same time as spans in order that don't touch; what lies before `since` is left out."""
    found: list[Pause] = []
    for from_, to in sorted(pauses):
        if to <= since or from_ >= to:
            continue
        if found and from_ <= found[-1].to:
            found[-1] = Pause(found[-1].from_, max(found[-1].to, to))
        else:
            found.append(Pause(max(from_, since), to))
    return found


def _counted(accord: CompiledAccord, rule: ClockRule, start: datetime, end: datetime) -> timedelta:
    return accord.calendar.elapsed(start, end) if rule.hours == "business" else max(end - start, ZERO)


def _unpaused(accord: CompiledAccord, rule: ClockRule, start: datetime, end: datetime) -> list[WorkingInterval]:
    if start >= end:
        return []
    if rule.hours == "business":
        return accord.calendar.working(start, end)
    return [WorkingInterval(start, end, True, EVERY_HOUR)]
