"""One lead of scoring: its stored state and its ledger beside the fold of its history, and the scores that it told."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.audit.comparing import describe, misnumbered
from services.audit.findings import Check, Findings
from services.scoring import model, store
from services.stages.model import Score
from shared.agreement.versions import Accords
from shared.events.activity import Activity, ProfileUpdated
from shared.events.base import LeadSnapshot
from shared.events.envelope import derived_id
from shared.events.score import ScoreChanged

HISTORY_COLUMNS = model.HistoryLine._fields
LEDGER_COLUMNS = ("lead_id", "event_id", "rule", "points", "withheld", "accord")
PARTIAL_COLUMNS = ("lead_id", "version", "number", "line")
_KINDS: Mapping[str, msgspec.json.Decoder[Any]] = {
    "rescore": msgspec.json.Decoder(model.Rescore),
    "activity": msgspec.json.Decoder(Activity),
    "profile": msgspec.json.Decoder(ProfileUpdated),
}
_PACKED = {"state": lambda text: store.decode_state(text)._asdict()}

Row = Any


class ScoringFold:
    """Folds as far as it is asked to: a lead's scores are never all in memory, only those not taken yet."""

    def __init__(self, lead_id: UUID, history: Sequence[Row], accords: Accords) -> None:
        self.broken: str | None = None
        self._lead_id = lead_id
        self._history = history
        self._decisions = model.fold(self._inputs(), accords)
        self._state: model.State | None = None
        self._grants: list[tuple[Any, ...]] = []
        self._folded = 0
        self._told: dict[UUID, Score] = {}

    def score(self, event_id: UUID) -> Score | None:
        """The score that this event told, once; None if the history gives no such score."""
        while event_id not in self._told:
            if not self._go_on():
                return None
        return self._told.pop(event_id)

    def finish(self) -> list[UUID]:
        """Folds the rest. Returns the ids of the scores that nobody took."""
        while self._go_on():
            pass
        return list(self._told)

    def regrant(self, partial: Row, accords: Accords, findings: Findings) -> None:
        """What a version has granted anew of a long history, when its rescore isn't done yet."""
        _, version, number, text = partial
        activities = (row for row in self._history if row[2] <= number and row[3] == "activity")
        done = [model.done_of(row[1], _KINDS["activity"].decode(row[5]), row[4]) for row in activities]
        regranted = model.regrant(done, accords.version(version))
        self._grant(regranted.earned)
        if store.decode_line(text) != store.decode_line(store.encode_line(regranted.line)):
            what = f"up to number {number} differs from what version {version} grants"
            findings.note(Check.SCORING, f"scoring.rescoring: lead {self._lead_id} {what}")

    def compare(self, stored: Row | None, ledger: Sequence[Row], partition: int, findings: Findings) -> None:
        """After `finish`, and `regrant` if a rescore isn't done."""
        findings.saw(Check.SCORING, 1)
        subject = f"scoring.leads: lead {self._lead_id}"
        if self.broken:
            findings.note(Check.SCORING, f"scoring.history: the inputs of lead {self._lead_id} {self.broken}")
            return
        folded = self._state and store.state_row(self._lead_id, self._state, partition)
        if found := describe(store.STATE_COLUMNS, stored, folded, packed=_PACKED):
            findings.note(Check.SCORING, f"{subject}: {found}, by the fold of its {len(self._history)} inputs")
        if found := misnumbered([row[2] for row in self._history]):
            findings.note(Check.SCORING, f"scoring.history: lead {self._lead_id}: {found}")
        self._compare_ledger(ledger, findings)

    def _compare_ledger(self, regranted: Sequence[Row], findings: Findings) -> None:
        """What the lines of the history say that they were granted, and what was granted besides."""
        lines = [tuple(row)[1:] for row in regranted]
        for _, event_id, *_, granted in self._history:
            if granted is not None:
                try:
                    accord, _, _, grants = store.decode_granted(granted)
                except msgspec.DecodeError:
                    what = f"lead {self._lead_id} has {event_id}, whose grants can't be read"
                    findings.note(Check.LEDGER, f"scoring.history: {what}")
                    continue
                lines += [(event_id, rule, points, withheld, accord) for rule, points, withheld, _ in grants]
        findings.saw(Check.LEDGER, len(lines))
        missing, unknown = _beside(lines, self._grants)
        if missing or unknown:
            what = f"{len(lines)} lines: {missing} that the fold grants are missing, {unknown} it doesn't grant"
            findings.note(Check.LEDGER, f"scoring.ledger: lead {self._lead_id} has {what}")

    def _inputs(self) -> Iterator[tuple[UUID, model.Input | model.Rescore, datetime]]:
        for _, event_id, _, kind, received_at, body, _ in self._history:
            yield event_id, _KINDS[kind].decode(body), received_at

    def _grant(self, earned: Iterable[model.Earned]) -> None:
        for done, accord, grants in earned:
            self._grants += [(done.event_id, g["rule"], g["points"], g["withheld"], accord) for g in grants]

    def _go_on(self) -> bool:
        """Folds one more input; False at the end, or at an input that can't be folded."""
        try:
            decision = next(self._decisions, None)
        except Exception as error:
            self.broken = f"can't be folded: number {self._folded + 1} raises {type(error).__name__}"
            return False
        if decision is None:
            return False
        event_id = self._history[self._folded][1]
        self._folded += 1
        self._state = decision.state
        accord = decision.state.accord
        self._grants += [(event_id, g["rule"], g["points"], g["withheld"], accord) for g in decision.grants]
        self._grant(decision.also)
        self._told[derived_id(event_id, ScoreChanged.TYPE)] = _score_of(decision.score)
        return True


def _score_of(told: Mapping[str, Any]) -> Score:
    """What stages decides on: its values come from JSON already. The reasons in words decide nothing."""
    return Score(
        engagement=told["engagement"],
        fit=told["fit"],
        grade=told["grade"],
        activity=told.get("activity"),
        activity_received_at=told.get("activity_received_at"),
        lead=LeadSnapshot(**told["lead"]),
        historical=told.get("historical", False),
    )


def _beside(stored: list[tuple[Any, ...]], folded: list[tuple[Any, ...]]) -> tuple[int, int]:
    """How many are missing in the table, and how many stand there that the fold doesn't give."""
    if sorted(stored) == sorted(folded):
        return 0, 0
    return (Counter(folded) - Counter(stored)).total(), (Counter(stored) - Counter(folded)).total()
