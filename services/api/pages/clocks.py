"""Clocks: what is due next, how promises were kept, how soon sales makes contact, and what was broken and why."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from services.api.pages.attained import Attained, attained, response_times
from services.api.pages.calls import Refused, path
from services.api.pages.causes import cause, wanted
from services.api.pages.people import people_of
from services.api.pages.promised import Promised, promised
from services.api.pages.reports import Reader, Reports
from services.api.pages.signing import in_effect
from services.api.pages.site import Site
from services.api.pages.visit import Visit

FILTERS: Final = ("owner", "team", "rule")
GROUPS: Final[Mapping[str, str]] = {"owner": "Owner", "team": "Team", "clock": "Promise", "week": "Week"}
PERIODS: Final[Mapping[str, str]] = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "a year"}
PERIOD: Final = "30"
RUNNING: Final = "open,warned,paused"
SHOWN: Final = 50
GROUPS_SHOWN: Final = 100
BROKEN_SHOWN: Final = 20
PROMISED_MAX: Final = 100  # two periods of each
_INVALID: Final = 422

Choices = dict[str, list[str]]


class Clocks:
    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        # By the version in effect, of which they are read once.
        self._choices: tuple[int, Choices] | None = None

    def register(self, site: Site) -> None:
        site.add("/clocks", self.show, name="clocks")

    async def show(self, visit: Visit) -> Response:
        asked = _asked(visit)
        reports = Reader(self._reports, visit)
        lists, on_many, kept, contact, choices = await asyncio.gather(
            _lists(visit, asked),
            _on_many_leads(reports, asked),
            _kept(reports, visit, asked),
            _contact(reports, visit, asked),
            self._choose(visit, asked),
        )
        return visit.render(
            "clocks.html",
            asked=asked,
            groups=GROUPS,
            periods=PERIODS,
            on_many=on_many,
            kept=kept,
            contact=None if contact is None else response_times(contact),
            choices=choices,
            has_old=reports.has_old,
            cause=cause,
            wanted=wanted,
            address=lambda **changes: _address(asked, changes),
            **lists,
        )

    async def _choose(self, visit: Visit, asked: Mapping[str, str]) -> Choices:
        """What may be chosen: names of the version in effect, and what is chosen already."""
        versions = await visit.api.ask(path("accords"), limit=SHOWN)
        effective = in_effect(versions["items"]) if versions else None
        if effective is None:
            return {name: _with([], asked.get(name)) for name in FILTERS}
        if self._choices is None or self._choices[0] != effective["version"]:
            accord = await visit.api.get(path("accords", effective["version"]))
            self._choices = (effective["version"], _named(accord["document"]))
        return {name: _with(self._choices[1][name], asked.get(name)) for name in FILTERS}


def _asked(visit: Visit) -> dict[str, str]:
    """What the address asks for; what it gets wrong counts as not said."""
    asked = {name: visit.query[name].strip() for name in FILTERS if visit.query.get(name, "").strip()}
    by, days = visit.query.get("by", ""), visit.query.get("days", "")
    return {**asked, "by": by if by in GROUPS else "owner", "days": days if days in PERIODS else PERIOD}


def _address(asked: Mapping[str, str], changes: Mapping[str, str | None]) -> str:
    wanted = {name: value for name, value in {**asked, **changes}.items() if value}
    return f"/clocks?{urlencode(wanted)}"


def _of(asked: Mapping[str, str]) -> dict[str, str]:
    return {name: asked[name] for name in FILTERS if name in asked}


def _period(visit: Visit, asked: Mapping[str, str]) -> dict[str, str]:
    since = visit.when.now - timedelta(days=int(asked["days"]))
    return {"from_": since.isoformat(), "to": visit.when.now.isoformat()}


async def _lists(visit: Visit, asked: Mapping[str, str]) -> dict[str, Any]:
    """What runs, what was broken, what was voided, and the leads of all of it."""
    of = _of(asked)
    running, broken, voided = await asyncio.gather(
        _listed(visit, "clocks", cursor=visit.query.get("after"), state=RUNNING, limit=SHOWN, **of),
        _listed(visit, "breaches", cursor=visit.query.get("before"), limit=BROKEN_SHOWN, **of),
        _listed(visit, "clocks", cursor=None, state="voided", sort="-deadline", limit=BROKEN_SHOWN, **of),
    )
    rows = [*running["items"], *broken["items"], *voided["items"]]
    people = await people_of(visit, rows)
    return {"running": running, "broken": broken, "voided": voided, "people": people}


async def _listed(visit: Visit, noun: str, *, cursor: str | None, **query: Any) -> Mapping[str, Any]:
    """One page of a list; its beginning where the place in it is no more, or never was."""
    try:
        listed: Mapping[str, Any] = await visit.api.get(path(noun), cursor=cursor, **query)
    except Refused as refused:
        if refused.status != _INVALID or cursor is None:
            raise
        listed = await visit.api.get(path(noun), **query)
    return listed


async def _on_many_leads(reports: Reader, asked: Mapping[str, str]) -> list[Promised]:
    """They are about all leads: nothing of them belongs to one owner, team or clock."""
    if _of(asked):
        return []
    found = await reports.ask("promises", limit=PROMISED_MAX)
    return [] if found is None else promised(found["items"])


async def _kept(reports: Reader, visit: Visit, asked: Mapping[str, str]) -> Attained | None:
    found = await reports.ask(
        "attainment", asked["days"], by=asked["by"], limit=GROUPS_SHOWN, **_of(asked), **_period(visit, asked)
    )
    return None if found is None else attained(found["items"], asked["by"], is_more=found["next"] is not None)


async def _contact(reports: Reader, visit: Visit, asked: Mapping[str, str]) -> Any:
    """Of all leads, or of one owner's: the report knows of no teams and of no single promise."""
    return await reports.ask("first-contact", asked["days"], owner=asked.get("owner"), **_period(visit, asked))


def _named(document: Mapping[str, Any]) -> Choices:
    """Owners, teams and promises of an agreement."""
    teams = document.get("routing", {}).get("teams", {})
    return {
        "owner": sorted({owner["owner"] for owners in teams.values() for owner in owners}),
        "team": sorted(teams),
        "rule": [clock["id"] for clock in document.get("sla", {}).get("clocks", [])],
    }


def _with(values: Sequence[str], chosen: str | None) -> list[str]:
    return [*values, chosen] if chosen is not None and chosen not in values else list(values)
