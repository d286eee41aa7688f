"""One lead of stages: its stored state and its transitions beside the fold of its history, and what it told."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import msgspec

from services.audit.comparing import describe, misnumbered
from services.audit.findings import Check, Findings
from services.audit.scoring_fold import ScoringFold
from services.stages import model, store
from shared.agreement.versions import Accords
from shared.events.lifecycle import LeadAssigned, SalesRecorded, Stage, StageChanged
from shared.events.sales import SalesAction

Row = Any
_ACTION = msgspec.json.Decoder(SalesAction)
_PACKED = {"state": lambda text: dict(zip(store.REST_FIELDS, msgspec.json.decode(text), strict=True))}
_EVENT_ID, _RECEIVED_AT, _BODY, _STAMP = map(store.HISTORY_COLUMNS.index, ("event_id", "received_at", "body", "stamp"))


class _Unexplained(Exception):
    """A score was applied that scoring's history doesn't give."""


class StagesFold:
    """What a lead's history in stages comes to. `told` are its lifecycle events, by id and type; all of them if it
    `is_whole`, that is, could be folded to its end."""

    def __init__(self, lead_id: UUID, history: Sequence[Row], scores: ScoringFold) -> None:
        self.told: list[tuple[UUID, str]] = []
        self.is_qualified = False
        self.is_whole = False
        self._lead_id = lead_id
        self._history = history
        self._scores = scores

    def compare(self, stored: Row | None, transitions: Sequence[Row], accords: Accords, findings: Findings) -> None:
        """Folds the whole history."""
        findings.saw(Check.STAGES, 1)
        findings.saw(Check.TRANSITIONS, len(transitions))
        state: model.State | None = None
        moved: list[tuple[Any, ...]] = []
        given: list[model.Load] = []
        number = 0
        try:
            for number, decision in enumerate(model.fold(self._lead_id, self._rows(), accords), 1):
                state = decision.state
                given += [decision.given] if decision.given else []
                moved += self._tell(self._history[number - 1][1], decision.payloads)
        except _Unexplained:
            if not self._scores.broken:
                what = "which scoring's history of this lead doesn't give"
                event_id = self._history[number][1]
                findings.note(Check.SCORES, f"stages.history: lead {self._lead_id} has applied {event_id}, {what}")
            return
        except Exception as error:
            what = f"can't be folded: number {number + 1} raises {type(error).__name__}"
            findings.note(Check.STAGES, f"stages.history: the inputs of lead {self._lead_id} {what}")
            return
        self.is_whole = True
        for load in given:
            findings.load(*load)
        self._compare_state(stored, state, findings)
        self._compare_transitions([tuple(row) for row in transitions], moved, findings)

    def _compare_state(self, stored: Row | None, state: model.State | None, findings: Findings) -> None:
        folded = state and store.state_row(state)
        if found := describe(store.STATE_COLUMNS, stored, folded, packed=_PACKED):
            what = f"{found}, by the fold of its {len(self._history)} inputs"
            findings.note(Check.STAGES, f"stages.leads: lead {self._lead_id}: {what}")
        if found := misnumbered([row[2] for row in self._history]):
            findings.note(Check.STAGES, f"stages.history: lead {self._lead_id}: {found}")

    def _compare_transitions(
        self, stored: list[tuple[Any, ...]], folded: list[tuple[Any, ...]], findings: Findings
    ) -> None:
        subject = f"stages.transitions: lead {self._lead_id}"
        if len(stored) != len(folded):
            findings.note(Check.TRANSITIONS, f"{subject} has {len(stored)}, its fold makes {len(folded)}")
            return
        for is_, should in zip(stored, folded, strict=True):
            if found := describe(store.TRANSITION_COLUMNS, is_, should):
                findings.note(Check.TRANSITIONS, f"{subject}, version {should[1]}: {found}")

    def _rows(self) -> Iterator[model.HistoryRow]:
        for row in self._history:
            if row[_BODY] is None and row[_STAMP] is None:  # most are, and need no more
                yield model.HistoryRow(self._score(row[_EVENT_ID]), row[_RECEIVED_AT])
                continue
            line = store.history_line(row)
            body = line.body
            item = self._score(line.event_id) if body is None else _ACTION.decode(body)
            yield model.HistoryRow(item, line.received_at, line.stamp)

    def _score(self, event_id: UUID) -> model.Score:
        score = self._scores.score(event_id)
        if score is None:
            raise _Unexplained
        return score

    def _tell(self, cause_id: UUID, payloads: Sequence[model.Told]) -> Iterator[tuple[Any, ...]]:
        """Notes what is told; gives the lines of its transitions."""
        for payload in payloads:
            event_id = model.told_id(cause_id, payload)
            self.told.append((event_id, payload.TYPE))
            if isinstance(payload, StageChanged):
                self.is_qualified |= payload.to_stage is Stage.MQL
                yield store.transition_row(model.TransitionLine(event_id, cause_id, payload))


# What sla_monitor reads of them; the rest is for delivery alone.
OF_CLOCKS = frozenset({StageChanged.TYPE, LeadAssigned.TYPE, SalesRecorded.TYPE})
