"""The schedule of a season: who does what, when and how it is posted, with duplicates and bad events among it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal, NamedTuple

from services.simulate.paths import CAMPAIGNS, PATHS, Deed, Path, booth_visitor, buyer, passer_by
from services.simulate.people import Person, make_person

PEOPLE = 170
SECONDS = 24.0  # from the first post to the last
EARLY_BUYERS = 4  # so that there is something to see at once
DUPLICATES = 18
WARM_UP_BATCH = 25
LIVE_BATCH = 4
CLOUD_EVENTS_EVERY = 12  # of the single posts

Form = Literal["plain", "cloudevent"]


class Post(NamedTuple):
    """One HTTP request, this many seconds after the start. `events` are bodies; a cloudevent stands alone."""

    at_seconds: float
    form: Form
    events: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Season:
    """Everything to post, in order, and what must come of it."""

    posts: tuple[Post, ...]
    people: int
    events: int
    duplicates: int
    bad: int


class _Event(NamedTuple):
    at_seconds: float
    is_warm_up: bool
    body: dict[str, Any]


def season(
    seed: int, started_at: datetime, *, series: int = 0, people: int = PEOPLE, seconds: float = SECONDS
) -> Season:
    """`series` numbers the seasons of one seed: another one has other people and other ids."""
    random = Random(f"{seed}/{series}")  # noqa: S311 - a simulation, no secret
    events: list[_Event] = []
    for number in range(people):
        path = buyer if number < EARLY_BUYERS else _path(random)
        is_shy = path is passer_by and random.random() < 0.5
        person = make_person(random, number, series, is_buyer=path in (buyer, booth_visitor), is_shy=is_shy)
        arrives_at = 0.4 + number * 0.3 if number < EARLY_BUYERS else random.uniform(0.5, max(1.0, seconds - 4))
        events += _events(random, person, path(random), arrives_at, started_at)
    events.sort(key=_time)
    good = [event._replace(body={"id": f"s{series}-{i:05}", **event.body}) for i, event in enumerate(events)]
    again = random.sample(good, min(DUPLICATES, len(good)))
    repeated = [event._replace(at_seconds=event.at_seconds + 1.0) for event in again]
    bad = _bad_events(random, series, seconds, started_at)
    everything = sorted([*good, *repeated, *bad], key=_time)
    return Season(_posts(everything), people, len(everything), len(repeated), len(bad))


def _path(random: Random) -> Path:
    paths, weights = zip(*PATHS, strict=True)
    chosen: Path = random.choices(paths, weights)[0]
    return chosen


def _events(random: Random, person: Person, deeds: list[Deed], arrives_at: float, started_at: datetime) -> list[_Event]:
    """History is posted when the person arrives; the rest follows deed by deed, as fast as people click."""
    campaign = random.choice(CAMPAIGNS)
    at = arrives_at
    events = []
    history = sorted((deed for deed in deeds if deed.age_seconds), key=lambda deed: -deed.age_seconds)
    present = [deed for deed in deeds if not deed.age_seconds]
    for deed in (*history, *present):
        at += 0.0 if deed.age_seconds else random.uniform(0.3, 0.9)
        occurred_at = started_at + timedelta(seconds=at - deed.age_seconds)
        events.append(_Event(at, deed.age_seconds > 0, _body(person, deed, campaign, occurred_at)))
    return events


def _body(person: Person, deed: Deed, campaign: str, occurred_at: datetime) -> dict[str, Any]:
    lead = {"anonymous_id": person.visitor} if deed.is_anonymous or person.email is None else {"email": person.email}
    if deed.source == "website":
        lead["anonymous_id"] = person.visitor
    body: dict[str, Any] = {"type": deed.type, "occurred_at": _text(occurred_at), "lead": lead, "data": deed.data}
    if deed.tells_profile:
        body["profile"] = person.profile()
    return {**body, "source": deed.source, "campaign": campaign}


def _bad_events(random: Random, series: int, seconds: float, started_at: datetime) -> list[_Event]:
    """What tools do send: misspelt types, forms without an address, dates of another country, actions nobody knows."""
    email = {"email": f"nobody{series}@harborquay.example"}
    now = _text(started_at)
    bodies: list[dict[str, Any]] = [
        {"type": "Whitepaper Downloaded!", "lead": email, "occurred_at": now},
        {"type": "whitepaper.downloaded", "lead": {}, "occurred_at": now},
        {"type": "survey.completed", "lead": email, "occurred_at": "24.12.2026 um acht"},
        {"type": "sales.befriended", "lead": email, "occurred_at": now},
        {"type": "page.viewed", "lead": email, "occurred_at": "1997-05-01T00:00:00Z"},
        {"type": "page.viewed", "lead": {"email": "not an address"}, "occurred_at": now},
        {"type": "cta.completed", "lead": email, "occurred_at": now, "shoe_size": 44},
        {"type": "webinar.attended", "lead": email, "data": "forty minutes", "occurred_at": now},
        {"lead": email, "occurred_at": now},
    ]
    times = sorted(random.uniform(1.0, seconds) for _ in bodies)
    named = ({"id": f"s{series}-bad-{number}", **body} for number, body in enumerate(bodies))
    return [_Event(at, False, body) for at, body in zip(times, named, strict=True)]


def _posts(events: list[_Event]) -> tuple[Post, ...]:
    """Neighbours in time travel together: history in big batches, live events alone or a few at a time."""
    posts: list[Post] = []
    batch: list[_Event] = []
    for event in events:
        if batch and not _belongs(batch, event):
            posts.append(_post(batch, len(posts)))
            batch = []
        batch.append(event)
    if batch:
        posts.append(_post(batch, len(posts)))
    return tuple(posts)


def _belongs(batch: list[_Event], event: _Event) -> bool:
    """A batch is posted at the time of its last event, so nothing in it waits for more than half a second."""
    room = WARM_UP_BATCH if event.is_warm_up else LIVE_BATCH
    is_near = event.at_seconds - batch[0].at_seconds < 0.5
    return is_near and len(batch) < room and batch[0].is_warm_up == event.is_warm_up


def _post(batch: list[_Event], number: int) -> Post:
    at = batch[-1].at_seconds
    body = batch[0].body
    if len(batch) == 1 and number % CLOUD_EVENTS_EVERY == 0 and "-bad-" not in body["id"]:
        return Post(at, "cloudevent", (_cloud_event(body),))
    return Post(at, "plain", tuple(event.body for event in batch))


def _cloud_event(body: dict[str, Any]) -> dict[str, Any]:
    """The same event as a CloudEvent."""
    attributes = {name: body[name] for name in ("id", "source", "type")}
    data = {name: body[name] for name in ("lead", "profile", "data", "campaign") if name in body}
    return {"specversion": "1.0", **attributes, "time": body["occurred_at"], "data": data}


def _time(event: _Event) -> float:
    return event.at_seconds


def _text(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
