"""What scoring keeps of one lead, and what it decides on one event.

A state is made of what JSON is made of, with times in microseconds since 1970, so that loading one is a single call:
a busy line loads and saves ten thousand of them a second. What stands in a state is never changed, only replaced.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID

from shared.events.activity import Activity, ProfileUpdated

Input = Activity | ProfileUpdated

# What all grants of one rule are worth together, at that time, and how many they were: they decay alike.
Total = Sequence[Any]  # [worth: float, at: int, count: int]
# What a limit or a precondition remembers: the latest time that was forgotten, and [time, |points|] of all later ones.
Window = Sequence[Any]  # [forgotten: int | None, kept: list[[at: int, points: int]]]


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


class Done(NamedTuple):
    """One activity of a lead's history, as far as rules ask: `t` is when it counts, both times in microseconds."""

    event_id: UUID
    type: str
    t: int
    received: int
    data: Mapping[str, Any]


Granted = tuple[str, int, int]  # rule, time, points


class Older(NamedTuple):
    """All of a lead under one version, whatever its age."""

    grants: Sequence[Granted]
    activities: Sequence[Done]


class Earned(NamedTuple):
    """What one activity was granted under one version."""

    done: Done
    accord: int
    grants: Sequence[Grant]


class State(NamedTuple):
    """All that the next event needs of one lead. `profile_at` also remembers when a field was removed.

    `totals` has a rule if and only if it ever granted, which is what `once` asks.
    """

    version: int = 0
    number: int = 0
    accord: int = 0
    as_of: int = 0
    totals: Mapping[str, Total] = {}
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
    fit_rules: Sequence[Sequence[Any]] = ()
    grade: str = ""


class Decision(NamedTuple):
    """The new state, the data of `accord.score.changed`, what the activity was granted under the state's version, and
    what else goes into the ledger: a late activity's grants under earlier versions, or all those of a rescore."""

    state: State
    score: dict[str, Any]
    grants: Sequence[Grant]
    also: Sequence[Earned] = ()


class HistoryLine(NamedTuple):
    """One input as it was applied; `body` is the event's data as they came. `granted` is what it was granted then, as
    JSON (`Kept`)."""

    lead_id: UUID
    event_id: UUID
    number: int
    kind: Literal["activity", "profile", "rescore"]
    received_at: datetime
    body: bytes
    granted: str | None = None


class Kept(NamedTuple):
    """What the line of an activity keeps of its grants: [rule, points, withheld, why] each. `t` is when it counts, in
    microseconds."""

    accord: int
    t: int
    type: str
    grants: Sequence[tuple[str, int, int, str | None]]


class LedgerLine(NamedTuple):
    """What one rule granted to one activity after it was applied, or why it granted less."""

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


@dataclass(slots=True)
class Tally:
    """How far one step brought the rescore under one version. `joined`: leads that are new, and were first scored under
    an earlier one; `older` are the versions before it."""

    older: Sequence[int]
    joined: int = 0
    done: int = 0
    changed: int = 0
    newly_qualifying: int = 0


class Batch(NamedTuple):
    """What one step saves. `granted` counts what its activities were granted, by why it was less; `regranted` has what
    was granted besides: under earlier versions, or by a rescore. Tallies by version."""

    states: dict[UUID, State]
    history: list[HistoryLine]
    granted: Counter[WithheldReason | None]
    regranted: list[LedgerLine]
    tallies: dict[int, Tally]
