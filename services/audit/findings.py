"""What an audit looks at, how much of it there was, and what differs: bounded, in words, without personal data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

SHOWN_MAX = 20


class Check(StrEnum):
    """One thing that must always hold. The value is its name for machines."""

    NUMBERS = "numbers"
    OFFSETS = "offsets"
    POSITIONS = "positions"
    REPEATED = "repeated"
    SHIPPED = "shipped"
    ACCEPTED = "accepted"
    APPLIED = "applied"
    ORIGINS = "origins"
    SCORES = "scores"
    LIFECYCLE = "lifecycle"
    DELIVERY = "delivery"
    SCORING = "scoring"
    LEDGER = "ledger"
    STAGES = "stages"
    TRANSITIONS = "transitions"
    SLA = "sla"
    CLOCKS = "clocks"
    ANNOUNCEMENTS = "announcements"
    EFFECTS = "effects"
    ONE_CLOCK = "one_clock"
    OUTCOMES = "outcomes"
    PROMISES = "promises"
    TURNS = "turns"
    LOADS = "loads"
    REPORTS = "reports"
    NOBODIES = "nobodies"


# What each check says when it holds, and what it counts.
MEANING: Mapping[Check, tuple[str, str]] = {
    Check.NUMBERS: ("emitters' numbers have no gap", "events"),
    Check.OFFSETS: ("offsets have no gap", "partitions"),
    Check.POSITIONS: ("no reader skipped, or is ahead of an emitter", "positions"),
    Check.REPEATED: ("each event lies on its topic once", "events"),
    Check.SHIPPED: ("the outbox has all that isn't shipped", "emitters"),
    Check.ACCEPTED: ("accepted ids: one history or dead letter", "ids"),
    Check.APPLIED: ("events read are in the reader's history", "events"),
    Check.ORIGINS: ("inputs were accepted, or lay on the log", "inputs"),
    Check.SCORES: ("scores told are applied by stages", "scores"),
    Check.LIFECYCLE: ("transitions told are applied by sla_monitor", "events"),
    Check.DELIVERY: ("all that was told is kept by delivery", "events"),
    Check.SCORING: ("scores equal the fold of their history", "leads"),
    Check.LEDGER: ("grants equal that fold", "grants"),
    Check.STAGES: ("stages equal the fold of their history", "leads"),
    Check.TRANSITIONS: ("transitions equal that fold", "transitions"),
    Check.SLA: ("promises equal the fold of their history", "leads"),
    Check.CLOCKS: ("clocks equal that fold", "clocks"),
    Check.ANNOUNCEMENTS: ("announcements equal that fold", "announcements"),
    Check.EFFECTS: ("what escalations sent is applied by stages", "actions"),
    Check.ONE_CLOCK: ("one clock per promise and stage entry", "clocks"),
    Check.OUTCOMES: ("clocks are met or breached once", "announcements"),
    Check.PROMISES: ("who counts for promises equals that fold", "entries"),
    Check.TURNS: ("each turn of a team was taken once", "turns"),
    Check.LOADS: ("all leads given to owners are counted", "owners' days"),
    Check.REPORTS: ("reports are counted from what is published", "rows"),
    Check.NOBODIES: ("what remains of erased leads has no other id", "nobodies"),
}


@dataclass
class Findings:
    """What one part of an audit found. Parts are added up; the first differences of each check are kept. `lacks` are
    events that their reader lacks: differences, unless as many may lie on Kafka alone (see `settle`). `loads` is how
    many leads the folds gave to an owner on a day."""

    checked: dict[Check, int] = field(default_factory=dict)
    differences: dict[Check, int] = field(default_factory=dict)
    lacks: dict[Check, int] = field(default_factory=dict)
    first: dict[Check, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    loads: dict[tuple[str, date], int] = field(default_factory=dict)

    def saw(self, check: Check, count: int) -> None:
        """So many of what this check counts were looked at."""
        self.checked[check] = self.checked.get(check, 0) + count

    def note(self, check: Check, sentence: str, count: int = 1) -> None:
        """A difference in words; `count` when the sentence stands for several."""
        self.differences[check] = self.differences.get(check, 0) + count
        first = self.first.setdefault(check, [])
        if len(first) < SHOWN_MAX:
            first.append(sentence)

    def lack(self, check: Check, sentence: str, count: int = 1) -> None:
        """A reader lacks an event that is neither in this database's part of the line nor a dead letter."""
        self.lacks[check] = self.lacks.get(check, 0) + count
        self.note(check, sentence, count)

    def settle(self, elsewhere: Mapping[Check, int]) -> None:
        """At the end: a check that found nothing but lacks, and no more of them than lie `elsewhere`, found nothing."""
        for check, count in self.lacks.items():
            if count == self.differences[check] and count <= elsewhere.get(check, 0):
                del self.differences[check], self.first[check]

    def load(self, owner: str, day: date, leads: int = 1) -> None:
        """The folds gave this owner so many leads on this day."""
        self.loads[owner, day] = self.loads.get((owner, day), 0) + leads

    def tally(self, what: str, count: int) -> None:
        """Counts that a person compares the verdict with."""
        self.counts[what] = self.counts.get(what, 0) + count

    def add(self, other: "Findings") -> None:
        """Takes in what another part found."""
        for check, count in other.checked.items():
            self.saw(check, count)
        for check, count in other.differences.items():
            self.differences[check] = self.differences.get(check, 0) + count
        for check, count in other.lacks.items():
            self.lacks[check] = self.lacks.get(check, 0) + count
        for check, sentences in other.first.items():
            first = self.first.setdefault(check, [])
            first.extend(sentences[: SHOWN_MAX - len(first)])
        for what, count in other.counts.items():
            self.tally(what, count)
        for owner, day in other.loads:
            self.load(owner, day, other.loads[owner, day])
