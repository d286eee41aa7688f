"""What the benchmark posts: seeded plain events in the mix of a company that runs examples/accord.yaml.

Mostly page views, some clicks and downloads, few surveys and demo requests; a lead's first event carries its profile.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import to_json

Event = dict[str, Any]

_TYPES = {
    "page.viewed": 62,
    "email.clicked": 12,
    "whitepaper.downloaded": 11,
    "survey.completed": 5,
    "webinar.attended": 4,
    "cta.completed": 4,
    "demo.requested": 2,
}
_PATHS = ("/product", "/blog/lead-scoring", "/customers/northwind", "/docs/start", "/pricing", "/about/team")
_TITLES = ("VP Marketing", "Head of Growth", "Sales Manager", "Data Analyst", "Office Assistant", "Student", "CTO")
_INDUSTRIES = ("software", "logistics", "manufacturing", "retail", "education", "healthcare")
_COUNTRIES = ("US", "DE", "FR", "NL", "CA", "GB")


class Traffic:
    """Events of `run` over its own `leads`, the same for the same seed. Ids and emails are unique to the run."""

    def __init__(self, run: str, *, leads: int, seed: int) -> None:
        self._run = run
        self._leads = leads
        self._random = random.Random(f"{seed}/{run}")
        self._known: set[int] = set()
        self._number = 0

    def events(self, count: int, until: datetime) -> list[Event]:
        """The next events, a millisecond apart, the last at `until`."""
        return [self._event(until - timedelta(milliseconds=count - 1 - index)) for index in range(count)]

    def email(self, lead: int) -> str:
        return f"{self._run}.{lead}@company{lead % 997}.example"

    def good_profile(self) -> Event:
        """Of a lead with grade A, for whom one demo request is enough."""
        return {
            "title": "VP Marketing",
            "company": "Northwind",
            "employees": 400,
            "industry": "software",
            "country": "US",
        }

    def single(self, lead: int, type_: str, at: datetime, profile: Event | None = None) -> Event:
        """One event of this lead."""
        self._number += 1
        event: Event = {
            "id": f"{self._run}-{self._number}",
            "type": type_,
            "occurred_at": at.isoformat(),
            "lead": {"email": self.email(lead)},
            "source": "website",
            "campaign": "autumn-launch",
            "data": self._data(type_),
        }
        if profile:
            event["profile"] = profile
        return event

    def _event(self, at: datetime) -> Event:
        lead = self._random.randrange(self._leads)
        profile = None if lead in self._known else self._profile(lead)
        self._known.add(lead)
        type_ = self._random.choices(tuple(_TYPES), tuple(_TYPES.values()))[0]
        return self.single(lead, type_, at, profile)

    def _profile(self, lead: int) -> Event:
        pick = self._random.choice
        return {
            "title": pick(_TITLES),
            "company": f"Company {lead % 997}",
            "employees": pick((12, 80, 400, 1_500, 20_000)),
            "industry": pick(_INDUSTRIES),
            "country": pick(_COUNTRIES),
        }

    def _data(self, type_: str) -> Event:
        pick = self._random.choice
        came_by = {"utm_source": "newsletter", "utm_medium": "email", "session": f"{self._random.getrandbits(64):016x}"}
        if type_ == "page.viewed":
            return {"path": pick(_PATHS), "title": "Lead scoring that both sides signed", **came_by}
        if type_ == "webinar.attended":
            return {"webinar": "the-handoff", "minutes": self._random.randrange(5, 60), **came_by}
        return {"asset": f"asset-{self._random.randrange(40)}", "form": "standard", **came_by}


def batch_body(events: Sequence[Event]) -> bytes:
    """`{"events": [...]}`."""
    return to_json({"events": events})
