"""Why a promise counts as broken, or doesn't any more, in words that a sales lead understands. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.api.pages.aloud.sentence import listing
from services.api.pages.words import duration, instant
from shared.events.sales import Action

# What a lead has been when a clock's stop has happened.
DONE: Final[Mapping[str, str]] = {
    Action.ACCEPTED: "accepted",
    Action.REJECTED: "rejected",
    Action.QUALIFIED: "qualified",
    Action.OPPORTUNITY_OPENED: "made an opportunity",
    Action.WON: "won",
    Action.LOST: "lost",
    Action.RECYCLED: "recycled",
    Action.DISQUALIFIED: "disqualified",
    Action.REOPENED: "reopened",
    Action.ASSIGNED: "assigned",
    Action.CONTACTED: "contacted",
    Action.SNOOZED: "snoozed",
    Action.NOTE: "noted",
}


def wanted(stops: Sequence[str]) -> str:
    """`accepted, rejected or disqualified`."""
    return listing([DONE[Action(stop)] for stop in stops], "or")


def cause(clock: Mapping[str, Any]) -> str:
    """Of a clock as the api shows it: broken, resolved late, or voided."""
    deed = wanted(clock["stops"])
    if clock["state"] == "voided":
        late = _after_deadline(clock, "voided_at")
        took = "" if clock["response_seconds"] is None else f", after {_spent(clock)}"
        return f"It was {deed} in time{took}. Accord heard of it {late} after the deadline."
    told = f"It was not {deed} in time"
    if clock["resolved_at"] is not None:
        told += f", but {_after_deadline(clock, 'resolved_at')} late, after {_spent(clock)}."
    elif clock["closed_at"] is not None:
        told += ". It has left these stages since."
    else:
        told += ", and hasn't been since."
    if clock["lagging"]:
        told += " This was announced before all that had happened was read."
    return told


def _after_deadline(clock: Mapping[str, Any], name: str) -> str:
    return duration((instant(clock[name]) - instant(clock["deadline"])).total_seconds())


def _spent(clock: Mapping[str, Any]) -> str:
    hours = " of open hours" if clock["hours"] == "business" else ""
    return f"{duration(clock['response_seconds'])}{hours}"
