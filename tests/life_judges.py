"""What came of a line that was left to itself, against the slow references: from what stands on the log and from the
order of the histories alone."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from clocks_reference import Lead, Spoken, clock_names, promise_of
from scoring_reference import NEVER, Reference, Version
from stages_reference import reference
from whole_line import WholeLine

from shared.events import codec
from shared.events.activity import Activity, ProfileUpdated
from shared.events.envelope import Event
from shared.events.lifecycle import LeadAssigned, LeadQualified, SalesRecorded, StageChanged
from shared.events.sales import SalesAction
from shared.events.score import ScoreChanged
from shared.events.sla import ClockBreached, ClockEvent, ClockStarted
from shared.events.topics import ACTIVITY, LIFECYCLE, SALES, SCORE, SLA

Document = Mapping[str, Any]
SILENT = {"paused", "resumed"}
STATES = {"open": "running", "warned": "running", "paused": "running"}


async def decoded(house: WholeLine, topic: str) -> dict[UUID, tuple[Event, Any]]:
    """The events of a topic by their ids; one that came twice counts once."""
    return {event.id: (event, codec.decode(event)) for event in await house.told(topic)}


async def judge_scores(house: WholeLine, document: Document, lead_id: UUID) -> None:
    """Every score is what a look at all of the lead's history gives."""
    inputs, scores = await decoded(house, ACTIVITY), await decoded(house, SCORE)
    by_cause = {event.cause: payload for event, payload in scores.values()}
    slow = Reference([Version(1, NEVER, document)])
    history = await house.history("scoring", lead_id)
    assert len(history) == len({event.id for event, _ in inputs.values() if event.key == lead_id})
    for version, line in enumerate(history, 1):
        given = inputs[line["event_id"]][1]
        assert isinstance(given, Activity | ProfileUpdated)
        slow.take(given)
        score = by_cause[line["event_id"]]
        assert isinstance(score, ScoreChanged)
        assert score.engagement == pytest.approx(slow.engagement, abs=1e-9)
        assert (score.version, score.fit, score.grade, score.as_of) == (version, *slow.fit, slow.as_of)
    assert sum(1 for event, _ in scores.values() if event.key == lead_id) == len(history)


async def judge_stages(house: WholeLine, document: Document, lead_id: UUID) -> None:
    """Every transition is one of the table's, at its time; nothing else was told."""
    scores, actions = await decoded(house, SCORE), await decoded(house, SALES)
    told = defaultdict(list)
    for event, payload in (await decoded(house, LIFECYCLE)).values():
        told[event.cause].append(payload)
    slow = _Stage(document)
    history = await house.history("stages", lead_id)
    read = [event.id for event, _ in (*scores.values(), *actions.values()) if event.key == lead_id]
    assert sorted(read) == sorted(line["event_id"] for line in history)
    for line in history:
        event, given = (scores | actions)[line["event_id"]]
        if isinstance(given, SalesAction):
            slow.act(given, event.received_at, told[event.id])
        else:
            slow.score(given, event.received_at, told[event.id])
    stage = await house.pool.fetchrow("SELECT stage, version, owner FROM stages.leads WHERE lead_id = $1", lead_id)
    assert not history or tuple(stage) == (slow.stage, slow.version, slow.owner)


class _Stage:
    """Where one lead stands."""

    def __init__(self, document: Document) -> None:
        self._stages = document["stages"]
        self.stage, self.version = "lead", 0
        self.owner: str | None = None
        self._entered_at: datetime | None = None

    def score(self, given: ScoreChanged, received_at: datetime, told: list[Any]) -> None:
        is_back = self.stage == "recycled" and given.activity is not None and self._has_cooled_down(given)
        qualifies = given.engagement >= self._stages["mql"]["engagement"]["gte"] and (self.stage == "lead" or is_back)
        self._expect(["mql"] if qualifies else [], received_at, told)
        assert sum(isinstance(one, LeadQualified) for one in told) == qualifies
        for one in told:
            if isinstance(one, LeadQualified):
                assert (one.owner, one.reasons, one.engagement) == (self.owner, given.reasons, given.engagement)

    def _has_cooled_down(self, given: ScoreChanged) -> bool:
        hours = int(self._stages["recycle"]["cool_down"].removesuffix("h"))
        assert self._entered_at is not None
        assert given.activity_received_at is not None
        return given.activity_received_at >= self._entered_at + timedelta(hours=hours)

    def act(self, given: SalesAction, received_at: datetime, told: list[Any]) -> None:
        assert not any(isinstance(one, LeadQualified) for one in told)
        ignored = [one.ignored for one in told if isinstance(one, SalesRecorded)]
        is_overtaken = (given.if_stage_version is not None and given.if_stage_version != self.version) or (
            given.if_owner is not None and given.if_owner != self.owner
        )
        expected = reference(given.action, self.stage, self._stages["rejection_reasons"], given.reason)
        if is_overtaken:
            assert ignored == ["overtaken"]
        elif given.action == "assigned" and ignored == ["nobody else is active"]:
            assert given.owner is None
        elif not isinstance(expected, list):
            assert ignored == [expected]
        else:
            assert ignored in ([], [None])
            self._expect(expected, min(given.occurred_at, received_at), told)
            return
        assert len(told) == 1

    def _expect(self, entered: list[str], at: datetime, told: list[Any]) -> None:
        """These stages in this order, all but the last one implied; an owner with `mql`, and none without a word."""
        at = at if self._entered_at is None else max(at, self._entered_at)
        changes = [one for one in told if isinstance(one, StageChanged)]
        assert [(one.to_stage, one.implied, one.occurred_at, one.version) for one in changes] == [
            (stage, number < len(entered), at, self.version + number) for number, stage in enumerate(entered, 1)
        ]
        assigned = [one for one in told if isinstance(one, LeadAssigned)]
        assert len([one for one in assigned if "mql" in entered]) == ("mql" in entered)
        for one in assigned:
            assert one.previous_owner == self.owner
            self.owner = one.owner
        assert all(one.owner == self.owner for one in changes)
        if entered:
            self.stage, self._entered_at = entered[-1], at
            self.version += len(entered)


async def judge_clocks(house: WholeLine, document: Document, lead_id: UUID) -> None:
    """Every clock stands as the slow reference says, and said what it says."""
    lifecycle, said = await decoded(house, LIFECYCLE), await decoded(house, SLA)
    of_lead = [payload for event, payload in said.values() if event.key == lead_id]
    names = clock_names({one.clock_id: one for one in of_lead if isinstance(one, ClockStarted)})
    actions = await decoded(house, SALES)
    slow = Lead(document)
    for line in await house.history("sla", lead_id):
        if line["type"] == "tick":
            tick = msgspec.json.decode(line["body"])
            promise = promise_of(slow.promises, names[UUID(tick["clock_id"])])
            until, absent = datetime.fromisoformat(tick["until"]), tick.get("absent", ())
            slow.is_swept(promise, until, is_lagging=tick["is_lagging"], absent=absent)
            continue
        event, given = lifecycle[line["event_id"]]
        if isinstance(given, StageChanged):
            slow.enters(given, event.received_at)
        elif isinstance(given, SalesRecorded):
            slow.records(given)
        elif isinstance(given, LeadAssigned):
            asked = actions.get(event.cause) if event.cause else None
            sender = said[asked[0].cause][1] if asked and asked[0].cause in said else None
            asks = promise_of(slow.promises, names[sender.clock_id]) if sender else None
            slow.is_assigned(given, event.received_at, asks)
    await _compare(house, slow, of_lead, names)
    sent = defaultdict(list)
    for event, _ in actions.values():
        if event.key == lead_id and event.cause in said:
            sent[names[said[event.cause][1].clock_id]].append((said[event.cause][1].level, said[event.cause][1].then))
    assert dict(sent) == {_key(one): one.sent for one in slow.promises if one.sent}


async def _compare(house: WholeLine, slow: Lead, said: list[ClockEvent], names: Mapping[UUID, Any]) -> None:
    rows = await house.pool.fetch("SELECT * FROM sla.clocks WHERE clock_id = ANY($1::uuid[])", list(names))
    found = {(row["rule"], row["entry"], row["attempt"]): row for row in rows}
    assert sorted(found) == sorted(map(_key, slow.promises))
    for promise in slow.promises:
        row = found[_key(promise)]
        moments = {name: row[f"{name}_at"] for name in ("met", "breached", "resolved", "closed") if row[f"{name}_at"]}
        stands = (STATES.get(row["state"], row["state"]), row["started_at"], row["deadline"], moments)
        assert stands == (promise.state, promise.start, promise.deadline, promise.moments), _key(promise)
        assert row["owner"] == promise.owner
        spoken = [_spoken(one) for one in said if names[one.clock_id] == _key(promise)]
        assert [one for one in spoken if one.kind not in SILENT] == promise.told, _key(promise)


def _key(promise: Any) -> tuple[str, int, int]:
    return (promise.rule["id"], promise.entry, promise.attempt)


def _spoken(event: ClockEvent) -> Spoken:
    return Spoken(event.TYPE.rpartition(".")[2], event.level, event.to, event.then)


async def no_breach_was_false(house: WholeLine, document: Document) -> None:
    """What sales had said before a deadline was heard before its breach was announced, unless the line lagged."""
    stops = {clock["id"]: clock["stops"] for clock in document["sla"]["clocks"]}
    actions = [action for _, action in (await decoded(house, SALES)).values()]
    for _, event in (await decoded(house, SLA)).values():
        if not isinstance(event, ClockBreached) or event.lagging:
            continue
        in_time = [
            action
            for action in actions
            if (action.lead_id, action.action) == (event.lead_id, "contacted")
            and "contacted" in stops[event.rule]
            and action.received_at < event.deadline
            and event.started_at <= min(action.occurred_at, action.received_at)
        ]
        assert not in_time, (event, in_time)
