"""What scoring keeps of one lead, and what it decides on one event.

Tuples and dicts, because a busy line makes a hundred thousand of them a second; for the same reason times inside
windows are microseconds since 1970.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID

from shared.agreement.decay import RuleTotal
from shared.events.activity import Activity, ProfileUpdated

Input = Activity | ProfileUpdated

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def instant(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


class WithheldReason(StrEnum):
    """Why a rule that matched granted less than its points."""

    AT_MOST = "limit reached"
    ONCE = "granted before"
    AFTER = "nothing it follows from"


class Grant(TypedDict):
    """What one rule granted to one activity: `shared.events.score.Grant`, ready to be encoded."""

    rule: str
    points: int
    withheld: int
    why: WithheldReason | None


class Window(NamedTuple):
    """What a rule must remember: (time, |points|) of its grants; or the times of what it follows from, with points 0.

    `forgotten` is the latest time that was dropped; everything kept is later.
    """

    forgotten: int | None
    kept: tuple[tuple[int, int], ...]


class Older(NamedTuple):
    """All of a lead, whatever its age: grants as (rule, time, points), activities as (type, time, data)."""

    grants: list[tuple[str, int, int]]
    activities: list[tuple[str, int, Mapping[str, Any]]]

    def remember(self, item: Input, received_at: datetime, grants: Iterable[Grant]) -> None:
        """Adds one event that was applied and what it was granted."""
        if isinstance(item, Activity):
            t = instant(min(item.occurred_at, received_at))
            self.activities.append((item.type, t, item.data))
            self.grants.extend((grant["rule"], t, grant["points"]) for grant in grants if grant["points"])


class State(NamedTuple):
    """All that the next event needs of one lead. `profile_at` also remembers when a field was removed.

    `totals` has a rule if and only if it ever granted, which is what `once` asks.
    """

    version: int = 0
    number: int = 0
    accord: int = 0
    as_of: datetime = EPOCH
    totals: Mapping[str, RuleTotal] = {}
    windows: Mapping[str, Window] = {}
    preceding: Mapping[str, Window] = {}
    profile: Mapping[str, Any] = {}
    profile_at: Mapping[str, int] = {}
    email: str | None = None
    source: str | None = None
    campaign: str | None = None
    first_source: str | None = None
    first_team: str | None = None
    engagement: float = 0.0
    fit: int = 0
    fit_rules: tuple[tuple[str, int], ...] = ()
    grade: str = ""


class Decision(NamedTuple):
    """The new state, the data of `accord.score.changed`, and the lines of the ledger."""

    state: State
    score: dict[str, Any]
    grants: Sequence[Grant]


class HistoryLine(NamedTuple):
    """One input as it was applied; `body` is the event's data as they came."""

    lead_id: UUID
    event_id: UUID
    number: int
    kind: Literal["activity", "profile"]
    received_at: datetime
    body: bytes


class LedgerLine(NamedTuple):
    """What one rule granted to one activity, or why it granted less."""

    lead_id: UUID
    event_id: UUID
    occurred_at: datetime
    received_at: datetime
    points: int
    withheld: int
    accord: int
    type: str
    rule: str
    why: str | None


class Batch(NamedTuple):
    """What one step saves."""

    states: dict[UUID, State]
    history: list[HistoryLine]
    ledger: list[LedgerLine]
