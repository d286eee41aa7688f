"""How pages say things: times in the reader's zone with the instant on hover, durations, points, shares, stages."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup, escape

STAGES: Final[Mapping[str, str]] = {
    "lead": "Lead",
    "mql": "MQL",
    "sal": "SAL",
    "sql": "SQL",
    "opportunity": "Opportunity",
    "customer": "Customer",
    "recycled": "Recycled",
    "disqualified": "Disqualified",
}
STAGE_MEANINGS: Final[Mapping[str, str]] = {
    "lead": "Known, not yet qualified",
    "mql": "Marketing qualified: handed to sales",
    "sal": "Sales accepted",
    "sql": "Sales qualified",
    "opportunity": "Opportunity: a deal is open",
    "customer": "Customer: the deal was won",
    "recycled": "Recycled: back to marketing for a while",
    "disqualified": "Disqualified",
}
_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400
_ZONE_CHARACTERS_MAX: Final = 64
_NOTHING: Final = "–"


def zone_of(name: str | None) -> ZoneInfo:
    """The reader's zone as their browser names it; UTC where it names none that we know."""
    try:
        return ZoneInfo(name) if name and len(name) <= _ZONE_CHARACTERS_MAX else ZoneInfo("UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def instant(value: str | datetime) -> datetime:
    """From the api's RFC 3339 texts."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def duration(seconds: float | None) -> str:
    """Two units at most: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`. The whole of it is not negative."""
    if seconds is None:
        return _NOTHING
    whole = round(abs(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return _two(whole // _HOUR, "h", whole % _HOUR // _MINUTE, "min")
    return _two(whole // _DAY, "d", whole % _DAY // _HOUR, "h")


def points(value: float | None) -> str:
    """One digit after the point, unless it is whole: `42.5`, `60`; a true minus before what was taken."""
    if value is None:
        return _NOTHING
    text = f"{abs(value):.1f}".removesuffix(".0")
    return f"−{text}" if value < 0 and text != "0" else text


def signed(value: float) -> str:
    """As `points`, with a plus before what was given."""
    text = points(value)
    return text if value < 0 or text == "0" else f"+{text}"


def share(value: float | None) -> str:
    """`73 %`; of nothing a dash. What isn't all is never shown as 100 %."""
    if value is None:
        return _NOTHING
    percent = round(value * 100)
    return f"{min(percent, 99) if value < 1 else percent} %"


def count(value: int | float | None) -> str:
    """`12,345`."""
    if value is None:
        return _NOTHING
    return f"{value:,.1f}".removesuffix(".0")


def person(lead: Mapping[str, Any]) -> str:
    """What a lead is called: by name, else by email, else by the beginning of its id."""
    profile = lead.get("profile") or {}
    name = profile.get("name") or " ".join(
        str(part) for part in (profile.get("first_name"), profile.get("last_name")) if part
    )
    return str(name or lead.get("email") or f"Lead {str(lead['id'])[:8]}")


class When:
    """Times, as one reader sees them now."""

    def __init__(self, zone: ZoneInfo, now: datetime) -> None:
        self.zone = zone
        self.now = now

    def moment(self, value: str | datetime | None) -> Markup:
        """`14:05` of today, `Mon 23 Nov 14:05` of this year, else with the year."""
        return self._time(value, lambda at: self._words(at))

    def day(self, value: str | datetime | None) -> Markup:
        """`Mon 23 Nov`, with the year if it is another one."""
        return self._time(value, lambda at: self._date(at))

    def ago(self, value: str | datetime | None) -> Markup:
        """`12 min ago`, `in 3 h 20 min`."""
        return self._time(value, lambda at: self._distance(at))

    def span(self, from_: datetime, to: datetime) -> str:
        """`Fri 15:00–18:00`; `Fri 27 Nov 15:00 – Sat 28 Nov 02:00` where it ends on another day."""
        here, there = from_.astimezone(self.zone), to.astimezone(self.zone)
        if here.date() == there.date():
            return f"{here:%a %H:%M}–{there:%H:%M}"
        return f"{self._date(here)} {here:%H:%M} – {self._date(there)} {there:%H:%M}"

    def until(self, value: str | datetime | None) -> Markup:
        """As `ago`; the browser goes on counting."""
        if value is None:
            return Markup("–")
        at = instant(value)
        return Markup('<time datetime="{}" title="{}" data-countdown>{}</time>').format(
            at.astimezone(UTC).isoformat(), self._exactly(at), self._distance(at)
        )

    def _time(self, value: str | datetime | None, say: Any) -> Markup:
        if value is None:
            return Markup("–")
        at = instant(value)
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            at.astimezone(UTC).isoformat(), self._exactly(at), escape(say(at.astimezone(self.zone)))
        )

    def _words(self, at: datetime) -> str:
        if at.date() == self.now.astimezone(self.zone).date():
            return f"{at:%H:%M}"
        return f"{self._date(at)} {at:%H:%M}"

    def _date(self, at: datetime) -> str:
        is_this_year = at.year == self.now.astimezone(self.zone).year
        return f"{at:%a} {at.day} {at:%b}" + ("" if is_this_year else f" {at.year}")

    def _distance(self, at: datetime) -> str:
        away = at - self.now
        if abs(away) < timedelta(seconds=1):
            return "now"
        words = duration(away.total_seconds())
        return f"in {words}" if away > timedelta(0) else f"{words} ago"

    def _exactly(self, at: datetime) -> str:
        here = at.astimezone(self.zone)
        return f"{here:%Y-%m-%d %H:%M:%S} {self.zone.key} ({at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ})"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"
