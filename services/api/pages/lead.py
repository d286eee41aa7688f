"""A lead: who, why, what is due by when, what happened, and what sales can do about it."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from services.api.pages import lead_actions, lead_life
from services.api.pages.calls import Refused, path
from services.api.pages.site import Site
from services.api.pages.standing import Qualified, qualified, rule_words, sentences, to_do
from services.api.pages.strip import pieces, strip
from services.api.pages.visit import Visit
from services.api.pages.waterfall import waterfall

TIMELINE_PAGE: Final = 40
PATH_MAX: Final = 100
CLOCKS_MAX: Final = 100
GRANTS_MAX: Final = 100
OWNERS_MAX: Final = 500
WAIT_SECONDS: Final = 5
_INVALID: Final = 422
_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_NOTHING: Final[Mapping[str, Any]] = {"items": ()}
_RUNNING: Final = ("open", "warned", "paused")

Items = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Moment:
    """The time as of which the page is; `at` None is now. `fault` says what is wrong with the time asked for."""

    at: datetime | None = None
    knows_later: bool = False
    fault: str | None = None

    @property
    def asked(self) -> dict[str, str]:
        """As the api takes it."""
        if self.at is None:
            return {}
        text = self.at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return {"at": text, "known": "now"} if self.knows_later else {"at": text}


class Found(NamedTuple):
    """What the api's calls gave."""

    lead: Mapping[str, Any]
    explanation: Mapping[str, Any]
    transitions: Mapping[str, Any]
    timeline: Mapping[str, Any]
    clocks: Items


@dataclass(frozen=True)
class Trial:
    """What was tried with a form, and what is wrong with it."""

    given: Mapping[str, str]
    faults: Mapping[str, str]


class LeadPage:
    """One lead. What sales does to it shows at once."""

    def __init__(self) -> None:
        self._reasons: dict[int, Mapping[str, str]] = {}

    def register(self, site: Site) -> None:
        site.add("/leads/{lead}", self.show, name="lead")
        site.on_post("/leads/{lead}", self.act, name="lead action")

    async def show(self, visit: Visit) -> Response:
        moment = _moment(visit)
        if moment.at is not None and moment.asked["at"] != visit.query["at"]:
            # A time without a zone is the reader's; in the address it is one for everybody.
            return visit.go(_address(visit), **moment.asked)
        return await self._page(visit, moment)

    async def act(self, visit: Visit) -> Response:
        body, faults = lead_actions.body_of(visit.form, visit.when.zone)
        if not faults:
            try:
                actions = path("leads", visit.request.path_params["lead"], "actions")
                answer = await visit.api.send("POST", actions, body, Prefer=f"wait={WAIT_SECONDS}")
            except Refused as refused:
                if refused.status != _INVALID:
                    raise
                faults = {str(error["path"]): str(error["message"]) for error in refused.errors}
            else:
                return visit.go(_address(visit), **_outcome(str(body["action"]), answer))
        return await self._page(visit, Moment(), Trial(visit.form, faults))

    async def _page(self, visit: Visit, moment: Moment, trial: Trial | None = None) -> Response:
        found = await _read(visit, moment)
        lead, explanation, moves = found.lead, found.explanation, found.transitions["items"][::-1]
        every = _by_urgency({clock["id"]: clock for clock in (*found.clocks, *lead["clocks"])}.values())
        was, actions = await asyncio.gather(_qualified(visit, lead, moves), self._actions(visit, lead, moment, trial))
        return visit.render(
            "lead.html",
            _INVALID if trial or moment.fault else 200,
            lead=lead,
            moment=moment,
            said=sentences(lead, every, visit.when, was),
            explanation=explanation,
            steps=waterfall(explanation, lead["mql"]["engagement"]),
            grants=explanation["grants"][::-1][:GRANTS_MAX],
            stays=lead_life.stays(moves),
            clocks=every,
            items=_told_items(found.timeline["items"], moment),
            timeline=found.timeline,
            shown=_shown(visit),
            kinds=lead_life.SHOWN,
            told=lead_life.told,
            strip=strip,
            pieces=pieces,
            to_do=to_do,
            rule_words=rule_words,
            actions=actions,
            address=lambda **changes: _address(visit, moment.asked, changes),
        )

    async def _actions(
        self, visit: Visit, lead: Mapping[str, Any], moment: Moment, trial: Trial | None
    ) -> dict[str, Any] | None:
        """What the forms offer; None for those who may not act, and in the past."""
        if moment.at is not None or not visit.may("leads:act"):
            return None
        owners, accords = await asyncio.gather(
            visit.api.ask(path("owners"), limit=OWNERS_MAX), visit.api.ask(path("accords"), limit=20)
        )
        return {
            "offers": lead_actions.offers(lead["stage"]),
            "rare": lead_actions.RARE,
            "channels": lead_actions.CHANNELS,
            "owners": _hands(owners, lead["owner"]),
            "reasons": await self._reasons_of(visit, accords),
            "tomorrow": _tomorrow(visit),
            "given": trial.given if trial else {},
            "faults": trial.faults if trial else {},
            "told": _told(visit),
        }

    async def _reasons_of(self, visit: Visit, accords: Mapping[str, Any] | None) -> Mapping[str, str] | None:
        """Those of the version in effect, and where each leads; None where the reader may not know."""
        effective = next(
            (one["version"] for one in (accords or _NOTHING)["items"] if one["state"] == "effective"), None
        )
        if effective is None:
            return None
        if effective not in self._reasons:
            accord = await visit.api.get(path("accords", effective))
            # A version never changes, and hardly more than one is asked for.
            self._reasons = {effective: accord["document"]["stages"].get("rejection_reasons") or {}}
        return self._reasons[effective]


async def _read(visit: Visit, moment: Moment) -> Found:
    """Everything that the page tells, as of the moment."""
    lead, asked = visit.request.path_params["lead"], moment.asked
    timeline, parts = path("leads", lead, "timeline"), {"order": "desc", "until": asked.get("at")}
    kinds = lead_life.SHOWN.get(_shown(visit), ())
    before = visit.query.get("before")
    return Found(
        *await asyncio.gather(
            visit.api.get(path("leads", lead), **asked),
            visit.api.get(path("leads", lead, "explanation"), **asked),
            visit.api.get(timeline, **parts, kind="transition", limit=PATH_MAX),
            visit.api.get(timeline, **parts, kind=",".join(kinds) or None, cursor=before, limit=TIMELINE_PAGE),
            _clocks(visit, lead, moment),
        )
    )


async def _clocks(visit: Visit, lead: str, moment: Moment) -> Items:
    """All that the lead ever had; of a time gone by only those that stood then are known, with the lead."""
    if moment.at is not None or not _ID.fullmatch(lead):
        return ()
    found = await visit.api.ask(path("clocks"), lead=lead, sort="-deadline", limit=CLOCKS_MAX)
    return found["items"] if found else ()


async def _qualified(visit: Visit, lead: Mapping[str, Any], moves: Items) -> Qualified | None:
    """How the score made it an MQL the last time, as it was known then."""
    made = [move["detail"] for move in moves if move["detail"]["to_stage"] == "mql"]
    if not made or made[-1]["implied"]:
        return None
    at = made[-1]["occurred_at"]
    then = await visit.api.get(path("leads", lead["id"], "explanation"), at=at)
    return qualified(at, then, waterfall(then, ()))


def _told_items(items: Items, moment: Moment) -> Items:
    if moment.at is not None and not moment.knows_later:
        items = lead_life.known_by(items, moment.at)
    return lead_life.without_repeats(items)


def _shown(visit: Visit) -> str:
    """The part of the timeline that is asked for; all without one."""
    asked = visit.query.get("show", "")
    return asked if asked in lead_life.SHOWN else ""


def _moment(visit: Visit) -> Moment:
    asked = visit.query.get("at")
    if asked is None:
        return Moment()
    try:
        at = lead_actions.local_time(asked, visit.when.zone)
    except ValueError as error:
        return Moment(fault=str(error))
    if at > visit.when.now:
        return Moment(fault="must not lie ahead")
    return Moment(at, knows_later=visit.query.get("known") == "now")


def _address(visit: Visit, *queries: Mapping[str, str | None]) -> str:
    """This page's, with what is asked for."""
    query = {name: value for each in queries for name, value in each.items() if value}
    return f"{visit.request.url.path}?{urlencode(query)}" if query else visit.request.url.path


def _outcome(action: str, answer: Mapping[str, Any]) -> dict[str, str]:
    """What the page that follows says."""
    if "stage" not in answer:
        return {"done": action, "pending": "1"}
    return {"done": action, "ignored": answer["ignored"]} if answer["ignored"] else {"done": action}


def _tomorrow(visit: Visit) -> str:
    """Nine o'clock, as a date-time input takes it."""
    return f"{visit.when.now.astimezone(visit.when.zone) + timedelta(days=1):%Y-%m-%dT09:00}"


def _told(visit: Visit) -> tuple[str, str] | None:
    """What is said of the action that led here, and in which tone."""
    done = lead_actions.DONE.get(visit.query.get("done", ""))
    if done is None:
        return None
    if ignored := visit.query.get("ignored"):
        return "fault", lead_actions.ignored_words(ignored)
    return "done", f"{done} {lead_actions.PENDING}" if visit.query.get("pending") else done


def _by_urgency(clocks: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What still runs by deadline, then what is over, the latest first."""
    running = [clock for clock in clocks if clock["state"] in _RUNNING]
    over = [clock for clock in clocks if clock["state"] not in _RUNNING]
    return [*sorted(running, key=_deadline), *sorted(over, key=_deadline, reverse=True)]


def _deadline(clock: Mapping[str, Any]) -> str:
    return str(clock["deadline"])


def _hands(owners: Mapping[str, Any] | None, present: str | None) -> list[str] | None:
    """To whom the lead can be handed over; None where the reader may not know."""
    if owners is None:
        return None
    return [one["owner"] for one in owners["items"] if one["state"] == "active" and one["owner"] != present]
