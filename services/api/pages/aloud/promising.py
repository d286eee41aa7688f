"""In which hours, what is promised by when, and what happens when a promise is broken."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import Final

from services.api.pages.aloud.conditions import said
from services.api.pages.aloud.sentence import Chapter, Sentence, capital, listing, percent, quoted, span
from shared.agreement.calendar import FULL_DAY, OpenRange
from shared.agreement.document_calendar import WEEKDAYS, Calendar, Holidays, Hours
from shared.agreement.document_sla import Clock, EscalationStep, Promise, Sla
from shared.events.lifecycle import Stage
from shared.events.sales import Action

_DAYS: Final = dict(
    zip(WEEKDAYS, ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), strict=True)
)
BECOMES: Final = {
    Stage.LEAD: "a lead",
    Stage.MQL: "an MQL",
    Stage.SAL: "an SAL",
    Stage.SQL: "an SQL",
    Stage.OPPORTUNITY: "an opportunity",
    Stage.CUSTOMER: "a customer",
    Stage.RECYCLED: "recycled",
    Stage.DISQUALIFIED: "disqualified",
}
DEEDS: Final = {
    Action.ACCEPTED: "accept it",
    Action.REJECTED: "reject it",
    Action.QUALIFIED: "qualify it",
    Action.OPPORTUNITY_OPENED: "open an opportunity",
    Action.WON: "win it",
    Action.LOST: "lose it",
    Action.RECYCLED: "recycle it",
    Action.DISQUALIFIED: "disqualify it",
    Action.REOPENED: "reopen it",
    Action.ASSIGNED: "assign it",
    Action.CONTACTED: "contact the lead",
    Action.SNOOZED: "snooze it",
    Action.NOTE: "write a note",
}
_THEN: Final = {
    "recycle": "the lead is recycled: it goes back to marketing",
    "reassign": "the lead goes to another owner of the team, who gets a new clock",
}
_CONVERSIONS_SETTLE: Final = "14 days after its end"


def hours_chapter(calendar: Calendar) -> Chapter:
    return Chapter("hours", "In which hours", tuple(_calendar(calendar)))


def clocks_chapter(sla: Sla) -> Chapter:
    return Chapter("clocks", "What sales promises, and by when", tuple(_clocks(sla.clocks)))


def broken_chapter(sla: Sla) -> Chapter:
    return Chapter("broken", "What happens when that is broken", tuple(_broken(sla.clocks)))


def promises_chapter(sla: Sla) -> Chapter:
    return Chapter("promises", "What each side promises over time", tuple(_promises(sla.promises)))


def _calendar(calendar: Calendar) -> Iterator[Sentence]:
    yield Sentence("calendar.timezone", f"Hours and days are those of the time zone {calendar.timezone}.")
    yield Sentence("calendar.hours", f"Open hours are {_week(calendar.hours)}.")
    yield Sentence("calendar.holidays", _holidays(calendar.holidays))


def _week(hours: Hours) -> str:
    """Neighbouring days with the same hours are said together: `Monday to Thursday 09:00 to 17:30`."""
    opened = [day for day in WEEKDAYS if getattr(hours, day)]
    told = []
    for ranges, group in groupby(WEEKDAYS, lambda day: _ranges(getattr(hours, day))):
        days = list(group)
        if ranges:
            told.append(f"{_days(days)} {ranges}")
    closed = [_DAYS[day] for day in WEEKDAYS if day not in opened]
    return "; ".join(told) + (f"; closed on {listing(closed)}" if closed else "")


def _days(days: Sequence[str]) -> str:
    return f"{_DAYS[days[0]]} to {_DAYS[days[-1]]}" if len(days) > 2 else listing([_DAYS[day] for day in days])


def _ranges(ranges: Sequence[OpenRange]) -> str:
    return listing([_range(open_) for open_ in ranges])


def _range(open_: OpenRange) -> str:
    if (open_.from_, open_.to) == (0, FULL_DAY):
        return "all day"
    next_day = " of the next day" if open_.to < open_.from_ else ""
    return f"{_time(open_.from_)} to {_time(open_.to)}{next_day}"


def _time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _holidays(holidays: Holidays) -> str:
    closed = []
    if holidays.country is not None:
        part = "" if holidays.subdivision is None else f", with those of its part {quoted(holidays.subdivision)}"
        closed.append(f"the public holidays of {quoted(holidays.country)}{part}")
    if holidays.extra:
        closed.append(f"{'also ' if closed else ''}{listing([_date(day) for day in holidays.extra])}")
    return f"Closed are {', and '.join(closed)}." if closed else "No day is closed for a holiday."


def _date(day: date) -> str:
    return f"{day.day} {day:%B} {day.year}"


def _clocks(clocks: Sequence[Clock]) -> Iterator[Sentence]:
    if not clocks:
        yield Sentence("sla.clocks", "Nothing is promised on a single lead.")
    for clock in clocks:
        yield Sentence(f"sla.clocks[{clock.id}]", _clock(clock), clock.id)


def _clock(clock: Clock) -> str:
    when = "" if clock.when is None else f" and {_joined(clock)}"
    deeds = listing([DEEDS[stop] for stop in clock.stops], "or")
    is_business = clock.hours == "business"
    hours = "" if is_business else ", at whatever hour"
    told = f"When a lead becomes {BECOMES[clock.starts]}{when}, sales must {deeds} within "
    told += f"{span(clock.within, is_business=is_business)}{hours}."
    return told + (" While the lead is snoozed, the clock stands still." if clock.pauses_while else "")


def _joined(part: Clock | Promise) -> str:
    assert part.when is not None
    words = said(part.when)
    return f"({words})" if ", or " in words else words


def _broken(clocks: Sequence[Clock]) -> Iterator[Sentence]:
    for clock in clocks:
        at = f"sla.clocks[{clock.id}]"
        if clock.warn_at is not None:
            words = f"After {_passed(clock, clock.warn_at)} the owner is warned."
            yield Sentence(f"{at}.warn_at", words, clock.id)
        for step in sorted(clock.escalate, key=lambda step: step.at):
            yield Sentence(f"{at}.escalate", _escalation(clock, step), clock.id)
        if not clock.escalate:
            yield Sentence(f"{at}.escalate", "At the deadline it counts as broken, and nobody is told.", clock.id)
    if not clocks:
        yield Sentence("sla.clocks", "Without a promise there is none to break.")


def _escalation(clock: Clock, step: EscalationStep) -> str:
    then = f", and {_THEN[step.then]}" if step.then else ""
    at = "At the deadline" if step.at == 1 else f"After {_passed(clock, step.at)}"
    return f"{at} the {step.to} is told{then}."


def _passed(clock: Clock, share: float) -> str:
    """`75% of the time, 45 open minutes,`; without the length where it is no whole number of seconds."""
    length = clock.within * share
    if length.microseconds or not length:
        return f"{percent(share)} of the time"
    return f"{percent(share)} of the time, {span(length, is_business=clock.hours == 'business')},"


def _promises(promises: Sequence[Promise]) -> Iterator[Sentence]:
    if not promises:
        yield Sentence("sla.promises", "Nothing is promised over time.")
    for promise in promises:
        yield Sentence(f"sla.promises[{promise.id}]", f"{_promise(promise)} {_settled(promise)}", promise.id)


def _promise(promise: Promise) -> str:
    target = percent(promise.at_least) if isinstance(promise.at_least, float) else f"{promise.at_least:,}"
    begins, when = f"{capital(promise.of)} promises that at least {target}", ""
    if promise.when is not None:
        when = f", counting only a lead of which this holds: {said(promise.when)}"
    if promise.counts is not None:
        return f"{begins} leads become {BECOMES[promise.counts]} each {promise.per}{when}."
    assert promise.share_of is not None
    if promise.that_reached is not None:
        of_those = f"of the leads that become {BECOMES[promise.share_of]} in a {promise.per}"
        return f"{begins} {of_those} go on to become {BECOMES[promise.that_reached]}{when}."
    what = (
        "of the amount of all opportunities"
        if promise.share_of == Stage.OPPORTUNITY
        else (f"of the leads that become {BECOMES[promise.share_of]}")
    )
    came = f"comes from leads whose first activity was brought by {promise.sourced_by}"
    return f"{begins} {what} each {promise.per} {came}{when}."


def _settled(promise: Promise) -> str:
    warned = (
        ""
        if promise.warn_at is None
        else f"Both are warned when it falls below {percent(promise.warn_at)} of the pace. "
    )
    if promise.settles_after is not None:
        after = f"{span(promise.settles_after)} after its end" if promise.settles_after else "as soon as it ends"
    else:
        after = _CONVERSIONS_SETTLE if promise.that_reached is not None else "as soon as it ends"
    return f"{warned}The {promise.per} is settled {after}."
