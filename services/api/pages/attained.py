"""How promises were kept and how soon sales made contact, from the api's reports to what a page draws. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from services.api.pages.columns import Column, Part, lying, standing
from services.api.pages.words import duration, share

DRAWN_MAX: Final = 20
_NOBODY: Final = "nobody"
_LATER: Final = "later"


class Attained(NamedTuple):
    """`rows` are those of the report, with the `name` of each; `chart` draws them."""

    rows: list[dict[str, Any]]
    chart: Markup
    met: int
    decided: int
    is_more: bool

    @property
    def share_met(self) -> float | None:
        return self.met / self.decided if self.decided else None


class ResponseTimes(NamedTuple):
    """The report on first contact, its buckets with a `name` and the `share` of all that qualified, and a chart."""

    report: Mapping[str, Any]
    buckets: list[dict[str, Any]]
    chart: Markup


def attained(items: Sequence[Mapping[str, Any]], by: str, *, is_more: bool) -> Attained:
    """Weeks stand side by side, in their order; all else lies one below the other, the most promises first."""
    is_week = by == "week"
    ordered = list(items) if is_week else sorted(items, key=lambda item: -item["started"])
    rows = [{**item, "name": _name(item["key"], is_week=is_week)} for item in ordered]
    columns = [
        Column(
            row["name"],
            (Part("met", row["met"]), Part("broken", row["breached"])),
            share(row["share_met"]) if row["share_met"] is not None else "",
        )
        for row in rows
    ]
    draw, drawn = (standing, columns) if is_week else (lying, columns[:DRAWN_MAX])
    met = sum(item["met"] for item in items)
    decided = met + sum(item["breached"] for item in items)
    return Attained(rows, draw(drawn, f"Promises met and broken by {by}"), met, decided, is_more)


def response_times(report: Mapping[str, Any]) -> ResponseTimes:
    """Buckets as the time that each begins and ends with; leads that nobody has contacted stand at the end."""
    buckets = []
    began = 0
    for bucket in report["buckets"]:
        until = bucket["up_to_seconds"]
        name = f"within {duration(until)}" if until is not None else f"after {duration(began)}"
        buckets.append(_bucket(name, bucket["leads"], report, _short(until)))
        began = until if until is not None else began
    buckets.append(_bucket("not contacted yet", report["not_contacted"], report, "not yet"))
    columns = [
        Column(
            bucket["short"],
            (Part("waiting" if bucket["short"] == "not yet" else "leads", bucket["leads"]),),
            str(bucket["leads"]) if bucket["leads"] else "",
        )
        for bucket in buckets
    ]
    return ResponseTimes(report, buckets, standing(columns, "Leads by the time until sales first made contact"))


def _bucket(name: str, leads: int, report: Mapping[str, Any], short: str) -> dict[str, Any]:
    part = leads / report["qualified"] if report["qualified"] else None
    return {"name": name, "leads": leads, "share": part, "short": short}


def _short(seconds: int | None) -> str:
    return _LATER if seconds is None else f"≤ {duration(seconds)}"


def _name(key: str | None, *, is_week: bool) -> str:
    if key is None:
        return _NOBODY
    if is_week:
        monday = date.fromisoformat(key)
        return f"{monday.day} {monday:%b}"
    return key
