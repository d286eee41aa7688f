"""Who the leads are and what they do over a year. Pure: a seed and a time in, activities in the order received out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.ingest.model import source_namespace
from services.simulate.paths import CAMPAIGNS, PAGES, PAPERS, SHOWS, WEBINARS
from services.simulate.people import DECISION_MAKERS, FIRST_NAMES, FREE_MAIL, LAST_NAMES, OTHERS, PRACTITIONERS
from shared.events.activity import Activity, ProfileUpdated
from shared.events.codec import event as make_event
from shared.events.envelope import Event, derived_id, named_id

YEAR: Final = timedelta(days=365)
LEADS_PER_COMPANY: Final = 6
INTEREST: Final = timedelta(days=20)  # how long somebody goes on, on average
_SHY_SHARE, _LATE_SHARE, _FREE_MAIL_SHARE = 0.1, 0.02, 0.12
_LATE_MAX: Final = timedelta(hours=20)
_UUID4: Final = 4 << 76 | 0b10 << 62
_UUID_BITS: Final = ~(0xF << 76 | 0b11 << 62)
_FORMS: Final = frozenset(
    {"whitepaper.downloaded", "webinar.attended", "cta.completed", "demo.requested", "tradeshow.scanned"}
)
_FIRST_WORDS: Final = ("North", "Blue", "Iron", "Maple", "Quartz", "Harbor", "Saint", "Copper", "Silver", "Prairie")
_LAST_WORDS: Final = (
    "Bearings",
    "Logistics",
    "Software",
    "Clinics",
    "Robotics",
    "Foods",
    "Energy",
    "Payments",
    "Tools",
)
_INDUSTRIES: Final = ("manufacturing", "logistics", "software", "healthcare", "retail", "food", "energy", "media")
_COUNTRIES: Final = ("US", "US", "US", "GB", "DE", "NO", "CA", "NL", "FR", "SE", "AU", "ES")
_EMPLOYEES: Final = (12, 34, 58, 75, 140, 180, 230, 410, 640, 900, 1_250, 2_300, 4_100, 8_800)


class Kind(NamedTuple):
    """A sort of lead: its share of all, and how often it does what."""

    share: int
    activities: dict[str, int]


KINDS: Final = {
    "passer_by": Kind(30, {"page.viewed": 88, "email.opened": 12}),
    "reader": Kind(
        40,
        {
            "page.viewed": 52,
            "email.opened": 18,
            "email.clicked": 16,
            "whitepaper.downloaded": 12,
            "webinar.attended": 2,
        },
    ),
    "booth_visitor": Kind(
        12,
        {"tradeshow.scanned": 14, "page.viewed": 46, "email.opened": 20, "email.clicked": 12, "survey.completed": 8},
    ),
    "buyer": Kind(
        12,
        {
            "page.viewed": 54,
            "whitepaper.downloaded": 14,
            "webinar.attended": 10,
            "survey.completed": 6,
            "cta.completed": 10,
            "demo.requested": 6,
        },
    ),
    "leaver": Kind(6, {"email.opened": 40, "email.clicked": 25, "page.viewed": 29, "email.unsubscribed": 6}),
}
_SOURCES: Final = {
    "email.opened": "newsletter",
    "email.clicked": "newsletter",
    "email.unsubscribed": "newsletter",
    "webinar.attended": "webinars",
    "survey.completed": "surveys",
    "tradeshow.scanned": "trade-shows",
}
SOURCES: Final = ("website", *dict.fromkeys(_SOURCES.values()))


@dataclass(frozen=True, slots=True)
class Prospect:
    """One lead. Without an email it is known by its cookie alone."""

    lead_id: UUID
    email: str | None
    visitor: str
    profile: dict[str, Any]

    @property
    def identifiers(self) -> dict[str, str]:
        return {"email": self.email} if self.email else {"anonymous_id": self.visitor}


class Posted(NamedTuple):
    """An event as it lies on the log, and its payload."""

    event: Event
    item: Activity | ProfileUpdated


class Prospects:
    """Some of the leads, who share companies with each other and with nobody else. `number` tells crowds apart."""

    def __init__(self, seed: int, number: int, leads: int, until: datetime) -> None:
        self.all: list[Prospect] = []
        self._random = Random(f"{seed}/{number}")
        self._number = number
        self._leads = leads
        self._until = until
        self._companies = [self._company(each) for each in range(max(1, leads // LEADS_PER_COMPANY))]

    def posted(self, activities: int) -> Iterator[Posted]:
        """What they do, `activities` in all and at least one each, lead by lead, each in the order received."""
        counts = [1] * self._leads
        for lead in self._random.choices(range(self._leads), k=activities - self._leads):
            counts[lead] += 1
        kinds = self._random.choices(list(KINDS), [kind.share for kind in KINDS.values()], k=self._leads)
        for lead, (count, kind) in enumerate(zip(counts, kinds, strict=True)):
            prospect = self._prospect(lead, kind)
            self.all.append(prospect)
            yield from self._life(prospect, lead, KINDS[kind], count)

    def _company(self, number: int) -> dict[str, Any]:
        random = self._random
        name = f"{random.choice(_FIRST_WORDS)} {random.choice(_LAST_WORDS)} {self._number}-{number}"
        return {
            "company": name,
            "employees": random.choice(_EMPLOYEES),
            "industry": random.choice(_INDUSTRIES),
            "country": random.choice(_COUNTRIES),
        }

    def _prospect(self, number: int, kind: str) -> Prospect:
        random = self._random
        first, last, company = random.choice(FIRST_NAMES), random.choice(LAST_NAMES), random.choice(self._companies)
        titles = random.choice((DECISION_MAKERS, DECISION_MAKERS if kind == "buyer" else OTHERS, PRACTITIONERS))
        domain = company["company"].lower().replace(" ", "-") + ".example"
        if random.random() < _FREE_MAIL_SHARE:
            domain = random.choice(FREE_MAIL)
        is_shy = kind == "passer_by" and random.random() < _SHY_SHARE / (KINDS[kind].share / 100)
        email = None if is_shy else f"{first}.{last}.{self._number}-{number}@{domain}".lower()
        profile = {"name": f"{first} {last}", "title": random.choice(titles), **company}
        lead_id = UUID(int=random.getrandbits(128) & _UUID_BITS | _UUID4)
        return Prospect(lead_id, email, f"v-{self._number}-{number}", profile)

    def _life(self, prospect: Prospect, number: int, kind: Kind, count: int) -> Iterator[Posted]:
        random = self._random
        types = random.choices(list(kind.activities), list(kind.activities.values()), k=count)
        campaign = random.choice(CAMPAIGNS)
        has_told = False
        for place, (occurred_at, received_at) in enumerate(self._times(count)):
            if random.random() < 0.1:
                campaign = random.choice(CAMPAIGNS)
            type_ = types[place]
            source = _SOURCES.get(type_, "website")
            id = named_id(source_namespace(source), f"{self._number}-{number}-{place}")
            about: dict[str, Any] = {
                "lead_id": prospect.lead_id,
                "occurred_at": occurred_at,
                "received_at": received_at,
                "source": source,
                "team": "marketing",
                "campaign": campaign,
                "identifiers": prospect.identifiers,
            }
            if not has_told and prospect.email and type_ in _FORMS:
                has_told = True
                yield _posted(ProfileUpdated(id=derived_id(id, ProfileUpdated.TYPE), fields=prospect.profile, **about))
            yield _posted(Activity(id=id, type=type_, data=_data(random, type_), **about))

    def _times(self, count: int) -> Sequence[tuple[datetime, datetime]]:
        """When each was done and when it was received, in the order received."""
        random = self._random
        first = self._until - YEAR * random.random()
        room = self._until - first
        found = []
        for place in range(count):
            after = INTEREST * random.expovariate(1.0) if place else timedelta()
            at = first + (after if after < room else room * random.random())
            late = (
                _LATE_MAX * random.random() if random.random() < _LATE_SHARE else timedelta(seconds=1 + random.random())
            )
            found.append((at, min(at + late, self._until)))
        return sorted(found, key=lambda times: times[1])


def _posted(item: Activity | ProfileUpdated) -> Posted:
    return Posted(make_event(item, id=item.id, time=item.occurred_at, received_at=item.received_at), item)


def _data(random: Random, type_: str) -> dict[str, Any]:
    if type_ == "page.viewed":
        path = "/pricing/teams" if random.random() < 0.08 else random.choice(PAGES)
        return {"path": path, "seconds": random.randint(4, 240)}
    if type_ == "whitepaper.downloaded":
        return {"paper": random.choice(PAPERS)}
    if type_ == "webinar.attended":
        return {"webinar": random.choice(WEBINARS), "minutes": random.randint(4, 55)}
    if type_ == "tradeshow.scanned":
        interest = random.choice(("demo", "pricing", "buying", "swag", "none", "none"))
        return {"show": random.choice(SHOWS), "booth": "B12", "interest": interest}
    if type_ == "survey.completed":
        return {"survey": "lead-handling-2026", "score": random.randint(1, 10)}
    if type_ in ("cta.completed", "demo.requested"):
        return {"form": "talk-to-us", "team_size": random.randint(3, 200)}
    return {"mail": f"news-{random.randint(1, 52)}"}
