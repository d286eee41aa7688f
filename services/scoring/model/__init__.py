"""What a lead is worth, as a fold over its history (ACCORD.md "Engagement", "Fit and grade")."""

from services.scoring.model.decisions import apply, decide_on, fold, is_late, may_need_older
from services.scoring.model.grants import HORIZON
from services.scoring.model.past import Past, done_of
from services.scoring.model.rescoring import (
    EMPTY,
    Line,
    Regranted,
    Rescore,
    Rescored,
    needs_older,
    regrant,
    rescore,
    rescore_id,
)
from services.scoring.model.rules import instant, moment_of
from services.scoring.model.state import (
    Batch,
    Decision,
    Done,
    Earned,
    Grant,
    HistoryLine,
    Input,
    Kept,
    LedgerLine,
    Older,
    State,
    Tally,
    Window,
    WithheldReason,
)

__all__ = [
    "EMPTY",
    "HORIZON",
    "Batch",
    "Decision",
    "Done",
    "Earned",
    "Grant",
    "HistoryLine",
    "Input",
    "Kept",
    "LedgerLine",
    "Line",
    "Older",
    "Past",
    "Regranted",
    "Rescore",
    "Rescored",
    "State",
    "Tally",
    "Window",
    "WithheldReason",
    "apply",
    "decide_on",
    "done_of",
    "fold",
    "instant",
    "is_late",
    "may_need_older",
    "moment_of",
    "needs_older",
    "regrant",
    "rescore",
    "rescore_id",
]
