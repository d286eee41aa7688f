"""What must hold between the parts of a document. It reads plain values, so that it can say so beside other errors."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from pydantic import ValidationError

from shared.agreement.document_calendar import Calendar
from shared.agreement.document_sla import Clock
from shared.agreement.holidays import (
    UnknownCountry,
    countries,
    country_holidays,
    country_names,
    subdivision_names,
    subdivisions,
)
from shared.agreement.problems import Location, ParseProblem, did_you_mean, shown

# A year with ordinary holidays, in which every calendar must be open at some time.
REFERENCE: Final = datetime(2026, 1, 1, tzinfo=UTC)
YEAR: Final = timedelta(days=365)
OPEN_A_YEAR_MIN: Final = timedelta(hours=1)
# Bound of the search for a deadline.
YEARS_MAX: Final = 20

IDENTIFIED: Final[tuple[Location, ...]] = (
    ("scoring", "engagement", "rules"),
    ("scoring", "fit", "rules"),
    ("sla", "clocks"),
    ("sla", "promises"),
)


def problems_between(document: Any) -> Iterator[ParseProblem]:
    """Every problem between parts that are themselves readable."""
    for at in IDENTIFIED:
        yield from _duplicates(document, at, "id")
    yield from _teams(document)
    yield from _country(document)
    yield from _open_hours(document)
    yield from _promises(document)


def _reach(document: Any, at: Location) -> Any:
    for part in at:
        document = document.get(part) if isinstance(document, dict) else None
    return document


def _items(document: Any, at: Location) -> Iterator[tuple[Location, dict[str, Any]]]:
    values = _reach(document, at)
    for index, item in enumerate(values if isinstance(values, list) else ()):
        if isinstance(item, dict):
            yield (*at, index), item


def _duplicates(document: Any, at: Location, key: str) -> Iterator[ParseProblem]:
    seen: dict[str, Location] = {}
    for where, item in _items(document, at):
        name = item.get(key)
        if isinstance(name, str) and seen.setdefault(name, where) is not where:
            yield ParseProblem((*where, key), shown(name), f"each {key} once ([{seen[name][-1]}] has it already)")


def _teams(document: Any) -> Iterator[ParseProblem]:
    teams = _reach(document, ("routing", "teams"))
    teams = teams if isinstance(teams, dict) else {}
    known = "one of the teams " + ", ".join(teams) if teams else "a team of routing.teams, which has none"
    for team in teams:
        yield from _duplicates(document, ("routing", "teams", team), "owner")
    for where, rule in _items(document, ("routing", "rules")):
        team = rule.get("team")
        if isinstance(team, str) and team not in teams:
            yield ParseProblem((*where, "team"), shown(team), did_you_mean(team, teams) + known)
    managers = _reach(document, ("routing", "managers"))
    for team in managers if isinstance(managers, dict) else ():
        if team not in teams:
            at = ("routing", "managers", team)
            yield ParseProblem(at, f"a manager of {team}", did_you_mean(team, teams) + known)


def _country(document: Any) -> Iterator[ParseProblem]:
    at = ("calendar", "holidays")
    holidays = _reach(document, at)
    country, part = (
        (holidays.get("country"), holidays.get("subdivision")) if isinstance(holidays, dict) else (None, None)
    )
    if country is None:
        if part is not None:
            yield ParseProblem((*at, "subdivision"), shown(part), "a subdivision of a country, which is missing")
        return
    if not isinstance(country, str) or not (part is None or isinstance(part, str)):
        return
    try:
        country_holidays(country, part)
    except UnknownCountry:
        if country not in countries():
            hint = did_you_mean(country, countries(), country_names())
            yield ParseProblem((*at, "country"), shown(country), hint + "an ISO 3166 country code such as US or DE")
        else:
            codes = subdivisions(country)
            hint = did_you_mean(part, codes, subdivision_names(country))
            allowed = f"{hint}a subdivision of {country}: {', '.join(codes) or 'it has none'}"
            yield ParseProblem((*at, "subdivision"), shown(part), allowed)


def _open_hours(document: Any) -> Iterator[ParseProblem]:
    """A calendar that is never open for a year, and clocks that would take decades of its hours."""
    written = _reach(document, ("calendar",))
    try:
        calendar = Calendar.model_validate(written)
        business = calendar.business_calendar()
    except (ValidationError, UnknownCountry):
        return
    first_days = [datetime.combine(day, time(0), UTC) for day in calendar.holidays.extra if 1900 <= day.year <= 2200]
    if any(business.elapsed(start, start + YEAR) < OPEN_A_YEAR_MIN for start in [REFERENCE, *first_days]):
        found = "a calendar without an open hour in a year"
        yield ParseProblem(("calendar", "hours"), found, "at least one open hour in every year")
        return
    open_hours_max = business.elapsed(REFERENCE, REFERENCE + YEAR) * YEARS_MAX
    for where, item in _items(document, ("sla", "clocks")):
        try:
            clock = Clock.model_validate(item)
        except ValidationError:
            continue
        share = max([1.0, clock.warn_at or 0.0, *(step.at for step in clock.escalate)])
        if clock.hours == "business" and clock.within * share > open_hours_max:
            allowed = f"a clock whose last moment comes within {YEARS_MAX} years of the calendar's open hours"
            yield ParseProblem((*where, "within"), shown(item["within"]), allowed)


def _promises(document: Any) -> Iterator[ParseProblem]:
    """A promise either counts a stage or is a share of one, and its target has the matching unit."""
    for where, promise in _items(document, ("sla", "promises")):
        is_count, is_share = "counts" in promise, "share_of" in promise
        if is_count == is_share:
            yield ParseProblem(where, shown(promise), "either counts or share_of")
            continue
        target, at = promise.get("at_least"), (*where, "at_least")
        if is_count and isinstance(target, str) and target.endswith("%"):
            yield ParseProblem(at, shown(target), "a count such as 120 (the promise counts leads)")
        if is_share and type(target) is int:
            yield ParseProblem(at, shown(target), "a percentage such as 40% (the promise is a share)")
        needed = [key for key in ("sourced_by", "that_reached") if key in promise]
        if is_count and needed:
            yield ParseProblem(
                (*where, needed[0]), needed[0], "counts with when; sourced_by and that_reached go with share_of"
            )
        if is_share and len(needed) != 1:
            found = " and ".join(needed) or "neither"
            yield ParseProblem(where, found, "share_of with one of sourced_by, that_reached")
