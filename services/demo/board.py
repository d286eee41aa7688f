"""What the demo knows at a moment: what both views show, and what the last line adds up."""

from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

BREACHES_SHOWN = 4
REASONS_SHOWN = 5


@dataclass
class Counts:
    """The numbers of the last line. Posted to rejected as ingest answered, leads to breached as the API says."""

    posted: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    leads: int = 0
    qualified: int = 0
    met: int = 0
    breached: int = 0
    delivered: int = 0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "seconds": round(self.seconds, 1)}


class Qualified(NamedTuple):
    """A qualified lead as the webhook tells it."""

    lead_id: str
    who: str
    email: str | None
    owner: str | None
    engagement: float
    fit: int
    grade: str
    reasons: tuple[tuple[str, float], ...]
    due: str | None

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> "Qualified":
        data = event["data"]
        lead = data["lead"]
        due = data.get("due")
        return cls(
            lead_id=event["subject"],
            who=who_of(lead),
            email=lead.get("email"),
            owner=data.get("owner"),
            engagement=data["engagement"],
            fit=data["fit"],
            grade=data["grade"],
            reasons=tuple((reason["words"], reason["points"]) for reason in data.get("reasons", ())[:REASONS_SHOWN]),
            due=due["rule"] if due else None,
        )


class RunningClock(NamedTuple):
    """A clock that counts down."""

    rule: str
    lead_id: str
    owner: str | None
    state: str
    deadline: datetime


class Breach(NamedTuple):
    """A broken promise as the webhook tells it."""

    rule: str
    who: str
    owner: str | None
    announced_after_seconds: float


def who_of(lead: dict[str, Any]) -> str:
    """A person in a few words."""
    profile = lead.get("profile") or {}
    name = " ".join(profile[part] for part in ("first_name", "last_name") if part in profile)
    job = ", ".join(profile[part] for part in ("title", "company") if part in profile)
    return " — ".join(part for part in (name or lead.get("email") or "somebody", job) if part)


@dataclass
class Board:
    """Written by the demo's tasks, read by the view; `news` are sentences not yet told."""

    url: str
    key: str
    counts: Counts = field(default_factory=Counts)
    first: Qualified | None = None
    names: dict[str, str] = field(default_factory=dict)
    clocks: list[RunningClock] = field(default_factory=list)
    breaches: deque[Breach] = field(default_factory=lambda: deque(maxlen=BREACHES_SHOWN))
    change: str = ""
    alertmanager: str = ""
    alerts: dict[str, str] = field(default_factory=dict)
    alerts_seen: set[str] = field(default_factory=set)
    news: deque[str] = field(default_factory=lambda: deque(maxlen=1_000))

    @property
    def today(self) -> str:
        """The page Today. What stands behind the # stays in the browser, which signs in with it."""
        return f"{self.url}/sign-in#{self.key}"

    def tell_qualified(self, qualified: Qualified) -> None:
        self.names[qualified.lead_id] = qualified.who
        why = ", ".join(f"{words} {points:+.0f}" for words, points in qualified.reasons)
        score = f"engagement {qualified.engagement:.0f}, fit {qualified.fit} ({qualified.grade})"
        self.news.append(f"qualified: {qualified.who}; {score}; because {why}; goes to {qualified.owner}")
        self.first = self.first or qualified

    def tell_chat(self, text: str) -> None:
        """What people read in their chat."""
        self.news.append(f"chat: {text}")

    def tell_alerts(self, firing: dict[str, str]) -> None:
        """The summaries of what fires in Alertmanager now, by their fingerprints."""
        self.alerts = firing
        for fingerprint, summary in firing.items():
            if fingerprint not in self.alerts_seen:
                self.alerts_seen.add(fingerprint)
                self.news.append(f"firing in Alertmanager: {summary}")

    def tell_change(self, words: str) -> None:
        """What happens to the accord itself."""
        self.change = words
        self.news.append(words)

    def addresses(self) -> list[tuple[str, str]]:
        """What to look at while it runs."""
        lead = self.first.lead_id if self.first else "{id}"
        curl = f"curl -s -H 'Authorization: Bearer {self.key}' '{self.url}"
        alertmanager = [("Alertmanager", self.alertmanager)] if self.alertmanager else []
        return [
            ("Today", self.today),
            *alertmanager,
            ("API documentation", f"{self.url}/docs"),
            ("metrics", f"{self.url}/metrics"),
            ("qualified leads", f"{curl}/v1/leads?stage=mql'"),
            ("broken promises", f"{curl}/v1/breaches'"),
            ("why this score", f"{curl}/v1/leads/{lead}/explanation'"),
        ]
