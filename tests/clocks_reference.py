"""ACCORD.md "Clocks" for one lead, slowly: every minute is looked at by itself, everything that was heard is kept, and
what counts is worked out anew each time. Whole minutes only. Shares no code with what it is compared to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
CLOSING = {"recycled", "disqualified", "customer"}
RUNNING, BREACHED, RESOLVED = "running", "breached", "resolved"

Document = Mapping[str, Any]


class Spoken(NamedTuple):
    """One announcement: what, at which level, who is told, what is done."""

    kind: str
    level: int | None = None
    to: str | None = None
    then: str | None = None


def minutes(duration: str) -> int:
    return int(duration[:-1]) * {"m": 1, "h": 60, "d": 1440}[duration[-1]]


def is_open(document: Document, at: datetime) -> bool:
    """Whether a wall clock shows an open minute. No range passes midnight, and there are no holidays."""
    local = at.astimezone(ZoneInfo(document["calendar"]["timezone"]))
    ranges = document["calendar"]["hours"].get(WEEKDAYS[local.weekday()], [])
    return any(from_ <= f"{local:%H:%M}" < to for from_, _, to in (text.partition("-") for text in ranges))


@dataclass
class Promise:
    """One clock; `told` is all that must have been announced of it, `sent` what must have gone back to sales."""

    rule: Mapping[str, Any]
    entry: int
    attempt: int
    start: datetime
    owner: str | None
    tried: tuple[str, ...] = ()
    state: str = RUNNING
    deadline: datetime = NEVER
    steps: int = 0
    done: int = 0
    moments: dict[str, datetime] = field(default_factory=dict)
    told: list[Spoken] = field(default_factory=list)
    sent: list[tuple[int, str]] = field(default_factory=list)

    @property
    def ladder(self) -> list[tuple[int, Spoken]]:
        """Each announcement that time makes, with its share of the time in percent."""
        steps = [(100, Spoken("breached"))]
        if "warn_at" in self.rule:
            steps.insert(0, (int(self.rule["warn_at"][:-1]), Spoken("warned")))
        for level, one in enumerate(self.rule.get("escalate", ()), 1):
            steps.append((int(one["at"][:-1]), Spoken("escalated", level, one["to"], one.get("then"))))
        return steps  # the accords of these tests name them in the order of their shares


class Lead:
    """One lead, fed with what was heard in the order heard."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.owner: str | None = None
        self.team: str | None = None
        self.promises: list[Promise] = []
        self._touches: list[tuple[str, datetime]] = []
        self._snoozes: list[tuple[datetime, datetime]] = []

    def enters(self, moved: Any, received_at: datetime) -> None:
        self.owner, self.team = moved.owner or self.owner, moved.team or self.team
        if moved.action is not None:
            self._stop(moved.action, moved.occurred_at)
        if moved.to_stage in CLOSING:
            for promise in self.promises:
                self._close(promise, moved.occurred_at)
        for rule in self._document["sla"]["clocks"]:
            if rule["starts"] == moved.to_stage and not moved.implied:
                self._begin(Promise(rule, moved.entry, 1, moved.occurred_at, self.owner), received_at)

    def records(self, recorded: Any) -> None:
        if recorded.ignored is not None:
            return
        at = recorded.occurred_at
        self._touches.append((recorded.action, at))
        if recorded.action == "snoozed" and recorded.until is not None and recorded.until > at:
            self._snoozes.append((at, recorded.until))
        self._stop(recorded.action, at)
        for promise in self.promises:
            self._recount(promise)

    def is_assigned(self, assigned: Any, received_at: datetime, sender: Promise | None) -> None:
        """`sender` is the clock whose escalation asked for another owner."""
        self.owner, self.team = assigned.owner, assigned.team
        if assigned.why in ("handed over", "reassigned"):
            self._stop("assigned", assigned.occurred_at, but=sender)
        if sender is not None and assigned.owner is not None and assigned.why == "reassigned":
            had = (*sender.tried, *((sender.owner,) if sender.owner else ()))
            is_over = sender.state not in (RUNNING, BREACHED) or "closed" in sender.moments
            if not is_over and assigned.owner not in had:
                if sender.state == RUNNING:
                    self._close(sender, assigned.occurred_at)
                again = Promise(
                    sender.rule, sender.entry, sender.attempt + 1, assigned.occurred_at, self.owner, tried=had
                )
                self._begin(again, received_at)
        for promise in self.promises:
            if promise.state == RUNNING:
                promise.owner = assigned.owner

    def is_swept(self, promise: Promise, until: datetime, *, is_lagging: bool, absent: Sequence[str]) -> None:
        """All of this clock that was due by then is told, and, unless the line lags, carried out."""
        free = self._successors(promise, absent)
        while promise.steps < len(promise.ladder) and self._moment(promise, promise.steps) <= until:
            self._take(promise, is_last_owner=not free)
        if is_lagging:
            return
        while promise.done < promise.steps and self._moment(promise, promise.done) <= until:
            _, step = promise.ladder[promise.done]
            promise.done += 1
            if step.then is not None and (step.then != "reassign" or free):
                promise.sent.append((step.level or 0, step.then))

    def _take(self, promise: Promise, *, is_last_owner: bool) -> None:
        _, step = promise.ladder[promise.steps]
        promise.steps += 1
        if step.kind == "breached":
            promise.state, promise.moments["breached"] = BREACHED, promise.deadline
        if step.then == "reassign" and is_last_owner:
            step = step._replace(to="manager", then=None)
        promise.told.append(step)

    def _successors(self, promise: Promise, absent: Sequence[str]) -> bool:
        if self.team is None:
            return True
        members = {one["owner"] for one in self._document["routing"]["teams"].get(self.team, ())}
        return bool(members - {*absent, *promise.tried, promise.owner})

    def _begin(self, promise: Promise, received_at: datetime) -> None:
        self.promises.append(promise)
        promise.told.append(Spoken("started"))
        promise.deadline = self._walk(promise, 100)
        if promise.deadline < received_at:
            promise.state = "late_start"
        for action, at in sorted(self._touches, key=lambda touch: touch[1]):
            if action in promise.rule["stops"]:
                self._judge(promise, at)

    def _stop(self, action: str, at: datetime, but: Promise | None = None) -> None:
        for promise in self.promises:
            if action in promise.rule["stops"] and promise is not but:
                self._judge(promise, at)

    def _judge(self, promise: Promise, at: datetime) -> None:
        if at < promise.start:
            return
        is_in_time = at <= promise.deadline
        if promise.state == RUNNING and is_in_time:
            self._settle(promise, "met", met=at)
        elif promise.state in (BREACHED, RESOLVED) and is_in_time:
            self._settle(promise, "voided")
        elif promise.state == RUNNING or (promise.state == BREACHED and "closed" not in promise.moments):
            self._break(promise)
            self._settle(promise, RESOLVED, resolved=at)

    def _close(self, promise: Promise, at: datetime) -> None:
        if promise.state == RUNNING and at <= promise.deadline:
            self._settle(promise, "cancelled", closed=at)
        elif promise.state in (RUNNING, BREACHED) and "closed" not in promise.moments:
            self._break(promise)
            promise.moments["closed"] = at

    def _break(self, promise: Promise) -> None:
        """By an event from after the deadline: who is told with the breach is told too, and nothing is done."""
        if promise.state != RUNNING:
            return
        promise.state, promise.moments["breached"] = BREACHED, promise.deadline
        promise.told.append(Spoken("breached"))
        of_it = [step for share, step in promise.ladder if share == 100 and step.level]
        promise.told += [step._replace(then=None) for step in of_it]

    def _settle(self, promise: Promise, state: str, **moments: datetime) -> None:
        promise.state = state
        promise.moments |= moments
        promise.told.append(Spoken(state))

    def _recount(self, promise: Promise) -> None:
        if promise.state not in (RUNNING, BREACHED, RESOLVED):
            return
        promise.deadline = self._walk(promise, 100)
        if promise.state == RESOLVED and promise.moments["resolved"] <= promise.deadline:
            self._settle(promise, "voided")

    def _moment(self, promise: Promise, step: int) -> datetime:
        """When this step is due; never, of a clock that is over."""
        if promise.state != RUNNING and (promise.state != BREACHED or "closed" in promise.moments):
            return datetime(9999, 1, 1, tzinfo=UTC)
        return self._walk(promise, promise.ladder[step][0])

    def _walk(self, promise: Promise, percent: int) -> datetime:
        """Minute by minute until this share has been counted."""
        left, at = minutes(promise.rule["within"]) * percent // 100, promise.start
        pauses = self._pauses() if promise.rule.get("pauses_while") else []
        while left:
            is_counted = promise.rule.get("hours") == "always" or is_open(self._document, at)
            left -= is_counted and not any(from_ <= at < to for from_, to in pauses)
            at += MINUTE
        return at

    def _pauses(self) -> list[tuple[datetime, datetime]]:
        """Each snooze until its time or the next touch."""
        contacts = [at for action, at in self._touches if action == "contacted"]
        return [(from_, min([to, *(at for at in contacts if at > from_)])) for from_, to in self._snoozes]


def promise_of(promises: Sequence[Promise], of: tuple[str, int, int]) -> Promise:
    """By rule, entry and attempt."""
    (found,) = [one for one in promises if (one.rule["id"], one.entry, one.attempt) == of]
    return found


def clock_names(started: Mapping[UUID, Any]) -> dict[UUID, tuple[str, int, int]]:
    """What each clock id stands for, as its first event says."""
    return {clock_id: (event.rule, event.entry, event.attempt) for clock_id, event in started.items()}
