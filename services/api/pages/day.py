"""What happened in a day beside the day before it, and the funnel as it is drawn. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)
# What the funnel draws of a step that hardly anybody reached.
WIDTH_MIN: Final = 1.0

Step = Mapping[str, Any]

_ENTERED: Final = (
    ("lead", "New leads"),
    ("mql", "Qualified"),
    ("sal", "Accepted by sales"),
    ("opportunity", "Opportunities"),
    ("customer", "Customers won"),
)


class Figure(NamedTuple):
    """Of the last day, beside the day before it. `is_more`: there may be more of them than were counted."""

    name: str
    number: int
    before: int
    is_more: bool = False

    @property
    def words(self) -> str:
        """How it compares: `3 more than the day before`."""
        if self.is_more:
            return "and more"
        if self.before == 0:
            return "none the day before" if self.number else "as the day before"
        if self.number == self.before:
            return "as many as the day before"
        return (
            f"{abs(self.number - self.before):,} {'more' if self.number > self.before else 'fewer'} than the day before"
        )


class Drawn(NamedTuple):
    """A step of the funnel and its shape: how wide it is, and the next one, out of 100."""

    step: Step
    width: float
    next_width: float | None

    @property
    def bar(self) -> tuple[float, float]:
        """Where it begins and how wide it is."""
        return 50 - self.width / 2, self.width

    @property
    def slope(self) -> str:
        """From this step's edge to the next one's, as the points of a polygon 40 high of which the bar takes 26."""
        if self.next_width is None:
            return ""
        left, right = 50 - self.width / 2, 50 + self.width / 2
        below = 50 - self.next_width / 2, 50 + self.next_width / 2
        return f"{left:.2f},26 {right:.2f},26 {below[1]:.2f},40 {below[0]:.2f},40"


def drawn(steps: Sequence[Step]) -> list[Drawn]:
    """Widths in proportion to who entered."""
    most = max((step["entered"] for step in steps), default=0)
    widths = [max(WIDTH_MIN, 100 * step["entered"] / most) if most and step["entered"] else 0.0 for step in steps]
    following: list[float | None] = [*widths[1:], None]
    return [Drawn(*one) for one in zip(steps, widths, following, strict=True)]


def entered(steps: Sequence[Step], before: Sequence[Step]) -> list[Figure]:
    """Who entered which stage."""
    now, then = ({step["stage"]: step["entered"] for step in some} for some in (steps, before))
    return [Figure(name, now.get(stage, 0), then.get(stage, 0)) for stage, name in _ENTERED]


def broken(breaches: Sequence[Mapping[str, Any]], now: datetime, *, is_all: bool) -> Figure:
    """Promises that ran out; `breaches` are the latest, `is_all` says whether there are none before them."""
    at = [datetime.fromisoformat(one["breached_at"]) for one in breaches]
    last, before = sum(one > now - DAY for one in at), sum(now - 2 * DAY < one <= now - DAY for one in at)
    reaches_back = is_all or (bool(at) and at[-1] <= now - 2 * DAY)
    return Figure("Promises broken", last, before, is_more=not reaches_back)


def midnight(now: datetime, zone: ZoneInfo) -> datetime:
    """When the reader's day began."""
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)


def monday(now: datetime, zone: ZoneInfo) -> datetime:
    """When the reader's week began."""
    today = midnight(now, zone)
    return today - timedelta(days=today.weekday())


class Kept(NamedTuple):
    """Promises that were decided, and how many of them were kept."""

    met: int
    decided: int

    @property
    def share(self) -> float | None:
        return self.met / self.decided if self.decided else None


def kept(rows: Sequence[Mapping[str, Any]]) -> Kept:
    """All rows of an attainment together."""
    met = sum(row["met"] for row in rows)
    return Kept(met, met + sum(row["breached"] for row in rows))
